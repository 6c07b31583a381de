"""The compiled step from one ticker frame to QUOTE records. Layout: `decoder.py`; everything on the wire is big-endian.

Invariants (fuzzed): no byte outside the frame is read and no record outside `out` written, whatever the frame says of
itself; a packet is written whole or not at all.
"""

import numpy as np
import numpy.typing as npt
from numba import from_dtype, int64, types

from tradebus.contracts import records
from tradebus.contracts.records import DEPTH_LEVELS, QUOTE, Records
from tradebus.indicators._compile import INT64S, helper, kernel

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]

BYTES = types.Array(types.uint8, 1, "C", readonly=True)
TABLE = types.Array(int64, 2, "C", readonly=True)
QUOTES_OUT = types.Array(from_dtype(QUOTE), 1, "C")

LTP_BYTES, INDEX_QUOTE_BYTES, INDEX_FULL_BYTES, QUOTE_BYTES, FULL_BYTES = 8, 28, 32, 44, 184
SKIPPED_SHIFT = 32  # in what the kernels return
PACKETS_MAX = 3_000  # a connection has no more instruments
HASH_FACTOR = 2654435761  # Knuth's: spreads tokens, whose low byte is the segment, over the table
_SECOND_NS = 1_000_000_000
_INT32_MAX = 2**31 - 1
_TRADED = (
    records.QUOTE_HAS_LAST_QUANTITY
    | records.QUOTE_HAS_AVERAGE_PRICE
    | records.QUOTE_HAS_VOLUME
    | records.QUOTE_HAS_TOTAL_QUANTITIES
    | records.QUOTE_HAS_DAY_PRICES
    | records.QUOTE_HAS_PREVIOUS_CLOSE
)
_INTEREST = records.QUOTE_HAS_OPEN_INTEREST | records.QUOTE_HAS_OPEN_INTEREST_RANGE
_NFO, _BFO = 2, 5  # segments that have open interest


@helper
def u16(frame: Bytes, at: int) -> int:
    return int((np.int64(frame[at]) << 8) | np.int64(frame[at + 1]))


@helper
def u32(frame: Bytes, at: int) -> int:
    return int(
        (np.int64(frame[at]) << 24)
        | (np.int64(frame[at + 1]) << 16)
        | (np.int64(frame[at + 2]) << 8)
        | np.int64(frame[at + 3])
    )


@helper
def count32(frame: Bytes, at: int) -> int:
    """A count for a 32-bit field of the record: what is too large for it becomes the largest."""
    return min(u32(frame, at), _INT32_MAX)


@helper
def subscribed_under(table: Int64s, token: int) -> int:
    """The instrument subscribed under `token`, -1 without. `table` has a power of two rows, one of them empty (-1)."""
    mask = table.shape[0] - 1
    row = ((token * HASH_FACTOR) >> 8) & mask
    while table[row, 0] != token:
        if table[row, 0] < 0:
            return -1
        row = (row + 1) & mask
    return int(table[row, 1])


@helper
def write_day(frame: Bytes, quote: Records, first: int, high: int, low: int, close: int) -> None:
    quote["open_paise"] = u32(frame, first)
    quote["high_paise"] = u32(frame, high)
    quote["low_paise"] = u32(frame, low)
    quote["previous_close_paise"] = u32(frame, close)


@helper
def write_traded(frame: Bytes, at: int, quote: Records) -> None:
    quote["last_quantity"] = count32(frame, at + 8)
    quote["average_price_paise"] = u32(frame, at + 12)
    quote["volume_cumulative"] = u32(frame, at + 16)
    quote["total_buy_quantity"] = u32(frame, at + 20)
    quote["total_sell_quantity"] = u32(frame, at + 24)
    write_day(frame, quote, at + 28, at + 32, at + 36, at + 40)


@helper
def write_no_traded(quote: Records) -> None:
    quote["last_quantity"] = 0
    quote["average_price_paise"] = 0
    quote["volume_cumulative"] = 0
    quote["total_buy_quantity"] = 0
    quote["total_sell_quantity"] = 0


@helper
def write_full(frame: Bytes, at: int, quote: Records) -> int:
    """Returns the bits of `fields`. A share has no open interest: its 0 says nothing."""
    interest, segment = u32(frame, at + 48), frame[at + 3]
    quote["open_interest"] = interest
    quote["open_interest_high"] = u32(frame, at + 52)
    quote["open_interest_low"] = u32(frame, at + 56)
    for level in range(DEPTH_LEVELS):
        bid, ask = at + 64 + 12 * level, at + 124 + 12 * level
        quote["bid_quantity"][level] = count32(frame, bid)
        quote["bid_paise"][level] = u32(frame, bid + 4)
        quote["bid_orders"][level] = u16(frame, bid + 8)
        quote["ask_quantity"][level] = count32(frame, ask)
        quote["ask_paise"][level] = u32(frame, ask + 4)
        quote["ask_orders"][level] = u16(frame, ask + 8)
    known = interest > 0 or segment in (_NFO, _BFO)
    return records.QUOTE_HAS_DEPTH | (_INTEREST if known else 0)


@helper
def write_no_full(quote: Records) -> None:
    quote["open_interest"] = 0
    quote["open_interest_high"] = 0
    quote["open_interest_low"] = 0
    for level in range(DEPTH_LEVELS):
        quote["bid_quantity"][level] = 0
        quote["bid_paise"][level] = 0
        quote["bid_orders"][level] = 0
        quote["ask_quantity"][level] = 0
        quote["ask_paise"][level] = 0
        quote["ask_orders"][level] = 0


@helper
def write_packet(frame: Bytes, at: int, length: int, quote: Records, received_ns: int) -> None:
    """All of one packet of a known length. The record's memory is fresh, so what the packet lacks is set to 0."""
    fields, exchange_seconds, trade_seconds = 0, 0, 0
    if length >= QUOTE_BYTES:
        fields |= _TRADED
        write_traded(frame, at, quote)
    else:
        write_no_traded(quote)
        if length == LTP_BYTES:
            quote["open_paise"] = quote["high_paise"] = quote["low_paise"] = quote["previous_close_paise"] = 0
        else:
            fields |= records.QUOTE_HAS_DAY_PRICES | records.QUOTE_HAS_PREVIOUS_CLOSE
            write_day(frame, quote, at + 16, at + 8, at + 12, at + 20)
    if length == FULL_BYTES:
        trade_seconds, exchange_seconds = u32(frame, at + 44), u32(frame, at + 60)
        fields |= write_full(frame, at, quote)
    else:
        write_no_full(quote)
    if length == INDEX_FULL_BYTES:
        exchange_seconds = u32(frame, at + 28)
    price = u32(frame, at + 4)
    if price > 0:  # nobody has traded it yet: that is no price
        fields |= records.QUOTE_HAS_PRICE
    if exchange_seconds > 0:
        fields |= records.QUOTE_HAS_EXCHANGE_TIME
    if trade_seconds > 0:
        fields |= records.QUOTE_HAS_LAST_TRADE_TIME
    quote["price_paise"] = price
    quote["ts_event_ns"] = exchange_seconds * _SECOND_NS if exchange_seconds > 0 else received_ns
    quote["ts_received_ns"] = received_ns
    quote["ts_last_trade_ns"] = trade_seconds * _SECOND_NS
    quote["fields"] = fields
    quote["padding"] = 0


@helper
def read_one(
    frame: Bytes, begin: int, end: int, table: Int64s, received_ns: int, out: Records, written: int
) -> tuple[int, int]:
    """Writes the readable packets of the frame in [begin, end) behind the first `written` records. Returns how many
    records there are then, and how many packets of the frame gave none: where it ends before they do, those that are
    left of the number it announced, or one where no frame has that many."""
    skipped = 0
    if end - begin < 2:
        return written, skipped
    at, packets = begin + 2, u16(frame, begin)
    for packet in range(packets):
        missing = packets - packet if packets <= PACKETS_MAX else 1
        if at + 2 > end or written >= out.shape[0]:
            return written, skipped + missing
        length = u16(frame, at)
        at += 2
        if at + length > end:  # cut short: what is left of it says nothing
            return written, skipped + missing
        if length in (FULL_BYTES, QUOTE_BYTES, LTP_BYTES, INDEX_FULL_BYTES, INDEX_QUOTE_BYTES):
            instrument = subscribed_under(table, u32(frame, at))
            if instrument >= 0:
                quote = out[written]
                quote["instrument"] = instrument
                write_packet(frame, at, length, quote, received_ns)
                written += 1
            else:
                skipped += 1
        else:
            skipped += 1
        at += length
    return written, skipped


@kernel(int64(BYTES, TABLE, int64, QUOTES_OUT))
def read_frame(frame: Bytes, table: Int64s, received_ns: int, out: Records) -> int:
    """Writes one record per readable packet of a subscribed instrument. Returns how many, and above its low 32 bits how
    many packets gave none: one whole number, because a pair costs a small frame a third of its time."""
    written, skipped = read_one(frame, 0, frame.shape[0], table, received_ns, out, 0)
    return skipped << SKIPPED_SHIFT | written


@kernel(int64(BYTES, INT64S, TABLE, int64, QUOTES_OUT))
def read_frames(frames: Bytes, ends: Int64s, table: Int64s, received_ns: int, out: Records) -> int:
    """The same of frames that lie one behind the other, each ending at its `ends`."""
    begin, written, skipped = 0, 0, 0
    for number in range(ends.shape[0]):
        end = min(ends[number], frames.shape[0])
        written, unread = read_one(frames, begin, end, table, received_ns, out, written)
        skipped += unread
        begin = end
    return skipped << SKIPPED_SHIFT | written
