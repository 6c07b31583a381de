"""Execution in the engine: the cores of the service on a book in memory, one decision after the other.

    slice ─► supervision: ticks at which anything can happen ─► core ─► requests ─► answers ─► core …
    intents ─► core ─► the same

Between two events of a trade no tick is looked at: the next one that matters is found over the whole rest of the day,
and found anew only when a trade has changed.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from tradebus.calendar import contract_of
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.sessions import SessionSpec
from tradebus.engine.market import Slice
from tradebus.engine.record import Record
from tradebus.engine.tape import Tape
from tradebus.execution import decisions
from tradebus.execution.decisions import Decide
from tradebus.execution.opening import open_trade, refuse_trade
from tradebus.execution.roster import Roster
from tradebus.execution.step import Cancel, Place, Request, Step
from tradebus.execution.supervision import Action, Decision, MeetTick, PassTime, Supervision
from tradebus.execution.trade import Trade
from tradebus.execution.watching import ending, note_extremes
from tradebus.kernel.time import ist_date
from tradebus.trading.facts import EntryApproved, ExitApproved, Fact, Intent
from tradebus.trading.matching.exchange import PaperExchange
from tradebus.trading.orders import BrokerOrder, Outcome

TapeOf = Callable[[int, Slice], Tape]


class EngineExecution:
    """`instruments` by id, `tape_of` an instrument's ticks of the day from a slice on."""

    def __init__(
        self, sessions: Sequence[SessionSpec], instruments: Mapping[int, Instrument], *, tape_of: TapeOf, record: Record
    ) -> None:
        self._paper = {spec.session_id: spec.paper for spec in sessions}
        self._instruments, self._tape_of, self._record = instruments, tape_of, record
        self._exchange = PaperExchange()
        self._roster = Roster("engine")
        self._supervision = Supervision(self._roster, self._exchange)
        self._facts: list[Fact] = []

    def apply(self, step: Slice) -> None:
        """Everything of the slice's ticks, and of the time up to its end."""
        if not self._roster.alive:
            self._supervision.now_ns = step.end_ns
            return
        for instrument in sorted(self._roster.by_instrument):
            self._apply_instrument(instrument, step)
        self._note_extremes((trade for trade in self._roster.alive.values() if ending(trade)), step)
        self._carry_out(self._supervision.pass_time(step.end_ns))

    def take(self, intent: Intent, step: Slice) -> None:
        """An approval or an exit of risk, at the slice's end: what was decided in it takes effect then."""
        at_ns = max(intent.ts_event_ns, self._supervision.now_ns)
        if isinstance(intent, EntryApproved):
            self._open(intent, at_ns=at_ns)
        elif isinstance(intent, ExitApproved) and (trade := self._roster.alive.get(intent.pos_id or "")) is not None:
            self._note_extremes([trade], step)
            self._change(trade.pos_id, decisions.exit_at(reason=intent.rule, at_ns=at_ns), cause_id=intent.event_id)

    def drain(self) -> list[Fact]:
        """What has been reported since the last call."""
        facts, self._facts = self._facts, []
        return facts

    def end_day(self, step: Slice) -> None:
        """The day's ticks are about to go: what they mean for open positions is noted."""
        self._note_extremes(self._roster.alive.values(), step)
        self._exchange.forget_ended()
        self._supervision.looked.clear()

    def alive(self) -> list[Trade]:
        return list(self._roster.alive.values())

    def _apply_instrument(self, instrument: int, step: Slice) -> None:
        tape = self._tape_of(instrument, step)
        start, stop = tape.span(step.number)
        revision, index = self._supervision.looked.get(instrument, (-1, None))
        if revision != self._roster.revision:
            index = self._supervision.next_index(instrument, tape.ticks, start)
            self._supervision.looked[instrument] = (self._roster.revision, index)
        if index is not None and index < stop:
            self._carry_out(self._supervision.walk(instrument, tape.ticks, start, stop))

    def _carry_out(self, actions: Iterable[Action]) -> None:
        """Storing extremes is for those who may be killed."""
        for action in actions:
            if isinstance(action, Decision):
                self._change(action.pos_id, action.decide)
            elif isinstance(action, MeetTick):
                report = self._exchange.on_tick(action.instrument, action.ticks, action.index)
                if report is not None:
                    self._report(report)
            elif isinstance(action, PassTime):
                while (report := self._exchange.advance(action.now_ns)) is not None:
                    self._report(report)

    def _note_extremes(self, trades: Iterable[Trade], step: Slice) -> None:
        """Takes all prices up to the slice's end into the trades' extremes."""
        for trade in trades:
            if trade.entry_quantity:
                tape = self._tape_of(trade.instrument, step)
                note_extremes(trade, tape.ticks, 0, tape.span(step.number)[1])

    def _open(self, approval: EntryApproved, *, at_ns: int) -> None:
        step, owner = Step(cause_id=approval.event_id), self._roster.owner
        contract = contract_of(self._instruments[approval.instrument], ist_date(at_ns))
        if self._supervision.now_ns > approval.valid_until_ns:
            trade = refuse_trade(approval, step, contract=contract, owner=owner, reason="stale_approval")
        else:
            trade = open_trade(approval, step, contract=contract, owner=owner, at_ns=at_ns)
        trade.trade_id = self._record.new_trade_id()
        self._remember(trade, step)
        self._dispatch(trade.pos_id, step.requests)

    def _change(self, pos_id: str, decide: Decide, *, cause_id: str | None = None) -> None:
        self._dispatch(pos_id, self._decided(pos_id, decide, cause_id=cause_id))

    def _report(self, order: BrokerOrder) -> None:
        pos_id = self._roster.position_of(order.tag)
        if pos_id is not None:
            self._change(pos_id, decisions.reported(order, unknown=LookupError(order.tag)))

    def _decided(self, pos_id: str, decide: Decide, *, cause_id: str | None = None) -> list[Request]:
        trade = self._roster.alive.get(pos_id)
        if trade is None:
            return []
        step = Step(cause_id=cause_id)
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
            return self._exchange.place(decisions.order_request(trade, order), self._paper[account])
        number = order.broker_order_id or ""
        if isinstance(request, Cancel):
            return self._exchange.cancel(account, number, at_ns=request.at_ns)
        return self._exchange.modify(account, number, decisions.change_of(trade, order, request))

    def _remember(self, trade: Trade, step: Step) -> None:
        self._facts += step.facts
        self._roster.remember(trade)
        self._record.trade_changed(trade, step)
