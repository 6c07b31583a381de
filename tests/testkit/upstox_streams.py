"""The official SDK's streamers against the sandbox: frames as they came, and what the SDK made of each."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import upstox_client
import websocket

_REAL = "wss://api.upstox.com"
_PATIENCE_SECONDS = 30.0


@contextmanager
def sdk_sockets_at(url: str) -> Iterator[None]:
    """The feeders have their address as a literal and take the class from the module each time they connect."""
    original = websocket.WebSocketApp
    there = url.replace("http", "ws", 1)
    websocket.WebSocketApp = lambda at, *given, **named: original(at.replace(_REAL, there), *given, **named)
    try:
        yield
    finally:
        websocket.WebSocketApp = original


class SdkStream:
    """A streamer of the SDK, connected. `heard` are what it handed out, `raw` the frames under it, pair by pair."""

    def __init__(self, streamer: Any) -> None:
        self._streamer = streamer
        self._changed = threading.Condition()
        self.raw: list[bytes | str] = []
        self.heard: list[Any] = []
        self.errors: list[str] = []
        self.closed: list[tuple[Any, Any]] = []
        self._open = False
        handle = streamer.handle_message

        def handle_message(socket: Any, frame: bytes | str) -> None:
            self.raw.append(frame)
            handle(socket, frame)

        streamer.handle_message = handle_message
        streamer.auto_reconnect(False)
        streamer.on("open", lambda: self._note(lambda: setattr(self, "_open", True)))
        streamer.on("message", lambda message: self._note(lambda: self.heard.append(message)))
        streamer.on("error", lambda error: self._note(lambda: self.errors.append(str(error))))
        streamer.on("close", lambda *said: self._note(lambda: self.closed.append(said)))  # type: ignore[arg-type]
        streamer.connect()

    def _note(self, change: Callable[[], None]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, _PATIENCE_SECONDS), (what, self.errors, self.heard[-3:])

    def opened(self) -> None:
        self.wait(lambda: self._open, "the SDK's socket did not open")

    def messages(self) -> list[Any]:
        """Order updates are texts of JSON, market messages dicts."""
        return [json.loads(message) if isinstance(message, str) else message for message in self.heard]

    @property
    def last(self) -> Any:
        """The newest message, {} before the first."""
        return (self.messages() or [{}])[-1]

    def close(self) -> None:
        """The SDK's thread may sit in a select on the closed socket for some seconds; nobody waits for it."""
        if not self.closed and not self.errors:
            self._streamer.disconnect()

    def __getattr__(self, name: str) -> Any:
        """subscribe, unsubscribe, change_mode as the SDK has them."""
        return getattr(self._streamer, name)


def market_stream(client: upstox_client.ApiClient, keys: list[str], mode: str) -> SdkStream:
    return SdkStream(upstox_client.MarketDataStreamerV3(client, keys, mode))


def portfolio_stream(client: upstox_client.ApiClient, **kinds: bool) -> SdkStream:
    return SdkStream(upstox_client.PortfolioDataStreamer(client, **kinds))
