"""One computation for all sessions that run one compiled strategy with the same parameters.

    candles of a batch ─► one `on_candles` for all instruments ─► opinions, kept with the candles they came from
                                                                   └─► each session's runner resolves its own

Invariants (property-tested): an opinion of an instrument depends on the candles since its day's warm-up, and on the
day's ticks where the strategy wants them, and nothing else; sessions that come and go, other instruments, and batches
however cut, change no opinion; a candle is computed once, however many sessions hear it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tradebus.contracts.records import CANDLE, CANDLE_CORRECTED, Records
from tradebus.kernel.time import ist_midnight_ns
from tradebus.strategies.info import StrategyInfo
from tradebus.strategies.lane.asking import Ask, Asking, InputCandle, Settled
from tradebus.strategies.lane.blocks import Blocks
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.lane.replay import hours_of_each
from tradebus.strategies.lane.resolver import ROW, Opinion, Resolver
from tradebus.strategies.lane.runner import Runner
from tradebus.strategies.needs import Series
from tradebus.strategies.opinions import OPINION, AnyCompiled
from tradebus.strategies.protocol import Candle, Decision, Strategy, Tick

_PRICED = ("ts_open_ns", "ts_close_ns", "open_paise", "high_paise", "low_paise", "close_paise", "volume")


@dataclass(slots=True)
class _Told:
    """What an instrument was told since its day's warm-up began, and what came of it."""

    slot: int
    hours: SessionHours
    candles: list[Candle] = field(default_factory=list)
    opinions: list[Opinion] = field(default_factory=list)
    of_close_ns: dict[int, Opinion] = field(default_factory=dict)
    day_ns: int | None = None  # midnight of the day that the warm-up was for
    day: tuple[int, ...] = ()  # that `of_day` is of
    of_day: Records = field(default_factory=lambda: np.zeros(0, OPINION))


class Shared:
    """The state of one compiled strategy with one set of parameters, for every instrument somebody trades with it."""

    def __init__(self, strategy: type[AnyCompiled], parameters: Any) -> None:
        self.strategy = strategy
        self._computing = Blocks(strategy, parameters)
        self.lock_seconds, self.leg_sets = self._computing.first.lock_seconds, self._computing.first.leg_sets
        self._told: dict[int, _Told] = {}
        self._slots = np.full(1, -1)  # by instrument; -1 where it is not followed

    def follow(self, instrument: int, hours: SessionHours) -> None:
        """Makes room for an instrument."""
        if instrument in self._told:
            return
        slot = len(self._told)
        self._told[instrument] = _Told(slot, hours)
        if instrument >= len(self._slots) - 1:  # the last place stands for every instrument beyond
            self._slots = np.concatenate((self._slots, np.full(instrument + 1, -1)))
        self._slots[instrument] = slot
        self._computing.make_room(slot)

    def replay(self, instrument: int, candles: Sequence[Candle], *, day_ns: int) -> list[Opinion]:
        """The opinions of these candles, from nothing seen, for the day that begins at `day_ns`: what was computed for
        the same day stands where they are the same, with what the day's ticks left."""
        told = self._told[instrument]
        count = len(candles)
        if told.day_ns != day_ns or told.candles[:count] != list(candles):
            self._computing.reset(told.slot)
            told.candles, told.opinions, told.of_close_ns, told.day_ns = [], [], {}, day_ns
            self._compute(told, candles)
        return told.opinions[:count]

    def see(self, rows: Iterable[tuple[int, ...]]) -> None:
        """Computes the CANDLE rows of a batch that continue what an instrument was told today, in one call."""
        fresh: list[tuple[_Told, Candle]] = []
        for row in rows:
            told = self._told.get(row[8])
            if told is None or row[9] != self.strategy.TIMEFRAME_SECONDS or row[11] & CANDLE_CORRECTED:
                continue
            candle = Candle(*row[:7])
            if told.candles and _continues(told, candle):
                fresh.append((told, candle))
        if fresh:
            self._compute_all(fresh)

    def on_candle(self, instrument: int, candle: Candle) -> Opinion:
        """The opinion of a candle, computed where it was not seen yet."""
        told = self._told[instrument]
        found = told.of_close_ns.get(candle.ts_close_ns)
        if found is None:
            self._compute(told, [candle])
            found = told.opinions[-1]
        return found

    def of_day(self, instrument: int, earlier: Records, today: Records) -> Records:
        """An OPINION for each CANDLE record of the warm-up and of a whole day, from nothing seen, in one call. Asked
        again for the same day, by another session, it gives the same array."""
        told = self._told[instrument]
        day = (int(today["ts_open_ns"][0]) if len(today) else 0, len(earlier), len(today))
        if told.day != day:
            self._computing.reset(told.slot)
            told.candles, told.opinions, told.of_close_ns = [], [], {}
            told.of_day = self._opinions(told, np.concatenate((earlier, today)))
            told.day = day
        return told.of_day

    def on_ticks(self, ticks: Records) -> list[tuple[int, Opinion]]:
        """(row, opinion) of the TICK records that there is something to say about, in one call."""
        slots = self._slots[np.minimum(ticks["instrument"], len(self._slots) - 1)]
        rows = np.flatnonzero(slots >= 0)
        if not len(rows):
            return []
        opinions = self._computing.on_ticks(slots[rows], ticks if len(rows) == len(ticks) else ticks[rows])
        return [(int(rows[one[ROW]]), one) for one in opinions.tolist()]

    def _compute(self, told: _Told, candles: Sequence[Candle]) -> None:
        self._compute_all([(told, candle) for candle in candles])

    def _compute_all(self, fresh: Sequence[tuple[_Told, Candle]]) -> None:
        if not fresh:
            return
        records = np.zeros(len(fresh), CANDLE)
        for name in _PRICED:
            records[name] = [getattr(candle, name) for _, candle in fresh]
        hours = [told.hours.of(candle.ts_open_ns) or (0, 0) for told, candle in fresh]
        opinions = self._computing.on_candles(
            np.array([told.slot for told, _ in fresh], np.int64), records,
            opens_ns=np.array([one[0] for one in hours], np.int64),
            closes_ns=np.array([one[1] for one in hours], np.int64),
        ).tolist()  # fmt: skip
        for (told, candle), opinion in zip(fresh, opinions, strict=True):
            told.candles.append(candle)
            told.opinions.append(opinion)
            told.of_close_ns[candle.ts_close_ns] = opinion

    def _opinions(self, told: _Told, records: Records) -> Records:
        """Of one instrument's CANDLE records, ascending."""
        opens_ns, closes_ns = hours_of_each(records, told.hours)
        slots = np.full(len(records), told.slot, np.int64)
        return self._computing.on_candles(slots, records, opens_ns=opens_ns, closes_ns=closes_ns)


class SharedRunner(Runner):
    """One session's part in a `Shared`: what it was asked, and its resolver."""

    def __init__(self, asking: Asking, shared: Shared) -> None:
        super().__init__(asking, _never)
        self.shared = shared
        self.resolver = _resolver_of(shared)
        shared.follow(asking.source.instrument, asking.hours)

    def rebuild(self, ts_open_ns: int, candles: Sequence[Candle], inputs: Sequence[InputCandle] = ()) -> str | None:
        asks = self.asking.begin(ts_open_ns, candles, inputs)
        self.fresh_resolver()
        replayed = [ask.event for ask in asks if isinstance(ask.event, Candle) and ask.series is None]
        day_ns, is_today = ist_midnight_ns(ts_open_ns), False
        opinions = self.shared.replay(self.source.instrument, replayed, day_ns=day_ns)
        for ask, candle, opinion in zip((ask for ask in asks if ask.series is None), replayed, opinions, strict=True):
            if not is_today and candle.ts_open_ns >= day_ns:
                self.resolver.begin_day()
                is_today = True
            self._answer_of(opinion, ask, candle.ts_close_ns)
        if not is_today:
            self.resolver.begin_day()
        return None

    def on_input(self, candle: Candle, series: Series) -> None:
        """No opinion depends on it, and the legs of an entry are priced by it."""
        self.asking.on_input(candle, series)

    def on_candle(self, candle: Candle, *, paused: bool) -> Settled | None:
        ask = self.asking.on_candle(candle)
        if ask is None:
            return None
        opinion = self.shared.on_candle(self.source.instrument, candle)
        return self.asking.settled(ask, self._answer_of(opinion, ask, candle.ts_close_ns), paused=paused)

    def on_tick_opinion(self, tick: Tick, opinion: Opinion, *, ts_event_ns: int, paused: bool) -> Settled | None:
        """Decides on what was thought of a tick, at the event time its decision counts from."""
        ask = self.asking.on_tick(tick, ts_event_ns=ts_event_ns)
        if ask is None:
            return None
        return self.asking.settled(ask, self._answer_of(opinion, ask, ts_event_ns), paused=paused)

    def fresh_resolver(self) -> Resolver:
        """Begins anew: no occasion taken."""
        self.resolver = _resolver_of(self.shared)
        return self.resolver

    def _answer_of(self, opinion: Opinion, ask: Ask, ts_ns: int) -> Decision:
        context = ask.context
        return self.resolver.decide(opinion, context.position, ts_ns, holds_legs=bool(context.legs))


def _resolver_of(shared: Shared) -> Resolver:
    strategy = shared.strategy
    return Resolver(
        strategy.REASONS, lock_seconds=shared.lock_seconds, rank_lowest=strategy.RANK_LOWEST, leg_sets=shared.leg_sets
    )  # fmt: skip


class SharedLane:
    """Every compiled strategy that some session runs."""

    def __init__(self) -> None:
        self._shared: dict[tuple[str, str], Shared] = {}

    def of(self, strategy: type[AnyCompiled], parameters: Any) -> Shared:
        """The one for these parameters."""
        place = (strategy.NAME, parameters.model_dump_json())
        if place not in self._shared:
            self._shared[place] = Shared(strategy, parameters)
        return self._shared[place]

    def see(self, rows: Sequence[tuple[int, ...]]) -> None:
        """Computes a batch of CANDLE rows for all of them, before anybody is asked."""
        for shared in self._shared.values():
            shared.see(rows)

    def on_ticks(self, ticks: Records) -> dict[int, list[tuple[Shared, Opinion]]]:
        """What there is to say about a batch of TICK records, by row."""
        thought: dict[int, list[tuple[Shared, Opinion]]] = {}
        for shared in self._shared.values():
            if shared.strategy.WANTS_TICKS:
                for row, opinion in shared.on_ticks(ticks):
                    thought.setdefault(row, []).append((shared, opinion))
        return thought


def compiled_info(strategy: type[AnyCompiled]) -> StrategyInfo:
    return StrategyInfo(
        strategy.NAME, strategy.TIMEFRAME_SECONDS, strategy.WARMUP_CANDLES, strategy.WANTS_TICKS, strategy.NEEDS
    )


def _continues(told: _Told, candle: Candle) -> bool:
    """Whether the candle is the next of the same day: on another day everything begins anew, when it is asked for."""
    last = told.candles[-1]
    hours = told.hours.of(candle.ts_open_ns)
    return candle.ts_close_ns > last.ts_close_ns and hours is not None and hours == told.hours.of(last.ts_open_ns)


def _never() -> Strategy[Any]:
    raise RuntimeError("a compiled strategy has no instance of one session")
