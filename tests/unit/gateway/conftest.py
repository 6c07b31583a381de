"""Gateways on the twins: bus and book in memory, no HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from testkit.gateway import TOKEN, MemoryGateway, register
from testkit.waiting import WALL_TIMERS

from services.gateway.bootstrap import wire
from services.gateway.settings import GatewaySettings
from tradebus.brokers.audit.log import unrecorded
from tradebus.bus.memory.bus import MemoryBus
from tradebus.kernel.clock import WallClock
from tradebus.kernel.ids import RandomIds
from tradebus.runtime.shell import run_components
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.waiting.timers import WallTimers

Launch = Callable[..., Awaitable[MemoryGateway]]


@pytest.fixture
async def launch_twin(tmp_path: Path) -> AsyncIterator[Launch]:
    """Starts gateways that are stopped at the end."""
    stop, tasks = asyncio.Event(), []

    async def start(**settings: Any) -> MemoryGateway:
        given = GatewaySettings(
            database_url=SecretStr("postgresql://none"), redis_url=SecretStr("redis://none"), namespace="twin",
            state_dir=tmp_path / "state", api_token=SecretStr(TOKEN),
            **{"session_start_timeout_seconds": 15, **settings},
        )  # fmt: skip
        bus, book, clock = (
            MemoryBus(timers=WALL_TIMERS),
            MemoryBook(MemoryDatabase(), producer="gateway-1"),
            WallClock(),
        )
        await register(book)
        wired = await wire(
            given, bus=bus, book=book, clock=clock, ids=RandomIds(), timers=WallTimers(clock),
            registry=CollectorRegistry(), log_of=unrecorded,
        )  # fmt: skip
        tasks.append(asyncio.create_task(run_components(wired.components, stop)))
        return MemoryGateway(bus, book, given, wired.handler.handle)

    yield start
    stop.set()
    await asyncio.gather(*tasks)


@pytest.fixture
async def twin(launch_twin: Launch) -> MemoryGateway:
    return await launch_twin()
