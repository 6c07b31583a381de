"""One process per name: two of one instance would take each other's entries, trades and publications.

take (once, before anything is read) ─► service runs ║ kept: taken again where the book closed the connection
"""

import asyncio

import structlog

from tradebus.kernel.errors import Unavailable
from tradebus.kernel.timers import Timers
from tradebus.runtime.patience import PASSING
from tradebus.store.book import Book
from tradebus.store.books.name_right import name_right
from tradebus.waiting.timers import sleep

# So long a life that has just been killed may still have a connection that the server has not missed.
_PATIENCE_SECONDS = 5.0
_AGAIN_SECONDS, _LOOK_SECONDS = 0.2, 1.0
_log = structlog.get_logger()


class InstanceRight:
    """The right of this process to be `service`'s `instance` in a namespace. A component of the service shell."""

    def __init__(self, book: Book, service: str, *, instance: str, namespace: str, timers: Timers) -> None:
        self._service, self._instance, self._timers = service, instance, timers
        self._right = name_right(
            book, f"instance {service} {instance}", namespace=namespace, lost="makes this the only one of its name"
        )

    async def take(self) -> None:
        """Returns once it is this process's. Raises Unavailable where another one has it and keeps it, and what the
        book's absence raises."""
        give_up_ns = self._timers.monotonic_ns() + int(_PATIENCE_SECONDS * 1e9)
        while not await self._right.try_take():
            if self._timers.monotonic_ns() >= give_up_ns:
                await self._right.release()
                raise Unavailable(
                    f"another {self._service} runs as instance {self._instance!r} in this namespace; end it, or give "
                    "each a TRADEBUS_INSTANCE of its own"
                )
            await sleep(self._timers, _AGAIN_SECONDS)

    async def run(self, stop: asyncio.Event) -> None:
        """Keeps it until `stop`. Raises Unavailable where another process has taken it while the book was away."""
        while not await sleep(self._timers, _LOOK_SECONDS, unless=stop):
            await self._keep()

    async def release(self) -> None:
        """All that this process does is done: another may begin."""
        try:
            await self._right.release()
        except PASSING as error:  # then nobody has it
            _log.info("the right to the name went with the book", problem=str(error))

    async def _keep(self) -> None:
        try:
            self._right.require_taken()
        except Unavailable as lost:
            _log.warning("taking the right to the name again", problem=str(lost))
        else:
            return
        try:
            await self._right.release()
            is_ours = await self._right.try_take()
        except PASSING as error:
            _log.warning("the right to the name cannot be had yet", problem=str(error))
            return
        if not is_ours:
            await self.take()
