"""/api/events: public events, those told last by GET, those to come on a WebSocket.

Every browser has a bounded queue of its own: one that does not read is closed, and holds up nobody.
"""

import asyncio
import contextlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect

from tradebus.bus.port import Bus, ChannelListener
from tradebus.contracts.streams import EVENTS

_QUEUE_EVENTS = 1000
_TOO_SLOW = 1013  # "try again later"


class EventHub:
    """Listens to `trading:events` and hands every event to every client."""

    def __init__(self, listener: ChannelListener) -> None:
        self._listener = listener
        self._queues: set[asyncio.Queue[bytes | None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        stopper = asyncio.create_task(self._close_on(stop))
        try:
            async for body in self._listener:
                for queue in list(self._queues):
                    self._offer(queue, body)
        finally:
            stopper.cancel()
            await self._listener.aclose()
            for queue in list(self._queues):
                self._end(queue)

    async def _close_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        await self._listener.aclose()

    def _offer(self, queue: asyncio.Queue[bytes | None], body: bytes) -> None:
        try:
            queue.put_nowait(body)
        except asyncio.QueueFull:
            self._end(queue)

    def _end(self, queue: asyncio.Queue[bytes | None]) -> None:
        """Lets the client go: empties its queue so that the end comes next."""
        self._queues.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)

    def join(self) -> asyncio.Queue[bytes | None]:
        """A new client's queue. None in it means: the end."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE_EVENTS)
        self._queues.add(queue)
        return queue

    def leave(self, queue: asyncio.Queue[bytes | None]) -> None:
        self._queues.discard(queue)


def live_routes(hub: EventHub, bus: Bus) -> APIRouter:
    router = APIRouter(prefix="/api")

    @router.get("/events")
    async def past(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, Any]:
        """The events that were told last, newest first; those to come are told on the WebSocket of the same path."""
        entries = await bus.tail(EVENTS.name, count=limit)
        return {"events": [json.loads(entry.body) for entry in reversed(entries)]}

    @router.websocket("/events")
    async def events(socket: WebSocket) -> None:
        queue = hub.join()
        await socket.accept()
        reading = asyncio.create_task(_until_left(socket))
        try:
            await _send_all(socket, queue, reading)
        finally:
            hub.leave(queue)
            reading.cancel()

    return router


async def _send_all(socket: WebSocket, queue: asyncio.Queue[bytes | None], reading: asyncio.Task[None]) -> None:
    while True:
        waiting = asyncio.create_task(queue.get())
        await asyncio.wait((waiting, reading), return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            return
        body = waiting.result()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it left while we were sending
            if body is not None:
                await socket.send_text(body.decode())
                continue
            await socket.close(_TOO_SLOW)
        return


async def _until_left(socket: WebSocket) -> None:
    """What a client sends is read and ignored, so that its leaving is noticed."""
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive()
