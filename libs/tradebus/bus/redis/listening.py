"""Listening on a pub/sub channel. Survives lost connections; what was broadcast meanwhile is lost, as pub/sub is."""

import asyncio

from tradebus.bus.redis.dial import Dialler, Retry
from tradebus.bus.redis.link import Dropped, Link, RedisRefused, Reply, checked, pack
from tradebus.kernel.errors import Unavailable

_LOST = object()


class RedisListener:
    """An async iterator over the messages of one channel. `ready` returns once nothing more will be missed."""

    def __init__(self, dialler: Dialler, channel: str) -> None:
        self._dialler = dialler
        self._channel = channel
        self._link: Link | None = None
        self._queue: asyncio.Queue[object] = asyncio.Queue()
        self._closed = False

    def __aiter__(self) -> "RedisListener":
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._closed:
                raise StopAsyncIteration
            await self.ready()
            item = await self._queue.get()
            if isinstance(item, bytes):
                return item

    async def ready(self) -> None:
        """Subscribes where this is not subscribed. Raises Unavailable where Redis stays away."""
        retry = Retry(self._dialler)
        while (self._link is None or not self._link.alive) and not self._closed:
            try:
                await self._subscribe()
            except Dropped as error:
                await retry.pause(error)
            except RedisRefused as error:
                raise Unavailable(f"Redis at {self._dialler.place} refuses to listen on a channel: {error}") from None

    async def _subscribe(self) -> None:
        link = await self._dialler.dial(self._received)
        checked(await link.send(pack("SUBSCRIBE", self._channel), replies=1))
        link.closed.add_done_callback(lambda _: self._queue.put_nowait(_LOST))
        self._link = link

    def _received(self, message: list[Reply]) -> None:
        if message[0] == b"message":
            self._queue.put_nowait(message[2])

    async def aclose(self) -> None:
        self._closed = True
        if self._link is not None:
            self._link.cut()
        self._queue.put_nowait(_LOST)
