"""The right to fill one shard of the market-data streams: one process has it, another one stands by."""

import asyncio

import structlog

from tradebus.kernel.timers import Timers
from tradebus.store.book import Book
from tradebus.store.books.name_right import NameRight, name_right
from tradebus.waiting.timers import sleep

_STAND_BY_SECONDS = 1.0
_log = structlog.get_logger()


def shard_right(book: Book, *, namespace: str, shard: int = 0) -> NameRight:
    """In the book's own kind."""
    return name_right(
        book, f"market_data feed {shard}", namespace=namespace,
        lost="makes this the only feed; start market_data again",
    )  # fmt: skip


async def take_shard(right: NameRight, stop: asyncio.Event, *, timers: Timers) -> bool:
    """Waits until this process is the shard's only producer; False where `stop` was set instead."""
    waited = False
    while not stop.is_set():
        if await right.try_take():
            return True
        if not waited:
            _log.warning("another market_data feeds these streams: standing by")
        waited = True
        await sleep(timers, _STAND_BY_SECONDS, unless=stop)
    return False
