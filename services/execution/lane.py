"""A lane: entries handled one after the other, with what of them is done and what must still wait.

Free-running, intents have a lane of their own, so that an order never waits for the reading or acknowledging of ticks.
Paced, one lane carries everything in the merged order.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tradebus.bus.port import Entry, Outgoing, Subscription
from tradebus.store.outbox import Outbox

_BLOCK_MS = 1000


class Lane:
    """One subscription and its acknowledgements. `read` gives the entries to handle next."""

    def __init__(
        self, subscription: Subscription, outbox: Outbox, read: Callable[[int], Awaitable[list[Entry]]] | None = None
    ) -> None:
        self.subscription = subscription
        self._outbox = outbox
        self._read = read
        self.done: list[Entry] = []  # handled, to be acknowledged
        self._waiting: asyncio.Task[object] | None = None  # in a read
        self._interrupted = False
        self.held: list[Entry] = []  # ticks whose effect on extremes is not stored yet

    async def next(self, stop: asyncio.Event) -> list[Entry]:
        """Entries to handle, or nothing where the service is told to stop first: a read given up loses nothing."""
        if stop.is_set():
            return []
        self._waiting = asyncio.current_task()
        try:
            return await (self._read(_BLOCK_MS) if self._read else self.subscription.read(block_ms=_BLOCK_MS))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._interrupted or (task is not None and task.uncancel() > 0):
                raise  # not (only) `interrupt`: the service is torn down
            return []
        finally:
            self._waiting, self._interrupted = None, False

    def interrupt(self) -> None:
        """Ends the wait for entries now. (A second task per read that waits for the stop would slow every order.)"""
        if self._waiting is not None and not self._interrupted:
            self._interrupted = True
            self._waiting.cancel()

    def hold(self, entry: Entry) -> None:
        """Acknowledged with the next that is stored."""
        self.held.append(entry)

    def store_held(self) -> None:
        """What was held is stored now."""
        self.done += self.held
        self.held.clear()

    async def acknowledge(self, then: Sequence[Outgoing] = ()) -> None:
        """Publishes what is committed and `then`, then acknowledges what is done."""
        entries, self.done = self.done, []
        try:
            await self._outbox.flush(then=then, ack=(self.subscription, entries))
        except BaseException:
            self.done = entries + self.done  # with the next
            raise
