"""`bench opinions`: one compiled strategy, 500 instruments, 1,000 sessions, 25,000 ticks a second, in one process.

    a batch each 2 ms ─► one compiled call ─► opinions where an average is crossed ─► each session that trades the
                                                                                      instrument decides

What is measured is the strategy service's own work from a batch of ticks to the decisions and signals of its sessions:
its share of a core, and how long a batch waits for it. Bus and book are measured by `ingest` and `latency`.
"""

import asyncio
from typing import Any

import numpy as np
from numba import float64, int64, types
from pydantic import Field

from services.strategy.deciding import Deciding
from services.strategy.desks import Desks
from tradebus.bus.port import Entry
from tradebus.calendar import session_for
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.records import TICK, Records
from tradebus.contracts.sessions import SessionSpec, StrategySpec
from tradebus.contracts.streams import MD_TICKS, key_of
from tradebus.indicators._compile import FLOAT64S, INT64S, kernel
from tradebus.indicators._series import Floats
from tradebus.indicators.moving import EmaBank
from tradebus.kernel.clock import WallClock, monotonic_ns, process_ns
from tradebus.kernel.time import ist_date
from tradebus.runtime.isolation.limits import IsolationLimits
from tradebus.strategies.lane.conflicts import Conflicts
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.sessions import ActiveSessions, Found, open_session
from tradebus.strategies.lane.shared import SharedLane, SharedRunner, compiled_info
from tradebus.strategies.opinions import ENTER_LONG, OPINION, CompiledStrategy, Int64s
from tradebus.strategies.protocol import Candle, StrategyParameters
from tradebus.waiting.timers import WallTimers

INSTRUMENTS, SESSIONS, SYMBOLS_A_SESSION = 500, 1_000, 5
TICKS_A_SECOND, BATCH_TICKS = 25_000, 50
DAY_NS = 1_704_166_200_000_000_000  # 2 January 2024, at the open
_SECONDS = 10.0
_WARM_SECONDS = 1.0
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


class NoHistory:
    """Nothing was stored before the run."""

    async def before(
        self, ts_ns: int, *, instrument: int, timeframe_seconds: int, warmup_candles: int, hours: SessionHours
    ) -> list[Candle]:
        return []


def measure_opinions(seconds: float = _SECONDS) -> dict[str, Any]:
    """The share of a core, and the milliseconds a batch waits, at 25,000 ticks a second."""
    return asyncio.run(_measure(seconds))


async def _measure(seconds: float) -> dict[str, Any]:
    active, lane = ActiveSessions(), SharedLane()
    deciding = Deciding(
        active,
        history=NoHistory(),
        desks=Desks(limits=IsolationLimits(), timers=WallTimers(WallClock()), lane=lane),
        lane=lane,
        book=PositionBook(),
        conflicts=Conflicts.INDEPENDENT,
        paced=False,
    )
    _open_sessions(active, lane)
    entries = _entries(seconds + _WARM_SECONDS)
    warm = int(_WARM_SECONDS * TICKS_A_SECOND / BATCH_TICKS)
    for entry in entries[:warm]:  # everybody's day begins
        await deciding.on_ticks(entry)
    return await _paced(deciding, entries[warm:])


async def _paced(deciding: Deciding, entries: list[Entry]) -> dict[str, Any]:
    """Gives each batch when it is due; what was late is not given earlier for it."""
    gap_ns = BATCH_TICKS * 1_000_000_000 // TICKS_A_SECOND
    waits_ns, work_ns = np.empty((2, len(entries)), np.int64)
    decisions = signals = 0
    started_ns, used_ns = monotonic_ns(), process_ns()
    for number, entry in enumerate(entries):
        came_ns = started_ns + number * gap_ns
        while (left_ns := came_ns - monotonic_ns()) > 0:
            await asyncio.sleep(left_ns / 1e9)
            came_ns = max(came_ns, monotonic_ns())  # woken late: the timer's, not the strategy's
        before_ns = process_ns()
        decided = await deciding.on_ticks(entry)
        work_ns[number] = process_ns() - before_ns
        waits_ns[number] = monotonic_ns() - came_ns
        decisions += len(decided.rows)
        signals += len(decided.signals)
    took_ns, worked_ns = monotonic_ns() - started_ns, process_ns() - used_ns
    p50, p99 = np.percentile(waits_ns, (50, 99)) / 1e6
    return {
        "instruments": INSTRUMENTS,
        "sessions": SESSIONS,
        "ticks_a_second": round(len(entries) * BATCH_TICKS / (took_ns / 1e9)),
        "decisions": decisions,
        "signals": signals,
        "core_share_pct": 100 * worked_ns / took_ns,
        "added_latency_p50_ms": float(p50),
        "added_latency_p99_ms": float(p99),
        # Processor time of a batch: what the latency is where nobody else wants the core.
        "work_p99_ms": float(np.percentile(work_ns, 99)) / 1e6,
    }


def _open_sessions(active: ActiveSessions, lane: SharedLane) -> None:
    master = InstrumentMaster(
        Instrument(
            instrument_id=number, symbol=f"S{number}", kind="EQUITY", market_class="equity", underlying=f"S{number}",
            tick_size_paise=5,
        )
        for number in range(INSTRUMENTS)
    )  # fmt: skip
    shared = lane.of(TickCross, CrossParameters())
    found = [Found(compiled_info(TickCross), lambda asking: SharedRunner(asking, shared))]
    book = PositionBook()
    for number in range(SESSIONS):
        symbols = tuple(f"S{(number * 7 + step * 97) % INSTRUMENTS}" for step in range(SYMBOLS_A_SESSION))
        spec = SessionSpec(
            session_id=f"s{number:04}", user_id=f"u{number % 100}", symbols=symbols,
            strategies=(StrategySpec(name=TickCross.NAME),), capital_paise=1,
        )  # fmt: skip
        active.add(open_session(spec, instruments=master, book=book, paused=False, found=found))


def _entries(seconds: float) -> list[Entry]:
    """Random walks around their own mean, so that averages are crossed as often as markets cross them."""
    session = session_for(ist_date(DAY_NS), "equity")
    assert session is not None
    count = int(seconds * TICKS_A_SECOND)
    generator = np.random.default_rng(1)
    ticks = np.zeros(count, TICK)
    ticks["instrument"] = generator.integers(0, INSTRUMENTS, count)
    ticks["ts_event_ns"] = session.open_ns + np.arange(count) * (1_000_000_000 // TICKS_A_SECOND)
    order = np.argsort(ticks["instrument"], kind="stable")
    walk = np.cumsum(generator.normal(0, 3, count))
    prices = np.empty(count)
    prices[order] = walk
    ticks["price_paise"] = 1_000_000 + prices.astype(np.int64)
    return [
        Entry(key_of(MD_TICKS), str(start), "ticks", ticks[start : start + BATCH_TICKS].tobytes())
        for start in range(0, count - BATCH_TICKS + 1, BATCH_TICKS)
    ]
