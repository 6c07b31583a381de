"""A page on this machine that the broker sends the browser back to, so that nobody copies an address by hand.

    tradebus login --callback-port 8765     registered at the broker's app: http://127.0.0.1:8765/callback

    browser ─► broker's login ─► 302 ─► GET /callback?request_token=… ─► the answer, once ─► the login goes on

Listens on the loopback alone, for one answer. Invariants (tested): only a GET of that path, for this host (no other
name may point here), with the `state` that this login was begun with (where the broker hands one on) and the broker's
own parameter is an answer; nothing of it is written or said; whatever else comes is told so and changes nothing.
"""

import asyncio
import hmac
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tradebus.kernel.errors import InvalidInput, Unavailable

# What each broker's browser login answers with, and whether it hands on a state.
ANSWERS = {"kite": "request_token", "dhan": "tokenId", "upstox": "code"}
HANDS_ON_STATE = frozenset({"kite", "upstox"})
PATH = "/callback"
_HEAD_BYTES_MAX, _HEAD_SECONDS, _CALLERS_MAX = 8192, 5.0, 16
_HOSTS = ("127.0.0.1", "localhost")
_DONE = "The login has come back to tradebus. You may close this page and look at the terminal."


class LoginCallback:
    """A context. `state` is what this login was begun with."""

    def __init__(self, broker: str, *, port: int, state: str) -> None:
        self._broker, self._port, self._state = broker, port, state
        self._answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._callers = 0
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """What is registered at the broker's app."""
        return f"http://127.0.0.1:{self._port}{PATH}"

    async def answer(self, seconds: float) -> str:
        """The address that the browser was sent to. Raises InvalidInput where it did not come in time."""
        try:
            async with asyncio.timeout(seconds):
                return await self._answer
        except TimeoutError:
            raise InvalidInput(
                f"no browser came back to {self.url} in {seconds:g} s: is that the redirect address of your app?"
            ) from None

    async def __aenter__(self) -> Self:
        try:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self._port, limit=_HEAD_BYTES_MAX, reuse_address=True
            )
        except OSError as error:
            raise Unavailable(
                f"--callback-port {self._port}: cannot listen ({error.strerror}); give one that is free"
            ) from error
        self._port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers += 1
        try:
            if self._callers > _CALLERS_MAX:
                return
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                status, text = self._heard(head)
                writer.write(_page(status, text))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            return  # no browser of ours: nothing is owed to it
        finally:
            self._callers -= 1
            writer.close()

    def _heard(self, head: bytes) -> tuple[int, str]:
        """The page for one request; takes the answer where it is one."""
        lines = head.decode("latin-1").split("\r\n")
        method, _, rest = lines[0].partition(" ")
        target = urlsplit(rest.partition(" ")[0])
        hosts = [line.partition(":")[2].strip() for line in lines[1:] if line.lower().startswith("host:")]
        if hosts not in [[f"{host}:{self._port}"] for host in _HOSTS]:
            return 403, "This page answers to its own name only."
        if method != "GET" or target.path != PATH:
            return 404, "There is nothing here."
        given = parse_qs(target.query)
        if self._broker in HANDS_ON_STATE and not _is(given, "state", self._state):
            return 403, "This is not the login that was begun in the terminal. Begin it again there."
        if len(given.get(ANSWERS[self._broker], [])) != 1:
            return 400, f"The broker sent no {ANSWERS[self._broker]}: the login was refused or given up. Try again."
        if self._answer.done():
            return 409, "The login has come back already."
        self._answer.set_result(f"{PATH}?{target.query}")
        return 200, _DONE


def _is(given: dict[str, list[str]], name: str, wanted: str) -> bool:
    values = given.get(name, [])
    return len(values) == 1 and hmac.compare_digest(values[0].encode(), wanted.encode())


def _page(status: int, text: str) -> bytes:
    body = f"<!doctype html><meta charset=utf-8><title>tradebus</title><p>{text}</p>".encode()
    head = (
        f"HTTP/1.1 {status} -\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n"
        "Content-Security-Policy: default-src 'none'\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
