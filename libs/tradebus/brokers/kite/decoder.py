"""Kite ticker frames (BROKERS 3.1) to QUOTE records.

    frame    u16 packets, then that many times: u16 length, packet; big-endian; one byte alone is a heartbeat
    packet   token u32, price u32, and by length: 8 ltp · 28, 32 index · 44 quote · 184 full with five levels of depth

A token is an exchange's number times 256 plus its segment. Prices are paise in the segments tradebus knows; other
segments (currencies, commodities) divide otherwise and are not subscribed. Times are UTC seconds.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tradebus.brokers.feed import Decoded, FeedEvent, FeedEventKind
from tradebus.contracts.records import QUOTE, Records
from tradebus.kernel.errors import InvalidInput

SEGMENTS = {1: "NSE", 2: "NFO", 4: "BSE", 5: "BFO", 9: "INDICES"}  # the low byte of a token
TOKEN_MAX = 2**32 - 1
NO_QUOTES: Records = np.zeros(0, QUOTE)
_PACKET_BYTES_MIN = 2 + 8
_SKIPPED_SHIFT, _WRITTEN = 32, 0xFFFF_FFFF  # how the kernels return two counts as one number
_NOTHING = Decoded(NO_QUOTES)


class KiteDecoder:
    """Frames of one connection. Knows which instrument each token stands for; packets of other tokens are skipped."""

    def __init__(self, instruments: Mapping[int, int] | None = None) -> None:
        """`instruments` maps a token to the small integer instrument. Raises InvalidInput for a token of a segment
        whose prices are not in paise."""
        # Only who reads frames pays for loading compiled code.
        from tradebus.brokers.kite._frame_kernel import read_frame, read_frames

        self._read_frame, self._read_frames = read_frame, read_frames
        self.follow(instruments or {})

    def follow(self, instruments: Mapping[int, int]) -> None:
        """Replaces what is subscribed."""
        for token in instruments:
            if not 0 < token <= TOKEN_MAX or token & 0xFF not in SEGMENTS:
                raise InvalidInput(f"instrument_token: {token} is in no segment of {', '.join(SEGMENTS.values())}")
        self._table = _table(instruments)

    def decode(self, frame: bytes | str, *, received_ns: int) -> Decoded:
        """One frame. A text frame gives events only; order updates in it are for KiteOrderUpdates."""
        if isinstance(frame, str):
            event = _event(frame)
            return Decoded(NO_QUOTES, (event,)) if event is not None else _NOTHING
        if len(frame) < 2:  # a heartbeat
            return _NOTHING
        quotes: Records = np.empty(_room(frame), QUOTE)
        counts = self._read_frame(np.frombuffer(frame, np.uint8), self._table, received_ns, quotes)
        written = counts & _WRITTEN
        return Decoded(quotes[:written] if written < len(quotes) else quotes, skipped=counts >> _SKIPPED_SHIFT)

    def decode_all(self, frames: Sequence[bytes | str], *, received_ns: int) -> Decoded:
        """All that has arrived since the last turn as one batch, in one compiled call."""
        if len(frames) == 1:
            return self.decode(frames[0], received_ns=received_ns)
        events = [event for frame in frames if isinstance(frame, str) if (event := _event(frame)) is not None]
        bodies = [frame for frame in frames if isinstance(frame, bytes) and len(frame) >= 2]
        quotes: Records = np.empty(sum(_room(body) for body in bodies), QUOTE)
        counts = 0
        if bodies:
            ends = np.cumsum([len(body) for body in bodies], dtype=np.int64)
            body = np.frombuffer(b"".join(bodies), np.uint8)
            counts = self._read_frames(body, ends, self._table, received_ns, quotes)
        return Decoded(quotes[: counts & _WRITTEN], tuple(events), counts >> _SKIPPED_SHIFT)


def message(text: str) -> tuple[str, object]:
    """A text frame's type and data; ("", None) where it is not what Kite documents. Never raises."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return "", None
    if not isinstance(parsed, dict) or not isinstance(parsed.get("type"), str):
        return "", None
    return parsed["type"], parsed.get("data")


def _room(frame: bytes) -> int:
    """How many records a frame can hold: as many packets as it announces, and no more than have room in it."""
    return min(int.from_bytes(frame[:2], "big"), (len(frame) - 2) // _PACKET_BYTES_MIN)


def _event(text: str) -> FeedEvent | None:
    kind, data = message(text)
    if kind == "error":
        return FeedEvent(FeedEventKind.NOTICE, f"error: {data}"[:300])
    if kind == "message":
        return FeedEvent(FeedEventKind.NOTICE, str(data)[:300])
    return None


def _table(instruments: Mapping[int, int]) -> npt.NDArray[np.int64]:
    """Open addressing, at most a quarter full: rows of (token, instrument), the token -1 where there is none."""
    from tradebus.brokers.kite._frame_kernel import HASH_FACTOR

    rows = 8
    while rows < 4 * len(instruments):
        rows *= 2
    table = np.full((rows, 2), -1, np.int64)
    for token, instrument in instruments.items():
        row = ((token * HASH_FACTOR) >> 8) & (rows - 1)
        while table[row, 0] >= 0:
            row = (row + 1) & (rows - 1)
        table[row] = token, instrument
    return table
