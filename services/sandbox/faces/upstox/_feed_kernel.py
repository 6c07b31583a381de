"""Compiled core of the feed: quotes to entries of Upstox's protobuf `feeds` map. Who calls it: `feed_wire.py`.

Bytes are written from the end of the buffer towards its start, so that every length is known when it is written. Fields
that are zero are left out (proto3). Lines of `shape`: 0 traded with depth, 1 index.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba import int64, types

from tradebus.contracts.records import DEPTH_LEVELS, QUOTE, Records
from tradebus.indicators._compile import INT64S, helper, kernel

LTPC, FULL, OPTION_GREEKS, FULL_D30 = range(4)
FEED_BYTES_MAX = 2600  # of one feed in full_d30, its key not counted
_DEEP_LEVELS = 30
_NS_PER_MS = 1_000_000
_MINUTE_NS = 60_000_000_000
DELTA, THETA, GAMMA, VEGA, VOLATILITY = range(5)
# Columns of the minute under way, per instrument.
MINUTE, OPEN, HIGH, LOW, CLOSE, VOLUME_BEFORE, VOLUME = range(7)
MINUTE_COLUMNS = 7

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]

QUOTES = types.Array(numba.from_dtype(QUOTE), 1, "C", readonly=True)
BYTES = types.Array(types.uint8, 1, "C", readonly=True)
BYTES_OUT = types.Array(types.uint8, 1, "C")
INT64S_OUT = types.Array(types.int64, 1, "C")
MINUTES = types.Array(types.int64, 2, "C")
GREEKS = types.Array(types.float64, 2, "C", readonly=True)
FLOAT64S_OUT = types.Array(types.float64, 1, "C")
UINT64S = types.Array(types.uint64, 1, "C")


@helper
def _byte(out: Bytes, at: int, value: int) -> int:
    out[at - 1] = value
    return at - 1


@helper
def _varint(out: Bytes, at: int, value: int) -> int:
    size = 1
    rest = value >> 7
    while rest > 0:
        size += 1
        rest >>= 7
    start = at - size
    for place in range(size):
        mark = 0 if place == size - 1 else 128
        out[start + place] = (value >> (7 * place)) & 127 | mark
    return start


@helper
def _whole(out: Bytes, at: int, field: int, value: int) -> int:
    if value <= 0:
        return at
    return _byte(out, _varint(out, at, value), field << 3)


@helper
def _real(out: Bytes, at: int, field: int, value: float, cell: Reals, bits: Words) -> int:
    if value == 0.0:
        return at
    cell[0] = value
    word = bits[0]
    for place in range(8):
        out[at - 8 + place] = (word >> np.uint64(8 * place)) & np.uint64(255)
    return _byte(out, at - 8, field << 3 | 1)


@helper
def _message(out: Bytes, at: int, end: int, field: int) -> int:
    """Closes what was written in [at, end) as a sub-message."""
    return _byte(out, _varint(out, at, end - at), field << 3 | 2)


@helper
def _ltpc(out: Bytes, at: int, field: int, quote: Any, cell: Reals, bits: Words) -> int:
    end = at
    at = _real(out, at, 4, quote.previous_close_paise / 100.0, cell, bits)
    at = _whole(out, at, 3, int64(quote.last_quantity))
    at = _whole(out, at, 2, quote.ts_last_trade_ns // _NS_PER_MS)
    at = _real(out, at, 1, quote.price_paise / 100.0, cell, bits)
    return _message(out, at, end, field)


@helper
def _level(
    out: Bytes, at: int, field: int, quote: Any, number: int, tick_paise: int, lot: int, cell: Reals, bits: Words
) -> int:  # fmt: skip
    """A level below the fifth goes on from it, a tick and a lot at a time."""
    place = min(number, DEPTH_LEVELS - 1)
    beyond = number - place
    bid, ask = quote.bid_paise[place], quote.ask_paise[place]
    bid_quantity, ask_quantity = int64(quote.bid_quantity[place]), int64(quote.ask_quantity[place])
    if beyond > 0:
        bid = max(bid - beyond * tick_paise, 0) if bid > 0 else 0
        ask = ask + beyond * tick_paise if ask > 0 else 0
        bid_quantity = bid_quantity + beyond * lot if bid > 0 else 0
        ask_quantity = ask_quantity + beyond * lot if ask > 0 else 0
    end = at
    at = _real(out, at, 4, ask / 100.0, cell, bits)
    at = _whole(out, at, 3, ask_quantity)
    at = _real(out, at, 2, bid / 100.0, cell, bits)
    at = _whole(out, at, 1, bid_quantity)
    return _message(out, at, end, field)


@helper
def _greeks(out: Bytes, at: int, field: int, greeks: Reals, row: int, cell: Reals, bits: Words) -> int:
    if greeks[row, VOLATILITY] == 0.0:
        return at
    end = at
    at = _real(out, at, 4, greeks[row, VEGA], cell, bits)
    at = _real(out, at, 3, greeks[row, GAMMA], cell, bits)
    at = _real(out, at, 2, greeks[row, THETA], cell, bits)
    at = _real(out, at, 1, greeks[row, DELTA], cell, bits)
    return _message(out, at, end, field)


@helper
def _candle(
    out: Bytes, at: int, letters: int, first: int, high: int, low: int, last: int, volume: int, at_ms: int,
    cell: Reals, bits: Words,
) -> int:  # fmt: skip
    end = at
    at = _whole(out, at, 7, at_ms)
    at = _whole(out, at, 6, volume)
    at = _real(out, at, 5, last / 100.0, cell, bits)
    at = _real(out, at, 4, low / 100.0, cell, bits)
    at = _real(out, at, 3, high / 100.0, cell, bits)
    at = _real(out, at, 2, first / 100.0, cell, bits)
    at = _byte(out, at, letters & 255)
    at = _byte(out, at, letters >> 8)
    at = _byte(out, _byte(out, at, 2), 1 << 3 | 2)
    return _message(out, at, end, 1)


@helper
def _candles(
    out: Bytes, at: int, field: int, quote: Any, minutes: Integers, day_ms: int, cell: Reals, bits: Words
) -> int:  # fmt: skip
    end = at
    row = quote.instrument
    if minutes[row, MINUTE] > 0:
        volume = quote.volume_cumulative - minutes[row, VOLUME_BEFORE]
        at = _candle(
            out, at, 73 << 8 | 49, minutes[row, OPEN], minutes[row, HIGH], minutes[row, LOW], minutes[row, CLOSE],
            max(volume, 0), minutes[row, MINUTE] * (_MINUTE_NS // _NS_PER_MS), cell, bits,
        )  # fmt: skip
    at = _candle(
        out, at, 49 << 8 | 100, quote.open_paise, quote.high_paise, quote.low_paise, quote.price_paise,
        quote.volume_cumulative, day_ms, cell, bits,
    )  # fmt: skip
    return _message(out, at, end, field)


@helper
def _market(
    out: Bytes, at: int, quote: Any, levels: int, minutes: Integers, greeks: Reals, tick_paise: int, lot: int,
    day_ms: int, cell: Reals, bits: Words,
) -> int:  # fmt: skip
    end = at
    at = _real(out, at, 10, float(quote.total_sell_quantity), cell, bits)
    at = _real(out, at, 9, float(quote.total_buy_quantity), cell, bits)
    at = _real(out, at, 8, greeks[quote.instrument, VOLATILITY], cell, bits)
    at = _real(out, at, 7, float(quote.open_interest), cell, bits)
    at = _whole(out, at, 6, quote.volume_cumulative)
    at = _real(out, at, 5, quote.average_price_paise / 100.0, cell, bits)
    at = _candles(out, at, 4, quote, minutes, day_ms, cell, bits)
    at = _greeks(out, at, 3, greeks, quote.instrument, cell, bits)
    depth_end = at
    for number in range(levels - 1, -1, -1):
        at = _level(out, at, 1, quote, number, tick_paise, lot, cell, bits)
    at = _message(out, at, depth_end, 2)
    at = _ltpc(out, at, 1, quote, cell, bits)
    return _message(out, at, end, 1)


@helper
def _index(out: Bytes, at: int, quote: Any, minutes: Integers, day_ms: int, cell: Reals, bits: Words) -> int:
    end = at
    at = _candles(out, at, 2, quote, minutes, day_ms, cell, bits)
    at = _ltpc(out, at, 1, quote, cell, bits)
    return _message(out, at, end, 2)


@helper
def _first_level(
    out: Bytes, at: int, quote: Any, greeks: Reals, tick_paise: int, lot: int, index: int, cell: Reals, bits: Words
) -> int:  # fmt: skip
    end = at
    row = quote.instrument
    at = _real(out, at, 6, greeks[row, VOLATILITY], cell, bits)
    at = _real(out, at, 5, float(quote.open_interest), cell, bits)
    at = _whole(out, at, 4, quote.volume_cumulative)
    at = _greeks(out, at, 3, greeks, row, cell, bits)
    if index == 0:
        at = _level(out, at, 2, quote, 0, tick_paise, lot, cell, bits)
    at = _ltpc(out, at, 1, quote, cell, bits)
    return _message(out, at, end, 3)


@kernel(
    int64(
        QUOTES, int64, INT64S, BYTES, INT64S, MINUTES, GREEKS, INT64S, INT64S, int64, BYTES_OUT, INT64S_OUT,
        FLOAT64S_OUT, UINT64S,
    )
)  # fmt: skip
def encode_feeds(
    quotes: Records,
    mode: int,
    shapes: Integers,
    keys: Bytes,
    key_starts: Integers,
    minutes: Integers,
    greeks: Reals,
    ticks_paise: Integers,
    lots: Integers,
    day_ms: int,
    out: Bytes,
    starts: Integers,
    cell: Reals,
    bits: Words,
) -> int:
    """Writes one map entry per quote at the end of `out`, in order; `starts` [quotes + 1] are their places.

    `cell` and `bits` are one number seen as a double and as its bits. Returns the first byte's place, -1 where a quote
    names an instrument that is not known or `out` is too small.
    """
    at = len(out)
    starts[len(quotes)] = at
    for number in range(len(quotes) - 1, -1, -1):
        quote = quotes[number]
        row = int64(quote.instrument)
        if row < 0 or row >= len(shapes):
            return -1
        size = key_starts[row + 1] - key_starts[row]
        if at < FEED_BYTES_MAX + size:
            return -1
        end = at
        tick, lot, index = ticks_paise[row], lots[row], shapes[row]
        at = _whole(out, at, 4, mode)
        if mode == LTPC:
            at = _ltpc(out, at, 1, quote, cell, bits)
        elif mode == OPTION_GREEKS:
            at = _first_level(out, at, quote, greeks, tick, lot, index, cell, bits)
        else:
            full_end = at
            if index == 1:
                at = _index(out, at, quote, minutes, day_ms, cell, bits)
            else:
                levels = _DEEP_LEVELS if mode == FULL_D30 else DEPTH_LEVELS
                at = _market(out, at, quote, levels, minutes, greeks, tick, lot, day_ms, cell, bits)
            at = _message(out, at, full_end, 2)
        at = _message(out, at, end, 2)
        at -= size
        for place in range(size):
            out[at + place] = keys[key_starts[row] + place]
        at = _message(out, at, at + size, 1)
        at = _message(out, at, end, 2)
        starts[number] = at
    return at


@kernel(types.void(QUOTES, MINUTES))
def follow_minutes(quotes: Records, minutes: Integers) -> None:
    """Carries the minute under way of each instrument on; quotes of instruments out of range are passed over."""
    for number in range(len(quotes)):
        quote = quotes[number]
        row, price = int64(quote.instrument), quote.price_paise
        if row < 0 or row >= len(minutes) or price <= 0:
            continue
        minute = quote.ts_event_ns // _MINUTE_NS
        if minute > minutes[row, MINUTE]:
            minutes[row, MINUTE] = minute
            minutes[row, VOLUME_BEFORE] = minutes[row, VOLUME]
            minutes[row, OPEN] = minutes[row, HIGH] = minutes[row, LOW] = price
        minutes[row, HIGH] = max(minutes[row, HIGH], price)
        minutes[row, LOW] = min(minutes[row, LOW], price)
        minutes[row, CLOSE] = price
        minutes[row, VOLUME] = quote.volume_cumulative
