"""Gateways that run on the test's own namespace."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from testkit.gateway import TOKEN, Gateway, http_of, register
from testkit.waiting import WALL_TIMERS

from services.cli.stack.children import free_port
from services.gateway.bootstrap import build
from services.gateway.settings import GatewaySettings
from tradebus.bus.port import Bus
from tradebus.kernel.clock import WallClock
from tradebus.kernel.ids import RandomIds
from tradebus.runtime.shell import run_components
from tradebus.store.store import Store


@pytest.fixture
def gateway_settings(database_url: str, redis_url: str, namespace: str, tmp_path: Path) -> GatewaySettings:
    return GatewaySettings(
        database_url=SecretStr(database_url), redis_url=SecretStr(redis_url), namespace=namespace,
        state_dir=tmp_path / "state", port=0, api_token=SecretStr(TOKEN), session_start_timeout_seconds=15,
    )  # fmt: skip


@pytest.fixture
async def launch(bus: Bus, store: Store) -> AsyncIterator[Callable[[GatewaySettings], Any]]:
    """Starts gateways that are stopped at the end, if the test did not."""
    await register(store)
    running: list[Callable[[], Any]] = []

    async def start(settings: GatewaySettings) -> Gateway:
        port = free_port()
        settings = settings.model_copy(update={"port": port})
        components = await build(settings, bus=bus, store=store, clock=WallClock(), ids=RandomIds(), timers=WALL_TIMERS)
        stop = asyncio.Event()
        task = asyncio.create_task(run_components(components, stop))
        client = http_of(port)

        async def end() -> None:
            stop.set()
            await client.aclose()
            await task

        running.append(end)
        return Gateway(bus, store, settings, client, end)

    yield start
    for end in running:
        await end()


@pytest.fixture
async def gateway(launch: Callable[[GatewaySettings], Any], gateway_settings: GatewaySettings) -> Gateway:
    found: Gateway = await launch(gateway_settings)
    return found
