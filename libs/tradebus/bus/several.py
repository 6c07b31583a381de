"""Several subscriptions read as one: some streams shared with the other consumers of a group, some one's own."""

import asyncio
from collections.abc import Sequence

from tradebus.bus.port import Entry, Outgoing, Subscription
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import first_done


class SeveralSubscriptions:
    """Answers to the port of one subscription. `by_stream` says which subscription an entry's stream belongs to.

    Entries of one stream keep their order; between subscriptions there is none.
    """

    def __init__(self, by_stream: dict[str, Subscription], *, timers: Timers) -> None:
        self._by_stream, self._timers = by_stream, timers
        self._all = list(dict.fromkeys(by_stream.values()))
        self._reading: dict[asyncio.Task[list[Entry]], Subscription] = {}

    async def read(self, *, block_ms: int, count: int = 256) -> list[Entry]:
        """Whatever comes first. A subscription that has nothing yet goes on waiting for the next call.

        Where one fails its error is raised, and what another has read meanwhile comes with the next call.
        """
        idle = [each for each in self._all if each not in self._reading.values()]
        for each in idle:
            task = asyncio.ensure_future(each.read(block_ms=block_ms, count=count))
            task.add_done_callback(_retrieve)
            self._reading[task] = each
        done = await first_done(self._timers, self._reading, seconds=block_ms / 1000)
        failed = [task for task in done if task.exception() is not None]
        for task in failed or done:
            del self._reading[task]
        return [entry for task in failed or done for entry in task.result()]

    async def ack(self, entries: Sequence[Entry]) -> None:
        await self.publish_and_ack([], entries)

    async def publish_and_ack(self, outgoing: Sequence[Outgoing], entries: Sequence[Entry]) -> None:
        """As the port has it. Entries of several subscriptions take a round trip each, the publish goes first."""
        groups: dict[int, tuple[Subscription, list[Entry]]] = {}
        for entry in entries:
            owner = self._by_stream[entry.stream]
            groups.setdefault(id(owner), (owner, []))[1].append(entry)
        if not groups and outgoing:
            await self._all[0].publish_and_ack(outgoing, [])
        for owner, own in groups.values():
            await owner.publish_and_ack(outgoing, own)
            outgoing = []

    async def claim_idle(self, *, min_idle_ms: int, count: int = 64) -> list[Entry]:
        found: list[Entry] = []
        for each in self._all:
            found += await each.claim_idle(min_idle_ms=min_idle_ms, count=count)
        return found

    async def take_in_hand(self, entry: Entry) -> int:
        return await self._by_stream[entry.stream].take_in_hand(entry)

    async def erase(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            await self._by_stream[entry.stream].erase([entry])

    async def dead_letter(self, entry: Entry, *, reason: str) -> None:
        await self._by_stream[entry.stream].dead_letter(entry, reason=reason)

    async def lag(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for each in self._all:
            found |= await each.lag()
        return found

    async def close(self) -> None:
        """Stops the reads that still wait; what they may have fetched is delivered again."""
        for task in self._reading:
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        self._reading.clear()
        for each in self._all:
            await each.close()


def _retrieve(task: asyncio.Task[list[Entry]]) -> None:
    """An error is the next call's to raise. Where none comes any more, for the process is ending, the loop need not say
    that nobody has asked."""
    if not task.cancelled():
        task.exception()
