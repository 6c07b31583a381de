"""One market-feed connection: what it wants, and what waits to be sent to it.

The hub offers a batch to every connection; a connection picks its rows out of the packets that the batch has encoded
once for all. One packet is one message, unless the STACKED fault runs them together.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from enum import IntFlag
from functools import cached_property

import numpy as np

from services.sandbox.faces.dhan.packets import Encoder, FeedCodes, disconnect
from services.sandbox.ports import SandboxInstrument, Token
from tradebus.contracts.records import QUOTE_HAS_OPEN_INTEREST, Records

INSTRUMENTS_MAX = 5_000
MESSAGE_INSTRUMENTS_MAX = 100
_WAITING_MAX = 100_000  # packets; a reader slower than that loses the oldest


class StreamMode(IntFlag):
    """What an instrument is subscribed to; a client may have several at once."""

    TICKER = 1
    QUOTE = 2
    FULL = 4


SUBSCRIBE = {15: StreamMode.TICKER, 17: StreamMode.QUOTE, 21: StreamMode.FULL}
UNSUBSCRIBE = {16: StreamMode.TICKER, 18: StreamMode.QUOTE, 22: StreamMode.FULL}


class Batch:
    """QUOTE records with their packets, each kind made when somebody wants it and then shared."""

    def __init__(self, quotes: Records, encoder: Encoder, directory: FeedCodes) -> None:
        self.quotes, self._encoder = quotes, encoder
        self.instruments = quotes["instrument"]
        told = (quotes["fields"] & QUOTE_HAS_OPEN_INTEREST) != 0
        self.has_interest = told & directory.derivative[self.instruments]

    @cached_property
    def ticker(self) -> Records:
        return self._encoder.ticker(self.quotes)

    @cached_property
    def quote(self) -> Records:
        return self._encoder.quote(self.quotes)

    @cached_property
    def full(self) -> Records:
        return self._encoder.full(self.quotes)

    @cached_property
    def open_interest(self) -> Records:
        return self._encoder.open_interest(self.quotes)

    @cached_property
    def previous_close(self) -> Records:
        return self._encoder.previous_close(self.quotes)


class FeedSubscriber:
    """`modes` has one bit set per instrument of the listing, shape [instruments]."""

    def __init__(self, token: Token, instruments: int) -> None:
        self.token = token
        self.modes = np.zeros(instruments, np.uint8)
        self._interest = np.full(instruments, -1, np.int64)  # the last told in quote mode
        self._waiting: deque[bytes] = deque(maxlen=_WAITING_MAX)
        self.changed = asyncio.Event()
        self.ended = False

    def add(self, instruments: Iterable[SandboxInstrument], mode: StreamMode) -> bool:
        """False where the connection would have too many."""
        places = [each.index for each in instruments]
        taken = self.modes.copy()
        taken[places] |= np.uint8(mode)
        if np.count_nonzero(taken) > INSTRUMENTS_MAX:
            return False
        self.modes = taken
        return True

    def remove(self, instruments: Iterable[SandboxInstrument], mode: StreamMode) -> None:
        for each in instruments:
            self.modes[each.index] &= ~np.uint8(mode)

    def moved(self, order: "np.ndarray[tuple[int], np.dtype[np.int64]]", instruments: int) -> None:
        """The listing is another: `order[new] = old` place of an instrument, -1 where it is new."""
        modes = np.zeros(instruments, np.uint8)
        kept = order >= 0
        modes[kept] = self.modes[order[kept]]
        self.modes, self._interest = modes, np.full(instruments, -1, np.int64)

    def offer(self, batch: Batch) -> None:
        """Puts what the connection wants of the batch into its line."""
        bits = self.modes[batch.instruments]
        if not bits.any():
            return
        self._put(batch.ticker, bits & np.uint8(StreamMode.TICKER))
        self._put(batch.quote, bits & np.uint8(StreamMode.QUOTE))
        self._offer_interest(batch, bits)
        self._put(batch.full, bits & np.uint8(StreamMode.FULL))
        self.changed.set()

    def snapshot(self, batch: Batch) -> None:
        """What a subscription brings at once: the previous close of each instrument, then its packets."""
        self._put(batch.previous_close, np.ones(len(batch.instruments), np.uint8))
        self._interest[batch.instruments] = -1
        self.offer(batch)

    def say(self, packet: bytes) -> None:
        self._waiting.append(packet)
        self.changed.set()

    def end(self, reason: int) -> None:
        """Says why and closes after what waits already."""
        if not self.ended:
            self.ended = True
            self.say(disconnect(reason))

    def take(self) -> list[bytes]:
        """All that waits, oldest first."""
        self.changed.clear()
        packets = list(self._waiting)
        self._waiting.clear()
        return packets

    def _offer_interest(self, batch: Batch, bits: "np.ndarray[tuple[int], np.dtype[np.uint8]]") -> None:
        """Open interest has its own packet in quote mode, when it changed."""
        wanted = (bits & np.uint8(StreamMode.QUOTE) != 0) & batch.has_interest
        if not wanted.any():
            return
        wanted &= self._interest[batch.instruments] != batch.quotes["open_interest"]
        self._interest[batch.instruments[wanted]] = batch.quotes["open_interest"][wanted]
        self._put(batch.open_interest, wanted)

    def _put(self, packets: Records, wanted: "np.ndarray[tuple[int], np.dtype[np.uint8]]") -> None:
        rows = np.flatnonzero(wanted)
        if len(rows) == 0:
            return
        body, size = packets[rows].tobytes(), packets.dtype.itemsize
        self._waiting.extend(body[at : at + size] for at in range(0, len(body), size))
