"""What a caller may cost the HTTP server: bytes, time, places."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from testkit.gateway import TOKEN, Gateway

from tradebus.runtime.http.bounds import HEAD_BYTES_MAX, IDLE_MAX, BoundedBodies
from tradebus.runtime.http.server import HttpServer, bind

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def small(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and says how long it was."""
    length = 0
    while (message := await receive())["type"] == "http.request":
        length += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    body = b"%d" % length
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server with short patience."""
    listener = bind("127.0.0.1", 0, setting="NONE")
    stop = asyncio.Event()
    server = HttpServer(BoundedBodies(small, bytes_max=1000), listener, head_seconds=0.3, body_seconds=0.3)
    port = listener.getsockname()[1]
    running = asyncio.create_task(server.run(stop))
    yield port
    stop.set()
    await running


async def ask(port: int, text: bytes) -> bytes:
    """Everything the server says until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        writer.write(text)
        await writer.drain()
    try:
        async with asyncio.timeout(30):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_body_is_refused_by_its_header_before_a_byte_of_it_is_read(port: int) -> None:
    said = await ask(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 400000000\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in said.lower()


async def test_a_body_without_a_length_is_counted_while_it_is_read(port: int) -> None:
    chunk = b"200\r\n" + b"x" * 512 + b"\r\n"
    said = await ask(port, b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 4)
    assert said.startswith(b"HTTP/1.1 413")


async def test_a_body_within_bounds_is_taken_and_the_connection_kept(port: int) -> None:
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
    last = request.replace(b"Host: x", b"Host: x\r\nConnection: close")
    said = await ask(port, request + last)
    assert said.count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab"],
)
async def test_who_does_not_come_to_the_point_is_cut(port: int, begun: bytes) -> None:
    assert b"200" not in await ask(port, begun)


async def test_a_head_without_end_is_cut(port: int) -> None:
    line = b"X-Filler: " + b"x" * 1000 + b"\r\n"
    said = await ask(port, b"GET / HTTP/1.1\r\nHost: x\r\n" + line * (HEAD_BYTES_MAX // 1000 + 10) + b"\r\n")
    assert b"200 OK" not in said


async def test_without_a_token_a_huge_body_is_refused_at_once(gateway: Gateway) -> None:
    port = gateway.http.base_url.port
    assert port is not None
    head = b"POST /api/commands HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    assert (await ask(port, head % 400_000_000)).startswith(b"HTTP/1.1 413")
    said = await ask(port, head % 900_000)
    assert said.startswith(b"HTTP/1.1 401")
    assert b"connection: close" in said.lower()


async def test_health_answers_while_many_more_are_connected_and_say_nothing_than_are_kept(gateway: Gateway) -> None:
    port = gateway.http.base_url.port
    slow: list[Streams] = []
    for _ in range(IDLE_MAX + 150):
        slow.append(await asyncio.open_connection("127.0.0.1", port))
        slow[-1][1].write(b"GET /api/sessions HTTP/1.1\r\nX-Slow: ")
    answer = await gateway.http.get("/healthz")
    assert answer.status_code == 200
    assert (await gateway.http.get("/api/sessions")).status_code == 200
    async with asyncio.timeout(30):
        assert await slow[0][0].read() == b"", "the one that took longest has gone first"
    for _, writer in slow:
        writer.close()


async def test_the_last_events_are_there_after_a_load_newest_first(gateway: Gateway) -> None:
    await gateway.command(action="STOP_TRADING", user_id="nobody", data={})
    await gateway.event("COMMAND_REJECTED")
    await gateway.command(action="KILL", data={"reason": "enough"})
    await gateway.event("KILL_SWITCH")
    events = (await gateway.http.get("/api/events?limit=2")).json()["events"]
    assert [one["type"] for one in events] == ["KILL_SWITCH", "COMMAND_REJECTED"]
    refused = await gateway.http.get("/api/events", headers={"Authorization": f"Bearer x{TOKEN}"})
    assert refused.status_code == 401
