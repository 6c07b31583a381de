"""A connection that comes back, and requests that are repeated over it."""

import asyncio
import contextlib

from tradebus.bus.redis.dial import Dialler, Retry
from tradebus.bus.redis.link import Dropped, Link, Reply, checked
from tradebus.kernel.errors import Unavailable
from tradebus.waiting.timers import deadline


class Wire:
    """A link that comes back: dials when it is first needed and again after every loss."""

    def __init__(self, dialler: Dialler) -> None:
        self._dialler = dialler
        self._link: Link | None = None
        self._dialling = asyncio.Lock()
        self._closed = False

    async def send(self, request: bytes, *, replies: int, block_ms: int = 0) -> asyncio.Future[list[Reply]]:
        """Writes the request, dialling first where needed. Raises Unavailable where nobody answers."""
        link = self._link
        if link is None or not link.alive:
            link = await self._redial()
        return link.send(request, replies=replies, block_ms=block_ms)

    def keep(self, given_up: asyncio.Future[list[Reply]]) -> asyncio.Future[list[Reply]]:
        """See `Link.keep`."""
        assert self._link is not None
        return self._link.keep(given_up)

    async def call(self, request: bytes, *, replies: int, block_ms: int = 0) -> list[Reply]:
        """The replies of a request. Raises Dropped where its outcome is unknown, RedisRefused where Redis says no."""
        return checked(await (await self.send(request, replies=replies, block_ms=block_ms)))

    async def persist(self, request: bytes, *, replies: int, block_ms: int = 0) -> list[Reply]:
        """`call` for requests that may be carried out twice: repeated until answered, with back-off."""
        retry = Retry(self._dialler)
        while True:
            try:
                return await self.call(request, replies=replies, block_ms=block_ms)
            except Dropped as error:
                await retry.pause(error)

    async def _redial(self) -> Link:
        async with self._dialling:
            if self._closed:
                raise Unavailable("the bus is closed")
            if self._link is None or not self._link.alive:
                self._link = await self._dialler.dial()
            return self._link

    async def close(self) -> None:
        self._closed = True
        if self._link is not None and self._link.alive:
            self._link.cut()
            with contextlib.suppress(TimeoutError):
                async with deadline(self._dialler.timers, 1.0):
                    await self._link.closed
