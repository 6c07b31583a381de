"""Raw rows of a frame to QUOTE records. Who calls it and what it promises: `decoder.py`.

Rupees become the nearest paisa. proto3 leaves a zero out, so a price or an open interest of 0 and a missing one are the
same: absent. What
cannot be (not a number, negative, beyond what a record holds) is absent too, and never something near it.
"""

import numba
import numpy as np
import numpy.typing as npt
from numba import int64, types

from tradebus.brokers.upstox._wire_kernel import FIRST_LEVEL, LEVELS_KEPT, MARKET, RAW_SLOTS, whole
from tradebus.contracts import records
from tradebus.contracts.records import QUOTE, Records
from tradebus.indicators._compile import helper, kernel

RAW = np.dtype(
    [
        ("key", "<i8"),  # the number of the instrument key
        ("price", "<f8"),
        ("traded_ms", "<i8"),
        ("quantity", "<i8"),
        ("previous_close", "<f8"),
        ("average", "<f8"),
        ("volume", "<i8"),
        ("interest", "<f8"),
        ("total_buy", "<f8"),
        ("total_sell", "<f8"),
        ("day_open", "<f8"),
        ("day_high", "<f8"),
        ("day_low", "<f8"),
        ("union", "<i8"),
        ("full_union", "<i8"),
        ("levels", "<i8"),
        ("bid_quantity", "<i8", (LEVELS_KEPT,)),
        ("bid", "<f8", (LEVELS_KEPT,)),
        ("ask_quantity", "<i8", (LEVELS_KEPT,)),
        ("ask", "<f8", (LEVELS_KEPT,)),
    ]
)
if RAW.itemsize != 8 * RAW_SLOTS:
    raise AssertionError("the raw row and the slots of the walk differ")

_INT32_MAX = (1 << 31) - 1
_MS_MAX = 9_000_000_000_000  # nanoseconds of a later instant would not fit
_RUPEES_MAX = 1e13
_UNITS_MAX = 1_000_000_000_000_000
_RAWS = types.Array(numba.from_dtype(RAW), 1, "C")
_QUOTES = types.Array(numba.from_dtype(QUOTE), 1, "C")
_FIXED = types.Array(int64, 1, "C", readonly=True)
Int64s = npt.NDArray[np.int64]


@helper
def _paise(rupees: float) -> int:
    if rupees > 0.0 and rupees < _RUPEES_MAX:
        return whole(np.floor(rupees * 100.0 + 0.5))
    return 0


@helper
def _units(value: float) -> int:
    """A quantity sent as a double; -1 where it is none."""
    return whole(np.rint(value)) if value >= 0.0 and value < _UNITS_MAX else -1


@helper
def _fill_depth(raw: np.void, row: np.void) -> int:
    """Returns the depth's flag; 0, and no levels, where one of them holds what cannot be."""
    count = min(raw["levels"], LEVELS_KEPT)
    good = count > 0
    for level in range(count):
        bid, ask, least, most = (
            raw["bid"][level],
            raw["ask"][level],
            raw["bid_quantity"][level],
            raw["ask_quantity"][level],
        )
        if least < 0 or least > _INT32_MAX or most < 0 or most > _INT32_MAX:
            good = False
        if not (bid >= 0.0 and bid < _RUPEES_MAX and ask >= 0.0 and ask < _RUPEES_MAX):
            good = False
    for level in range(LEVELS_KEPT):
        row["bid_quantity"][level] = raw["bid_quantity"][level] if good else 0
        row["bid_paise"][level] = _paise(raw["bid"][level]) if good else 0
        row["ask_quantity"][level] = raw["ask_quantity"][level] if good else 0
        row["ask_paise"][level] = _paise(raw["ask"][level]) if good else 0
        row["bid_orders"][level] = 0
        row["ask_orders"][level] = 0
    return records.QUOTE_HAS_DEPTH if good else 0


@helper
def _fill_trade(raw: np.void, row: np.void, frame_ns: int, received_ns: int) -> int:
    """The last trade; a feed without one is as of its frame, or of its arrival where the frame has no time."""
    fields = 0
    price, previous, quantity, at_ms = (
        _paise(raw["price"]),
        _paise(raw["previous_close"]),
        raw["quantity"],
        raw["traded_ms"],
    )
    row["price_paise"], row["previous_close_paise"], row["last_quantity"] = price, previous, 0
    if price > 0:
        fields |= records.QUOTE_HAS_PRICE
        if quantity >= 0 and quantity <= _INT32_MAX:
            row["last_quantity"] = quantity
            fields |= records.QUOTE_HAS_LAST_QUANTITY
    if previous > 0:
        fields |= records.QUOTE_HAS_PREVIOUS_CLOSE
    row["ts_received_ns"] = received_ns
    row["ts_last_trade_ns"] = 0
    row["ts_event_ns"] = frame_ns if frame_ns > 0 else received_ns
    if frame_ns > 0:
        fields |= records.QUOTE_HAS_EXCHANGE_TIME
    if at_ms > 0 and at_ms < _MS_MAX:
        row["ts_event_ns"] = row["ts_last_trade_ns"] = at_ms * 1_000_000
        fields |= records.QUOTE_HAS_LAST_TRADE_TIME | records.QUOTE_HAS_EXCHANGE_TIME
    return fields


@helper
def _fill_prices(raw: np.void, row: np.void) -> int:
    fields = 0
    average = _paise(raw["average"])
    first, high, low = _paise(raw["day_open"]), _paise(raw["day_high"]), _paise(raw["day_low"])
    row["average_price_paise"] = average
    if average > 0:
        fields |= records.QUOTE_HAS_AVERAGE_PRICE
    if first > 0 and high > 0 and low > 0:
        row["open_paise"], row["high_paise"], row["low_paise"] = first, high, low
        fields |= records.QUOTE_HAS_DAY_PRICES
    else:
        row["open_paise"], row["high_paise"], row["low_paise"] = 0, 0, 0
    return fields


@helper
def _fill_quantities(raw: np.void, row: np.void) -> int:
    fields, full = 0, raw["full_union"] == MARKET
    known = full or raw["union"] == FIRST_LEVEL
    volume, interest = raw["volume"], _units(raw["interest"])
    buy, sell = _units(raw["total_buy"]), _units(raw["total_sell"])
    row["volume_cumulative"], row["open_interest"] = 0, 0
    row["total_buy_quantity"], row["total_sell_quantity"] = 0, 0
    row["open_interest_high"], row["open_interest_low"] = 0, 0
    if known and volume >= 0 and volume < _UNITS_MAX:
        row["volume_cumulative"] = volume
        fields |= records.QUOTE_HAS_VOLUME
    if known and interest > 0:
        row["open_interest"] = interest
        fields |= records.QUOTE_HAS_OPEN_INTEREST
    if full and buy >= 0 and sell >= 0:
        row["total_buy_quantity"], row["total_sell_quantity"] = buy, sell
        fields |= records.QUOTE_HAS_TOTAL_QUANTITIES
    return fields


@kernel(types.void(_RAWS, _QUOTES, _FIXED, int64, int64))
def write_quotes(raw: Records, out: Records, instruments: Int64s, frame_ms: int, received_ns: int) -> None:
    """Writes every field of `out` [n] from the first n raw rows. `instruments`: by number of key."""
    frame_ns = frame_ms * 1_000_000 if frame_ms > 0 and frame_ms < _MS_MAX else 0
    for place in range(len(out)):
        row, one = out[place], raw[place]
        row["instrument"] = instruments[one["key"]]
        row["padding"] = 0
        fields = _fill_trade(one, row, frame_ns, received_ns) | _fill_prices(one, row)
        row["fields"] = fields | _fill_quantities(one, row) | _fill_depth(one, row)
