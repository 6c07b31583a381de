"""Upstox V3 market frames (BROKERS 3.3) to QUOTE records: protobuf read by a compiled walk, no message objects.

    frame ─► walk (one compiled pass: raw row per known key) ─► write_quotes (paise, nanoseconds) ─► QUOTE [feeds]

Invariants (property-tested against the official classes): a frame that they accept gives the same numbers; a frame that
they refuse gives nothing at all; nothing makes `decode` raise. Event time is the last trade's, and for a feed
without one the frame's. Depth keeps the best five levels.
"""

from collections.abc import Mapping

import numpy as np

from tradebus.brokers.feed import Decoded, FeedEvent, FeedEventKind
from tradebus.brokers.upstox._row_kernel import RAW, write_quotes
from tradebus.brokers.upstox._wire_kernel import FIGURES, RAW_SLOTS, SLOTS, build_table, walk
from tradebus.contracts.records import QUOTE, Records

MARKET_STATUSES = ("PRE_OPEN_START", "PRE_OPEN_END", "NORMAL_OPEN", "NORMAL_CLOSE", "CLOSING_START", "CLOSING_END")
_STATUSES_MAX = 256
_BLOCK_ROWS = 256
_NOTHING: Records = np.zeros(0, QUOTE)
_NOTHING.setflags(write=False)


class UpstoxDecoder:
    """Knows the instruments by their Upstox keys; feeds of other keys are skipped and counted."""

    def __init__(self, instruments: Mapping[str, int] | None = None) -> None:
        self._slots = np.zeros(SLOTS, np.int64)
        self._figures = np.zeros(FIGURES, np.int64)
        self._statuses = np.zeros((_STATUSES_MAX, 3), np.int64)
        self._block, self._used = _NOTHING, 0
        self.know(instruments or {})

    def know(self, instruments: Mapping[str, int]) -> None:
        """Replaces the known instruments: small integer id by Upstox key ("NSE_FO|50978")."""
        encoded = [key.encode() for key in instruments]
        self._keys = np.frombuffer(b"".join(encoded) or b"\0", np.uint8)
        self._starts = np.concatenate([[0], np.cumsum([len(key) for key in encoded], dtype=np.int64)]).astype(np.int64)
        self._instruments = np.array(list(instruments.values()), np.int64)
        self._table = np.empty(1 << (2 * len(encoded) + 1).bit_length(), np.int64)
        build_table(self._table, self._keys, self._starts)
        self._seen = np.zeros(len(encoded), np.int64)
        self._raw = np.zeros((len(encoded), RAW_SLOTS), np.int64)
        self._records = self._raw.view(RAW).reshape(-1)

    def decode(self, frame: bytes, *, received_ns: int) -> Decoded:
        """QUOTE records of the known instruments, one each; the segments' market status as an event."""
        figures = self._figures
        rows = walk(
            np.frombuffer(frame, np.uint8), self._slots, self._table, self._keys, self._starts, self._seen, self._raw,
            self._statuses, figures,
        )  # fmt: skip
        if rows < 0:
            return Decoded(_NOTHING, skipped=1)
        skipped, statuses, frame_ms = figures.tolist()
        events = self._market_statuses(frame, statuses) if statuses else ()
        if rows == 0:
            return Decoded(_NOTHING, events, skipped)
        quotes = self._room(rows)
        write_quotes(self._records, quotes, self._instruments, frame_ms, received_ns)
        return Decoded(quotes, events, skipped)

    def _room(self, rows: int) -> Records:
        """Records that nobody has: a part of a larger block, which costs less than an array of its own."""
        if self._used + rows > len(self._block):
            self._block, self._used = np.empty(max(_BLOCK_ROWS, rows), QUOTE), 0
        room = self._block[self._used : self._used + rows]
        self._used += rows
        return room

    def _market_statuses(self, frame: bytes, count: int) -> tuple[FeedEvent, ...]:
        words = {}
        for start, size, code in self._statuses[:count].tolist():
            name = int(np.int64(code).astype(np.int32))  # an enum is 32 bits wide
            known = 0 <= name < len(MARKET_STATUSES)
            words[frame[start : start + size].decode()] = MARKET_STATUSES[name] if known else f"status {name}"
        text = ", ".join(f"{segment} {word}" for segment, word in sorted(words.items()))
        return (FeedEvent(FeedEventKind.MARKET_STATUS, text),)
