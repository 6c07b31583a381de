"""Slices onto the bus and into the book of record."""

from collections.abc import Sequence

from services.market_data.candles.plan import SlicePlan
from tradebus.bus.port import Bus, Outgoing
from tradebus.contracts.records import Records
from tradebus.contracts.streams import MD_CANDLES, MD_QUOTES, MD_TICKS, key_of
from tradebus.kernel.clock import Clock
from tradebus.store.book import Book
from tradebus.store.books import candles_book

TICKS = key_of(MD_TICKS)
QUOTES = key_of(MD_QUOTES)
CANDLES = key_of(MD_CANDLES)
END_OF_FEED = "end_of_feed"


class BusSink:
    """See `services.market_data.feeds.ports.SliceSink`.

    `received` is the clock that stamps ticks as they leave, None where a tick is received at its event time (paced: the
    stream's bytes must not depend on the wall clock).
    """

    def __init__(self, bus: Bus, book: Book, *, received: Clock | None, keep_empty: bool) -> None:
        self._bus, self._candles = bus, candles_book(book)
        self._received = received
        self._keep_empty = keep_empty

    async def publish(self, piece: SlicePlan, *, also: Sequence[Outgoing] = ()) -> None:
        """`also` goes out with it, all or nothing."""
        entries = outgoing(self._stamped(piece.ticks), piece)
        if not self._keep_empty:
            entries = [entry for entry in entries if entry.body]
        if entries or also:
            await self._bus.publish([*entries, *also])

    async def store(self, piece: SlicePlan) -> None:
        await self._candles.upsert(piece.minutes)

    async def mark(self, start_ns: int, end_ns: int, *, also: Sequence[Outgoing] = ()) -> None:
        """Says that time has passed without a tick: deadlines are kept in a market that is quiet."""
        empty = Outgoing(TICKS, "ticks", b"", watermark_ns=end_ns - 1, slice_start_ns=start_ns)
        await self._bus.publish([empty, *also])

    def _stamped(self, ticks: Records) -> Records:
        if self._received is None or not len(ticks):
            return ticks
        stamped = ticks.copy()
        stamped["ts_received_ns"] = self._received.now_ns()
        return stamped


def outgoing(ticks: Records, piece: SlicePlan) -> list[Outgoing]:
    """The two entries of a slice. Ticks promise all before its end; candles all that close at its end or before."""
    return [
        Outgoing(TICKS, "ticks", ticks.tobytes(), watermark_ns=piece.end_ns - 1, slice_start_ns=piece.start_ns),
        Outgoing(CANDLES, "candles", piece.candles.tobytes(), watermark_ns=piece.end_ns, slice_start_ns=piece.start_ns),
    ]
