"""This service's place on md.ticks, and on md.quotes: taken only while some strategy wants ticks, or depth.

A group that is not read holds up whoever publishes, so one is never left behind.
"""

from tradebus.bus.port import Bus, age
from tradebus.contracts.streams import MD_QUOTES, MD_TICKS, key_of

TICKS, QUOTES = key_of(MD_TICKS), key_of(MD_QUOTES)


class TickStream:
    """`group` and `consumer` are those of the service's one input."""

    def __init__(self, bus: Bus, *, group: str, consumer: str, stream: str = TICKS) -> None:
        self._bus, self._group, self._consumer, self._stream = bus, group, consumer, stream

    async def take(self) -> None:
        """Makes the group, from now on: the ticks the stream still holds came before anyone here wanted any.

        To be called before the first session that wants ticks is taken up: a crash in between then takes it again.
        """
        newest = await self._bus.tail(self._stream, count=1)
        subscription = await self._bus.subscribe([self._stream], group=self._group, consumer=self._consumer)
        while newest and (entries := await subscription.read(block_ms=0)):
            await subscription.ack([entry for entry in entries if age(entry) <= age(newest[0])])
            if age(entries[-1]) >= age(newest[0]):
                return

    async def leave(self) -> None:
        """Gives the place up."""
        await self._bus.leave([self._stream], group=self._group)
