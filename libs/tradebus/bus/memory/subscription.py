"""One consumer of a group on the in-memory bus."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tradebus.bus.memory.stream import MemoryStream, number_of
from tradebus.bus.port import Entry, Outgoing, age

if TYPE_CHECKING:
    from tradebus.bus.memory.bus import MemoryBus


class MemorySubscription:
    """See `tradebus.bus.port.Subscription`. A new object is a new life of its consumer."""

    def __init__(self, bus: "MemoryBus", streams: Sequence[str], *, group: str, consumer: str) -> None:
        self.streams, self.group, self.consumer = tuple(streams), group, consumer
        self._bus, self._names = bus, frozenset(streams)
        self._held: set[tuple[str, int]] = set()  # returned in this life and not acknowledged
        self._left_over: list[tuple[MemoryStream, int]] | None = None  # None until the first read
        self._reading = False
        self._last_life: tuple[str, str, int] | None = None  # what it had in hand; None until it is asked for

    async def read(self, *, block_ms: int, count: int = 256) -> list[Entry]:
        if self._reading:
            raise RuntimeError("a subscription is read by one task at a time")
        self._reading = True
        try:
            await asyncio.sleep(0)  # as a read over a network would, so that a busy consumer starves nobody
            seconds = block_ms / 1000
            return await self._bus.wait_until(lambda: self._next(count), seconds=seconds, streams=self._names)
        finally:
            self._reading = False

    def _next(self, count: int) -> list[Entry]:
        found = self._next_left_over(count)
        if not found:
            streams = [self._bus.stream(name) for name in self.streams]
            found = [
                entry
                for stream in streams
                for entry in stream.deliver(stream.group(self.group), self.consumer, count=count)
            ]
        found.sort(key=age)
        self._held.update((entry.stream, number_of(entry.entry_id)) for entry in found)
        return found

    def _next_left_over(self, count: int) -> list[Entry]:
        """A page of what this consumer read in an earlier life and never acknowledged."""
        if self._left_over is None:
            streams = [self._bus.stream(name) for name in self.streams]
            self._left_over = [
                (stream, number)
                for stream in streams
                for number, pending in stream.group(self.group).pending.items()
                if pending.consumer == self.consumer
            ]
            self._left_over.sort(key=lambda left: left[0].order_of(left[1]))
        page: list[Entry] = []
        while self._left_over and len(page) < count:
            stream, number = self._left_over.pop(0)
            group = stream.group(self.group)
            pending = group.pending.get(number)
            mine = pending is not None and pending.consumer == self.consumer
            if mine and (stream.name, number) not in self._held:
                entry = stream.deliver_again(group, number, self.consumer)
                page += [entry] if entry is not None else []
        return page

    async def ack(self, entries: Sequence[Entry]) -> None:
        self._acknowledge(entries)
        self._bus.wake(frozenset())

    def _acknowledge(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            number = number_of(entry.entry_id)
            self._bus.stream(entry.stream).group(self.group).pending.pop(number, None)
            self._held.discard((entry.stream, number))

    async def publish_and_ack(self, outgoing: Sequence[Outgoing], entries: Sequence[Entry]) -> None:
        await self._bus.publish_then(outgoing, lambda: self._acknowledge(entries))

    async def claim_idle(self, *, min_idle_ms: int, count: int = 64) -> list[Entry]:
        found: list[Entry] = []
        for stream in map(self._bus.stream, self.streams):
            group = stream.group(self.group)
            for number in stream.idle(group, min_idle_ms=min_idle_ms):
                if len(found) < count and (stream.name, number) not in self._held:
                    entry = stream.deliver_again(group, number, self.consumer)
                    found += [entry] if entry is not None else []
        self._held.update((entry.stream, number_of(entry.entry_id)) for entry in found)
        return found

    async def take_in_hand(self, entry: Entry) -> int:
        whose = (self.group, self.consumer)
        if self._last_life is None:
            self._last_life = self._bus.in_hand.get(whose, ("", "", 0))
        stream, entry_id, lives = self._last_life
        if (stream, entry_id) != (entry.stream, entry.entry_id):
            lives = 0
        self._bus.in_hand[whose] = (entry.stream, entry.entry_id, lives + 1)
        return lives

    async def erase(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._bus.stream(entry.stream).erase(number_of(entry.entry_id))
        await self.ack(entries)

    async def dead_letter(self, entry: Entry, *, reason: str) -> None:
        if number_of(entry.entry_id) in self._bus.stream(entry.stream).group(self.group).pending:
            self._bus.bury(entry, reason=reason, group=self.group)
        await self.ack([entry])

    async def lag(self) -> dict[str, int]:
        return {stream.name: stream.lag(stream.group(self.group)) for stream in map(self._bus.stream, self.streams)}

    async def close(self) -> None:
        """Nothing to give back."""
