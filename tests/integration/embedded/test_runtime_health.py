"""The health port under callers that do not come to the point."""

import asyncio

from prometheus_client import CollectorRegistry, Counter

from tradebus.runtime.health import HealthServer


async def ask(port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET %s HTTP/1.1\r\n\r\n" % path.encode())
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return answer


async def test_health_answers_while_hundreds_are_connected_and_say_nothing() -> None:
    server = HealthServer(host="127.0.0.1", port=0, ready=lambda: None)
    port = await server.start()
    try:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(300)]
        assert (await ask(port, "/healthz")).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(30):
            assert await silent[0][0].read() == b"", "who has been silent longest has gone first"
        for _, writer in silent:
            writer.close()
    finally:
        await server.stop()


async def test_metrics_shows_the_registry_that_was_handed_in() -> None:
    registry = CollectorRegistry()
    Counter("tradebus_made_up_total", "For this test", registry=registry).inc(3)
    server = HealthServer(host="127.0.0.1", port=0, ready=lambda: "starting", registry=registry)
    port = await server.start()
    try:
        assert b"tradebus_made_up_total 3.0" in await ask(port, "/metrics")
        assert (await ask(port, "/readyz")).startswith(b"HTTP/1.1 503")
    finally:
        await server.stop()
