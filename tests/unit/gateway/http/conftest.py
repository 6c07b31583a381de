"""Gateways on the twins with their HTTP door open."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from testkit.gateway import TOKEN, Gateway, http_of, register
from testkit.waiting import WALL_TIMERS

from services.gateway.bootstrap import wire, wire_http
from services.gateway.settings import GatewaySettings
from tradebus.brokers.audit.log import unrecorded
from tradebus.brokers.registry import OpenBroker, open_broker
from tradebus.bus.memory.bus import MemoryBus
from tradebus.kernel.ids import RandomIds
from tradebus.runtime.http.server import HttpServer, bind
from tradebus.runtime.shell import run_components
from tradebus.store.memory_book import MemoryBook, MemoryDatabase


@pytest.fixture
def gateway_settings(tmp_path: Path) -> GatewaySettings:
    return GatewaySettings(
        database_url=SecretStr("postgresql://tradebus:secret-of-postgres@none/book"),
        redis_url=SecretStr("redis://:secret-of-redis@none"), namespace="twin", state_dir=tmp_path / "state",
        api_token=SecretStr(TOKEN), session_start_timeout_seconds=15,
    )  # fmt: skip


@pytest.fixture
async def launch() -> AsyncIterator[Callable[..., Any]]:
    """Starts gateways, each on a bus and a book of its own, that are stopped at the end."""
    running: list[Callable[[], Any]] = []

    async def start(settings: GatewaySettings, *, open_broker: OpenBroker = open_broker) -> Gateway:
        bus, book = MemoryBus(timers=WALL_TIMERS), MemoryBook(MemoryDatabase(), producer="gateway-1")
        await register(book)
        registry = CollectorRegistry()
        wired = await wire(
            settings, bus=bus, book=book, clock=WALL_TIMERS, ids=RandomIds(), timers=WALL_TIMERS, registry=registry,
            log_of=unrecorded, open_broker=open_broker,
        )  # fmt: skip
        hub, app = await wire_http(
            settings,
            wired.handler,
            token=SecretStr(TOKEN),
            bus=bus,
            book=book,
            clock=WALL_TIMERS,
            timers=WALL_TIMERS,
            registry=registry,
        )
        listener = bind("127.0.0.1", 0, setting="TRADEBUS_GATEWAY_PORT")
        client = http_of(listener.getsockname()[1])
        stop = asyncio.Event()
        task = asyncio.create_task(run_components((*wired.components, hub, HttpServer(app, listener)), stop))

        async def end() -> None:
            stop.set()
            await client.aclose()
            await task

        running.append(end)
        return Gateway(bus, book, settings, client, end)

    yield start
    for end in running:
        await end()


@pytest.fixture
async def gateway(launch: Callable[..., Any], gateway_settings: GatewaySettings) -> Gateway:
    found: Gateway = await launch(gateway_settings)
    return found
