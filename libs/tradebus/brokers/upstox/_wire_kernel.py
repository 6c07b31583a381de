"""Compiled core of the decoder: one walk over a protobuf frame's bytes. Who calls it, what it promises: `decoder.py`.

A table names, per message and field number, what a field is; everything else is skipped by its wire type. Values lie in
`slots` until the entry of the feeds map that they belong to ends and becomes a raw row (`_row_kernel.RAW`: doubles as
their bits). What the official classes do is done here the same way: fields in any order, the last scalar wins,
sub-messages that come twice are merged, another member of a oneof clears the one before, the last entry of a key wins,
an entry with a field that it should not have is left out, and a frame that they refuse (cut short, bad UTF-8, an
unmatched group) is refused whole.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from numba import int64, types

from tradebus.indicators._compile import helper, kernel

# Messages. One that stands in two places with different consequences has two numbers.
(RESPONSE, FEEDS_ENTRY, FEED, ONLY_LTPC, LTPC, FULL, MARKET, INDEX, FIRST_LEVEL, LEVELS, LEVEL, FIRST_DEPTH, GREEKS,
 OHLCS, OHLC, DOUBLE_VALUE, INFO, STATUS_ENTRY, WORD_ENTRY, WORD) = range(20)  # fmt: skip

# Slots. Those from KEY on are a raw row; those from LTP on belong to one feed and are cleared together.
(KEY_AT, KEY_SIZE, ODD_ENTRY, CURRENT_MS, RESPONSE_TYPE, STATUS_AT, STATUS_SIZE, STATUS_CODE, IGNORED, IGNORED_SIZE,
 INTERVAL_AT, INTERVAL_SIZE, OPEN, HIGH, LOW, BID_QUANTITY, BID, ASK_QUANTITY, ASK,
 KEY, LTP, LTT, LTQ, CLOSE, AVERAGE, VOLUME, INTEREST, TOTAL_BUY, TOTAL_SELL, DAY_OPEN, DAY_HIGH, DAY_LOW,
 UNION, FULL_UNION, LEVEL_COUNT, LEVELS_AT) = range(36)  # fmt: skip
LEVELS_KEPT = 5
SLOTS = LEVELS_AT + 4 * LEVELS_KEPT  # bid quantities, bids, ask quantities, asks: LEVELS_KEPT each
RAW_SLOTS = SLOTS - KEY

# What comes back beside the rows.
SKIPPED, STATUSES, FRAME_MS, FIGURES = range(4)

_VARINT, _FIXED64, _LENGTH, _GROUP, _END_GROUP, _FIXED32 = range(6)
_KIND_VARINT, _KIND_DOUBLE, _KIND_TEXT, _KIND_MESSAGE = 1, 2, 3, 4
_FIELDS_MAX = 16
_GROUPS_DEEP = 100  # the official classes' limit, sub-messages counted in
_INT32_MAX = (1 << 31) - 1


def _table() -> npt.NDArray[np.int32]:
    """[message, field number] → kind << 8 | slot or child message; 0 where the field is not known."""
    table = np.zeros((20, _FIELDS_MAX + 1), np.int32)

    def add(message: int, kind: int, **targets: int) -> None:
        for name, target in targets.items():
            table[message, int(name[1:])] = kind << 8 | target

    add(RESPONSE, _KIND_VARINT, f1=RESPONSE_TYPE, f3=CURRENT_MS)
    add(RESPONSE, _KIND_MESSAGE, f2=FEEDS_ENTRY, f4=INFO)
    add(FEEDS_ENTRY, _KIND_TEXT, f1=KEY_AT)
    add(FEEDS_ENTRY, _KIND_MESSAGE, f2=FEED)
    add(FEED, _KIND_MESSAGE, f1=ONLY_LTPC, f2=FULL, f3=FIRST_LEVEL)
    for message in (ONLY_LTPC, LTPC):
        add(message, _KIND_DOUBLE, f1=LTP, f4=CLOSE)
        add(message, _KIND_VARINT, f2=LTT, f3=LTQ)
        add(message, _KIND_MESSAGE, f5=DOUBLE_VALUE)
    add(FULL, _KIND_MESSAGE, f1=MARKET, f2=INDEX)
    add(MARKET, _KIND_MESSAGE, f1=LTPC, f2=LEVELS, f3=GREEKS, f4=OHLCS)
    add(MARKET, _KIND_DOUBLE, f5=AVERAGE, f7=INTEREST, f9=TOTAL_BUY, f10=TOTAL_SELL)
    add(MARKET, _KIND_VARINT, f6=VOLUME)
    add(INDEX, _KIND_MESSAGE, f1=LTPC, f2=OHLCS)
    add(FIRST_LEVEL, _KIND_MESSAGE, f1=LTPC, f2=FIRST_DEPTH, f3=GREEKS)
    add(FIRST_LEVEL, _KIND_VARINT, f4=VOLUME)
    add(FIRST_LEVEL, _KIND_DOUBLE, f5=INTEREST)
    add(LEVELS, _KIND_MESSAGE, f1=LEVEL)
    for message in (LEVEL, FIRST_DEPTH):
        add(message, _KIND_VARINT, f1=BID_QUANTITY, f3=ASK_QUANTITY)
        add(message, _KIND_DOUBLE, f2=BID, f4=ASK)
    add(OHLCS, _KIND_MESSAGE, f1=OHLC)
    add(OHLC, _KIND_TEXT, f1=INTERVAL_AT)
    add(OHLC, _KIND_DOUBLE, f2=OPEN, f3=HIGH, f4=LOW)
    add(INFO, _KIND_MESSAGE, f1=STATUS_ENTRY, f2=WORD_ENTRY, f3=WORD_ENTRY)
    add(STATUS_ENTRY, _KIND_TEXT, f1=STATUS_AT)
    add(STATUS_ENTRY, _KIND_VARINT, f2=STATUS_CODE)
    add(WORD_ENTRY, _KIND_TEXT, f1=IGNORED)
    add(WORD_ENTRY, _KIND_MESSAGE, f2=WORD)
    add(WORD, _KIND_TEXT, f1=IGNORED)
    return table


_TABLE = _table()
_BYTES = types.Array(types.uint8, 1, "C", readonly=True)
_FIXED = types.Array(int64, 1, "C", readonly=True)
_INT64S = types.Array(int64, 1, "C")
_INT64S_2 = types.Array(int64, 2, "C")
Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]
# Of a byte: unsigned and signed 64 bits together would become a float.
whole = cast(Callable[[Any], int], int64)


@helper
def _varint(data: Bytes, at: int, end: int, longest: int) -> tuple[int, int]:
    """The value modulo 2^64 and the position after it; -1 where it is cut short or longer than `longest` bytes."""
    value, shift = 0, 0
    while at < end and shift < 7 * longest:
        byte = whole(data[at])
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    return 0, -1


@helper
def _tag(data: Bytes, at: int, end: int) -> tuple[int, int]:
    tag, at = _varint(data, at, end, 5)
    if at < 0 or tag > 0xFFFFFFFF or tag < 8:
        return 0, -1
    return tag, at


@helper
def _size(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Length and start of what is length-delimited; -1 where it does not end before `end`."""
    size, at = _varint(data, at, end, 5)
    if at < 0 or size > _INT32_MAX or at + size > end:
        return 0, -1
    return size, at


@helper
def _is_utf8(data: Bytes, at: int, end: int) -> bool:
    while at < end:
        first = whole(data[at])
        at += 1
        if first < 0x80:
            continue
        if first < 0xC2 or first > 0xF4:
            return False
        more = 1 if first < 0xE0 else (2 if first < 0xF0 else 3)
        if at + more > end:
            return False
        second = whole(data[at])
        least = 0xA0 if first == 0xE0 else (0x90 if first == 0xF0 else 0x80)
        most = 0x9F if first == 0xED else (0x8F if first == 0xF4 else 0xBF)
        if second < least or second > most:
            return False
        for place in range(1, more):
            if data[at + place] & 0xC0 != 0x80:
                return False
        at += more
    return True


@helper
def _skip_plain(data: Bytes, at: int, end: int, wire: int) -> int:
    """The position after a value of an unknown field that is no group; -1 where it is malformed."""
    if wire == _VARINT:
        _, at = _varint(data, at, end, 10)
        return at
    if wire in (_FIXED64, _FIXED32):
        at += 8 if wire == _FIXED64 else 4
        return at if at <= end else -1
    if wire == _LENGTH:
        size, at = _size(data, at, end)
        return at + size
    return -1


@helper
def _skip_group(data: Bytes, at: int, end: int, field: int, depth: int) -> int:
    """The position after the group that `field` opened; -1 where it does not end properly or lies too deep."""
    opened = np.empty(_GROUPS_DEEP, np.int64)
    opened[0], deep = field, 1
    while deep > 0:
        if depth + deep > _GROUPS_DEEP:
            return -1
        tag, at = _tag(data, at, end)
        if at < 0:
            return -1
        wire = tag & 7
        if wire == _END_GROUP:
            deep -= 1
            if opened[deep] != tag >> 3:
                return -1
        elif wire == _GROUP:
            if deep == _GROUPS_DEEP:
                return -1
            opened[deep] = tag >> 3
            deep += 1
        else:
            at = _skip_plain(data, at, end, wire)
            if at < 0:
                return -1
    return at


@helper
def _enter(child: int, slots: Int64s) -> None:
    if child == LEVEL:
        slots[BID_QUANTITY : ASK + 1] = 0
    elif child == OHLC:
        slots[INTERVAL_AT : LOW + 1] = 0
    elif child == FEEDS_ENTRY:
        slots[KEY_AT] = slots[KEY_SIZE] = slots[ODD_ENTRY] = 0
        _clear_feed(slots)
    elif child in (ONLY_LTPC, FULL, FIRST_LEVEL):
        if slots[UNION] != child:
            _clear_feed(slots)
            slots[UNION] = child
    elif child in (MARKET, INDEX):
        if slots[FULL_UNION] != child:
            _clear_feed(slots)
            slots[UNION], slots[FULL_UNION] = FULL, child
    elif child == STATUS_ENTRY:
        slots[STATUS_AT : STATUS_CODE + 1] = 0
        slots[ODD_ENTRY] = 0


@helper
def _clear_feed(slots: Int64s) -> None:
    slots[LTP:] = 0
    slots[BID_QUANTITY : ASK + 1] = 0


@helper
def _leave_level(slots: Int64s, level: int) -> None:
    if level < LEVELS_KEPT:
        for place in range(4):
            slots[LEVELS_AT + LEVELS_KEPT * place + level] = slots[BID_QUANTITY + place]
    slots[LEVEL_COUNT] = level + 1


@helper
def _leave_bar(data: Bytes, slots: Int64s) -> None:
    """Keeps the day's bar ("1d") and forgets those of minutes."""
    at = slots[INTERVAL_AT]
    if slots[INTERVAL_SIZE] == 2 and data[at] == 49 and data[at + 1] == 100:
        for place in range(3):
            slots[DAY_OPEN + place] = slots[OPEN + place]


@helper
def _leave_feed(slots: Int64s, number: int, seen: Int64s, raw: Int64s, rows: int) -> int:
    """Writes the feed of key `number`, over an earlier one of the same key. Returns the number of rows."""
    place = seen[number]
    if place >= rows or raw[place, 0] != number:
        place = rows
        seen[number] = rows
        rows += 1
    slots[KEY] = number
    raw[place] = slots[KEY:]
    return rows


@helper
def _known(message: int, tag: int) -> int:
    return whole(_TABLE[message, tag >> 3]) if tag >> 3 <= _FIELDS_MAX else 0


@helper
def _value(data: Bytes, at: int, end: int, message: int, tag: int, slots: Int64s, depth: int) -> int:
    """Reads or skips one field that is no sub-message. The position after it; -1 where it is malformed."""
    wire, entry = tag & 7, _known(message, tag)
    kind, target = entry >> 8, entry & 255
    if wire == _FIXED64 and kind == _KIND_DOUBLE:
        if at + 8 > end:
            return -1
        bits = 0
        for place in range(8):
            bits |= whole(data[at + place]) << (8 * place)
        slots[target] = bits
        return at + 8
    if wire == _VARINT and kind == _KIND_VARINT:
        slots[target], at = _varint(data, at, end, 10)
        return at
    if wire == _LENGTH and kind == _KIND_TEXT:
        size, at = _size(data, at, end)
        if at < 0 or not _is_utf8(data, at, at + size):
            return -1
        slots[target], slots[target + 1] = at, size
        return at + size
    if message in (FEEDS_ENTRY, STATUS_ENTRY):
        slots[ODD_ENTRY] = 1
    if wire == _GROUP:
        return _skip_group(data, at, end, tag >> 3, depth)
    return _skip_plain(data, at, end, wire)


@helper
def _hashed(data: Bytes, at: int, size: int) -> int:
    value = 1469598103934665603
    for place in range(at, at + size):
        value = (value ^ whole(data[place])) * 1099511628211
    return value ^ (value >> 29)


@helper
def _found(data: Bytes, at: int, size: int, table: Int64s, keys: Bytes, starts: Int64s) -> int:
    """The number of the key at data[at : at + size] among the known ones; -1 where it is none of them."""
    mask = len(table) - 1
    place = _hashed(data, at, size) & mask
    while table[place] >= 0:
        number: int = table[place]
        start = starts[number]
        if starts[number + 1] - start == size:
            same = 0
            while same < size and keys[start + same] == data[at + same]:
                same += 1
            if same == size:
                return number
        place = (place + 1) & mask
    return -1


@kernel(types.void(_INT64S, _BYTES, _FIXED))
def build_table(table: Int64s, keys: Bytes, starts: Int64s) -> None:
    """Fills an open-addressing table [a power of two, more than twice the keys] with the numbers of the keys."""
    mask = len(table) - 1
    table[:] = -1
    for number in range(len(starts) - 1):
        place = _hashed(keys, starts[number], starts[number + 1] - starts[number]) & mask
        while table[place] >= 0:
            place = (place + 1) & mask
        table[place] = number


@kernel(int64(_BYTES, _INT64S, _FIXED, _BYTES, _FIXED, _INT64S, _INT64S_2, _INT64S_2, _INT64S))
def walk(
    data: Bytes, slots: Int64s, table: Int64s, keys: Bytes, starts: Int64s, seen: Int64s, raw: Int64s,
    statuses: Int64s, figures: Int64s,
) -> int:  # fmt: skip
    """Fills `raw` [keys, RAW_SLOTS] with a row per known key of the frame and returns how many; -1: frame refused.

    `slots` [SLOTS] and `seen` [keys] are scratch. `statuses` [n, 3] takes start, size and code of each segment's market
    status. `figures` [FIGURES]: feeds of no known key, statuses, the frame's own time in milliseconds.
    """
    slots[:] = 0
    figures[:] = 0
    message_of, end_of = np.empty(8, np.int64), np.empty(8, np.int64)
    message, at, end, depth, rows = RESPONSE, 0, len(data), 0, 0
    while True:
        while at == end:
            if depth == 0:
                figures[FRAME_MS] = slots[CURRENT_MS]
                return rows
            if message == LEVEL:
                _leave_level(slots, slots[LEVEL_COUNT])
            elif message == FIRST_DEPTH:
                _leave_level(slots, 0)
            elif message == OHLC:
                _leave_bar(data, slots)
            elif message == FEEDS_ENTRY:
                number = -1
                if slots[ODD_ENTRY] == 0:
                    number = _found(data, slots[KEY_AT], slots[KEY_SIZE], table, keys, starts)
                figures[SKIPPED] += number < 0
                rows = _leave_feed(slots, number, seen, raw, rows) if number >= 0 else rows
            elif message == STATUS_ENTRY and slots[ODD_ENTRY] == 0 and figures[STATUSES] < len(statuses):
                statuses[figures[STATUSES]] = slots[STATUS_AT : STATUS_CODE + 1]
                figures[STATUSES] += 1
            depth -= 1
            message, end = message_of[depth], end_of[depth]
        tag, at = _tag(data, at, end)
        if at < 0:
            return -1
        entry = _known(message, tag)
        if tag & 7 != _LENGTH or entry >> 8 != _KIND_MESSAGE:
            at = _value(data, at, end, message, tag, slots, depth)
            if at < 0:
                return -1
            continue
        size, at = _size(data, at, end)
        if at < 0:
            return -1
        _enter(entry & 255, slots)
        message_of[depth], end_of[depth] = message, end
        depth += 1
        message, end = entry & 255, at + size
