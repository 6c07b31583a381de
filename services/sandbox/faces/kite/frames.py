"""Kite's binary ticker frames, a whole batch in one step: u16 count, then u16 length and packet, big-endian.

    QUOTE records ─► by packet layout (price, quote, full; index quote, index full) ─► columns copied ─► one frame

Invariants (tested): a frame decodes to the records it was made of, in the client's own parser and in ours; the number
of bytes is exactly what the counts say; a value too large for its field is the largest that fits, never a wrong one.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from tradebus.contracts.records import DEPTH_LEVELS, Records
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

NONE, PRICE, QUOTE, FULL = range(4)  # what a connection wants of an instrument
HEARTBEAT = b"\x00"
PACKETS_MAX = 65_535
_U32_MAX, _U16_MAX = 2**32 - 1, 2**16 - 1
_I32_MAX = 2**31 - 1

_HEAD = [("length", ">u2"), ("token", ">u4"), ("price_paise", ">i4")]
_PRICE = np.dtype(_HEAD)
_QUOTE_FIELDS = [
    ("last_quantity", ">u4"), ("average_price_paise", ">i4"), ("volume_cumulative", ">u4"),
    ("total_buy_quantity", ">u4"), ("total_sell_quantity", ">u4"), ("open_paise", ">i4"), ("high_paise", ">i4"),
    ("low_paise", ">i4"), ("previous_close_paise", ">i4"),
]  # fmt: skip
_QUOTE = np.dtype(_HEAD + _QUOTE_FIELDS)
_LEVEL = np.dtype([("quantity", ">u4"), ("price", ">i4"), ("orders", ">u2"), ("padding", ">u2")])
_FULL = np.dtype([
    *_HEAD, *_QUOTE_FIELDS, ("ts_last_trade_ns", ">u4"), ("open_interest", ">u4"), ("open_interest_high", ">u4"),
    ("open_interest_low", ">u4"), ("ts_event_ns", ">u4"), ("depth", _LEVEL, (2 * DEPTH_LEVELS,)),
])  # fmt: skip
_INDEX_FIELDS = [
    ("high_paise", ">i4"), ("low_paise", ">i4"), ("open_paise", ">i4"), ("previous_close_paise", ">i4"),
    ("change", ">i4"),
]  # fmt: skip
_INDEX_QUOTE = np.dtype(_HEAD + _INDEX_FIELDS)
_INDEX_FULL = np.dtype([*_HEAD, *_INDEX_FIELDS, ("ts_event_ns", ">u4")])

Flags = npt.NDArray[np.bool_]


def encode(quotes: Records, modes: npt.NDArray[np.uint8], tokens: npt.NDArray[np.uint32]) -> bytes:
    """One frame of the QUOTE records [n] that somebody wants; b"" where nobody wants any.

    `modes` and `tokens` are [instruments]; a token's last byte 9 marks an index. Records of one layout keep their
    order; n is at most PACKETS_MAX.
    """
    instruments = quotes["instrument"]
    wanted = modes[instruments]
    index = (tokens[instruments] & 0xFF) == 9
    parts = [
        _packets(quotes[chosen], tokens[instruments[chosen]], layout)
        for layout, chosen in (
            (_PRICE, wanted == PRICE),
            (_QUOTE, (wanted == QUOTE) & ~index),
            (_FULL, (wanted == FULL) & ~index),
            (_INDEX_QUOTE, (wanted == QUOTE) & index),
            (_INDEX_FULL, (wanted == FULL) & index),
        )
        if chosen.any()
    ]
    if not parts:
        return b""
    count = sum(len(part) for part in parts)
    return b"".join((count.to_bytes(2, "big"), *(part.tobytes() for part in parts)))


def joined(first: bytes, second: bytes) -> bytes:
    """Two frames as one that holds the packets of both; a heartbeat holds none."""
    if len(first) < 2 or len(second) < 2:
        return max(first, second, key=len)
    count = int.from_bytes(first[:2], "big") + int.from_bytes(second[:2], "big")
    return count.to_bytes(2, "big") + first[2:] + second[2:] if count <= PACKETS_MAX else second


def _packets(quotes: Records, tokens: npt.NDArray[np.uint32], layout: np.dtype[Any]) -> Records:
    packets = np.zeros(len(quotes), layout)
    packets["length"] = layout.itemsize - 2
    packets["token"] = tokens
    for name in layout.names or ():
        if name in ("length", "token", "depth", "change"):
            continue
        values = quotes[name]
        if name.startswith("ts_"):
            values = values // NANOSECONDS_PER_SECOND
        packets[name] = np.clip(values, 0, _I32_MAX if layout[name].kind == "i" else _U32_MAX)
    if "change" in (layout.names or ()):
        packets["change"] = np.clip(quotes["price_paise"] - quotes["previous_close_paise"], -_I32_MAX, _I32_MAX)
    if "depth" in (layout.names or ()):
        _fill_depth(packets["depth"], quotes)
    return packets


def _fill_depth(depth: Records, quotes: Records) -> None:
    """Five bids, then five asks."""
    for side, levels in (("bid", slice(0, DEPTH_LEVELS)), ("ask", slice(DEPTH_LEVELS, 2 * DEPTH_LEVELS))):
        depth["quantity"][:, levels] = np.clip(quotes[f"{side}_quantity"], 0, _U32_MAX)
        depth["price"][:, levels] = np.clip(quotes[f"{side}_paise"], 0, _I32_MAX)
        depth["orders"][:, levels] = np.clip(quotes[f"{side}_orders"], 0, _U16_MAX)
