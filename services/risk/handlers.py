"""From bus entries to verdicts in the book.

signals, orders, commands, sessions ─► step (pure) ─► one transaction: inbox, state, journal, outbox
ticks ─► marks in memory; a transaction only where something was decided
"""

from collections.abc import Callable
from dataclasses import replace

from services.risk.adapters.ledger import engage_kill_switch
from services.risk.book import Book, Cursor, Session
from services.risk.kill_switch import KillSwitch
from services.risk.messages import command_of
from services.risk.metrics import ARMED
from tradebus.bus.port import Bus, Entry
from tradebus.contracts.base import Message
from tradebus.contracts.commands import Flatten, Kill, PauseTrading, ResumeTrading, StartTrading, StopTrading
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.records import TICK, Records, decode
from tradebus.contracts.registry import parse
from tradebus.contracts.sessions import SessionFailed, SessionStopped
from tradebus.contracts.streams import MD_TICKS
from tradebus.risk.commands import Command
from tradebus.risk.entries import block
from tradebus.risk.exits import ignored
from tradebus.risk.marking import held_instruments, mark, select
from tradebus.risk.reports import Report, concerns_risk
from tradebus.risk.state import RiskState
from tradebus.risk.step import Step, on_command, on_fact, on_over, on_signal, on_ticks
from tradebus.risk.terms import Situation
from tradebus.risk.verdicts import Cause
from tradebus.runtime.rendering import fact_of
from tradebus.store.instruments import load_instruments
from tradebus.store.store import Store, Transaction
from tradebus.trading import facts

TICKS_STREAM = MD_TICKS.shard(0)
# What strategies and execution say that concerns risk.
_FACTS = frozenset(
    fact.TYPE
    for fact in (
        facts.ArmLong, facts.ArmShort, facts.EntrySignal, facts.ExitSignal, facts.PositionOpened, facts.PositionClosed,
        facts.OrderFilled, facts.OrderPartiallyFilled, facts.OrderCancelled, facts.OrderRejected,
    )
)  # fmt: skip


class Risk:
    """Handles one entry at a time. `data_ns` is the event time that market data has reached."""

    def __init__(self, *, bus: Bus, store: Store, book: Book, kill_switch: KillSwitch, paced: bool) -> None:
        self._bus, self._store, self._paced = bus, store, paced
        self.book, self.kill_switch = book, kill_switch
        self._instruments: dict[int, Instrument] = {}
        self.data_ns = 0

    async def load(self) -> None:
        """Takes up what the book holds: at the start, and again after anything went wrong."""
        await self.book.load()
        if not self.data_ns:
            self.data_ns = await self._bus.last_watermark(TICKS_STREAM) or 0
            newest = await self._bus.tail(TICKS_STREAM, count=1)
            self.book.cursor = Cursor(self.data_ns, newest[-1].entry_id if newest else "0")
        await self._load_instruments()

    async def handle(self, entry: Entry) -> None:
        """One entry, whole. Raises ValueError for what is no message, or lacks what its kind needs."""
        if entry.stream == TICKS_STREAM:
            await self._on_ticks(entry)
        elif entry.body:
            await self._on_message(parse(entry.body))

    async def on_kill(self, command: Kill) -> None:
        """Engages the switch and closes everything of every session, in one transaction."""
        stands: list[bool] = []

        async def engage(tx: Transaction) -> None:
            stands.append(await engage_kill_switch(tx, reason=command.reason, changed_ns=command.ts_event_ns))

        await self.book.save(command.event_id, self._steps(command_of(command)), also=engage)
        self.kill_switch.command(engaged=any(stands))

    async def _on_message(self, message: Message) -> None:
        if message.TYPE in _FACTS:
            await self._on_fact(fact_of(message))
            return
        match message:
            case StartTrading():
                await self.book.take_up(message.event_id, message.spec.session_id)
            case Kill():
                await self.on_kill(message)
            case StopTrading() | PauseTrading() | ResumeTrading() | Flatten():
                await self.book.save(message.event_id, self._steps(command_of(message), message.session_id or ""))
            case SessionStopped() | SessionFailed():
                await self._on_over(message)
            case _:
                pass  # of no concern to risk

    async def _on_fact(self, fact: facts.Fact) -> None:
        match fact:
            case facts.EntrySignal() | facts.ExitSignal():
                await self._on_signal(fact)
            case facts.ArmLong() | facts.ArmShort():
                ARMED.labels(fact.strategy).inc()
            case (
                facts.PositionOpened() | facts.PositionClosed() | facts.OrderFilled() | facts.OrderPartiallyFilled()
                | facts.OrderCancelled() | facts.OrderRejected()
            ):  # fmt: skip
                await self._on_report(fact)

    async def _on_signal(self, signal: facts.EntrySignal | facts.ExitSignal) -> None:
        session = self.book.sessions.get(signal.session_id)
        if session is None:
            await self._refuse_stranger(signal, signal.session_id)
            return
        await self._know(signal.instrument)
        await self._judge_by_marks_before(signal.ts_event_ns, session)
        step = on_signal(session.state, signal, self._situation(session))
        await self.book.save(signal.event_id, {signal.session_id: step})

    async def _refuse_stranger(self, signal: facts.EntrySignal | facts.ExitSignal, session_id: str) -> None:
        """A signal of a session that is over, or that risk was never told of."""
        rule, detail = "unknown_session", f"session {session_id} is not running"
        if isinstance(signal, facts.EntrySignal):
            verdict = block(signal, rule, detail)
        else:
            verdict = ignored(signal, rule=rule, detail=detail)
        await self.book.refuse(signal.event_id, verdict, session_id=session_id, user_id=signal.user_id)

    async def _on_report(self, report: Report) -> None:
        session = self.book.sessions.get(report.session_id)
        if session is None or not concerns_risk(report):
            return
        await self._know(report.instrument)
        # After the ticks of its instant: reports come third in the merge.
        await self._judge_by_marks_before(report.ts_event_ns + 1, session)
        step = on_fact(session.state, report, self._situation(session))
        if step.state is not session.state:
            await self.book.save(report.event_id, {session.terms.session_id: step})
            self.book.forget_if_flat(session)

    async def _on_over(self, message: SessionStopped | SessionFailed) -> None:
        session = self.book.sessions.get(message.session_id or "")
        if session is None:
            return
        session.is_over = True
        if session.state.live():
            now_ns = self._situation(session).now_ns(message.ts_event_ns)
            step = on_over(session.state, Cause(now_ns, message.event_id, message.trace_id))
            await self.book.save(message.event_id, {session.terms.session_id: step})
        self.book.forget_if_flat(session)

    def _steps(self, command: Command, session_id: str | None = None) -> dict[str, Step]:
        """A command's steps: of its session, or of every session where it names none."""
        return {
            name: on_command(session.state, command, self._situation(session))
            for name, session in self.book.sessions.items()
            if session_id is None or session_id == name
        }

    async def _on_ticks(self, entry: Entry) -> None:
        if entry.watermark_ns is None:
            raise ValueError("a tick batch without a watermark")
        batch = decode(entry.body, TICK)
        self.data_ns = entry.watermark_ns
        self.book.cursor = Cursor(entry.watermark_ns, entry.entry_id)
        if not self.book.held:
            return
        ticks = select(batch, self.book.held)
        for session in list(self.book.sessions.values()):
            await self._mark(session, ticks, entry, watermark_ns=entry.watermark_ns)

    async def _mark(self, session: Session, ticks: Records, entry: Entry, *, watermark_ns: int) -> None:
        held = held_instruments(session.state)
        if not held:
            return
        if session.is_behind:
            if watermark_ns <= session.state.marked_ns:
                return  # delivered again: its marks are in the state
            await self._catch_up(session, stop=lambda later: later.entry_id == entry.entry_id)
            session.is_behind = False
        own = ticks if held.issuperset(self.book.held) else select(ticks, sorted(held))
        step = on_ticks(session.state, own, self._situation(session), end_ns=watermark_ns + 1)
        if step.verdicts:
            await self.book.save(f"ticks:{session.terms.session_id}:{watermark_ns}", {session.terms.session_id: step})
        elif step.state is not session.state:
            session.state = step.state
            self.book.count()

    async def _judge_by_marks_before(self, end_ns: int, session: Session) -> None:
        """Paced, a loaded session may be asked about before its next slice comes: judged by older marks than without
        the restart, the answer could be another. The slices that end before the message's place in the merge were
        handled before it then, so they are now."""
        if session.is_behind and self._paced:
            await self._catch_up(session, stop=lambda entry: (entry.watermark_ns or 0) >= end_ns)

    async def _catch_up(self, session: Session, *, stop: Callable[[Entry], bool]) -> None:
        """Brings the marks of a loaded session forward, to the first slice where `stop` holds. What lies between was
        judged before the restart, so marks are all there is to it; slices that left the stream are done without."""
        after = {TICKS_STREAM: session.state.marked_entry_id}
        instruments = sorted(held_instruments(session.state))
        while entries := await self._bus.follow([TICKS_STREAM], after=after, block_ms=0):
            for entry in entries:
                if stop(entry):
                    return
                after[TICKS_STREAM] = entry.entry_id
                session.state = _marked_by(session.state, entry, instruments)

    def _situation(self, session: Session) -> Situation:
        return Situation(
            terms=session.terms, instruments=self._instruments, killed=self.kill_switch.engaged, data_ns=self.data_ns,
            paced=self._paced,
        )  # fmt: skip

    async def _know(self, instrument: int) -> None:
        """Reads the master again where an instrument is new: it may have been registered after we started."""
        if instrument not in self._instruments:
            await self._load_instruments()

    async def _load_instruments(self) -> None:
        master = await load_instruments(self._store.pool)
        self._instruments = {instrument.instrument_id: instrument for instrument in master}


def _marked_by(state: RiskState, entry: Entry, instruments: list[int]) -> RiskState:
    """The marks after one slice; a slice that cannot be read is among the dead letters and marks nothing."""
    if entry.watermark_ns is None:
        return state
    try:
        ticks = select(decode(entry.body, TICK), instruments)
    except ValueError:
        return state
    marked = mark(state, ticks, end_ns=entry.watermark_ns + 1, loss_limit_paise=None).state
    return replace(marked, marked_ns=entry.watermark_ns, marked_entry_id=entry.entry_id)
