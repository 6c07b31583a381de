"""What an entry of candles or ticks leads to: every strategy that hears it is asked, here or in its own process.

entry ─► heard, in order ─┬─ asked here, at once
                          └─ asked in its process, all of one entry together ─► `concluding`: rows and signals
"""

from collections.abc import Sequence

from services.strategy.answers.concluding import Concluding, Decided
from services.strategy.answers.histories import Histories
from services.strategy.answers.rounds import AskedRound
from services.strategy.desks import Desks
from services.strategy.ports import StoredCandles
from tradebus.bus.port import Entry
from tradebus.contracts.records import CANDLE, CANDLE_CORRECTED, TICK, decode
from tradebus.kernel.time import ist_midnight_ns
from tradebus.runtime.isolation.desk import StrategyDesk
from tradebus.strategies.lane.asking import Ask
from tradebus.strategies.lane.conflicts import Conflicts
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.resolver import Opinion
from tradebus.strategies.lane.runner import Runner
from tradebus.strategies.lane.sessions import ActiveSessions, Listener
from tradebus.strategies.lane.shared import Shared, SharedLane, SharedRunner
from tradebus.strategies.protocol import Candle, Tick


class Deciding:
    """Asks the runners of `active`. `paced` says that a tick counts only after its slice's first instant."""

    def __init__(
        self, active: ActiveSessions, *, history: StoredCandles, desks: Desks, lane: SharedLane, book: PositionBook,
        conflicts: Conflicts, paced: bool,
    ) -> None:  # fmt: skip
        self.concluding = Concluding(active, desks=desks, book=book, conflicts=conflicts, paced=paced)
        self._active, self._desks, self._lane, self._paced = active, desks, lane, paced
        self._histories = Histories(history, active)
        self._begun = (0, 0)  # the day and the sessions for whose ticks everybody is ready

    async def on_candles(self, entry: Entry) -> Decided:
        """Raises ValueError for what is no batch of candles."""
        rows = decode(entry.body, CANDLE).tolist()
        if entry.after_gap:
            self.forget(None)
        elif not self._paced:
            self.forget({row[8] for row in rows if row[11] & CANDLE_CORRECTED})
        asked = AskedRound(self._desks)
        self._lane.see(rows)
        heard = self._active.hear(rows)
        self._histories.retry_resumed()
        await self._histories.read_ahead([(listener.runner.asking, candle.ts_open_ns) for candle, listener in heard])
        for candle, listener in heard:
            await self._ask_on_candle(candle, listener, asked)
        return await self.concluding.collect(asked, entry, failed=self._histories.take_failed())

    async def on_ticks(self, entry: Entry) -> Decided:
        """Raises ValueError for what is no batch of ticks."""
        asked = AskedRound(self._desks)
        ticks = decode(entry.body, TICK)
        self._histories.retry_resumed()
        if len(ticks):
            await self._begin_day(int(ticks["ts_event_ns"][0]), asked)
        thought = self._lane.on_ticks(ticks)
        rows = self._active.asked_on(ticks)
        if thought:
            rows = sorted({*rows, *thought})
        floor_ns = entry.slice_start_ns + 1 if self._paced and entry.slice_start_ns is not None else 0
        for row, record in zip(rows, ticks[rows].tolist(), strict=True):
            tick = Tick(ts_event_ns=record[0], price_paise=record[2], volume_cumulative=record[3])
            # The slice's first instant was promised away by the last watermark, so a tick at it counts just after.
            at_ns = max(tick.ts_event_ns, floor_ns)
            opinions = thought.get(row, ())
            for listener in self._active.on_tick_of(record[8]):
                runner = listener.runner
                if isinstance(runner, SharedRunner) and not opinions:
                    continue  # nothing was said of this tick
                if runner.asking.needs_rebuild(tick.ts_event_ns) and not await self._is_ready(
                    runner, tick.ts_event_ns, self._desks.of(runner), asked
                ):
                    continue  # its candles say so
                self._ask_on_tick(tick, listener, asked, at_ns=at_ns, opinions=opinions)
        return await self.concluding.collect(asked, entry, failed=self._histories.take_failed())

    def has_failed(self, session_id: str) -> bool:
        """Whether the session was paused here: a file of it was given up, or its history cannot be read."""
        return bool(self._desks.given_up(session_id)) or self._histories.unreadable(session_id) is not None

    def forget(self, instruments: set[int] | None) -> None:
        """The stored candles of these (None: of all) are not what their strategies have seen: they begin anew."""
        if instruments is not None and not instruments:
            return
        for session in self._active.all():
            for runner in session.runners:
                asking = runner.asking
                heard = {asking.source.instrument, *(instrument for _, instrument in asking.inputs)}
                if instruments is None or heard & instruments:
                    asking.forget()

    async def _ask_on_candle(self, candle: Candle, listener: Listener, asked: AskedRound) -> None:
        runner, series, paused = listener.runner, listener.series, listener.session.paused
        desk = self._desks.of(runner)
        if desk is not None:
            desk.line.relieve()
        if not await self._is_ready(runner, candle.ts_open_ns, desk, asked):
            if series is None:
                self._refuse(listener, runner.asking.on_candle(candle), asked)
            return
        if desk is None:
            if series is not None:
                self.concluding.say(runner.on_input(candle, series), runner.asking)
            else:
                asked.here(listener, runner.on_candle(candle, paused=paused))
            return
        asking = runner.asking
        ask = asking.on_candle(candle) if series is None else asking.on_input(candle, series)
        if ask is not None:
            place = asked.place_for(listener) if series is None else -1
            asked.errand_to(desk).ask(id(runner), asking, ask, place=place, session=listener.session)

    def _ask_on_tick(
        self,
        tick: Tick,
        listener: Listener,
        asked: AskedRound,
        *,
        at_ns: int,
        opinions: Sequence[tuple[Shared, Opinion]],
    ) -> None:
        """`opinions` are what compiled strategies have said of the tick."""
        runner, paused = listener.runner, listener.session.paused
        if isinstance(runner, SharedRunner):
            for shared, opinion in opinions:
                if shared is runner.shared:
                    asked.here(listener, runner.on_tick_opinion(tick, opinion, ts_event_ns=at_ns, paused=paused))
            return
        desk = self._desks.of(runner)
        if desk is None:
            asked.here(listener, runner.on_tick(tick, ts_event_ns=at_ns, paused=paused))
            return
        ask = runner.asking.on_tick(tick, ts_event_ns=at_ns)
        if ask is not None:
            asked.errand_to(desk).ask(
                id(runner), runner.asking, ask, place=asked.place_for(listener), session=listener.session
            )

    def _refuse(self, listener: Listener, ask: Ask | None, asked: AskedRound) -> None:
        """A HOLD that says why its strategy is not asked."""
        why = self._histories.unreadable(listener.session.spec.session_id)
        if ask is not None and why is not None:
            asked.here(listener, listener.runner.asking.refused(ask, why))

    async def _is_ready(self, runner: Runner, ts_ns: int, desk: StrategyDesk | None, asked: AskedRound) -> bool:
        """Makes the state for the day of the candle or tick in hand, which began or happened at `ts_ns`, where it is
        of another one; False where it cannot be made."""
        if not runner.needs_rebuild(ts_ns):
            return True
        replayed = await self._histories.replayed(runner.asking, ts_ns)
        if replayed is None:
            return False
        candles, inputs = replayed
        if desk is None:
            self.concluding.say(runner.rebuild(ts_ns, candles, inputs), runner.asking)
        else:
            asks = runner.asking.begin(ts_ns, candles, inputs)
            asked.errand_to(desk).rebuild(id(runner), runner.asking, asks)
        return True

    async def _begin_day(self, ts_ns: int, asked: AskedRound) -> None:
        """Makes everybody ready who is asked only where something is to be said of a tick: at the day's first tick, or
        a session's, and not when a signal is due."""
        day = (ist_midnight_ns(ts_ns), self._active.version)
        if day == self._begun:
            return
        runners = [
            listener.runner
            for instrument in self._active.tick_instruments
            for listener in self._active.on_tick_of(instrument)
            if isinstance(listener.runner, SharedRunner) and listener.runner.needs_rebuild(ts_ns)
        ]
        await self._histories.read_ahead([(runner.asking, ts_ns) for runner in runners])
        for runner in runners:
            await self._is_ready(runner, ts_ns, None, asked)
        self._histories.forget()
        self._begun = day
