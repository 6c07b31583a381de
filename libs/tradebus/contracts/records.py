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

# As `last_quantity`: nothing traded, and the day's last price stands once more so that what is open can be closed.
QUOTED_AGAIN = -1

DEPTH_LEVELS = 5

# Everything a broker's packet may say about an instrument. TICK is the part of it that the bus carries.
# A field the packet lacked is 0 and its bit in `fields` is not set: 0 alone never means "absent".
QUOTE = np.dtype(
    [
        ("ts_event_ns", "<i8"),  # exchange time; receive time where the exchange sent none
        ("ts_received_ns", "<i8"),
        ("ts_last_trade_ns", "<i8"),
        ("price_paise", "<i8"),
        ("average_price_paise", "<i8"),
        ("open_paise", "<i8"),
        ("high_paise", "<i8"),
        ("low_paise", "<i8"),
        ("previous_close_paise", "<i8"),
        ("volume_cumulative", "<i8"),
        ("open_interest", "<i8"),
        ("open_interest_high", "<i8"),
        ("open_interest_low", "<i8"),
        ("total_buy_quantity", "<i8"),
        ("total_sell_quantity", "<i8"),
        ("bid_paise", "<i8", (DEPTH_LEVELS,)),  # best first
        ("ask_paise", "<i8", (DEPTH_LEVELS,)),
        ("bid_quantity", "<i4", (DEPTH_LEVELS,)),
        ("ask_quantity", "<i4", (DEPTH_LEVELS,)),
        ("bid_orders", "<i4", (DEPTH_LEVELS,)),
        ("ask_orders", "<i4", (DEPTH_LEVELS,)),
        ("last_quantity", "<i4"),
        ("instrument", "<i4"),
        ("fields", "<u4"),  # which of the above the packet carried: QUOTE_HAS_*
        ("padding", "<u4"),
    ]
)

QUOTE_HAS_PRICE = 1  # what the packet shows; whether it is of today its times say (`ticks_since`)
QUOTE_HAS_LAST_QUANTITY = 2
QUOTE_HAS_AVERAGE_PRICE = 4
QUOTE_HAS_DAY_PRICES = 8  # open, high, low
QUOTE_HAS_PREVIOUS_CLOSE = 16
QUOTE_HAS_VOLUME = 32
QUOTE_HAS_OPEN_INTEREST = 64
QUOTE_HAS_OPEN_INTEREST_RANGE = 128
QUOTE_HAS_TOTAL_QUANTITIES = 256
QUOTE_HAS_DEPTH = 512
QUOTE_HAS_EXCHANGE_TIME = 1024
QUOTE_HAS_LAST_TRADE_TIME = 2048
_OF_TRADES = QUOTE_HAS_LAST_QUANTITY | QUOTE_HAS_VOLUME  # an index has neither

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


def with_price(quotes: Records) -> Records:
    """The QUOTE records that carry a price, in their order; the same array where all do."""
    has_price = (quotes["fields"] & QUOTE_HAS_PRICE) != 0
    return quotes if has_price.all() else quotes[has_price]


def ticks_of(quotes: Records) -> Records:
    """The TICK records of the QUOTE records that carry a price, in their order."""
    priced = with_price(quotes)
    ticks = np.zeros(len(priced), TICK)
    for name in (
        "ts_event_ns", "ts_received_ns", "price_paise", "volume_cumulative", "open_interest", "last_quantity",
        "instrument",
    ):  # fmt: skip
        ticks[name] = priced[name]
    ticks["bid_paise"] = priced["bid_paise"][:, 0]
    ticks["ask_paise"] = priced["ask_paise"][:, 0]
    return ticks


def ticks_since(quotes: Records, since_ns: int, *, now_ns: int) -> Records:
    """The TICK records of the QUOTE records whose price was made at or after `since_ns` (the day's midnight), with that
    instant as event time, in their order.

    A price is as old as its trade, however new its packet: before the day's first trade brokers go on showing an
    earlier day's. A packet that does not tell when the trade was has the exchange's time or `now_ns`, where the day's
    volume says that there was one; what is not traded (an index) has the exchange's.
    """
    fields = quotes["fields"]
    traded = (fields & QUOTE_HAS_LAST_TRADE_TIME) != 0
    stamped = (fields & QUOTE_HAS_EXCHANGE_TIME) != 0
    valued = stamped & ((fields & _OF_TRADES) == 0)
    at_ns = np.where(traded, quotes["ts_last_trade_ns"], np.where(stamped, quotes["ts_event_ns"], now_ns))
    sound = traded | valued | (quotes["volume_cumulative"] > 0)
    counts = ((fields & QUOTE_HAS_PRICE) != 0) & sound & (at_ns >= since_ns)
    if not counts.all():
        quotes, at_ns = quotes[counts], at_ns[counts]
    ticks = ticks_of(quotes)
    ticks["ts_event_ns"] = at_ns
    return ticks
