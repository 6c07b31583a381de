"""The connection: replies find their requests, however the bytes arrive."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.simulated import passes
from testkit.waiting import WALL_TIMERS

from tradebus.bus.redis.link import Dropped, Link, RedisRefused, checked, executed, pack
from tradebus.kernel.errors import Unavailable
from tradebus.kernel.timers import SimulatedTimers


class Pipe(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.aborted = True


def resp(value: object) -> bytes:
    """A value as Redis writes it."""
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, bytes):
        return b"$%d\r\n%s\r\n" % (len(value), value)
    assert isinstance(value, list)
    return b"*%d\r\n%s" % (len(value), b"".join(map(resp, value)))


values = st.recursive(
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=50), lambda inner: st.lists(inner, max_size=4)
)


@given(st.lists(st.lists(values, min_size=1, max_size=3), min_size=1, max_size=6), st.data())
def test_the_nth_request_gets_the_nth_replies_however_the_bytes_are_cut(
    answers: list[list[object]], data: st.DataObject
) -> None:
    async def scenario() -> None:
        link, pipe = Link(stall_seconds=10, timers=WALL_TIMERS), Pipe()
        link.connection_made(pipe)
        futures = [link.send(b"request %d;" % at, replies=len(answer)) for at, answer in enumerate(answers)]
        stream = b"".join(resp(value) for answer in answers for value in answer)
        cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8)))
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            link.data_received(stream[start:end])
        assert [await future for future in futures] == answers
        assert pipe.written == b"".join(b"request %d;" % at for at in range(len(answers)))
        link.connection_lost(None)

    asyncio.run(scenario())


async def test_a_lost_connection_fails_what_was_not_answered_and_nothing_else() -> None:
    link = Link(stall_seconds=10, timers=WALL_TIMERS)
    link.connection_made(Pipe())
    answered, half, open_ = (link.send(b"x", replies=count) for count in (1, 2, 1))
    link.data_received(b"+OK\r\n+OK\r\n")
    link.connection_lost(None)
    assert await answered == [b"OK"]
    for future in (half, open_):
        with pytest.raises(Dropped):
            await future
    with pytest.raises(Dropped):
        link.send(b"x", replies=1)
    assert link.closed.done()
    assert not link.alive


async def test_a_reply_to_a_caller_that_went_away_is_passed_over() -> None:
    link = Link(stall_seconds=10, timers=WALL_TIMERS)
    link.connection_made(Pipe())
    gone, waiting = link.send(b"x", replies=1), link.send(b"y", replies=1)
    gone.cancel()
    link.data_received(b"+first\r\n+second\r\n")
    assert await waiting == [b"second"]
    link.connection_lost(None)


async def test_messages_nobody_asked_for_go_to_the_listener() -> None:
    heard: list[object] = []
    link = Link(stall_seconds=10, pushed=heard.append, timers=WALL_TIMERS)
    link.connection_made(Pipe())
    subscribed = link.send(b"SUBSCRIBE", replies=1)
    link.data_received(resp([b"subscribe", b"c", 1]) + resp([b"message", b"c", b"hello"]))
    assert await subscribed == [[b"subscribe", b"c", 1]]
    assert heard == [[b"message", b"c", b"hello"]]
    link.connection_lost(None)


async def test_a_connection_that_owes_an_answer_too_long_is_cut() -> None:
    timers, pipe = SimulatedTimers(), Pipe()
    link = Link(stall_seconds=10, timers=timers)
    link.connection_made(pipe)
    await passes(timers, 3_600)
    assert not pipe.aborted, "an idle connection owes nothing"
    link.send(b"XREADGROUP", replies=1, block_ms=60_000)
    await passes(timers, 69)
    assert not pipe.aborted, "this one may block"
    link.data_received(b"*-1\r\n")
    link.send(b"PING", replies=1)
    await passes(timers, 9)
    assert not pipe.aborted
    await passes(timers, 2)
    assert pipe.aborted
    link.connection_lost(None)
    assert timers.next_due_ns() is None, "nobody watches a connection that is gone"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("LOADING Redis is loading the dataset in memory", Dropped),
        ("READONLY You can't write against a read only replica.", Dropped),
        ("OOM command not allowed when used memory > 'maxmemory'.", Unavailable),
        ("MISCONF Redis is configured to save RDB snapshots", Unavailable),
        ("NOPERM this user has no permissions to run the 'xadd' command", Unavailable),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", RedisRefused),
    ],
)
async def test_an_error_is_raised_as_what_it_stands_for(text: str, kind: type[Exception]) -> None:
    link = Link(stall_seconds=10, timers=WALL_TIMERS)
    link.connection_made(Pipe())
    plain, inside = link.send(b"x", replies=2), link.send(b"x", replies=2)
    link.data_received(f"+OK\r\n-{text}\r\n+OK\r\n*2\r\n:1\r\n-{text}\r\n".encode())
    with pytest.raises(kind):
        checked(await plain)
    with pytest.raises(kind):
        executed(await inside)
    link.connection_lost(None)


@given(st.lists(st.binary() | st.integers() | st.text(), min_size=1, max_size=6))
def test_a_command_is_packed_as_an_array_of_its_arguments(arguments: list[bytes | int | str]) -> None:
    as_bytes = [part if isinstance(part, bytes) else str(part).encode() for part in arguments]
    assert pack(*arguments) == resp(as_bytes)
