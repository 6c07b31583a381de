"""`tradebus bench latency`: from a tick frame's arrival to the order request on the broker's socket.

    frames ─► market_data ─► strategy ─► risk ─► execution ─► broker's socket      (5,000 ticks a second throughout)

Four processes, Redis between them; the verdict and the order are committed durably before they are passed on. The floor
is the same hops with the same commits and nothing else: four processes that pass a message on. Once more with four
users' own files, each in a process of its own that is asked about every tick: what that wall costs.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from services.cli.bench.instruments import register
from services.cli.bench.latency.load import INSTRUMENTS, TICKS_PER_SECOND, drive, drive_floor
from services.cli.bench.ports import BenchClock
from services.cli.bench.processes import process_specs, start_sessions, supervised
from services.cli.stack.children import free_port
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.sessions import RiskLimits, SessionSpec, StrategySpec
from tradebus.runtime.embedded import EmbeddedServers, ServerUrls
from tradebus.store.migrate import migrate
from tradebus.store.store import Store
from tradebus.waiting.timers import wall_timers

LEVEL_PAISE = 10_050
SESSIONS = 20  # users, each with a share of the instruments
FILES = 4  # users with a file of their own
_STRATEGY_FILE = Path(__file__).with_name("level_strategy.py")


def measure() -> dict[str, Any]:
    """Milliseconds: p50, p99 and the worst of the real chain and of its floor, in one run."""
    with tempfile.TemporaryDirectory(prefix="tradebus-bench-") as folder, EmbeddedServers(Path(folder)) as servers:
        urls = servers.for_services
        floor = asyncio.run(_floor(urls, Path(folder)))
        orders = asyncio.run(_orders(urls, Path(folder), sessions=SESSIONS))
        of_files = asyncio.run(_orders(urls, Path(folder), sessions=FILES, path=str(_STRATEGY_FILE)))
    return {
        "orders": len(orders),
        "ticks_per_second": TICKS_PER_SECOND,
        "tick_to_order_ms": _percentiles(orders),
        "floor_same_hops_ms": _percentiles(floor),
        "ratio_p50_to_floor": float(np.median(orders) / np.median(floor)),
        f"{FILES}_users_files_ms": _percentiles(of_files),
    }


def _percentiles(latencies_ns: list[int]) -> dict[str, float]:
    p50, p99, worst = np.percentile(latencies_ns, (50, 99, 100)) / 1e6
    return {"p50": float(p50), "p99": float(p99), "max": float(worst)}


async def _orders(urls: ServerUrls, folder: Path, *, sessions: int, path: str | None = None) -> list[int]:
    """The strategy runs in the service; with a `path` it is every user's own file, in a process for each."""
    namespace, clock = "bench_latency" if path is None else "bench_files", BenchClock.starting_now()
    migrate(urls.database_url, namespace=namespace)
    broker_port, frames_port = free_port(), free_port()
    own = {
        "BENCH_BROKER_PORT": str(broker_port),
        "BENCH_FRAMES_PORT": str(frames_port),
        "BENCH_OFFSET_NS": str(clock.offset_ns),
        "BENCH_INSTRUMENTS": str(INSTRUMENTS),
    }
    modules = {
        "market_data": "services.cli.bench.latency.feed",
        "strategy": "services.cli.bench.latency.strategy" if path is None else "services.strategy.main",
        "risk": "services.risk.main",
        "execution": "services.cli.bench.latency.execution",
    }
    specs = process_specs(urls, namespace, {name: (module, own) for name, module in modules.items()}, folder)
    store = await Store.connect(urls.database_url, namespace=namespace, producer="bench-1", timers=wall_timers())
    bus = await RedisBus.connect(urls.redis_url, namespace=namespace, timers=wall_timers())
    supervisor = supervised(specs, folder)

    async def begin() -> None:
        await supervisor.start(list(modules))
        started = [_spec(number, sessions, path) for number in range(sessions)]
        await start_sessions(store, bus, started, now_ns=clock.now_ns(), services=3)

    try:
        await register(store, count=INSTRUMENTS)
        return await drive(
            begin, clock=clock, broker_port=broker_port, frames_port=frames_port, level_paise=LEVEL_PAISE
        )
    finally:
        await supervisor.stop()
        await bus.close()
        await store.close()


async def _floor(urls: ServerUrls, folder: Path) -> list[int]:
    namespace, clock, broker_port = "bench_floor", BenchClock.starting_now(), free_port()
    migrate(urls.database_url, namespace=namespace)
    hops = {
        f"floor-{number}": (
            "services.cli.bench.latency.floor",
            {"BENCH_HOP": str(number), "BENCH_BROKER_PORT": str(broker_port if number == 3 else 0)},
        )
        for number in range(4)
    }
    supervisor = supervised(process_specs(urls, namespace, hops, folder), folder)
    bus = await RedisBus.connect(urls.redis_url, namespace=namespace, timers=wall_timers())
    try:
        return await drive_floor(lambda: supervisor.start(list(hops)), bus=bus, clock=clock, broker_port=broker_port)
    finally:
        await supervisor.stop()
        await bus.close()


def _spec(number: int, sessions: int, path: str | None) -> SessionSpec:
    """One user's session on a share of the instruments."""
    return SessionSpec(
        session_id=f"bench-{number}",
        user_id=f"user-{number}",
        symbols=tuple(f"BENCH{instrument}" for instrument in range(number, INSTRUMENTS, sessions)),
        strategies=(
            StrategySpec(name="bench_level", path=path, parameters={"level_paise": LEVEL_PAISE}),
        ),
        capital_paise=10**12,
        limits=RiskLimits(
            max_concurrent_trades=INSTRUMENTS, order_timeout_seconds=3_600, max_lots_per_trade=1, cooldown_seconds=0,
            safe_trading_start="09:15", safe_trading_end="15:29", hard_trading_end="15:29",
        ),
    )  # fmt: skip
