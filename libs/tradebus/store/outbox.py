"""From the outbox table to the bus: at once after a commit, and by sweeping after a crash.

Invariants (tested on real servers):
- What one transaction emitted is published in its order, and transactions in the order of their outbox rows.
- A committed message is published at least once, whatever is killed when: rows are deleted only after the bus has them.
- A publish that fails (back-pressure, a lost connection) loses nothing: its rows go first in the next flush.
"""

import asyncio
from collections.abc import Sequence

from tradebus.bus.port import Bus, Entry, Outgoing, Subscription
from tradebus.bus.pressure import portions
from tradebus.kernel.timers import Timers
from tradebus.store.book import Book

_SWEEP_ROWS = 500


class Outbox:
    """One per store. Sweep once before the first flush, then every few seconds.

    `abandoned_after_seconds`: how long another instance's rows may lie before that instance is taken for dead, as
    `timers` measure it.
    """

    def __init__(self, store: Book, bus: Bus, *, timers: Timers, abandoned_after_seconds: float = 10.0) -> None:
        self._store, self._timers = store, timers
        self._bus = bus
        self._publishing = asyncio.Lock()
        self._abandoned_after_ns = int(abandoned_after_seconds * 1e9)
        self._first_seen_ns: dict[int, int] = {}

    @property
    def has_any(self) -> bool:
        """Whether something committed waits to be published, or may."""
        return self._store.backlog.has_any

    async def check_servers(self) -> None:
        """Returns where Postgres and the bus answer. Raises what is wrong otherwise."""
        await self._store.check()
        await self._bus.tail("no.such.stream", count=1)

    async def flush(
        self, *, then: Sequence[Outgoing] = (), ack: tuple[Subscription, Sequence[Entry]] | None = None
    ) -> None:
        """Publishes, in order, what this store's transactions committed since the last flush, then `then`
        (watermarks), then acknowledges: one round trip. Raises what the bus raises."""
        if self._store.backlog.is_doubtful:
            await self.sweep()
        async with self._publishing:
            backlog = self._store.backlog
            await backlog.settle()
            rows = backlog.take()
            try:
                *before, outgoing = self._portions([*(row.outgoing for row in rows), *then]) or [()]
                for portion in before:
                    await self._bus.publish(portion)
                    self._store.published(rows[: len(portion)])
                    rows = rows[len(portion) :]
                if ack is not None:
                    subscription, entries = ack
                    await subscription.publish_and_ack(outgoing, entries)
                elif outgoing:
                    await self._bus.publish(outgoing)
            except BaseException:
                backlog.put_back(rows)
                raise
            self._store.published(rows)

    async def sweep(self) -> int:
        """Publishes rows a crash left: this producer's at once, those of other instances of its service after 10 s.

        Returns how many. Raises what the bus raises.
        """
        async with self._publishing:
            self._store.backlog.is_doubtful = False
            left = await self._left()
            try:
                return sum([
                    await self._publish_left(left[start : start + _SWEEP_ROWS])
                    for start in range(0, len(left), _SWEEP_ROWS)
                ])  # fmt: skip
            except BaseException:
                self._store.backlog.is_doubtful = True
                raise

    async def _left(self) -> list[int]:
        """Ids of rows that nobody alive is going to publish, in order."""
        rows = await self._store.outbox_left()
        await self._store.backlog.answered()
        now_ns = self._timers.monotonic_ns()
        others = [row_id for row_id, own in rows if not own]
        self._first_seen_ns = {row_id: self._first_seen_ns.get(row_id, now_ns) for row_id in others}
        return [
            row_id for row_id, own in rows
            if (
                not self._store.backlog.knows(row_id)
                if own
                else now_ns - self._first_seen_ns[row_id] >= self._abandoned_after_ns
            )
        ]  # fmt: skip

    async def _publish_left(self, ids: Sequence[int]) -> int:
        async with self._store.taking_left(ids) as rows:
            for portion in self._portions([row.outgoing for row in rows]):
                await self._bus.publish(portion)
        return len(rows)

    def _portions(self, outgoing: Sequence[Outgoing]) -> list[Sequence[Outgoing]]:
        """What many trades lead to at once, or a long absence of the bus, may be more than a stream takes at once."""
        return list(portions(outgoing, self._bus.at_most))
