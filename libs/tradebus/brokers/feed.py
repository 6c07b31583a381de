"""Live market data and order updates: what every broker's socket looks like from inside.

    socket frames ─► FrameDecoder (pure, one compiled or vectorised step) ─► QUOTE batches ─► MarketFeed.batches()

A feed is judged by its data, never by its socket: `batches()` yields a `FeedEvent` when a connection came or went, and
the one who consumes it watches the age of the last tick. Order updates are hints; the order book is the truth, so every
(re)connect is announced and whoever follows orders reconciles then.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.records import Records
from tradebus.trading.orders import BrokerOrder


class FeedMode(StrEnum):
    """How much the broker sends of an instrument: price only, quote without depth, everything. What makes ticks of
    trades alone needs FULL: Kite's other packets tell no trade's time."""

    PRICE = "PRICE"
    QUOTE = "QUOTE"
    FULL = "FULL"


class FeedEventKind(StrEnum):
    CONNECTED = "CONNECTED"
    DISCONNECTED = "DISCONNECTED"
    REFUSED = "REFUSED"  # the broker says that this token or subscription will never do: 401, 403, code 807 …
    NOTICE = "NOTICE"  # a word from the broker to its customer
    MARKET_STATUS = "MARKET_STATUS"


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """What a socket had to say besides data. `text` never holds a token."""

    kind: FeedEventKind
    text: str = ""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One frame. `quotes` is a QUOTE array, possibly empty; `skipped` counts packets nobody can read or asked for."""

    quotes: Records
    events: tuple[FeedEvent, ...] = ()
    skipped: int = 0


class FrameDecoder(Protocol):
    """Frames of one broker's market socket. Invariant (fuzzed): no frame, however broken, makes it raise, and a packet
    that is cut short gives nothing rather than something wrong."""

    def decode(self, frame: bytes, *, received_ns: int) -> Decoded: ...


class MarketFeed(Protocol):
    """One broker's live market data. Reconnects by itself (backoff with jitter) and subscribes again."""

    async def subscribe(self, instruments: Mapping[int, ListedInstrument], mode: FeedMode) -> None:
        """Adds instruments, by their small integer id. May be called before and while `batches` runs.

        Raises InvalidInput where the broker has no such instrument or its connection limits are exceeded.
        """

    async def unsubscribe(self, instruments: Sequence[int]) -> None: ...

    def batches(self) -> AsyncIterator[Records | FeedEvent]:
        """QUOTE batches (whatever has arrived since the last turn, as one) and events, until the feed is closed."""

    async def close(self) -> None: ...


class OrderUpdates(Protocol):
    """One account's order stream. A FeedEvent CONNECTED means: reconcile with the book now, updates may be missing."""

    def updates(self) -> AsyncIterator[BrokerOrder | FeedEvent]: ...

    async def close(self) -> None: ...
