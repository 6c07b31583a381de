"""Execution in the engine: the lifecycle core against the paper exchange, one decision after the other.

    slice ─► ticks at which anything can happen ─► core ─► requests ─► answers ─► core …      intents ─► core

What the service does over processes and a database happens here in one thread and in memory, in the same order: per
instrument deadlines, the market, targets; then what time alone brings. Between two events of a trade no tick is looked
at: the next one that matters is found over the whole rest of the day, and found anew only when a trade has changed.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from tradebus.contracts.sessions import SessionSpec
from tradebus.engine.market import Slice
from tradebus.engine.paper import PaperExchange
from tradebus.engine.record import Record
from tradebus.engine.tape import Tape
from tradebus.execution import decisions, lifecycle
from tradebus.execution.decisions import Decide
from tradebus.execution.opening import open_trade, refuse_trade
from tradebus.execution.step import Cancel, Modify, Place, Request, Step
from tradebus.execution.trade import Trade
from tradebus.execution.watching import deadline_index, ending, note_extremes, reached_target, target_index
from tradebus.trading.facts import EntryApproved, ExitApproved, Fact, Intent
from tradebus.trading.orders import BrokerOrder, Change, Outcome
from tradebus.trading.states import OrderState

_OWNER = "engine"
_NEVER = 2**62
TapeOf = Callable[[int, Slice], Tape]


class EngineExecution:
    """`kinds` are instruments' kinds (for charges), `tape_of` an instrument's ticks of the day from a slice on."""

    def __init__(
        self, sessions: Sequence[SessionSpec], kinds: Mapping[int, str], *, tape_of: TapeOf, record: Record
    ) -> None:
        self._exchange = PaperExchange({spec.session_id: spec.paper for spec in sessions})
        self._kinds, self._tape_of, self._record = kinds, tape_of, record
        self._alive: dict[str, Trade] = {}
        self._by_instrument: dict[int, dict[str, Trade]] = {}
        self._position_of_tag: dict[str, str] = {}
        self._deadlines_ns: dict[str, int] = {}
        self._earliest_ns = _NEVER
        self._next: dict[int, int | None] = {}  # the next tick of each instrument that matters, where it is known
        self._facts: list[Fact] = []
        self.now_ns = 0

    @property
    def idle(self) -> bool:
        """Nothing lives: a tick can change nothing."""
        return not self._alive

    def apply(self, step: Slice) -> None:
        """Everything of the slice's ticks, and of the time up to its end."""
        if self._alive:
            for instrument in sorted(self._by_instrument):
                self._apply_instrument(instrument, step)
            self._pass_time(step)
        self.now_ns = step.end_ns

    def take(self, intent: Intent, step: Slice) -> None:
        """An approval or an exit of risk, at the slice's end: what was decided in it takes effect then."""
        at_ns = max(intent.ts_event_ns, self.now_ns)
        if isinstance(intent, EntryApproved):
            self._open(intent, at_ns=at_ns)
        elif isinstance(intent, ExitApproved) and intent.pos_id is not None:
            self._note_to_end(intent.pos_id, step)
            self._change(intent.pos_id, decisions.exit_at(reason=intent.rule, at_ns=at_ns), cause_id=intent.event_id)

    def drain(self) -> list[Fact]:
        """What has been reported since the last call."""
        facts, self._facts = self._facts, []
        return facts

    def end_day(self, step: Slice) -> None:
        """The day's ticks are over: what they mean for open positions is noted."""
        for pos_id in list(self._alive):
            self._note_to_end(pos_id, step)
        self._next.clear()

    def alive(self) -> list[Trade]:
        return list(self._alive.values())

    def _apply_instrument(self, instrument: int, step: Slice) -> None:
        index = self._next.get(instrument, -1)
        if index is None:
            return
        tape = self._tape_of(instrument, step)
        start, end = tape.span(step.number)
        if index >= end:
            return
        while True:
            trades = [trade for _, trade in sorted(self._by_instrument.get(instrument, {}).items())]
            found = self._next[instrument] = self._next_index(instrument, trades, tape, start)
            if found is None or found >= end:
                return
            at_target = [trade.pos_id for trade in trades if reached_target(trade, tape.ticks, found)]
            for trade in trades:
                note_extremes(trade, tape.ticks, start, found + 1)
            at_ns = int(tape.ticks.at_ns[found])
            for trade in trades:
                self._meet_deadline(trade, at_ns)
            report = self._exchange.on_tick(instrument, tape.ticks, found)
            if report is not None:
                self._report(report)
            for pos_id in at_target:
                self._change(pos_id, decisions.exit_at(reason="target", at_ns=at_ns))
            start = found

    def _next_index(self, instrument: int, trades: Iterable[Trade], tape: Tape, start: int) -> int | None:
        found = [self._exchange.next_touch(instrument, tape.ticks, start)]
        for trade in trades:
            found.append(target_index(trade, tape.ticks, start))
            found.append(deadline_index(trade, tape.ticks, start))
        return min((index for index in found if index is not None), default=None)

    def _pass_time(self, step: Slice) -> None:
        last_ns = step.end_ns - 1
        while (report := self._exchange.advance(last_ns)) is not None:
            for trade in list(self._alive.values()):
                if ending(trade):
                    self._note_to_end(trade.pos_id, step)
            self._report(report)
        if self._earliest_ns <= last_ns:
            for pos_id, due_ns in sorted(self._deadlines_ns.items()):
                if due_ns <= last_ns and pos_id in self._alive:
                    self._meet_deadline(self._alive[pos_id], last_ns)

    def _note_to_end(self, pos_id: str, step: Slice) -> None:
        """Takes the slice's prices into a trade's extremes; those before it were taken in their own time."""
        trade = self._alive.get(pos_id)
        if trade is not None and trade.entry_quantity:
            tape = self._tape_of(trade.instrument, step)
            note_extremes(trade, tape.ticks, 0, tape.span(step.number)[1])

    def _meet_deadline(self, trade: Trade, now_ns: int) -> None:
        due = lifecycle.deadline_ns(trade)
        if due is not None and due <= now_ns:
            self._change(trade.pos_id, decisions.deadline(now_ns))

    def _open(self, approval: EntryApproved, *, at_ns: int) -> None:
        step = Step(cause_id=approval.event_id)
        kind = self._kinds[approval.instrument]
        if self.now_ns > approval.valid_until_ns:
            trade = refuse_trade(approval, step, kind=kind, owner=_OWNER, reason="stale_approval")
        else:
            trade = open_trade(approval, step, kind=kind, owner=_OWNER, at_ns=at_ns)
        trade.trade_id = self._record.new_trade_id()
        self._remember(trade, step)
        self._cascade(trade.pos_id, step.requests)

    def _change(self, pos_id: str, decide: Decide, *, cause_id: str | None = None) -> None:
        self._cascade(pos_id, self._decided(pos_id, decide, cause_id=cause_id))

    def _report(self, order: BrokerOrder) -> None:
        pos_id = self._position_of_tag.get(order.tag)
        if pos_id is not None:
            self._change(pos_id, decisions.reported(order, unknown=LookupError(order.tag)))

    def _decided(self, pos_id: str, decide: Decide, *, cause_id: str | None = None) -> list[Request]:
        trade = self._alive.get(pos_id)
        if trade is None:
            return []
        step = Step(cause_id=cause_id)
        decide(trade, step)
        self._remember(trade, step)
        return step.requests

    def _cascade(self, pos_id: str, requests: Sequence[Request]) -> None:
        queue = deque(requests)
        while queue:
            trade = self._alive.get(pos_id)
            if trade is None:
                return
            decide = self._send(trade, queue.popleft())
            if decide is not None:
                queue.extend(self._decided(pos_id, decide))

    def _send(self, trade: Trade, request: Request) -> Decide | None:
        order = trade.order(request.order_id)
        if isinstance(request, Place):
            if order.state is not OrderState.PENDING:
                return None
            placed = self._exchange.place(decisions.order_request(trade, order))
            return decisions.placed(order.order_id, placed, order.placed_ns)
        if order.broker_order_id is None or order.ended or order.state is OrderState.UNKNOWN:
            return None
        if isinstance(request, Cancel):
            cancelled = self._exchange.cancel(order.broker_order_id, at_ns=request.at_ns)
            return decisions.cancelled(order.order_id, cancelled, request.at_ns)
        return self._modified(request, order.broker_order_id, trade)

    def _modified(self, request: Modify, broker_order_id: str, trade: Trade) -> Decide:
        order = trade.order(request.order_id)
        change = Change(order.quantity, order.price_paise, order.trigger_paise, request.at_ns)
        outcome: Outcome = self._exchange.modify(broker_order_id, change)
        return decisions.modified(request, outcome)

    def _remember(self, trade: Trade, step: Step) -> None:
        self._facts += step.facts
        self._record.trade_changed(trade, step)
        self._next.pop(trade.instrument, None)
        if trade.ended:
            self._forget(trade)
        else:
            self._alive[trade.pos_id] = trade
            self._by_instrument.setdefault(trade.instrument, {})[trade.pos_id] = trade
            for order in trade.orders:
                self._position_of_tag[order.tag] = trade.pos_id
            due_ns = lifecycle.deadline_ns(trade)
            if due_ns is None:
                self._deadlines_ns.pop(trade.pos_id, None)
            else:
                self._deadlines_ns[trade.pos_id] = due_ns
        self._earliest_ns = min(self._deadlines_ns.values(), default=_NEVER)

    def _forget(self, trade: Trade) -> None:
        self._alive.pop(trade.pos_id, None)
        self._deadlines_ns.pop(trade.pos_id, None)
        for order in trade.orders:
            self._position_of_tag.pop(order.tag, None)
        others = self._by_instrument.get(trade.instrument)
        if others is not None:
            others.pop(trade.pos_id, None)
            if not others:
                del self._by_instrument[trade.instrument]
