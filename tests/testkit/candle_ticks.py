"""Ticks for a candle builder, and what its candles hold."""

from datetime import date, time

import numpy as np

from tradebus.contracts.records import TICK, Records
from tradebus.kernel.time import ist_to_ns

MINUTE_NS = 60_000_000_000
OPEN_NS = ist_to_ns(date(2024, 1, 9), time(9, 15))
FIGURES = ("open_paise", "high_paise", "low_paise", "close_paise", "volume", "open_interest")


def ticks(*rows: tuple[float, int, int] | tuple[float, int, int, int] | tuple[float, int, int, int, int]) -> Records:
    """Rows of (seconds after the open, price, cumulative volume[, instrument[, open interest]])."""
    batch = np.zeros(len(rows), TICK)
    for record, row in zip(batch, rows, strict=True):
        seconds, price, cumulative, instrument, interest = (*row, 0, 0)[:5]
        record["ts_event_ns"] = OPEN_NS + int(seconds * 1_000_000_000)
        record["price_paise"], record["volume_cumulative"] = price, cumulative
        record["instrument"], record["open_interest"] = instrument, interest
    return batch


def at(seconds: float) -> int:
    return OPEN_NS + int(seconds * 1_000_000_000)


def ohlcv(candle: np.void) -> tuple[int, ...]:
    return tuple(int(candle[name]) for name in FIGURES[:5])


def day_of_ticks(seed: int) -> Records:
    draw = np.random.default_rng(seed)
    batch = np.zeros(3000, TICK)
    batch["ts_event_ns"] = OPEN_NS + np.sort(draw.integers(0, 40 * MINUTE_NS, len(batch)))
    batch["price_paise"] = draw.integers(9_000, 11_000, len(batch))
    batch["instrument"] = draw.integers(0, 3, len(batch))
    batch["open_interest"] = draw.integers(1, 50, len(batch))
    for instrument in range(3):
        own = batch["instrument"] == instrument
        batch["volume_cumulative"][own] = np.cumsum(draw.integers(0, 9, int(own.sum())))
    return batch
