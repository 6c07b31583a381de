"""How fast the kernels are here, beside their floors: the same records copied, and read by a kernel that does nothing.

`tradebus bench candles` and `benchmarks/kernels.py` print what `measure_kernels` returns. Nothing is asserted.
"""

from collections.abc import Callable
from itertools import cycle

import numpy as np
from numba import int64

from tradebus.contracts.records import CANDLE, TICK, TIMEFRAMES_SECONDS, Records
from tradebus.indicators import Ema
from tradebus.indicators._compile import TICKS, kernel
from tradebus.indicators.aggregate import Aggregator
from tradebus.indicators.candles import CandleBuilder
from tradebus.indicators.moving import EmaBank
from tradebus.indicators.oscillators import RsiBank
from tradebus.indicators.path import expand_minutes
from tradebus.kernel.timing import seconds_a_call

MINUTE_NS = 60_000_000_000
OPEN_NS = 28_411_905 * MINUTE_NS  # 09:15 on some trading day
INSTRUMENTS = 1_000
BATCHES = (1, 5, 200, 1_000, 5_000)

Figures = dict[str, float]


@kernel(int64(TICKS))
def read_only(ticks: Records) -> int:
    """Reads what the candle kernel reads of every tick and does nothing with it."""
    total = 0
    for row in range(ticks.shape[0]):
        tick = ticks[row]
        total ^= tick["ts_event_ns"] ^ tick["price_paise"] ^ tick["volume_cumulative"] ^ tick["instrument"]
    return total


def measure_kernels(*, seconds_per_figure: float = 0.3) -> dict[str, Figures]:
    """Figures by what was measured: `per_second` (ticks, candles or values), `microseconds_per_call`, `batch`.

    Candle figures also have `memcpy_per_second` and `read_only_per_second`, the two floors over the same batches.
    """
    figures = {f"candles, {size} ticks a call": _candles(size, seconds_per_figure) for size in BATCHES}
    figures["closing a minute"] = _closing(seconds_per_figure)
    figures[f"aggregate to {len(TIMEFRAMES_SECONDS) - 1} timeframes"] = _aggregate(seconds_per_figure)
    figures |= _indicators(seconds_per_figure)
    minutes = _minutes(1)
    figures["expand into 60 ticks a minute"] = _timed(
        lambda: expand_minutes(minutes, 60, 1), 60 * len(minutes), seconds_per_figure
    )
    return figures


def report_lines(figures: dict[str, Figures]) -> list[str]:
    """One line per figure, for people."""
    lines = []
    for name, figure in figures.items():
        line = f"{name:36} {figure['per_second'] / 1e6:9.2f} M/s {figure['microseconds_per_call']:10.2f} µs a call"
        if "memcpy_per_second" in figure:
            line += (
                f"   floors: copy {figure['memcpy_per_second'] / 1e6:.0f} M/s, "
                f"read {figure['read_only_per_second'] / 1e6:.0f} M/s"
            )
        lines.append(line)
    return lines


def _timed(call: Callable[[], object], batch: int, seconds: float) -> Figures:
    a_call = seconds_a_call(call, seconds)
    return {"per_second": batch / a_call, "microseconds_per_call": a_call * 1e6, "batch": float(batch)}


def _tick_batches(size: int) -> list[Records]:
    """Minute one of the day in batches, as bus entries carry them: read-only, instruments mixed."""
    generator = np.random.default_rng(1)
    batches = []
    for number in range(32):
        ticks = np.zeros(size, TICK)
        ticks["ts_event_ns"] = OPEN_NS + number * 1_800_000_000 + np.sort(generator.integers(0, 1_800_000_000, size))
        ticks["price_paise"] = generator.integers(100_000, 110_000, size)
        ticks["volume_cumulative"] = (number + 1) * 1_000
        ticks["instrument"] = generator.integers(0, INSTRUMENTS, size)
        batches.append(np.frombuffer(ticks.tobytes(), TICK))
    return batches


def _candles(size: int, seconds: float) -> Figures:
    batches = _tick_batches(size)
    builder = CandleBuilder(INSTRUMENTS, start_ns=OPEN_NS)
    ahead, copied, read = cycle(batches), cycle([batch.view(np.uint8) for batch in batches]), cycle(batches)
    room = np.empty(size * TICK.itemsize, np.uint8)
    figures = _timed(lambda: builder.apply(next(ahead)), size, seconds)
    figures["memcpy_per_second"] = _timed(lambda: np.copyto(room, next(copied)), size, seconds)["per_second"]
    figures["read_only_per_second"] = _timed(lambda: read_only(next(read)), size, seconds)["per_second"]
    return figures


def _closing(seconds: float) -> Figures:
    """A minute in which every instrument ticked once: the tick batch and the closing of all candles."""
    ticks = np.zeros(INSTRUMENTS, TICK)
    ticks["instrument"], ticks["price_paise"] = np.arange(INSTRUMENTS), 100_000
    builder = CandleBuilder(INSTRUMENTS, start_ns=OPEN_NS)

    def minute() -> None:
        ticks["ts_event_ns"] = builder.clock_ns
        builder.apply(ticks)
        builder.close_until(builder.clock_ns + MINUTE_NS)

    return _timed(minute, INSTRUMENTS, seconds)


def _minutes(instruments: int) -> Records:
    candles = np.zeros((375, instruments), CANDLE)
    candles["ts_open_ns"] = OPEN_NS + np.arange(375)[:, None] * MINUTE_NS
    candles["ts_close_ns"] = candles["ts_open_ns"] + MINUTE_NS
    candles["instrument"], candles["timeframe_seconds"], candles["volume"] = np.arange(instruments), 60, 100
    candles["open_paise"] = candles["close_paise"] = 100_000
    candles["high_paise"], candles["low_paise"] = 100_500, 99_500
    return candles.reshape(-1)


def _aggregate(seconds: float) -> Figures:
    """A whole day of 100 instruments, minute by minute."""
    instruments = 100
    parts = np.split(_minutes(instruments), 375)
    close_ns = OPEN_NS + 375 * MINUTE_NS

    def day() -> None:
        aggregator = Aggregator(instruments)
        for number, part in enumerate(parts):
            aggregator.apply(part, session_open_ns=OPEN_NS, session_close_ns=close_ns)
            aggregator.close_until(OPEN_NS + (number + 1) * MINUTE_NS)

    figures = _timed(day, instruments * 375, seconds)
    figures["microseconds_per_call"] /= 375
    return figures


def _indicators(seconds: float) -> dict[str, Figures]:
    generator = np.random.default_rng(2)
    rows, values = generator.integers(0, INSTRUMENTS, 5_000), generator.normal(100_000, 100, 5_000)
    average, strength, live = EmaBank(INSTRUMENTS, 20), RsiBank(INSTRUMENTS, 14), Ema(20)
    return {
        "EMA, 5000 values a call": _timed(lambda: average.update(rows, values), len(rows), seconds),
        "RSI, 5000 values a call": _timed(lambda: strength.update(rows, values), len(rows), seconds),
        "EMA, live, one value": _timed(lambda: live.update(100_000.0), 1, seconds),
    }
