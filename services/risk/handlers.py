"""From bus entries to verdicts in the book.

orders, commands, sessions ─► step (pure) ─► one transaction: inbox, state, journal, outbox
signals ─► step ─► kept, and stored so with those that came together (paced: each alone)
ticks ─► marks in memory; a transaction only where something was decided
gaps ─► which entries must wait            the clock ─► what is due without a tick
"""

import structlog

from services.risk.closing import Closing
from services.risk.kill_switch import KillSwitchState
from services.risk.market.marks import TICKS_STREAM, Marks
from services.risk.market.surroundings import Surroundings
from services.risk.messages import command_of, word_of
from services.risk.metrics import RiskMetrics
from services.risk.ports import StateConflict
from services.risk.sessions import RiskSession, RiskSessions
from tradebus.bus.port import Entry
from tradebus.contracts.base import Message
from tradebus.contracts.commands import (
    ApproveEntry,
    Flatten,
    Kill,
    PauseTrading,
    RefuseEntry,
    ResumeTrading,
    SetLimits,
    StartTrading,
    StopTrading,
)
from tradebus.contracts.market import DataGap, DataRecovered
from tradebus.contracts.registry import parse
from tradebus.contracts.sessions import SessionFailed, SessionStopped, SizingMode
from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.risk.entries import block
from tradebus.risk.exits import ignored, next_due_ns
from tradebus.risk.reports import Report, concerns_risk
from tradebus.risk.step import RiskStep, on_command, on_fact, on_limits, on_over, on_signal, on_time, on_word
from tradebus.risk.verdicts import Cause
from tradebus.runtime.consumer import DONE, Answer, Done, Effect, TryLater
from tradebus.runtime.rendering import fact_of
from tradebus.trading import facts

# What strategies and execution say that concerns risk.
_FACTS = frozenset(
    fact.TYPE
    for fact in (
        facts.ArmLong, facts.ArmShort, facts.EntrySignal, facts.ExitSignal, facts.PositionOpened, facts.PositionClosed,
        facts.OrderFilled, facts.OrderPartiallyFilled, facts.OrderCancelled, facts.OrderRejected,
    )
)  # fmt: skip
_SIGNALS = frozenset({facts.EntrySignal.TYPE, facts.ExitSignal.TYPE})
_Commanded = StopTrading | PauseTrading | ResumeTrading | Flatten | SetLimits | ApproveEntry | RefuseEntry
_KEPT_MAX = 32  # verdicts stored together: the first of a thousand does not wait for the last
_log = structlog.get_logger()


class Risk:
    """The handler of `tradebus.runtime.consumer`: one entry at a time."""

    def __init__(
        self, sessions: RiskSessions, surroundings: Surroundings, marks: Marks, kill_switch: KillSwitchState,
        *, metrics: RiskMetrics, paced: bool,
    ) -> None:  # fmt: skip
        self.sessions, self._paced = sessions, paced
        self._surroundings, self._marks, self._kill_switch, self._metrics = surroundings, marks, kill_switch, metrics
        self.closing = Closing(sessions, surroundings, kill_switch, recover=self.recover)

    async def handle(self, entry: Entry) -> Answer:
        """Raises ValueError for what is no message, or lacks what its kind needs; Unavailable where what was kept was
        decided on a state that the book no longer has."""
        try:
            if entry.kind in _SIGNALS and entry.body and not self._paced:
                return await self._keep(entry)
            await self.sessions.store()
        except StateConflict as conflict:
            raise Unavailable(str(conflict)) from None
        try:
            if entry.stream == TICKS_STREAM:
                await self._marks.take(entry)
            elif entry.body:
                await self.take(parse(entry.body))
            await self.closing.judge_shared()
        except StateConflict as conflict:  # decided on a state that the book no longer has: again, on that one
            await self.recover()
            return TryLater(str(conflict))
        return DONE

    async def recover(self) -> None:
        """Takes up what the book holds: at the start, and again after anything went wrong."""
        await self._kill_switch.look()
        await self.sessions.load()
        await self._marks.load()
        await self._surroundings.load()
        _log.info("sessions taken up", sessions=len(self.sessions.alive), unreadable=len(self.sessions.unreadable))

    async def commit(self) -> bool:
        """Stores the verdicts on signals that came together. Marks are found again in the stream."""
        await self.sessions.store()
        return True

    async def take(self, message: Message) -> None:
        """One message, once, however often it comes."""
        if message.TYPE in _FACTS:
            await self._on_fact(fact_of(message))
            return
        match message:
            case StartTrading():
                await self.sessions.take_up(message.event_id, message.spec.session_id)
            case Kill():
                await self.closing.obey(message)
            case (
                StopTrading() | PauseTrading() | ResumeTrading() | Flatten() | SetLimits() | ApproveEntry()
                | RefuseEntry()
            ):  # fmt: skip
                await self._on_command(message)
            case SessionStopped() | SessionFailed():
                await self._on_over(message)
            case DataGap() | DataRecovered():
                self._surroundings.gap(message)
            case _:
                pass  # of no concern to risk

    async def _on_command(self, message: _Commanded) -> None:
        name = message.session_id or ""
        session, steps = self.sessions.alive.get(name), {}
        if session is not None:
            steps[name] = await self._commanded(session, message)
        await self.sessions.save(message.event_id, steps)
        self._session(name)  # after: the end of a session that cannot be read waits for nothing here

    async def _commanded(self, session: RiskSession, message: _Commanded) -> RiskStep:
        state, situation = session.state, self._surroundings.of(session.terms)
        match message:
            case SetLimits():
                cause = Cause(situation.now_ns(message.ts_event_ns), message.event_id, message.trace_id)
                own = {one.strategy: one.limits for one in message.strategies}
                return on_limits(state, message.limits, own, situation, cause, set_ns=message.ts_event_ns)
            case ApproveEntry() | RefuseEntry():
                # Also while no data comes: how long it has waited is the clock's.
                now_ns = self._surroundings.market.now_ns(is_live=session.has_live_feed) or message.ts_event_ns
                waiting = state.waiting.get(message.approval_id)
                for signal in () if waiting is None else waiting.signals:
                    await _know(self._surroundings, session, signal, ts_ns=now_ns)
                cause = Cause(now_ns, message.event_id, message.trace_id)
                return on_word(state, word_of(message), self._surroundings.of(session.terms), cause)
            case _:
                return on_command(state, command_of(message), situation)

    async def on_time(self) -> None:
        """What the market's clock alone makes due. Not for a paced run, where data alone is time."""
        for name, session in list(self.sessions.alive.items()):
            due_ns = next_due_ns(session.state)
            if due_ns is None:
                continue
            now_ns = self._surroundings.market.now_ns(is_live=session.has_live_feed)
            if now_ns is None or now_ns < due_ns:
                continue
            step = on_time(session.state, now_ns=now_ns)
            for verdict in step.verdicts:
                _log.warning(
                    "due by the market's clock", session_id=name, what=verdict.rule, detail=verdict.detail,
                    pos_id=verdict.pos_id,
                )  # fmt: skip
            await self.sessions.save(f"time:{name}:{now_ns}", {name: step})
        await self.closing.end_by_the_clock()

    async def _on_fact(self, fact: facts.Fact) -> None:
        match fact:
            case facts.EntrySignal() | facts.ExitSignal():
                step = await self._judged(fact)
                if step is not None:
                    await self.sessions.save(fact.event_id, {fact.session_id: step})
            case facts.ArmLong() | facts.ArmShort():
                self._metrics.armed.labels(fact.strategy).inc()
            case (
                facts.PositionOpened() | facts.PositionClosed() | facts.OrderFilled() | facts.OrderPartiallyFilled()
                | facts.OrderCancelled() | facts.OrderRejected()
            ):  # fmt: skip
                await self._on_report(fact)

    async def _keep(self, entry: Entry) -> Answer:
        """A live signal: judged now, durable with those that come with it."""
        signal = fact_of(parse(entry.body))
        assert isinstance(signal, facts.EntrySignal | facts.ExitSignal)
        step = await self._judged(signal)
        if step is None:
            return DONE
        kept = self.sessions.keep(signal.event_id, {signal.session_id: step})
        return Done(effect=Effect.COMMIT if kept >= _KEPT_MAX else Effect.HELD)

    async def _judged(self, signal: facts.EntrySignal | facts.ExitSignal) -> RiskStep | None:
        """None where it was refused, and all that was kept is stored."""
        session = self._session(signal.session_id)
        if session is None:
            await self._refuse(signal, rule="unknown_session", detail=f"session {signal.session_id} is not running")
            return None
        if session.problem and isinstance(signal, facts.EntrySignal):
            await self._refuse(signal, rule="session_put_aside", detail=f"its profit is not known: {session.problem}")
            return None
        await _know(self._surroundings, session, signal, ts_ns=signal.ts_event_ns)
        await self._marks.judge_before(signal.ts_event_ns, session)
        return on_signal(session.state, signal, self._surroundings.of(session.terms))

    async def _refuse(self, signal: facts.EntrySignal | facts.ExitSignal, *, rule: str, detail: str) -> None:
        """A signal of a session that is over, that risk was never told of, or that cannot be judged."""
        if isinstance(signal, facts.EntrySignal):
            verdict = block(signal, rule, detail)
        else:
            verdict = ignored(signal, rule=rule, detail=detail)
        await self.sessions.refuse(
            signal.event_id, verdict, session_id=signal.session_id, user_id=signal.user_id
        )  # fmt: skip

    async def _on_report(self, report: Report) -> None:
        session = self._session(report.session_id)
        if session is None or not concerns_risk(report):
            return
        await self._surroundings.know(report.instrument, ts_ns=report.ts_event_ns)
        # After the ticks of its instant: reports come third in the merge.
        await self._marks.judge_before(report.ts_event_ns + 1, session)
        step = on_fact(session.state, report, self._surroundings.of(session.terms))
        if step.state is not session.state:
            await self.sessions.save(report.event_id, {session.terms.session_id: step})
            self.sessions.forget_if_flat(session)

    async def _on_over(self, message: SessionStopped | SessionFailed) -> None:
        session = self._session(message.session_id or "")
        if session is None:
            return
        session.is_over = True
        if session.state.live() or session.state.waiting:
            now_ns = self._surroundings.of(session.terms).now_ns(message.ts_event_ns)
            step = on_over(session.state, Cause(now_ns, message.event_id, message.trace_id))
            await self.sessions.save(message.event_id, {session.terms.session_id: step})
        self.sessions.forget_if_flat(session)

    def _session(self, session_id: str) -> RiskSession | None:
        """None for one that is not running. Raises InvalidInput for one whose row cannot be read."""
        problem = self.sessions.unreadable.get(session_id)
        if problem is not None:
            raise InvalidInput(f"session {session_id} is put aside, its row in risk_state cannot be read: {problem}")
        return self.sessions.alive.get(session_id)


async def _know(
    surroundings: Surroundings, session: RiskSession, signal: facts.EntrySignal | facts.ExitSignal, *, ts_ns: int
) -> None:
    """What is looked at beside the session to judge a signal at an instant: its contracts and, where sizes are by
    volatility, their daily ranges."""
    legs = () if signal.group is None else signal.group.legs
    for instrument in (signal.instrument, *(leg.instrument for leg in legs)):
        await surroundings.know(instrument, ts_ns=ts_ns)
        if session.terms.sizing_of(signal.strategy, lots=None).mode is SizingMode.ATR:
            await surroundings.ranges.know(instrument, ts_ns=ts_ns)
