"""One connection to Redis: requests go out in order, replies come back in order, nothing else is known here.

redis-py spends much of a millisecond's tenth on each request, in locks, retries and stream objects; a paced run
makes five round trips per simulated minute, so this protocol writes packed requests straight to the transport and lets
hiredis split the replies. redis-py still reads the URL.

Invariants:
- The n-th request is answered by the n-th reply; requests may be written before earlier ones are answered.
- A request whose link is lost before its reply raises `Dropped`: whether Redis carried it out is not known.
- A link that has not answered for `STALL_SECONDS` beyond what a request may block is cut, so no caller waits for ever.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import hiredis
from redis.asyncio.connection import parse_url
from redis.exceptions import RedisError

from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.kernel.rng import jittered
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

STALL_SECONDS = 10.0
HANDSHAKE_SECONDS = 5.0
BACKOFF_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
# Refusals that end by themselves: a server that is loading its data, or has just stopped being the primary.
_PASSING = ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN")
_INCOMPLETE = object()

Reply = Any  # what hiredis makes of a reply: bytes, int, None, or a list of these


class Dropped(Exception):
    """The connection was lost before the reply: the request may or may not have been carried out."""


class RedisRefused(RedisError):
    """Redis answered a request with an error. The text is Redis's own and holds no argument of the request."""


@dataclass(slots=True)
class _Call:
    future: asyncio.Future[list[Reply]]
    expected: int
    deadline_ns: int
    replies: list[Reply] = field(default_factory=list)


class Link(asyncio.Protocol):
    """A live connection. `pushed` receives the messages of channels this link subscribed to."""

    def __init__(self, pushed: Callable[[list[Reply]], None] | None = None) -> None:
        self._reader = hiredis.Reader(replyError=RedisRefused, notEnoughData=_INCOMPLETE)
        self._calls: deque[_Call] = deque()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._watch: asyncio.TimerHandle | None = None
        self._pushed = pushed
        self.closed = self._loop.create_future()

    @property
    def alive(self) -> bool:
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        self._watch = self._loop.call_later(1.0, self._cut_if_stalled)

    def data_received(self, data: bytes) -> None:
        reader, calls = self._reader, self._calls
        reader.feed(data)
        while (reply := reader.gets()) is not _INCOMPLETE:
            if not calls:
                if self._pushed is not None:
                    self._pushed(reply)
                continue
            call = calls[0]
            call.replies.append(reply)
            if len(call.replies) == call.expected:
                calls.popleft()
                if not call.future.done():
                    call.future.set_result(call.replies)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._watch is not None:
            self._watch.cancel()
        calls, self._calls = self._calls, deque()
        for call in calls:
            if not call.future.done():
                call.future.set_exception(Dropped("the connection to Redis was lost"))
                call.future.exception()  # read here, so that one nobody awaits any more is not reported at exit
        if not self.closed.done():
            self.closed.set_result(None)

    def send(self, request: bytes, *, replies: int, block_ms: int = 0) -> asyncio.Future[list[Reply]]:
        """Writes `request`, which Redis answers with `replies` replies. Raises Dropped where the link is down."""
        if self._transport is None:
            raise Dropped("the connection to Redis is down")
        future: asyncio.Future[list[Reply]] = self._loop.create_future()
        allowed_ns = int((STALL_SECONDS + block_ms / 1000) * NANOSECONDS_PER_SECOND)
        self._calls.append(_Call(future, replies, monotonic_ns() + allowed_ns))
        self._transport.write(request)
        return future

    def cut(self) -> None:
        """Closes the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _cut_if_stalled(self) -> None:
        if self._transport is None:
            return
        if self._calls and self._calls[0].deadline_ns < monotonic_ns():
            self._transport.abort()
            return
        self._watch = self._loop.call_later(1.0, self._cut_if_stalled)


class Dialler:
    """Knows where Redis is and how to be let in. Its texts never hold the password."""

    def __init__(self, redis_url: str, *, retry_seconds: float, client_name: str = "tradebus") -> None:
        try:
            options: dict[str, Any] = dict(parse_url(redis_url))
            self._port = urlsplit(redis_url).port or 6379
        except ValueError as error:
            raise InvalidInput(
                "REDIS_URL: not a Redis address, write redis://[user:password@]host:port/database"
            ) from error
        self.retry_seconds = retry_seconds
        self._path: str | None = options.get("path")
        self._host: str = options.get("host") or "127.0.0.1"
        self._ssl = _tls(options) if redis_url.startswith("rediss:") else None
        self._hello = _hello(options, client_name)
        self.place = self._path or f"{self._host}:{self._port}"

    async def dial(self, pushed: Callable[[list[Reply]], None] | None = None) -> Link:
        """A link that has been let in, after as many attempts as `retry_seconds` allow. Raises Unavailable."""
        loop = asyncio.get_running_loop()
        end, attempt = loop.time() + self.retry_seconds, 0
        while True:
            try:
                return await self._dial_once(pushed)
            except (OSError, Dropped, TimeoutError) as error:
                delay = back_off(attempt)
                if loop.time() + delay > end:
                    raise Unavailable(
                        f"Redis at {self.place} does not answer ({_plain(error)}): start it, or correct REDIS_URL"
                    ) from None
                await asyncio.sleep(delay)
                attempt += 1

    async def _dial_once(self, pushed: Callable[[list[Reply]], None] | None) -> Link:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            if self._path is not None:
                _, link = await loop.create_unix_connection(lambda: Link(pushed), self._path)
            else:
                _, link = await loop.create_connection(lambda: Link(pushed), self._host, self._port, ssl=self._ssl)
            try:
                checked(await link.send(b"".join(self._hello), replies=len(self._hello)))
            except RedisRefused as error:
                link.cut()
                raise Unavailable(f"Redis at {self.place} refuses the connection: {error}") from None
            except BaseException:
                link.cut()
                raise
        return link


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

    async def call(self, request: bytes, *, replies: int) -> list[Reply]:
        """The replies of a request. Raises Dropped where its outcome is unknown, RedisRefused where Redis says no."""
        return checked(await (await self.send(request, replies=replies)))

    async def persist(self, request: bytes, *, replies: int) -> list[Reply]:
        """`call` for requests that may be carried out twice: repeated until answered, with back-off."""
        retry = Retry(self._dialler)
        while True:
            try:
                return await self.call(request, replies=replies)
            except Dropped as error:
                await retry.wait(error)

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
            with contextlib.suppress(asyncio.TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._link.closed


class Retry:
    """The patience of one operation: sleeps a growing while at each loss, raises Unavailable when time is up."""

    def __init__(self, dialler: Dialler) -> None:
        self._dialler = dialler
        self._attempt = 0
        self._end: float | None = None

    async def wait(self, error: Exception) -> None:
        now = asyncio.get_running_loop().time()
        if self._end is None:
            self._end = now + self._dialler.retry_seconds
        if now > self._end:
            raise Unavailable(f"Redis at {self._dialler.place} keeps failing ({_plain(error)})") from None
        await asyncio.sleep(back_off(self._attempt))
        self._attempt += 1


def back_off(attempt: int) -> float:
    """Seconds to wait before attempt `attempt` + 1, with jitter so that services do not return all at once."""
    delay = BACKOFF_SECONDS[min(attempt, len(BACKOFF_SECONDS) - 1)]
    return jittered(delay, attempt, seed=monotonic_ns())


def pack(*arguments: bytes | str | int) -> bytes:
    """One command in wire form."""
    return hiredis.pack_command(arguments)  # type: ignore[arg-type]  # its stub names one argument only


def checked(replies: list[Reply]) -> list[Reply]:
    """The replies, none of them an error. Raises the first error; a passing refusal raises Dropped."""
    for reply in replies:
        error = reply
        if type(reply) is list and reply and isinstance(reply[0], RedisRefused):
            error = reply[0]
        if isinstance(error, RedisRefused):
            if str(error).startswith(_PASSING):
                raise Dropped(str(error))
            raise error
    return replies


def _hello(options: dict[str, Any], client_name: str) -> list[bytes]:
    commands: list[bytes] = []
    password, username = options.get("password"), options.get("username")
    if password:
        commands.append(pack("AUTH", username, password) if username else pack("AUTH", password))
    if options.get("db"):
        commands.append(pack("SELECT", int(options["db"])))
    commands.append(pack("CLIENT", "SETNAME", client_name))
    return commands


def _tls(options: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
    if options.get("ssl_cert_reqs") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.get("ssl_certfile"):
        context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
    return context


def _plain(error: Exception) -> str:
    return str(error) or type(error).__name__
