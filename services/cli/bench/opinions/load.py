"""The load of `bench opinions`: 500 instruments, 25,000 ticks a second, 1,000 sessions, and a strategy for them."""

from typing import Any

import numpy as np
from numba import float64, int64, types
from pydantic import Field

from tradebus.calendar import session_for
from tradebus.contracts.records import TICK, Records
from tradebus.contracts.sessions import SessionSpec, StrategySpec
from tradebus.indicators._compile import FLOAT64S, INT64S, kernel
from tradebus.indicators._series import Floats
from tradebus.indicators.moving import EmaBank
from tradebus.kernel.time import ist_date
from tradebus.strategies.opinions import ENTER_LONG, OPINION, CompiledStrategy, Int64s
from tradebus.strategies.protocol import StrategyParameters

INSTRUMENTS, SESSIONS, SYMBOLS_A_SESSION = 500, 1_000, 5
TICKS_A_SECOND, BATCH_TICKS = 25_000, 50
BATCH_NS = BATCH_TICKS * 1_000_000_000 // TICKS_A_SECOND
_DAY_NS = 1_704_166_200_000_000_000  # 2 January 2024, at the open
_ROW = types.Array(float64, 1, "C", readonly=True)


@kernel(int64(INT64S, FLOAT64S, _ROW, types.Array(int64, 1, "C"), types.Array(int64, 1, "C")))
def crossed(slots: Int64s, prices: Floats, averages: Floats, stances: Int64s, rows: Int64s) -> int:
    """Fills `rows` with those where the price crossed its average upwards; how many that are."""
    count = 0
    for row in range(slots.shape[0]):
        stance = 1 if prices[row] > averages[row] else -1
        if stance == 1 and stances[slots[row]] == -1:
            rows[count] = row
            count += 1
        stances[slots[row]] = stance
    return count


class CrossParameters(StrategyParameters):
    length: int = Field(default=200, ge=2)


class TickCross(CompiledStrategy[CrossParameters]):
    """Enters where the price crosses the average of its last ticks upwards."""

    NAME = "bench_tick_cross"
    WARMUP_CANDLES = 0
    WANTS_TICKS = True
    PARAMETERS = CrossParameters
    REASONS = ("crossed at {0:.2f}", "in_position")
    LOCK_SECONDS = 300

    def __init__(self, parameters: CrossParameters, *, slots: int) -> None:
        super().__init__(parameters, slots=slots)
        self._average = EmaBank(slots, parameters.length)
        self._stances = np.zeros(slots, np.int64)

    def reset(self, slot: int) -> None:
        self._average.reset(slot)
        self._stances[slot] = 0

    def on_candles(self, slots: Int64s, candles: Records, *, opens_ns: Int64s, closes_ns: Int64s) -> Records:
        return np.zeros(len(candles), OPINION)

    def on_ticks(self, slots: Int64s, ticks: Records) -> Records:
        prices = np.ascontiguousarray(ticks["price_paise"], np.float64)
        averages = self._average.update(slots, prices).values
        rows = np.empty(len(ticks), np.int64)
        count = crossed(slots, prices, averages, self._stances, rows)
        made = np.zeros(count, OPINION)
        made["row"], made["flat"], made["confidence"] = rows[:count], ENTER_LONG, 0.5
        made["occasion_ns"] = ticks["ts_event_ns"][rows[:count]]
        made["stop_paise"] = ticks["price_paise"][rows[:count]] * 99 // 100
        made["numbers"][:, 0] = prices[rows[:count]] / 100
        made["long_reason"] = made["short_reason"] = 1
        return made


def session_specs() -> list[SessionSpec]:
    """A thousand users, each with a session on five of the instruments."""
    return [
        SessionSpec(
            session_id=f"s{number:04}", user_id=f"u{number:04}",
            symbols=tuple(f"BENCH{(number * 7 + step * 97) % INSTRUMENTS}" for step in range(SYMBOLS_A_SESSION)),
            strategies=(StrategySpec(name=TickCross.NAME),), capital_paise=1,
        )
        for number in range(SESSIONS)
    ]  # fmt: skip


def tick_batches(seconds: float) -> list[Records]:
    """Random walks around their own mean, so that averages are crossed as often as markets cross them."""
    count = int(seconds * TICKS_A_SECOND)
    generator = np.random.default_rng(1)
    ticks = np.zeros(count, TICK)
    ticks["instrument"] = generator.integers(0, INSTRUMENTS, count)
    ticks["ts_event_ns"] = open_ns() + np.arange(count) * (1_000_000_000 // TICKS_A_SECOND)
    order = np.argsort(ticks["instrument"], kind="stable")
    walk = np.cumsum(generator.normal(0, 3, count))
    prices = np.empty(count)
    prices[order] = walk
    ticks["price_paise"] = 1_000_000 + prices.astype(np.int64)
    return [ticks[start : start + BATCH_TICKS] for start in range(0, count - BATCH_TICKS + 1, BATCH_TICKS)]


def open_ns() -> int:
    session = session_for(ist_date(_DAY_NS), "equity")
    assert session is not None
    return session.open_ns


def percentiles_ms(taken_ns: Any) -> dict[str, float]:
    p50, p99, worst = np.percentile(taken_ns, (50, 99, 100)) / 1e6
    return {"p50": float(p50), "p99": float(p99), "max": float(worst)}
