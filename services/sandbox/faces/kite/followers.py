"""Orders that follow others: the stop of a cover order, the next leg of an iceberg.

While somebody waits for an order's end, one task listens to that account's changes; it ends with the last wait.
"""

import asyncio
from collections.abc import Callable

import structlog

from services.sandbox.ports import FINAL, Exchange, Reading, Refusal, SandboxOrder

_log = structlog.get_logger()
AtEnd = Callable[[SandboxOrder], None]


class Followers:
    """Calls back once with every followed order when nothing more will happen to it; knows who belongs to whom."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._waiting: dict[str, dict[str, AtEnd]] = {}  # account: order: what to do
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._parents: dict[str, str] = {}
        self._notes: dict[str, dict[str, object]] = {}

    def parent(self, order_id: str) -> str | None:
        """The order that this one belongs to."""
        return self._parents.get(order_id)

    def belongs(self, order_id: str, *, parent: str) -> None:
        self._parents[order_id] = parent

    def meta(self, order_id: str) -> dict[str, object]:
        """What Kite's `meta` says of it."""
        return self._notes.get(order_id, {})

    def note(self, order_id: str, meta: dict[str, object]) -> None:
        self._notes[order_id] = meta

    def at_end(self, order: SandboxOrder, then: AtEnd) -> None:
        """`then` is called with the order as it ended, at once where it has ended already."""
        if order.status in FINAL:
            self._go_on(then, order)
            return
        self._waiting.setdefault(order.account, {})[order.order_id] = then
        task = self._tasks.get(order.account)
        if task is None or task.done():
            queue = self._exchange.listen_orders(order.account)
            self._tasks[order.account] = asyncio.create_task(self._follow(order.account, queue))

    async def _follow(self, account: str, queue: Reading[SandboxOrder]) -> None:
        waiting = self._waiting[account]
        try:
            while waiting:
                changed = await queue.get()
                if changed.status in FINAL and (then := waiting.pop(changed.order_id, None)) is not None:
                    self._go_on(then, changed)
        finally:
            self._exchange.unlisten(queue)

    def _go_on(self, then: AtEnd, ended: SandboxOrder) -> None:
        try:
            then(ended)
        except Refusal as refusal:  # the order before stands all the same; there is no request to answer
            _log.warning("sandbox kite: a following order was refused", after=ended.order_id, reason=refusal.text)
