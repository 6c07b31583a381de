"""Dhan v2 feed messages to QUOTE records, compiled: one call for all messages of a turn, no Python object inside.

    messages, laid end to end ─► walk (packet by packet) ─► records, events, how many packets nobody could use

A message is packets laid end to end, little-endian, each `code u8, length u16 (header included), segment u8,
security id u32` and its body. Which packet ends where is told by three witnesses: its code's size, its length field,
and where the next packet or the message's end is. Two of them must agree, or the packet is left out; after a packet
that nobody can measure the rest of the message is left out. Prices are f32 rupees, so they are rounded to the paisa,
and from ₹1,31,072 on, where f32 cannot tell a paisa, to the instrument's tick. Times are Indian wall-clock seconds
since 1970 (19,800 ahead of UTC). A packet with a price that is no number, below zero or beyond ₹10 crore gives nothing.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import intrinsic

from tradebus.contracts import records
from tradebus.contracts.records import DEPTH_LEVELS, QUOTE, Records
from tradebus.indicators._compile import INT64S, helper, kernel
from tradebus.kernel.time import IST_OFFSET_SECONDS

Bytes = npt.NDArray[np.uint8]
Int = Any  # inside a kernel: 64 signed bits
TICKER, DEPTH, FULL_QUOTE, OPEN_INTEREST, PREVIOUS_CLOSE, MARKET_STATUS, FULL, DISCONNECT = 2, 3, 4, 5, 6, 7, 8, 50
HEADER_BYTES = 8
SIZES = np.zeros(256, np.int64)  # by code; 0 where the code is unknown
for _code, _size in (
    (TICKER, 16), (DEPTH, 112), (FULL_QUOTE, 50), (OPEN_INTEREST, 12), (PREVIOUS_CLOSE, 16), (MARKET_STATUS, 8),
    (FULL, 162), (DISCONNECT, 10),
):  # fmt: skip
    SIZES[_code] = _size
_SEGMENT_MAX = 8
_INDEX_SEGMENT, _NSE_FNO, _BSE_FNO = 0, 2, 8
_SMALLEST_RECORD_BYTES = 12
_PRICE_MAX_RUPEES = 1e8
_PAISA_CERTAIN_BELOW_BITS = 0x48000000  # of ₹1,31,072 as an f32: from here on one step of it is more than a paisa
_YEAR_2000_SECONDS = 946_684_800  # 01/01/1980, or 0, is Dhan's word for "no trade yet"
_INT32_MAX = 2**31 - 1
_HASH = 0x9E3779B97F4A7C15 - 2**64  # Fibonacci hashing, as a signed number
_EMPTY = -1
_BAD = -(2**62)  # stays negative whatever bits are joined to it

_BYTES = types.Array(types.uint8, 1, "C", readonly=True)
_INT32S = types.Array(types.int32, 1, "C", readonly=True)
_QUOTES_OUT = types.Array(numba.from_dtype(QUOTE), 1, "C")
_BLANK = types.Array(numba.from_dtype(QUOTE), 1, "C", readonly=True)
_EVENTS_OUT = types.Array(types.int64, 2, "C")


def _loader(kind: Any) -> Any:
    """A compiled read of one little-endian value at a byte offset, without a look at bounds or alignment."""

    @intrinsic
    def load(typing_context: Any, data: Any, at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            start = builder.gep(array.data, [arguments[1]])
            pointer = builder.bitcast(start, context.get_value_type(kind).as_pointer())
            return builder.load(pointer, align=1)

        return kind(data, at), generate

    return load


_load_u16, _load_u32, _load_f32 = _loader(types.uint16), _loader(types.uint32), _loader(types.float32)


@helper
def _u16(data: Bytes, at: Int) -> Int:
    return np.int64(_load_u16(data, at))


@helper
def _u32(data: Bytes, at: Int) -> Int:
    return np.int64(_load_u32(data, at))


@helper
def _paise(data: Bytes, at: Int, tick_paise: Int) -> Int:
    """The price at `at`; -1 where it is none."""
    rupees = np.float64(_load_f32(data, at))
    if _u32(data, at) < _PAISA_CERTAIN_BELOW_BITS:  # as bits: one look for sign, size and NaN
        return np.int64(np.rint(rupees * 100.0))
    if not 0.0 <= rupees <= _PRICE_MAX_RUPEES:
        return -1
    paise = np.int64(np.rint(rupees * 100.0))
    return (2 * paise + tick_paise) // (2 * tick_paise) * tick_paise


@helper
def _quantity(data: Bytes, at: Int) -> Int:
    """A u32 for a column of 32 signed bits."""
    return min(_u32(data, at), _INT32_MAX)


@helper
def _plausible(data: Bytes, at: Int, end: Int) -> Any:
    """A packet of a known code and segment starts at `at` and says its own size, or the message ends there."""
    if at == end:
        return True
    if at + HEADER_BYTES > end:
        return False
    size = SIZES[data[at]]
    return size > 0 and _u16(data, at + 1) == size and data[at + 3] <= _SEGMENT_MAX


@helper
def _advance(data: Bytes, at: Int, end: Int) -> tuple[Int, bool]:
    """How far it is to the next packet (0: nobody can tell), and whether the packet here can be read."""
    if at + HEADER_BYTES > end:
        return 0, False
    size, told = SIZES[data[at]], _u16(data, at + 1)
    if size == 0:
        return (told, False) if told >= HEADER_BYTES and at + told <= end else (0, False)
    if at + size > end:
        return 0, False
    if told == size:
        return size, True
    if told > size and at + told <= end and _plausible(data, at + told, end):
        return told, True  # a longer edition of the packet
    if _plausible(data, at + size, end):
        return size, True  # the length lies
    if told >= HEADER_BYTES and at + told <= end and _plausible(data, at + told, end):
        return told, False  # the code lies
    return 0, False


@helper
def _index_of(keys: npt.NDArray[np.int64], slots: npt.NDArray[np.int32], key: Int) -> Int:
    """The slot of a subscribed (segment, security id); -1 where nobody asked for it."""
    mask = len(keys) - 1
    at = (key * _HASH) >> 20 & mask
    for _ in range(len(keys)):
        if keys[at] == key:
            return slots[at]
        if keys[at] == _EMPTY:
            return -1
        at = (at + 1) & mask
    return -1


# The readers below write into a record and return the bits of `fields` for it, or _BAD where a price is none. A price
# of 0 is Dhan's word for "not yet" and sets no bit.


@helper
def _read_time(data: Bytes, at: Int, received_ns: Int, out: Any) -> Int:
    """The last trade's time is the exchange's time; without a trade it is the time of receipt."""
    seconds = _u32(data, at) - IST_OFFSET_SECONDS
    traded = seconds >= _YEAR_2000_SECONDS
    out.ts_event_ns = seconds * 1_000_000_000 if traded else received_ns
    out.ts_last_trade_ns = seconds * 1_000_000_000 if traded else 0
    return np.int64(records.QUOTE_HAS_EXCHANGE_TIME | records.QUOTE_HAS_LAST_TRADE_TIME) if traded else np.int64(0)


@helper
def _read_price(data: Bytes, at: Int, tick_paise: Int, out: Any) -> Int:
    price_paise = _paise(data, at, tick_paise)
    out.price_paise = price_paise
    return _bit(price_paise, records.QUOTE_HAS_PRICE)


@helper
def _bit(paise: Int, bit: Int) -> Int:
    if paise < 0:
        return np.int64(_BAD)
    return np.int64(bit) if paise > 0 else np.int64(0)


@helper
def _read_traded(data: Bytes, at: Int, segment: Int, out: Any) -> Int:
    """From last quantity (u16) to total buy quantity, which quote and full share. An index has only the average."""
    average_paise = _paise(data, at + 6, 1)
    out.average_price_paise = average_paise
    fields = _bit(average_paise, records.QUOTE_HAS_AVERAGE_PRICE)
    if segment == _INDEX_SEGMENT:
        return fields
    out.last_quantity = _u16(data, at)
    out.volume_cumulative = _u32(data, at + 10)
    out.total_sell_quantity = _u32(data, at + 14)
    out.total_buy_quantity = _u32(data, at + 18)
    return fields | (records.QUOTE_HAS_LAST_QUANTITY | records.QUOTE_HAS_VOLUME | records.QUOTE_HAS_TOTAL_QUANTITIES)


@helper
def _read_day(data: Bytes, at: Int, tick_paise: Int, out: Any) -> Int:
    """Open, close, high, low. `close` is the previous day's while the market is open."""
    opened, close = _paise(data, at, tick_paise), _paise(data, at + 4, tick_paise)
    high, low = _paise(data, at + 8, tick_paise), _paise(data, at + 12, tick_paise)
    out.open_paise, out.high_paise, out.low_paise, out.previous_close_paise = opened, high, low, close
    fields = _bit(close, records.QUOTE_HAS_PREVIOUS_CLOSE)
    if (opened | high | low) < 0:
        return np.int64(_BAD)
    return fields | (records.QUOTE_HAS_DAY_PRICES if opened > 0 and high > 0 and low > 0 else 0)


@helper
def _read_depth(data: Bytes, at: Int, tick_paise: Int, out: Any) -> Int:
    worst = np.int64(0)
    for level in range(DEPTH_LEVELS):
        start = at + 20 * level
        bid_paise, ask_paise = _paise(data, start + 12, tick_paise), _paise(data, start + 16, tick_paise)
        worst |= bid_paise | ask_paise
        out.bid_quantity[level] = _quantity(data, start)
        out.ask_quantity[level] = _quantity(data, start + 4)
        out.bid_orders[level] = _u16(data, start + 8)
        out.ask_orders[level] = _u16(data, start + 10)
        out.bid_paise[level] = bid_paise
        out.ask_paise[level] = ask_paise
    return np.int64(records.QUOTE_HAS_DEPTH) if worst >= 0 else np.int64(_BAD)


@helper
def _read_full(data: Bytes, at: Int, segment: Int, tick_paise: Int, received_ns: Int, out: Any) -> Int:
    fields = np.int64(0)
    if segment != _INDEX_SEGMENT:
        interest = _u32(data, at + 34)
        out.open_interest = interest
        out.open_interest_high = _u32(data, at + 38)
        out.open_interest_low = _u32(data, at + 42)
        if interest > 0 or segment in (_NSE_FNO, _BSE_FNO):  # a share has none: its 0 says nothing
            fields = np.int64(records.QUOTE_HAS_OPEN_INTEREST | records.QUOTE_HAS_OPEN_INTEREST_RANGE)
    return (
        fields
        | _read_time(data, at + 14, received_ns, out)
        | _read_price(data, at + 8, tick_paise, out)
        | _read_traded(data, at + 12, segment, out)
        | _read_day(data, at + 46, tick_paise, out)
        | _read_depth(data, at + 62, tick_paise, out)
    )


@helper
def _read(data: Bytes, at: Int, segment: Int, tick_paise: Int, received_ns: Int, out: Any) -> Int:
    """One packet that carries data into a record: zeroed, or every field of it written."""
    code = data[at]
    if code == FULL:
        return _read_full(data, at, segment, tick_paise, received_ns, out)
    if code == TICKER:
        return _read_time(data, at + 12, received_ns, out) | _read_price(data, at + 8, tick_paise, out)
    if code == FULL_QUOTE:
        return (
            _read_time(data, at + 14, received_ns, out)
            | _read_price(data, at + 8, tick_paise, out)
            | _read_traded(data, at + 12, segment, out)
            | _read_day(data, at + 34, tick_paise, out)
        )
    out.ts_event_ns = received_ns
    if code == DEPTH:
        return _read_price(data, at + 8, tick_paise, out) | _read_depth(data, at + 12, tick_paise, out)
    if code == OPEN_INTEREST:
        out.open_interest = _u32(data, at + 8)
        return np.int64(records.QUOTE_HAS_OPEN_INTEREST)
    out.previous_close_paise = _paise(data, at + 8, tick_paise)
    return _bit(out.previous_close_paise, records.QUOTE_HAS_PREVIOUS_CLOSE)


@kernel(
    types.UniTuple(types.int64, 3)(  # type: ignore[no-untyped-call]
        _BYTES, INT64S, types.int64, INT64S, _INT32S, INT64S, INT64S, _BLANK, _QUOTES_OUT, _EVENTS_OUT
    )
)
def walk(
    data: Bytes,
    lengths: npt.NDArray[np.int64],
    received_ns: Int,
    keys: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int32],
    instruments: npt.NDArray[np.int64],
    ticks_paise: npt.NDArray[np.int64],
    blank: Records,
    out: Records,
    events: npt.NDArray[np.int64],
) -> tuple[Int, Int, Int]:
    """Reads the messages of `data`, as long as `lengths` says. Returns records written, packets skipped and events
    written; a negative first figure says that `out` is too short (`room_for` never is) and nothing of it holds.

    `keys` (a power of two long, -1 where empty) and `slots` are the hash table of segment << 32 | security id to a row
    of `instruments` and `ticks_paise`. `blank` is one zeroed record; `events` [n, 3] takes code, segment and reason.
    """
    written, skipped, told, at = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for size in lengths:
        end = min(at + size, len(data))
        while at < end:
            length, readable = _advance(data, at, end)
            code, segment = data[at], np.int64(data[at + 3]) if readable else np.int64(-1)
            slot = np.int64(-1)
            if readable and code != DISCONNECT and code != MARKET_STATUS:
                slot = _index_of(keys, slots, segment << 32 | _u32(data, at + 4))
            if slot >= 0:
                if written >= len(out):
                    return -1, skipped, told
                if code != FULL or segment == _INDEX_SEGMENT:
                    out[written] = blank[0]
                record = out[written]
                fields = _read(data, at, segment, ticks_paise[slot], received_ns, record)
                if fields >= 0:
                    record.ts_received_ns = received_ns
                    record.instrument = instruments[slot]
                    record.fields = fields
                    record.padding = 0
                    written += 1
                else:
                    skipped += 1
            elif readable and code in (DISCONNECT, MARKET_STATUS) and told < len(events):
                events[told, 0], events[told, 1] = code, segment
                events[told, 2] = _u16(data, at + 8) if code == DISCONNECT else 0
                told += 1
            else:
                skipped += 1
            if length == 0:
                break
            at += length
        at = end
    return written, skipped, told


@kernel(types.void(types.Array(types.int64, 1, "C"), types.Array(types.int32, 1, "C"), types.int64, types.int64))
def insert(keys: npt.NDArray[np.int64], slots: npt.NDArray[np.int32], key: Int, slot: Int) -> None:
    """Puts a key into the hash table of `walk`, which has room for it."""
    mask = len(keys) - 1
    at = (key * _HASH) >> 20 & mask
    while keys[at] != _EMPTY and keys[at] != key:
        at = (at + 1) & mask
    keys[at] = key
    slots[at] = slot


def room_for(size_bytes: int) -> int:
    """Records that `size_bytes` of messages can hold at most."""
    return size_bytes // _SMALLEST_RECORD_BYTES
