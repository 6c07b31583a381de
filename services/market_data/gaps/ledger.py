"""The gap ledger: a row per gap in the book, open until history has filled it, with what is told of it."""

import asyncio
from collections.abc import Sequence

from services.market_data.books.gap_rows import GapRows
from services.market_data.gaps.gap import Gap
from tradebus.bus.port import Bus
from tradebus.contracts.base import Message
from tradebus.contracts.streams import MD_GAPS
from tradebus.kernel.timers import Timers
from tradebus.store.book import Book
from tradebus.store.outbox import Outbox


class GapLedger:
    """Invariant (tested on both books): what was put is told, in its order, in this life or in a later one."""

    def __init__(self, book: Book, rows: GapRows, bus: Bus, *, timers: Timers) -> None:
        self._book, self._rows, self._outbox = book, rows, Outbox(book, bus, timers=timers)
        self._putting = asyncio.Lock()

    async def put(self, gap: Gap | None, *messages: Message) -> None:
        """Writes the gap as it is now, and says `messages` on md.gaps.v1; both or neither."""
        async with self._putting:
            async with self._book.begin() as transaction:
                if gap is not None:
                    await self._rows.put(transaction, gap)
                for message in messages:
                    transaction.emit(MD_GAPS.name, message)
            await self._outbox.flush()

    async def unfilled(self) -> Sequence[Gap]:
        """Every gap that history has not filled, the oldest first. Says first what an earlier life had no time to
        say."""
        await self._outbox.sweep()
        return await self._rows.unfilled()
