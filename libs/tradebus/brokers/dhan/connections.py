"""What Dhan's sockets have in common: a refused login is renewed once, where it can be."""

from collections.abc import AsyncIterator
from dataclasses import replace

from tradebus.brokers.dhan.client import DhanClient
from tradebus.brokers.feed import FeedEvent, FeedEventKind
from tradebus.brokers.sockets import Frame, ReconnectingSocket


async def frames_of(socket: ReconnectingSocket, client: DhanClient) -> AsyncIterator[list[Frame] | FeedEvent]:
    """The socket's frames and events. A refusal ends it, unless a new token is to be had, which is tried once between
    two connections; it is then told as a disconnection."""
    renewed, again = False, True
    while again:
        again = False
        async for item in socket.frames():
            if isinstance(item, FeedEvent) and item.kind is FeedEventKind.CONNECTED:
                renewed = False
            if isinstance(item, FeedEvent) and item.kind is FeedEventKind.REFUSED:
                again = renewed = not renewed and await client.renew()
                if again:
                    yield replace(item, kind=FeedEventKind.DISCONNECTED)
                    continue
            yield item
