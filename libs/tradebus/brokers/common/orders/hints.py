"""An order stream's frames, read one by one."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from tradebus.brokers.feed import FeedEvent
from tradebus.brokers.sockets import Frame
from tradebus.trading.orders import BrokerOrder


async def hints_of(
    items: AsyncGenerator[list[Frame] | FeedEvent, None], read: Callable[[Frame], BrokerOrder | FeedEvent | None]
) -> AsyncIterator[BrokerOrder | FeedEvent]:
    """What `read` makes of each frame, nothing where that is None; events as they come. Ends, and is ended, with
    `items`."""
    async with aclosing(items):
        async for item in items:
            if isinstance(item, FeedEvent):
                yield item
                continue
            for frame in item:
                told = read(frame)
                if told is not None:
                    yield told
