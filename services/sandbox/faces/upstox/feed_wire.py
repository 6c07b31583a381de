"""Frames of the market feed: quotes in, protobuf out (FeedResponse of Upstox V3), by a compiled kernel.

    quotes [n] ─► encode(mode) ─► Entries: one map entry per quote, side by side ─► frame(of those somebody wants)

Invariant (tested against the official classes): what a frame decodes to is what the quotes say, in rupees, milliseconds
and units; absent and zero are the same on this wire.
"""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from services.sandbox.faces.upstox import _feed_kernel as kernel
from services.sandbox.faces.upstox.market_state import FEED_SEGMENTS, status_at
from services.sandbox.faces.upstox.words import milliseconds
from services.sandbox.ports import Exchange
from tradebus.contracts.instrument_key import Segment
from tradebus.contracts.records import Records
from tradebus.kernel.time import ist_midnight_ns


class StreamMode(IntEnum):
    """How much of an instrument is sent; the values are the wire's."""

    LTPC = kernel.LTPC
    FULL = kernel.FULL
    OPTION_GREEKS = kernel.OPTION_GREEKS
    FULL_D30 = kernel.FULL_D30


MODES = {
    "ltpc": StreamMode.LTPC,
    "full": StreamMode.FULL,
    "option_greeks": StreamMode.OPTION_GREEKS,
    "full_d30": StreamMode.FULL_D30,
}
_LIVE = b"\x08\x01"
_MARKET_INFO = b"\x08\x02"
_STATUSES = (
    "PRE_OPEN_START", "PRE_OPEN_END", "NORMAL_OPEN", "NORMAL_CLOSE", "CLOSING_START", "CLOSING_END"
)  # fmt: skip
_FEW = 100
_GREEKS_AGE_NS = 5_000_000_000
_GREEKS_RENEWED_MAX = 64  # per batch: each costs as much as a hundred feeds


class Entries:
    """Encoded feeds of one mode: entry `i` is of the `i`th quote; they lie side by side."""

    def __init__(self, body: memoryview, starts: npt.NDArray[np.int64]) -> None:
        self._body, self._starts = body, starts
        self._bounds: list[int] = []  # the same as a list, made when few are asked for

    @property
    def all(self) -> list[memoryview]:
        """Every entry, in one piece."""
        return [self._body[int(self._starts[0]) : int(self._starts[-1])]]

    def of(self, places: npt.NDArray[np.int64]) -> list[memoryview]:
        """The entries at these places, in any order; of many, neighbours as one piece."""
        if len(places) == len(self._starts) - 1:
            return self.all
        if len(places) <= _FEW:
            bounds = self._bounds = self._bounds or self._starts.tolist()
            return [self._body[bounds[place] : bounds[place + 1]] for place in places.tolist()]
        places = np.sort(places)
        breaks = np.flatnonzero(np.diff(places) != 1)
        first = places[np.concatenate(([0], breaks + 1))]
        last = places[np.concatenate((breaks, [len(places) - 1]))]
        edges = zip(self._starts[first].tolist(), self._starts[last + 1].tolist(), strict=True)
        return [self._body[begin:end] for begin, end in edges]


class FeedWire:
    """One exchange's instruments as the kernel wants them, the minute under way and the greeks of its options."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        instruments = exchange.instruments
        encoded = [item.upstox_key.encode() for item in instruments]
        self._keys = np.frombuffer(b"".join(encoded) or b"\0", np.uint8)
        self._key_starts = np.concatenate(([0], np.cumsum([len(key) for key in encoded]))).astype(np.int64)
        self._key_size_max = max(map(len, encoded), default=0)
        self._shapes = np.array([item.key.segment is Segment.INDEX for item in instruments], np.int64)
        self._ticks_paise = np.array([item.tick_size_paise for item in instruments], np.int64)
        self._lots = np.array([item.lot_size for item in instruments], np.int64)
        self._options = np.array([item.key.is_option for item in instruments], np.bool_)
        self._minutes = np.zeros((len(instruments), kernel.MINUTE_COLUMNS), np.int64)
        self._minutes[:, kernel.VOLUME] = exchange.quotes["volume_cumulative"][: len(instruments)]
        self._greeks = np.zeros((len(instruments), 5), np.float64)
        self._greeks_ns = np.zeros(len(instruments), np.int64)
        self._cell = np.zeros(1, np.float64)
        self._bits = self._cell.view(np.uint64)

    def follow(self, quotes: Records) -> None:
        """Carries the minutes on; to be called once per batch, before it is encoded."""
        kernel.follow_minutes(quotes, self._minutes)

    def encode(self, quotes: Records, mode: StreamMode) -> Entries:
        """One entry per quote. Raises ValueError for a quote of an instrument that was not listed at the start."""
        instruments = quotes["instrument"].astype(np.int64)
        if mode is not StreamMode.LTPC:
            self._refresh_greeks(instruments)
        out = np.empty((len(quotes) + 1) * (kernel.FEED_BYTES_MAX + self._key_size_max), np.uint8)
        starts = np.empty(len(quotes) + 1, np.int64)
        day_ms = milliseconds(ist_midnight_ns(self._exchange.now_ns))
        at = kernel.encode_feeds(
            np.ascontiguousarray(quotes), mode.value, self._shapes, self._keys, self._key_starts, self._minutes,
            self._greeks, self._ticks_paise, self._lots, day_ms, out, starts, self._cell, self._bits,
        )  # fmt: skip
        if at < 0:
            raise ValueError("a quote names an instrument that the feed does not know")
        return Entries(out.data, starts)

    def _refresh_greeks(self, instruments: npt.NDArray[np.int64]) -> None:
        """All that were never asked for, and the oldest of those that are more than some seconds of market time old."""
        now_ns, made_ns = self._exchange.now_ns, self._greeks_ns
        options = instruments[self._options[instruments]]
        new = np.unique(options[made_ns[options] == 0])
        old = np.unique(options[(made_ns[options] > 0) & (made_ns[options] + _GREEKS_AGE_NS <= now_ns)])
        oldest = old[np.argsort(made_ns[old])][:_GREEKS_RENEWED_MAX]
        for row in (*new.tolist(), *oldest.tolist()):
            found = self._exchange.greeks(row)
            made_ns[row] = now_ns
            if found is not None:
                self._greeks[row] = (found.delta, found.theta, found.gamma, found.vega, found.implied_volatility)


def feed_frame(pieces: Sequence[memoryview | bytes], *, now_ms: int, live: bool) -> bytes:
    """A live_feed frame, or the initial_feed one."""
    return b"".join((_LIVE if live else b"", *pieces, b"\x18", varint(now_ms)))


def market_info_frame(now_ns: int) -> bytes:
    """The state of every segment."""
    info = b""
    for segment, market_class in FEED_SEGMENTS.items():
        value = _STATUSES.index(status_at(now_ns, market_class))
        info += _part(1, _part(1, segment.encode()) + b"\x10" + varint(value))
    return _MARKET_INFO + b"\x18" + varint(milliseconds(now_ns)) + _part(4, info)


def market_states(now_ns: int) -> tuple[str, ...]:
    """What `market_info_frame` would tell."""
    return tuple(status_at(now_ns, market_class) for market_class in FEED_SEGMENTS.values())


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _part(field: int, content: bytes) -> bytes:
    return bytes((field << 3 | 2,)) + varint(len(content)) + content
