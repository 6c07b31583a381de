"""Keeps an account's standing orders moving: one listener per account that has some, for as long as it has."""

import asyncio

from services.sandbox.faces.upstox.gtt_book import GttBook
from services.sandbox.ports import Exchange


class GttWatch:
    """Tasks on the running loop."""

    def __init__(self, exchange: Exchange, book: GttBook) -> None:
        self._exchange, self._book = exchange, book
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def ensure(self, account: str) -> None:
        """Listens to the account from now on, if it does not yet."""
        task = self._tasks.get(account)
        if (task is None or task.done()) and self._book.active(account):
            self._tasks[account] = asyncio.create_task(self._watch(account), name=f"upstox gtt {account}")

    async def _watch(self, account: str) -> None:
        queue = self._exchange.listen_orders(account)
        try:
            self._book.advance(account)
            while self._book.active(account):
                await queue.get()
                self._book.advance(account)
        finally:
            self._exchange.unlisten(queue)
