"""What the strategy service does with each entry.

    commands, sessions ─► sessions come, pause, go
    orders             ─► positions
    candles, ticks     ─► runners ─► journal rows, signals

Nothing here acknowledges or publishes: `component` does, once per entry.
"""

from dataclasses import dataclass, field

import numpy as np
import structlog
from prometheus_client import Counter

from services.strategy.adapters.history import History
from services.strategy.adapters.sessions import Sessions
from services.strategy.adapters.tick_stream import TickStream
from services.strategy.messages import SignalMessage, signal_message
from tradebus.bus.port import Entry
from tradebus.contracts.commands import PauseTrading, ResumeTrading, StartTrading, StopTrading
from tradebus.contracts.records import CANDLE, TICK, decode
from tradebus.contracts.registry import parse
from tradebus.contracts.sessions import SessionFailed, SessionSpec, SessionStopped
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput
from tradebus.runtime.rendering import fact_of
from tradebus.strategies.lane.asking import Asking, InputCandle, Settled
from tradebus.strategies.lane.decisions import DecisionRow, row_of, signal_of
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.runner import Runner
from tradebus.strategies.lane.sessions import ActiveSession, ActiveSessions, open_session
from tradebus.strategies.protocol import Candle, Tick
from tradebus.trading.facts import PositionClosed, PositionOpened

_log = structlog.get_logger()
_DECISIONS = Counter("tradebus_strategy_decisions_total", "Decisions journalled", ["action"])
_POSITION_KINDS = frozenset({PositionOpened.TYPE, PositionClosed.TYPE})
_ENDED = (SessionStopped, SessionFailed)


@dataclass(slots=True)
class Outcome:
    """What an entry led to."""

    rows: list[DecisionRow] = field(default_factory=list)
    signals: list[SignalMessage] = field(default_factory=list)
    session_ended: bool = False


class Handlers:
    """State of the service and its answer to each kind of entry. Raises ValueError for an entry nobody can read and
    InvalidInput for a session that cannot be traded: both go to the dead letters."""

    def __init__(self, *, sessions: Sessions, history: History, ticks: TickStream, clock: Clock, paced: bool) -> None:
        self.active = ActiveSessions()
        self._sessions, self._history, self._ticks = sessions, history, ticks
        self._clock, self._paced = clock, paced
        self._book = PositionBook()

    async def resume(self) -> None:
        """Takes up again the sessions that were being traded when the service stopped."""
        for stored in await self._sessions.to_resume():
            session_id = stored.spec.session_id
            try:
                self.active.add(await self._open(stored.spec, paused=stored.paused))
            except InvalidInput as error:
                # A strategy file that is gone stops its own session, not the others; execution guards its positions.
                _log.error("session not resumed: it decides nothing", session_id=session_id, reason=str(error))
            else:
                _log.info("session resumed", session_id=session_id, paused=stored.paused)

    async def on_command(self, entry: Entry) -> Outcome:
        command = parse(entry.body)
        session = self.active.get(command.session_id)
        if isinstance(command, StartTrading):
            await self._start(command)
        elif isinstance(command, StopTrading) and command.session_id is not None:
            return self._end(command.session_id)
        elif isinstance(command, PauseTrading) and session is not None:
            session.paused = True
        elif isinstance(command, ResumeTrading) and session is not None:
            session.paused = False
        # FLATTEN and KILL are risk's: it closes positions and refuses entries, whatever a strategy says.
        return Outcome()

    async def on_session(self, entry: Entry) -> Outcome:
        if entry.kind not in {ended.TYPE for ended in _ENDED}:
            return Outcome()
        message = parse(entry.body)
        if isinstance(message, _ENDED) and message.session_id is not None:
            return self._end(message.session_id)
        return Outcome()

    async def on_order(self, entry: Entry) -> Outcome:
        if entry.kind in _POSITION_KINDS:
            fact = fact_of(parse(entry.body))
            if isinstance(fact, PositionOpened | PositionClosed) and self.active.get(fact.session_id) is not None:
                self._book.apply(fact)
        return Outcome()

    async def on_candles(self, entry: Entry) -> Outcome:
        outcome = Outcome()
        for candle, listener in self.active.hear(decode(entry.body, CANDLE).tolist()):
            runner = listener.runner
            if runner.needs_rebuild(candle.ts_open_ns):
                await self._rebuild(runner, candle.ts_open_ns)
            if listener.series is not None:
                self._report(runner.on_input(candle, listener.series), runner)
                continue
            settled = runner.on_candle(candle, paused=listener.session.paused)
            if settled is not None:
                self._take(settled, runner, outcome)
        return outcome

    async def on_ticks(self, entry: Entry) -> Outcome:
        outcome = Outcome()
        ticks = decode(entry.body, TICK)
        ticks = ticks[np.isin(ticks["instrument"], self.active.tick_instruments)]
        floor_ns = entry.slice_start_ns + 1 if self._paced and entry.slice_start_ns is not None else 0
        for record in ticks.tolist():
            tick = Tick(ts_event_ns=record[0], price_paise=record[2], volume_cumulative=record[3])
            for listener in self.active.on_tick_of(record[8]):
                if listener.runner.needs_rebuild(tick.ts_event_ns):
                    await self._rebuild(listener.runner, tick.ts_event_ns)
                # The slice's first instant was promised away by the last watermark, so a tick at it counts just after.
                at_ns = max(tick.ts_event_ns, floor_ns)
                settled = listener.runner.on_tick(tick, ts_event_ns=at_ns, paused=listener.session.paused)
                if settled is not None:
                    self._take(settled, listener.runner, outcome)
        return outcome

    async def _start(self, command: StartTrading) -> None:
        """Raises InvalidInput where the session's strategies or symbols cannot be loaded."""
        spec = command.spec
        if self.active.get(spec.session_id) is not None or not await self._sessions.may_trade(spec.session_id):
            return
        session = await self._open(spec, paused=False)
        if session.wants_ticks and not self.active.wants_ticks:
            await self._ticks.take()
        await self._sessions.participate(command)
        self.active.add(session)
        _log.info("session taken up", session_id=spec.session_id, strategies=[one.name for one in spec.strategies])

    async def _open(self, spec: SessionSpec, *, paused: bool) -> ActiveSession:
        instruments = await self._sessions.instruments()
        session = open_session(spec, instruments=instruments, book=self._book, paused=paused)
        for fact in await self._sessions.positions(spec.session_id):
            self._book.apply(fact)
        return session

    def _end(self, session_id: str) -> Outcome:
        self._book.forget_session(session_id)
        return Outcome(session_ended=self.active.remove(session_id) is not None)

    async def _rebuild(self, runner: Runner, ts_ns: int) -> None:
        """Makes the state for the day of the candle or tick in hand, which began or happened at `ts_ns`."""
        candles, inputs = await self._replayed(runner.asking, ts_ns)
        self._report(runner.rebuild(ts_ns, candles, inputs), runner)

    async def _replayed(self, asking: Asking, ts_ns: int) -> tuple[list[Candle], list[InputCandle]]:
        """The stored candles of each series the strategy hears: its own, and those beside it."""
        info, hours = asking.info, asking.hours
        own = await self._history.before(
            ts_ns, instrument=asking.source.instrument, timeframe_seconds=info.timeframe_seconds,
            warmup_candles=info.warmup_candles, hours=hours,
        )  # fmt: skip
        inputs: list[InputCandle] = []
        for (seconds, instrument), series in asking.inputs.items():
            candles = await self._history.before(
                ts_ns, instrument=instrument, timeframe_seconds=seconds, warmup_candles=info.warmup_candles, hours=hours
            )
            inputs += [(candle, series) for candle in candles]
        return own, inputs

    def _take(self, settled: Settled, runner: Runner, outcome: Outcome) -> None:
        decision, moment = settled.decision, settled.moment
        outcome.rows.append(row_of(decision, runner.source, moment))
        signal = signal_of(decision, runner.source, moment, position=settled.position)
        if signal is not None:
            outcome.signals.append(signal_message(signal, recorded_ns=self._clock.now_ns()))
        _DECISIONS.labels(decision.action.value).inc()
        self._report(settled.failure, runner)

    def _report(self, failure: str | None, runner: Runner) -> None:
        """One log line per session, strategy and symbol; the journal has the others."""
        if failure is not None:
            _log.error("strategy raised", **runner.source.key._asdict(), traceback=failure)
