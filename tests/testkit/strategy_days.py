"""Generated trading days for strategies, and a small market that fills what they ask for."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from tradebus.calendar import next_trading_day, session_for
from tradebus.contracts.signals import Side
from tradebus.kernel.rng import seed_for
from tradebus.strategies.built_in.orb import Orb
from tradebus.strategies.protocol import Action, Candle, Context, Decision, Position, Strategy

MINUTE_NS = 60_000_000_000
FIRST_DAY = date(2024, 1, 1)
Row = tuple[int, str, str, int]  # of the journal: candle's close, action, reason, price


@dataclass(frozen=True)
class Day:
    """One session's 1-minute candles."""

    open_ns: int
    close_ns: int
    candles: tuple[Candle, ...]


@dataclass(frozen=True)
class Step:
    """A candle, what the strategy was told beside it and what it answered."""

    candle: Candle
    context: Context
    decision: Decision


def generated_days(
    count: int, *, seed: int, start_paise: int = 4_800_000, with_volume: bool = True, step_bps: float = 1.5
) -> list[Day]:
    """Random walks with a drift that turns a few times a day, so that ranges break and trends reverse."""
    days: list[Day] = []
    day, price = FIRST_DAY, float(start_paise)
    while len(days) < count:
        session = session_for(day, "index")
        if session is not None:
            generator = np.random.default_rng(seed_for(seed, "strategy-days", day.isoformat()))
            made, price = _day(generator, session.open_ns, session.close_ns, price, with_volume, step_bps)
            days.append(made)
        day = next_trading_day(day)
    return days


def _day(
    generator: np.random.Generator, open_ns: int, close_ns: int, price: float, with_volume: bool, step_bps: float
) -> tuple[Day, float]:
    minutes = (close_ns - open_ns) // MINUTE_NS
    price *= 1 + generator.normal(0, 20 * step_bps) / 10_000
    candles = []
    drift = 0.0
    for minute in range(minutes):
        if minute % 40 == 0:
            drift = generator.normal(0, 0.4)
        calm = 0.3 if generator.random() < 0.2 else 1.0
        steps = (generator.normal(drift / 4, 1, 6) * calm) * step_bps / 10_000
        path = price * np.cumprod(1 + steps)
        prices = np.rint(np.concatenate(([price], path))).astype(int)
        price = float(path[-1])
        volume = int(generator.integers(50, 2_000) * (1 + 3 * (abs(steps.sum()) > 2e-4))) if with_volume else 0
        start = open_ns + minute * MINUTE_NS
        candles.append(
            Candle(
                start, start + MINUTE_NS, int(prices[0]), int(prices.max()), int(prices.min()), int(prices[-1]), volume
            )
        )
    return Day(open_ns, close_ns, tuple(candles)), price


def of_timeframe(day: Day, minutes: int) -> Day:
    """The day in candles of several minutes, aligned to its open."""
    groups = [day.candles[start : start + minutes] for start in range(0, len(day.candles), minutes)]
    return replace(
        day,
        candles=tuple(
            Candle(
                group[0].ts_open_ns,
                group[-1].ts_close_ns,
                group[0].open_paise,
                max(one.high_paise for one in group),
                min(one.low_paise for one in group),
                group[-1].close_paise,
                sum(one.volume for one in group),
            )
            for group in groups
        ),
    )


def mirrored_days(days: Iterable[Day], pivot_paise: int) -> list[Day]:
    """The same days with every price p at pivot - p."""
    return [
        replace(
            day,
            candles=tuple(
                replace(
                    one,
                    open_paise=pivot_paise - one.open_paise,
                    high_paise=pivot_paise - one.low_paise,
                    low_paise=pivot_paise - one.high_paise,
                    close_paise=pivot_paise - one.close_paise,
                )
                for one in day.candles
            ),
        )
        for day in days
    ]


class Market:
    """Fills an entry at the close it was asked at; closes at the stop, the target, on EXIT and at the day's end."""

    def __init__(self) -> None:
        self.position: Position | None = None
        self._stop_paise = 0
        self._target_paise: int | None = None

    def supervise(self, candle: Candle) -> None:
        if self.position is None:
            return
        long = self.position.side is Side.LONG
        worst, best = (candle.low_paise, candle.high_paise) if long else (candle.high_paise, candle.low_paise)
        sign = self.position.side.sign
        hit_target = self._target_paise is not None and (best - self._target_paise) * sign >= 0
        if (self._stop_paise - worst) * sign >= 0 or hit_target:
            self.position = None

    def act(self, candle: Candle, decision: Decision) -> None:
        if decision.action is Action.EXIT:
            self.position = None
        elif decision.action in (Action.ENTER_LONG, Action.ENTER_SHORT) and decision.stop_paise is not None:
            side = Side.LONG if decision.action is Action.ENTER_LONG else Side.SHORT
            self.position = Position(f"p{candle.ts_close_ns}", side, 1, candle.close_paise, candle.ts_close_ns)
            self._stop_paise, self._target_paise = decision.stop_paise, decision.target_paise


def drive(
    strategy: Strategy[Any],
    days: Iterable[Day],
    *,
    put_call_ratio: Callable[[Candle], float | None] = lambda candle: None,
    trade: bool = True,
) -> Iterator[Step]:
    """Runs the strategy over the days, with positions where `trade` is set."""
    market = Market()
    for day in days:
        market.position = None
        for candle in day.candles:
            market.supervise(candle)
            context = Context(
                symbol="TEST",
                position=market.position if trade else None,
                session_open_ns=day.open_ns,
                session_close_ns=day.close_ns,
                put_call_ratio=put_call_ratio(candle),
                warming_up=False,
            )
            decision = strategy.on_candle(candle, context)
            market.act(candle, decision)
            yield Step(candle, context, decision)


def expected_rows(
    warmup: Sequence[Day], days: Sequence[Day], *, fills: bool = True
) -> tuple[list[Row], list[Decision]]:
    """What ORB decides, made anew each day from the candles before it."""
    before = [candle for day in warmup for candle in day.candles]
    opens = {candle.ts_close_ns: day for day in (*warmup, *days) for candle in day.candles}
    positions: dict[int, Position | None] = {}
    rows: list[Row] = []
    acting: list[Decision] = []

    def context(candle: Candle, position: Position | None, warming_up: bool) -> Context:
        day = opens[candle.ts_close_ns]
        return Context("TEST", position, day.open_ns, day.close_ns, None, warming_up)

    for day in days:
        strategy, market = Orb(Orb.PARAMETERS()), Market()
        for candle in before[-Orb.WARMUP_CANDLES :]:
            strategy.on_candle(candle, context(candle, positions.get(candle.ts_close_ns), True))
        for candle in day.candles:
            market.supervise(candle)
            positions[candle.ts_close_ns] = market.position
            decision = strategy.on_candle(candle, context(candle, market.position, False))
            if fills:
                market.act(candle, decision)
            rows.append((candle.ts_close_ns, decision.action.value, decision.reason, candle.close_paise))
            if decision.action is not Action.HOLD:
                acting.append(decision)
        before += day.candles
    return rows, acting
