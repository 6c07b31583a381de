"""One consumer of a group on Redis: reads through `RedisReader`, everything else on the bus's shared connection."""

import logging
from collections.abc import Awaitable, Callable, Sequence

from tradebus.bus.port import DEAD_LETTERS_MAX, DeadLetter, Entry, Origin, Outgoing, dead_letter_stream
from tradebus.bus.redis import codec
from tradebus.bus.redis.dial import Dialler, Retry
from tradebus.bus.redis.link import Dropped, executed, pack
from tradebus.bus.redis.measure import Measure
from tradebus.bus.redis.reader import RedisReader
from tradebus.bus.redis.wire import Wire

_log = logging.getLogger(__name__)

PublishWith = Callable[[Sequence[Outgoing], Sequence[bytes]], Awaitable[None]]


class RedisSubscription:
    """See `tradebus.bus.port.Subscription`."""

    def __init__(
        self,
        publish_with: PublishWith,
        dialler: Dialler,
        wire: Wire,
        *,
        prefix: str,
        streams: Sequence[str],
        group: str,
        consumer: str,
    ) -> None:
        self.streams, self.group, self.consumer = tuple(streams), group, consumer
        self._publish_with, self._dialler, self._wire, self._prefix = publish_with, dialler, wire, prefix
        self._measure = Measure(wire, timers=dialler.timers)
        self._last_life: tuple[str, ...] | None = None  # what it had in hand; None until it is asked for
        self._reader = RedisReader(dialler, wire, prefix=prefix, streams=streams, group=group, consumer=consumer)

    @property
    def trimmed(self) -> int:
        """Entries that were gone from their stream before this consumer could handle them; 0 unless Redis was cut."""
        return self._reader.pending.trimmed

    async def create_groups(self) -> None:
        """Makes the group where it is missing."""
        await self._reader.create_groups()

    async def read(self, *, block_ms: int, count: int = 256) -> list[Entry]:
        return await self._reader.read(block_ms=block_ms, count=count)

    async def ack(self, entries: Sequence[Entry]) -> None:
        acks = self._acks(entries)
        if acks:
            await self._wire.persist(b"".join(acks), replies=len(acks))
            self._reader.release(entries)

    async def publish_and_ack(self, outgoing: Sequence[Outgoing], entries: Sequence[Entry]) -> None:
        await self._publish_with(outgoing, self._acks(entries))
        self._reader.release(entries)

    def _acks(self, entries: Sequence[Entry]) -> list[bytes]:
        ids: dict[str, list[str]] = {}
        for entry in entries:
            ids.setdefault(entry.stream, []).append(entry.entry_id)
        return [pack("XACK", self._prefix + stream, self.group, *some) for stream, some in ids.items()]

    async def claim_idle(self, *, min_idle_ms: int, count: int = 64) -> list[Entry]:
        return await self._reader.claim_idle(min_idle_ms=min_idle_ms, count=count)

    async def take_in_hand(self, entry: Entry) -> int:
        key = f"{self._prefix}in-hand:{self.group}"
        if self._last_life is None:
            (left,) = await self._wire.persist(pack("HGET", key, self.consumer), replies=1)
            self._last_life = tuple((left or b"").decode().split("\n"))
        stream, entry_id, lives = self._last_life if len(self._last_life) == 3 else ("", "", "0")
        before = int(lives) if (stream, entry_id) == (entry.stream, entry.entry_id) else 0
        mark = f"{entry.stream}\n{entry.entry_id}\n{before + 1}"
        await self._wire.persist(pack("HSET", key, self.consumer, mark), replies=1)
        return before

    async def erase(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        gone = [pack("XDEL", self._prefix + entry.stream, entry.entry_id) for entry in entries]
        commands = [*gone, *self._acks(entries)]
        executed(await self._wire.persist(codec.transaction(commands), replies=len(commands) + 2))
        self._reader.release(entries)

    async def dead_letter(self, entry: Entry, *, reason: str) -> None:
        key, one = self._prefix + entry.stream, entry.entry_id
        retry = Retry(self._dialler)
        while True:
            try:
                pending, raw = await self._wire.call(
                    pack("XPENDING", key, self.group, one, one, 1) + pack("XRANGE", key, one, one), replies=2
                )
                if pending:
                    await self._bury(entry, raw[0][1] if raw else codec.fields_of(codec.as_outgoing(entry)), reason)
                break
            except Dropped as error:
                await retry.pause(error)
        self._reader.release([entry])

    async def _bury(self, entry: Entry, fields: Sequence[bytes | str | int], reason: str) -> None:
        origin = codec.origin_fields(Origin(reason, entry.entry_id, self.group))
        dead = self._prefix + dead_letter_stream(entry.stream)
        add = pack("XADD", dead, "MAXLEN", "~", DEAD_LETTERS_MAX, "*", *origin, *fields)
        request = codec.transaction([add, *self._acks([entry])])
        executed(await self._wire.call(request, replies=4))
        _log.error("dead letter: %s %s (%s): %s", entry.stream, entry.entry_id, entry.kind, reason)

    async def lag(self) -> dict[str, int]:
        return {
            stream: await self._measure.unacknowledged(self._prefix + stream, self.group) for stream in self.streams
        }

    async def close(self) -> None:
        """Gives the reading connection back. Entries not acknowledged stay pending."""
        await self._reader.close()


def read_dead_letter(stream: str, entry_id: bytes, fields: list[bytes]) -> DeadLetter:
    """One dead letter of `stream` from its flat fields."""
    entry = codec.read_entry(dead_letter_stream(stream), entry_id, fields)
    origin = entry.origin or Origin("not said", "", "")
    return DeadLetter(entry, origin.reason, stream, origin.entry_id, origin.group)
