"""The way out: public events to the durable stream and to whoever listens on `trading:events`."""

import json
from collections.abc import Sequence

from tradebus.bus.port import Bus, Outgoing
from tradebus.contracts.base import Message
from tradebus.contracts.streams import EVENT_CHANNEL, EVENTS


def public_entry(message: Message) -> Outgoing:
    """The entry of `trading.events.v1` for a message."""
    body = json.dumps(message.public(), separators=(",", ":")).encode()
    return Outgoing(EVENTS.name, message.TYPE, body)


async def announce_again(bus: Bus, messages: Sequence[Message]) -> None:
    """Says again what was said before, to the outside only. The same event ids mark it as a repetition."""
    entries = [public_entry(message) for message in messages]
    if entries:
        await bus.publish(entries)
    for entry in entries:
        await bus.broadcast(EVENT_CHANNEL, entry.body)
