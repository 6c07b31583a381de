"""What a session may name: the registered instruments and the logins this machine can find."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date

from services.gateway.adapters.logins import StoredLogins
from services.gateway.domain.start import StartCatalogue
from tradebus.store.book import Book
from tradebus.store.books import FeedsBook, feeds_book, instruments_book


def catalogue_from(
    book: Book, logins: StoredLogins, *, daily_max_loss_r: float | None = None, paced: bool = False
) -> Callable[[], Awaitable[StartCatalogue]]:
    """Loads it afresh for every START: instruments are registered while the gateway runs, and starts are rare."""

    master, feeds = instruments_book(book), feeds_book(book)

    async def load() -> StartCatalogue:
        instruments = await master.load()
        feed, day = await _feed_in_force(feeds)
        return StartCatalogue(
            instruments=instruments, reach=await asyncio.to_thread(logins.reach, feed),
            market_day=day, daily_max_loss_r=daily_max_loss_r, paced=paced,
        )  # fmt: skip

    return load


async def _feed_in_force(feeds: FeedsBook) -> tuple[str | None, date | None]:
    """A broker's name, "generated" or "history", and the day that its market is at, the first one of a recorded feed;
    None each where there is none."""
    row = await feeds.read()
    if row is None:
        return None, None
    day = row.spec.get("day") or row.spec.get("from")
    return row.spec.get("broker" if row.spec.get("feed") == "live" else "feed"), date.fromisoformat(
        day
    ) if day else None
