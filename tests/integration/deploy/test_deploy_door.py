"""deploy/door: bytes go both ways unchanged, and nobody behind it can end it."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.cli.stack.children import Child, ServiceSpec, free_port

DOOR = Path(__file__).parents[3] / "deploy" / "door"


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """The port of a server that gives everything back, and ends after its caller has."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while block := await reader.read(65536):
            writer.write(block)
            await writer.drain()
        writer.write(b"end")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def door(echo: int, tmp_path: Path) -> AsyncIterator[tuple[int, int]]:
    """Its port to the echo, and one to nobody."""
    ports, health = (free_port(), free_port()), free_port()
    ways = [f"{ports[0]}=127.0.0.1:{echo}", f"{ports[1]}=127.0.0.1:{free_port()}"]
    command = [sys.executable, "-IS", str(DOOR), *ways]
    child = Child(ServiceSpec("door", command, health, {"TRADEBUS_HEALTH_PORT": str(health)}), log=tmp_path / "log")
    await child.start()
    await child.ready()
    yield ports
    await child.stop()
    assert await child.wait() == 0, child.last_words()


async def test_what_goes_in_comes_out_and_ends_are_handed_on(door: tuple[int, int]) -> None:
    async def call(payload: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", door[0])
        sending = asyncio.create_task(send(writer, payload))
        assert await reader.read() == payload + b"end"
        await sending
        writer.close()

    async def send(writer: asyncio.StreamWriter, payload: bytes) -> None:
        writer.write(payload)
        await writer.drain()
        writer.write_eof()

    async with asyncio.timeout(60):
        await asyncio.gather(*(call(os.urandom(size)) for size in (0, 1, 65536, 3_000_000)))


async def test_who_is_away_or_hangs_up_ends_one_connection_and_nothing_else(door: tuple[int, int]) -> None:
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", door[1])
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", door[0])
            writer.write(b"x" * 100_000)
            writer.transport.abort()
        reader, writer = await asyncio.open_connection("127.0.0.1", door[0])
        writer.write(b"still here")
        writer.write_eof()
        assert await reader.read() == b"still hereend"
        writer.close()
