"""A plain WebSocket client of the sandbox's Kite ticker: raw frames for whoever wants to decode them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

from testkit.kite_desk import KiteDesk
from testkit.kite_hands import API_KEY
from tradebus.brokers.sockets import SocketTiming

SECONDS = 15.0
QUICK = SocketTiming(first_delay_seconds=0.02, last_delay_seconds=0.05, silent_seconds=2.5)


class Line:
    """A plain WebSocket client of the ticker."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    def say(self, action: str, value: object) -> None:
        self._socket.send(json.dumps({"a": action, "v": value}))

    def text(self, text: str) -> None:
        self._socket.send(text)

    def frame(self) -> bytes:
        """The next binary frame that holds packets."""
        while True:
            frame = self._socket.recv(SECONDS)
            if isinstance(frame, bytes) and len(frame) > 1:
                return frame

    def heartbeat(self) -> bytes:
        while True:
            frame = self._socket.recv(SECONDS)
            if isinstance(frame, bytes) and len(frame) == 1:
                return frame

    def message(self) -> dict[str, Any]:
        """The next text."""
        while True:
            frame = self._socket.recv(SECONDS)
            if isinstance(frame, str):
                message: dict[str, Any] = json.loads(frame)
                return message


@contextmanager
def line(desk: KiteDesk, token: str | None = None) -> Iterator[Line]:
    url = f"{desk.url.replace('http', 'ws')}/?api_key={API_KEY}&access_token={token or desk.token}"
    with connect(url, compression=None, close_timeout=0.2) as socket:
        yield Line(socket)
