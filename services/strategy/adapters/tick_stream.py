"""This service's place on md.ticks: taken only while some strategy wants ticks.

A group that is not read holds up whoever publishes, so one is never left behind.
"""

from tradebus.bus.port import Bus, age
from tradebus.contracts.streams import MD_TICKS, key_of

TICKS = key_of(MD_TICKS)


class TickStream:
    """`group` and `consumer` are those of the service's one input."""

    def __init__(self, bus: Bus, *, group: str, consumer: str) -> None:
        self._bus, self._group, self._consumer = bus, group, consumer

    async def take(self) -> None:
        """Makes the group, from now on: the ticks the stream still holds came before anyone here wanted any.

        To be called before the first session that wants ticks is taken up: a crash in between then takes it again.
        """
        newest = await self._bus.tail(TICKS, count=1)
        subscription = await self._bus.subscribe([TICKS], group=self._group, consumer=self._consumer)
        while newest and (entries := await subscription.read(block_ms=0)):
            await subscription.ack([entry for entry in entries if age(entry) <= age(newest[0])])
            if age(entries[-1]) >= age(newest[0]):
                return

    async def leave(self) -> None:
        """Gives the place up."""
        await self._bus.leave([TICKS], group=self._group)
