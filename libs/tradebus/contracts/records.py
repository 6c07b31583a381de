"""Dense records: fixed-width numpy layouts, little-endian, prices in paise, instants in nanoseconds since the epoch.

A batch is an array of one of these; its bytes are the body of one bus entry. `instrument` is the small integer
`instruments.instrument_id` and indexes every state array.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

TICK = np.dtype(
    [
        ("ts_event_ns", "<i8"),  # exchange time; receive time where the exchange sent none
        ("ts_received_ns", "<i8"),
        ("price_paise", "<i8"),
        ("volume_cumulative", "<i8"),  # the exchange's day volume in units; 0 where unknown (an index)
        ("open_interest", "<i8"),
        ("bid_paise", "<i8"),  # 0 where unknown
        ("ask_paise", "<i8"),
        ("last_quantity", "<i4"),
        ("instrument", "<i4"),
    ]
)

CANDLE = np.dtype(
    [
        ("ts_open_ns", "<i8"),
        ("ts_close_ns", "<i8"),  # exclusive end: the instant the bar is complete
        ("open_paise", "<i8"),
        ("high_paise", "<i8"),
        ("low_paise", "<i8"),
        ("close_paise", "<i8"),
        ("volume", "<i8"),
        ("open_interest", "<i8"),
        ("instrument", "<i4"),
        ("timeframe_seconds", "<i4"),
        ("tick_count", "<i4"),
        ("flags", "<u4"),  # CANDLE_CORRECTED where the bar replaces one that was already published
    ]
)

CANDLE_CORRECTED = 1

TIMEFRAMES_SECONDS = (60, 180, 300, 900, 1800, 3600, 86_400)  # 1m 3m 5m 15m 30m 1h 1d

Records = npt.NDArray[np.void]


def decode(body: bytes, dtype: np.dtype[Any]) -> Records:
    """The batch in `body`, read-only, without a copy. Raises ValueError where the length is no multiple of a record."""
    if len(body) % dtype.itemsize:
        raise ValueError(f"{len(body)} bytes are not a whole number of {dtype.itemsize}-byte records")
    return np.frombuffer(body, dtype=dtype)
