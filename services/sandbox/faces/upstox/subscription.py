"""One connection to the market feed: what it wants, how much it may want, and the frames that wait for it."""

import asyncio
from collections import deque

import numpy as np
import numpy.typing as npt

from services.sandbox.faces.upstox.feed_wire import StreamMode

_BYTES_HELD_MAX = 16 * 1024 * 1024  # beyond it the oldest frames are dropped, but never the newest
# Keys per connection: alone, and where it has keys in several modes (BROKERS 3.3).
_KEYS_MAX = {
    StreamMode.LTPC: (5000, 2000),
    StreamMode.OPTION_GREEKS: (3000, 2000),
    StreamMode.FULL: (2000, 1500),
    StreamMode.FULL_D30: (50, 50),
}
NONE = -1


class TooManyKeys(Exception):
    """More keys than a connection may have."""


class FeedSubscriber:
    """One connection: what it wants, and the frames that wait for it."""

    def __init__(self, account: str, instruments: int) -> None:
        self.account = account
        self.modes = np.full(instruments, NONE, np.int8)
        self.rows: dict[StreamMode, npt.NDArray[np.int64]] = {}
        self.signature = b""
        self.frames: deque[bytes] = deque()
        self._held_bytes = 0
        self.waiting = asyncio.Event()
        self.ended = False

    def push(self, frame: bytes) -> None:
        self.frames.append(frame)
        self._held_bytes += len(frame)
        while self._held_bytes > _BYTES_HELD_MAX and len(self.frames) > 1:
            self._held_bytes -= len(self.frames.popleft())
        self.waiting.set()

    async def next_frame(self) -> bytes | None:
        """None where the connection has to end."""
        while not self.frames and not self.ended:
            self.waiting.clear()
            await self.waiting.wait()
        if self.ended:
            return None
        frame = self.frames.popleft()
        self._held_bytes -= len(frame)
        return frame

    def end(self) -> None:
        """Another connection of the user takes its place."""
        self.ended = True
        self.waiting.set()

    def set(self, rows: npt.NDArray[np.int64], mode: StreamMode) -> None:
        """Raises TooManyKeys, changing nothing."""
        following = self.modes.copy()
        following[rows] = mode.value
        counts = {kind: int(np.count_nonzero(following == kind.value)) for kind in StreamMode}
        mixed = sum(count > 0 for count in counts.values()) > 1
        for kind, count in counts.items():
            most = _KEYS_MAX[kind][mixed]
            if count > most:
                raise TooManyKeys(f"{count} keys in this mode; a connection may have {most}")
        self._take(following)

    def clear(self, rows: npt.NDArray[np.int64]) -> None:
        following = self.modes.copy()
        following[rows] = NONE
        self._take(following)

    def _take(self, following: npt.NDArray[np.int8]) -> None:
        self.modes = following
        rows = ((mode, np.flatnonzero(following == mode.value)) for mode in StreamMode)
        self.rows = {mode: found for mode, found in rows if len(found)}
        self.signature = following.tobytes() if (following != NONE).any() else b""
