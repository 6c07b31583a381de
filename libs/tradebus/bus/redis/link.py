"""One connection to Redis: requests go out in order, replies come back in order, nothing else is known here.

redis-py spends much of a millisecond's tenth on each request, in locks, retries and stream objects; a paced run
makes five round trips per simulated minute, so this protocol writes packed requests straight to the transport and lets
hiredis split the replies.

Invariants:
- The n-th request is answered by the n-th reply; requests may be written before earlier ones are answered.
- A request whose link is lost before its reply raises `Dropped`: whether Redis carried it out is not known.
- A link that has not answered for `stall_seconds` beyond what a request may block is cut, so no caller waits for ever.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import hiredis

from tradebus.kernel.errors import Unavailable
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timer, Timers

STALL_SECONDS = 10.0
# Refusals that end by themselves: a server that is loading its data, or has just stopped being the primary.
_PASSING = ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN")
# Refusals that a person must end: no memory, no disk, no permission.
_MENDABLE = ("OOM", "MISCONF", "NOREPLICAS", "NOPERM")
_INCOMPLETE = object()

Reply = Any  # what hiredis makes of a reply: bytes, int, None, or a list of these


class Dropped(Exception):
    """The connection was lost before the reply: the request may or may not have been carried out."""


class RedisRefused(Exception):
    """Redis answered a request with an error. The text is Redis's own and holds no argument of the request."""


@dataclass(slots=True)
class _Call:
    future: asyncio.Future[list[Reply]]
    expected: int
    deadline_ns: int
    replies: list[Reply] = field(default_factory=list)


class Link(asyncio.Protocol):
    """A live connection. `pushed` receives the messages of channels this link subscribed to."""

    def __init__(
        self, *, timers: Timers, stall_seconds: float, pushed: Callable[[list[Reply]], None] | None = None
    ) -> None:
        self._reader = hiredis.Reader(replyError=RedisRefused, notEnoughData=_INCOMPLETE)
        self._calls: deque[_Call] = deque()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._timers, self._monotonic_ns = timers, timers.monotonic_ns  # bound once: it is asked for every request
        self._watch: Timer | None = None
        self._pushed = pushed
        self._stall_seconds = stall_seconds
        self.closed = self._loop.create_future()

    @property
    def alive(self) -> bool:
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        self._watch = self._timers.after(self._stall_seconds / 10, self._cut_if_stalled)

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
        allowed_ns = int((self._stall_seconds + block_ms / 1000) * NANOSECONDS_PER_SECOND)
        self._calls.append(_Call(future, replies, self._monotonic_ns() + allowed_ns))
        self._transport.write(request)
        return future

    def keep(self, given_up: "asyncio.Future[list[Reply]]") -> "asyncio.Future[list[Reply]]":
        """Another future for the replies of one whose caller was cancelled. Fails where the link was lost meanwhile."""
        future: asyncio.Future[list[Reply]] = self._loop.create_future()
        for call in self._calls:
            if call.future is given_up:
                call.future = future
                return future
        future.set_exception(Dropped("the connection to Redis was lost"))
        future.exception()
        return future

    def cut(self) -> None:
        """Closes the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _cut_if_stalled(self) -> None:
        if self._transport is None:
            return
        if self._calls and self._calls[0].deadline_ns < self._monotonic_ns():
            self._transport.abort()
            return
        self._watch = self._timers.after(self._stall_seconds / 10, self._cut_if_stalled)


def pack(*arguments: bytes | str | int) -> bytes:
    """One command in wire form."""
    packed: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type]  # its stub allows one argument only
    return packed


def checked(replies: list[Reply]) -> list[Reply]:
    """The replies, none of them an error. Raises what the first error stands for."""
    for reply in replies:
        if isinstance(reply, RedisRefused):
            raise _meaning(reply)
    return replies


def executed(replies: list[Reply]) -> list[Reply]:
    """What the commands of a transaction returned. Raises what the first error among them stands for."""
    done: list[Reply] = checked(replies)[-1]
    return checked(done)


def _meaning(error: RedisRefused) -> Exception:
    text = str(error)
    if text.startswith(_PASSING):
        return Dropped(text)
    if text.startswith(_MENDABLE):
        return Unavailable(f"Redis refuses to work: {text}")
    return error
