"""What faces send their sockets' frames with, so that frames can be made to go wrong.

    socket = FaultySocket(websocket, faults=…, broker=…, stream="feed", account=…)
    await socket.send_bytes(frame)       await socket.send_text(message)

A face whose protocol lets several packets share a frame passes `join`, which makes one frame of two.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from services.sandbox.faults.ports import Fault, FaultKind, Faults
from services.sandbox.ports import BrokerName
from services.sandbox.server import connection_of

Join = Callable[[bytes, bytes], bytes]


class Socket(Protocol):
    """The part of starlette's WebSocket that is used here. One without a `scope` cannot be cut or frozen, only
    silenced."""

    async def send_bytes(self, data: bytes) -> None: ...

    async def send_text(self, data: str) -> None: ...


class FaultySocket:
    """Sends what it is given, or what a fault makes of it. `stream` is "feed" or "orders"."""

    def __init__(
        self,
        socket: Socket,
        *,
        faults: Faults,
        broker: BrokerName,
        stream: str,
        account: str | None,
        join: Join | None = None,
    ) -> None:
        self._socket, self._faults = socket, faults
        self._broker, self._stream, self._account, self._join = broker, stream, account, join
        self._mute = False
        self._held: bytes | str | None = None  # a frame that leaves after, or together with, the next one
        self._together = False

    @property
    def mute(self) -> bool:
        """A fault has silenced it: nothing is sent any more."""
        return self._mute

    async def send_bytes(self, frame: bytes) -> None:
        await self._send(frame)

    async def send_text(self, message: str) -> None:
        await self._send(message)

    async def _send(self, frame: bytes | str) -> None:
        if self._mute:
            return
        if self._held is not None:
            await self._release(frame)
            return
        fault = self._faults.for_frame(self._broker, stream=self._stream, account=self._account)
        if fault is None:
            await self._put(frame)
        else:
            await self._strike(fault, frame)

    async def _strike(self, fault: Fault, frame: bytes | str) -> None:
        match fault.kind:
            case FaultKind.DISCONNECT:
                await self._end(cut=True)
            case FaultKind.SILENT:
                self._mute = True
            case FaultKind.HALF_OPEN:
                await self._end(cut=False)
            case FaultKind.TRUNCATED_FRAME:
                await self._put(frame[: max(1, len(frame) // 2)])
            case FaultKind.DUPLICATE:
                await self._put(frame)
                await self._put(frame)
            case FaultKind.STACKED if self._join is not None and isinstance(frame, bytes):
                self._held, self._together = frame, True
            case FaultKind.SHUFFLE_UPDATES:
                self._held, self._together = frame, False
            case _:
                await self._put(frame)

    async def _release(self, frame: bytes | str) -> None:
        held, self._held = self._held, None
        assert held is not None
        if self._together and self._join is not None and isinstance(held, bytes) and isinstance(frame, bytes):
            await self._put(self._join(held, frame))
            return
        first, second = (held, frame) if self._together else (frame, held)
        await self._put(first)
        await self._put(second)

    async def _end(self, *, cut: bool) -> None:
        self._mute = True
        scope: Any = getattr(self._socket, "scope", None)
        connection = connection_of(scope) if scope is not None else None
        if connection is None:
            return
        if cut:
            connection.cut()
            await asyncio.sleep(0)
        else:
            connection.freeze()

    async def _put(self, frame: bytes | str) -> None:
        if isinstance(frame, bytes):
            await self._socket.send_bytes(frame)
        else:
            await self._socket.send_text(frame)
