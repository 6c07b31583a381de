"""The engine's trades: a decision changes one, and its requests are answered by matching until none is left.

decide ─► step ─► remembered, recorded ─► requests ─► paper matching ─► answers: decisions again
"""

from collections import deque
from collections.abc import Mapping, Sequence

from tradebus.calendar import contract_of
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.sessions import ProtectionKind, SessionSpec
from tradebus.engine.recording.record import Record
from tradebus.execution import decisions
from tradebus.execution.decisions import Decide
from tradebus.execution.opening import open_trade, refuse_trade
from tradebus.execution.roster import Roster
from tradebus.execution.step import Cancel, Place, Request, TradeStep
from tradebus.execution.trade import Trade
from tradebus.kernel.time import ist_date
from tradebus.trading.facts import EntryApproved, Fact
from tradebus.trading.matching.exchange import PaperExchange
from tradebus.trading.orders import BrokerOrder, Outcome


class EngineTrades:
    """`specs` by session, `instruments` by id."""

    def __init__(
        self, roster: Roster, exchange: PaperExchange, *, specs: Mapping[str, SessionSpec],
        instruments: Mapping[int, Instrument], record: Record,
    ) -> None:  # fmt: skip
        self._roster, self._exchange, self._specs = roster, exchange, specs
        self._instruments, self._record = instruments, record
        self._facts: list[Fact] = []

    def open(self, approval: EntryApproved, *, at_ns: int, now_ns: int) -> None:
        """Takes an approval that takes effect at `at_ns`; one that is too old by `now_ns` is refused."""
        step, owner = TradeStep(cause_id=approval.event_id), self._roster.owner
        instrument = self._instruments[approval.instrument]
        contract = contract_of(instrument, ist_date(at_ns), price_paise=approval.price_paise)
        if now_ns > approval.valid_until_ns:
            trade = refuse_trade(approval, step, contract=contract, owner=owner, reason="stale_approval")
        else:
            trade = open_trade(approval, step, contract=contract, owner=owner, at_ns=at_ns)
        trade.trade_id = self._record.new_trade_id()
        spec = self._specs[trade.session_id]
        trade.tariff, trade.is_worst_first = spec.tariff, spec.is_worst_first
        trade.trailing, trade.protection = spec.trailing_of(trade.strategy), spec.protection or ProtectionKind.STOP
        self._remember(trade, step)
        self._dispatch(trade.pos_id, step.requests)

    def change(self, pos_id: str, decide: Decide, *, cause_id: str | None = None) -> None:
        """Decides, and does all that follows from it. One that is over is passed over."""
        self._dispatch(pos_id, self._decided(pos_id, decide, cause_id=cause_id))

    def report(self, order: BrokerOrder) -> None:
        """What matching says of an order by itself."""
        pos_id = self._roster.position_of(order.tag)
        if pos_id is not None:
            self.change(pos_id, decisions.reported(order, unknown=LookupError(order.tag)))

    def drain(self) -> list[Fact]:
        """What has been reported since the last call."""
        facts, self._facts = self._facts, []
        return facts

    def _decided(self, pos_id: str, decide: Decide, *, cause_id: str | None = None) -> list[Request]:
        trade = self._roster.alive.get(pos_id)
        if trade is None:
            return []
        step = TradeStep(cause_id=cause_id)
        decide(trade, step)
        self._remember(trade, step)
        return step.requests

    def _dispatch(self, pos_id: str, requests: Sequence[Request]) -> None:
        queue = deque(requests)
        while queue:
            trade = self._roster.alive.get(pos_id)
            if trade is None:
                return
            request = queue.popleft()
            if decisions.is_due(trade, request):
                decide = decisions.answered(trade.order(request.order_id), request, self._sent(trade, request))
                queue.extend(self._decided(pos_id, decide))

    def _sent(self, trade: Trade, request: Request) -> Outcome:
        order, account = trade.order(request.order_id), trade.session_id
        if isinstance(request, Place):
            return self._exchange.place(decisions.order_request(trade, order), self._specs[account].paper)
        number = order.broker_order_id or ""
        if isinstance(request, Cancel):
            return self._exchange.cancel(account, number, at_ns=request.at_ns)
        return self._exchange.modify(account, number, decisions.change_of(trade, order, request))

    def _remember(self, trade: Trade, step: TradeStep) -> None:
        self._facts += step.facts
        self._roster.remember(trade)
        self._record.trade_changed(trade, step)
