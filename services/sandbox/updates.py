"""Who listens to what. A reader too slow for it loses the oldest, never the newest."""

import asyncio
from typing import Any

from services.sandbox.ports import Reading, SandboxOrder
from tradebus.contracts.records import Records

_ORDERS_MAX = 20_000
_BATCHES_MAX = 64


class Updates:
    """Queues of readers on the event loop's thread."""

    def __init__(self) -> None:
        self._orders: dict[str, list[asyncio.Queue[SandboxOrder]]] = {}
        self._quotes: list[asyncio.Queue[Records]] = []

    @property
    def quotes_wanted(self) -> bool:
        return bool(self._quotes)

    def listen_orders(self, account: str) -> Reading[SandboxOrder]:
        queue: asyncio.Queue[SandboxOrder] = asyncio.Queue(_ORDERS_MAX)
        self._orders.setdefault(account, []).append(queue)
        return queue

    def listen_quotes(self) -> Reading[Records]:
        queue: asyncio.Queue[Records] = asyncio.Queue(_BATCHES_MAX)
        self._quotes.append(queue)
        return queue

    def unlisten(self, queue: Reading[SandboxOrder] | Reading[Records]) -> None:
        self._quotes = [one for one in self._quotes if one is not queue]
        for account, queues in list(self._orders.items()):
            self._orders[account] = [one for one in queues if one is not queue]
            if not self._orders[account]:
                del self._orders[account]

    def order_changed(self, order: SandboxOrder) -> None:
        for queue in self._orders.get(order.account, ()):
            _put(queue, order)

    def quotes_changed(self, batch: Records) -> None:
        for queue in self._quotes:
            _put(queue, batch)


def _put(queue: "asyncio.Queue[Any]", item: object) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(item)
