"""The shell: what the end of one component means for the others, and for the process."""

import asyncio
import socket

import pytest

from tradebus.kernel.errors import Unavailable
from tradebus.runtime.health import HealthServer
from tradebus.runtime.shell import run_components


class Finishes:
    async def run(self, stop: asyncio.Event) -> None:
        return


class Waits:
    stopped = False

    async def run(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.stopped = True


class Fails:
    """After a while, so that another has ended before."""

    async def run(self, stop: asyncio.Event) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        raise RuntimeError("broken")


class Stuck:
    async def run(self, stop: asyncio.Event) -> None:
        await asyncio.Event().wait()


async def test_a_component_that_fails_after_another_has_finished_still_ends_the_service():
    waiting = Waits()
    with pytest.raises(RuntimeError, match="broken"):
        async with asyncio.timeout(5):
            await run_components([Finishes(), Fails(), waiting], asyncio.Event())
    assert waiting.stopped


class Cancelled:
    """By something of its own, nobody having told it to stop."""

    async def run(self, stop: asyncio.Event) -> None:
        await asyncio.sleep(0)
        raise asyncio.CancelledError


async def test_a_component_that_is_cancelled_by_nobody_who_may_ends_the_service_by_name():
    waiting = Waits()
    with pytest.raises(RuntimeError, match="Cancelled was cancelled"):
        async with asyncio.timeout(5):
            await run_components([Cancelled(), waiting], asyncio.Event())
    assert waiting.stopped


async def test_a_component_that_finishes_leaves_the_others_running_until_told_to_stop():
    stop, waiting = asyncio.Event(), Waits()
    running = asyncio.create_task(run_components([Finishes(), waiting], stop))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not running.done()
    stop.set()
    async with asyncio.timeout(5):
        await running
    assert waiting.stopped


async def test_when_all_have_finished_the_service_ends():
    async with asyncio.timeout(5):
        await run_components([Finishes(), Finishes()], asyncio.Event())


async def test_a_component_that_does_not_stop_is_cancelled():
    stop = asyncio.Event()
    stop.set()
    async with asyncio.timeout(5):
        await run_components([Stuck(), Waits()], stop, grace_seconds=0.01)


async def test_a_failure_while_stopping_is_raised():
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(RuntimeError, match="broken"):
        async with asyncio.timeout(5):
            await run_components([Waits(), Fails()], stop)


class LosesServer:
    """Its server goes away: once it is told to stop, or at once."""

    def __init__(self, *, at_once: bool = False) -> None:
        self.at_once = at_once

    async def run(self, stop: asyncio.Event) -> None:
        if not self.at_once:
            await stop.wait()
        raise ConnectionRefusedError("Postgres is gone")


async def test_a_server_that_goes_away_while_stopping_is_no_failure(capsys):
    stop, waiting = asyncio.Event(), Waits()
    stop.set()
    async with asyncio.timeout(5):
        await run_components([LosesServer(), waiting], stop)
    assert waiting.stopped
    assert "Traceback" not in str(capsys.readouterr())


async def test_a_server_that_goes_away_before_ends_the_service_with_what_is_gone(capsys):
    with pytest.raises(ConnectionRefusedError):
        async with asyncio.timeout(5):
            await run_components([LosesServer(at_once=True), Waits()], asyncio.Event())
    said = str(capsys.readouterr())
    assert "Postgres is gone" in said
    assert "Traceback" not in said


async def test_a_health_port_that_is_taken_is_named_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=f"TRADEBUS_HEALTH_PORT: 127.0.0.1:{port}"):
            await HealthServer(host="127.0.0.1", port=port, ready=lambda: None).start()


async def asked(path: bytes, problem: str | None) -> bytes:
    server = HealthServer(host="127.0.0.1", port=0, ready=lambda: problem)
    port = await server.start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(path)
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        return answer
    finally:
        await server.stop()


@pytest.mark.parametrize(
    ("request_line", "problem", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n", "starting", b"200"),
        (b"GET /readyz?x=1 HTTP/1.1\r\n\r\n", None, b"200"),
        (b"GET /readyz HTTP/1.1\r\n\r\n", "starting", b"503"),
        (b"GET /metrics HTTP/1.1\r\n\r\n", None, b"200"),
        (b"GET /other HTTP/1.1\r\n\r\n", None, b"404"),
    ],
)
async def test_the_health_port_answers(request_line, problem, status):
    assert (await asked(request_line, problem)).split(b" ")[1] == status


async def test_a_caller_that_speaks_no_http_gets_nothing_and_harms_nothing():
    assert await asked(b"\xff\xfe\r\n\r\n", None) == b""
