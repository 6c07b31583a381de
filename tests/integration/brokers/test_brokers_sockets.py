"""A socket that comes back, against a real WebSocket server on this machine."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

from testkit.simulated import PatientTimers, through
from testkit.waiting import WALL_TIMERS
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from tradebus.brokers.feed import FeedEvent, FeedEventKind
from tradebus.brokers.redaction import Redactor
from tradebus.brokers.sockets import ReconnectingSocket, Send, SocketAddress, SocketTiming
from tradebus.kernel.timers import Timers

TOKEN, SECOND_NS = "secret-token-0123", 1_000_000_000
QUICK = SocketTiming(first_delay_seconds=0.001, last_delay_seconds=0.01)


@asynccontextmanager
async def server(
    handler: Callable[[ServerConnection], Awaitable[None]], *, status: int | None = None
) -> AsyncIterator[str]:
    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        return connection.respond(status, "no") if status is not None else None  # type: ignore[arg-type]

    async with serve(handler, "127.0.0.1", 0, process_request=refuse) as running:
        port = next(iter(running.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/?token={TOKEN}"


def socket_to(
    url: str, *, greeting: str = "subscribe", timing: SocketTiming = QUICK, timers: Timers = WALL_TIMERS
) -> ReconnectingSocket:
    async def address() -> SocketAddress:
        return SocketAddress(url)

    async def opened(send: Send) -> None:
        await send(greeting)

    return ReconnectingSocket(
        "feed", address=address, opened=opened, redactor=Redactor([TOKEN]), timers=timers, timing=timing
    )


async def collect(socket: ReconnectingSocket, enough: Callable[[list[object]], bool]) -> list[object]:
    """Frames one by one and events' kinds, until there is enough."""
    seen: list[object] = []
    async with asyncio.timeout(10):
        async for item in socket.frames():
            seen += [item.kind] if isinstance(item, FeedEvent) else item
            if enough(seen):
                await socket.close()
    return seen


async def test_frames_come_in_order_after_the_connection_is_announced_and_subscribed():
    async def handler(connection: ServerConnection) -> None:
        assert await connection.recv() == "subscribe"
        for number in range(50):
            await connection.send(bytes([number]))
        await connection.wait_closed()

    async with server(handler) as url:
        seen = await collect(socket_to(url), lambda seen: len(seen) == 51)
    assert seen == [FeedEventKind.CONNECTED, *(bytes([number]) for number in range(50))]


async def test_a_lost_connection_is_told_and_followed_by_another_that_subscribes_again():
    greetings: list[object] = []

    async def handler(connection: ServerConnection) -> None:
        greetings.append(await connection.recv())
        await connection.send(f"life {len(greetings)}")
        if len(greetings) < 3:
            connection.transport.abort()
        await connection.wait_closed()

    async with server(handler) as url:
        seen = await collect(socket_to(url), lambda seen: "life 3" in seen)
    assert greetings == ["subscribe"] * 3
    assert seen.count(FeedEventKind.CONNECTED) == 3
    assert seen.count(FeedEventKind.DISCONNECTED) == 2


async def test_what_arrived_before_a_loss_is_given_out_before_the_loss_is_told():
    lives = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal lives
        lives += 1
        for number in range(5):
            await connection.send(bytes([number]))
        if lives == 1:
            await connection.close()
        await connection.wait_closed()

    async with server(handler) as url:
        seen = await collect(socket_to(url), lambda seen: seen.count(FeedEventKind.CONNECTED) == 2)
    first_life = seen[: seen.index(FeedEventKind.DISCONNECTED)]
    assert first_life == [FeedEventKind.CONNECTED, *(bytes([number]) for number in range(5))]


async def test_a_refusal_at_the_door_ends_it_without_another_attempt_and_without_the_token():
    attempts = 0

    async def handler(connection: ServerConnection) -> None:
        raise AssertionError("nobody gets in")

    async with server(handler, status=403) as url:

        async def address() -> SocketAddress:
            nonlocal attempts
            attempts += 1
            return SocketAddress(url)

        async def opened(send: Send) -> None:
            raise AssertionError("nobody gets in")

        socket = ReconnectingSocket(
            "feed", address=address, opened=opened, redactor=Redactor([TOKEN]), timers=WALL_TIMERS, timing=QUICK
        )
        events = [item async for item in socket.frames()]
    assert attempts == 1
    assert [event.kind for event in events if isinstance(event, FeedEvent)] == [FeedEventKind.REFUSED]
    assert TOKEN not in str(events)


async def test_a_server_in_trouble_is_tried_again():
    async def handler(connection: ServerConnection) -> None:
        raise AssertionError("nobody gets in")

    async with server(handler, status=503) as url:
        seen = await collect(socket_to(url), lambda seen: len(seen) == 3)
    assert set(seen) == {FeedEventKind.DISCONNECTED}


async def test_a_connection_that_brings_nothing_is_given_up():
    async def handler(connection: ServerConnection) -> None:
        await connection.wait_closed()

    timers, timing, seen = PatientTimers(), SocketTiming(silent_seconds=300), []
    async with server(handler) as url, asyncio.timeout(10):
        socket = socket_to(url, timing=timing, timers=timers)
        async for item in socket.frames():
            seen.append((item.kind, timers.now_ns() // SECOND_NS))
            if len(seen) == 3:
                await socket.close()
            due_ns = SECOND_NS * (300 if len(seen) == 1 else 1)
            asyncio.get_running_loop().call_later(0.001, timers.advance, timers.now_ns() + due_ns)
    assert seen == [
        (FeedEventKind.CONNECTED, 0), (FeedEventKind.DISCONNECTED, 300), (FeedEventKind.CONNECTED, 301),
    ]  # fmt: skip


async def test_attempts_are_farther_and_farther_apart_up_to_half_a_minute():
    timers, tried_ns = PatientTimers(), []
    socket = socket_to("ws://127.0.0.1:9/", timing=SocketTiming(), timers=timers)

    async def attempts() -> None:
        async for _ in socket.frames():
            tried_ns.append(timers.now_ns())
            if len(tried_ns) == 12:
                await socket.close()

    await through(timers, attempts())
    waits = [(later - earlier) / 1e9 for earlier, later in pairwise(tried_ns)]
    for number, seconds in enumerate(waits):
        base = min(0.5 * 2**number, 30.0)
        assert 0.5 * base <= seconds < 1.5 * base


async def test_drop_gives_a_dead_connection_up_and_the_next_one_follows():
    async def handler(connection: ServerConnection) -> None:
        await connection.send("hello")
        await connection.wait_closed()

    async with server(handler) as url:
        socket, seen = socket_to(url), []
        async with asyncio.timeout(10):
            async for item in socket.frames():
                seen.append(item.kind if isinstance(item, FeedEvent) else "frames")
                if seen.count("frames") == 2:
                    await socket.close()
                elif seen[-1] == "frames":
                    await socket.drop()
    assert seen == [
        FeedEventKind.CONNECTED, "frames", FeedEventKind.DISCONNECTED, FeedEventKind.CONNECTED, "frames",
    ]  # fmt: skip


async def test_nobody_listening_is_told_each_time_without_the_token():
    socket = socket_to(f"ws://127.0.0.1:9/?token={TOKEN}")
    seen: list[FeedEvent] = []
    async with asyncio.timeout(10):
        async for item in socket.frames():
            assert isinstance(item, FeedEvent)
            seen.append(item)
            if len(seen) == 3:
                await socket.close()
    assert [event.kind for event in seen] == [FeedEventKind.DISCONNECTED] * 3
    assert TOKEN not in str(seen)


async def test_sending_without_a_connection_says_so():
    assert not await socket_to("ws://127.0.0.1:9/").send("hello")


async def test_who_is_cancelled_just_when_a_frame_comes_ends_all_the_same():
    """A reader that survives goes on for ever: nobody waits for what it brings."""

    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        async for _ in connection:
            await connection.send(b"frame")

    async def read(socket: ReconnectingSocket, connected: asyncio.Event) -> None:
        async for _ in socket.frames():
            connected.set()

    async with server(handler) as url:
        for turns in range(40):
            socket, connected = socket_to(url, timing=replace(QUICK, silent_seconds=10)), asyncio.Event()
            reading = asyncio.create_task(read(socket, connected))
            async with asyncio.timeout(10):
                await connected.wait()
                await socket.send("now")
                for _ in range(turns):
                    await asyncio.sleep(0)
                reading.cancel()
                await asyncio.wait([reading])
            assert reading.cancelled()
