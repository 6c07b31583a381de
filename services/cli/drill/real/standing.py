"""What stands while the real drill is played: the sandbox, Postgres and Redis of its own, two instances of execution.

drill ─► book, bus ─► execution (killed, started again) ─► kite, dhan, upstox faces ─► exchange ─► its own book
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from services.cli.brokers.sandbox_admin import SandboxAdmin, SandboxClock
from services.cli.brokers.sandbox_process import ADMIN, broker_addresses, sandbox_spec
from services.cli.drill.real.plan import INSTANCES
from services.cli.stack.children import Child, ServiceSpec, free_port, started
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.instrument_key import InstrumentKey, Right
from tradebus.contracts.instruments import Instrument, InstrumentKind
from tradebus.runtime.embedded import EmbeddedServers, ServerUrls
from tradebus.store.books import instruments_book
from tradebus.store.migrate import migrate
from tradebus.store.store import Store
from tradebus.waiting.timers import wall_timers

START = "2026-11-25T10:00:00"  # of the sandbox's market: a Wednesday
_NAMESPACE = "drill"
_FUTURE, _SHARE, _INDEX, _OPTIONS = "NFO:NIFTY:2026-12-29:FUT", "NSE:INFY", "INDEX:NIFTY", "NFO:NIFTY:2026-12-01:"
READY_SECONDS = 90.0
_POSTMASTER = "postgres/postmaster.pid"


@dataclass(frozen=True, slots=True)
class RealStack:
    """`instruments` are by what the plan calls them, `folder` is the state folder of services and servers."""

    admin: SandboxAdmin
    clock: SandboxClock
    store: Store
    bus: RedisBus
    executions: tuple[Child, ...]
    instruments: Mapping[str, Instrument]
    urls: ServerUrls
    folder: Path

    def crash_postgres(self) -> None:
        """At once, without a word to anybody; its keeper starts it again."""
        os.kill(int((self.folder / _POSTMASTER).read_text().splitlines()[0]), signal.SIGQUIT)

    def crash_redis(self) -> None:
        """As `crash_postgres`."""
        with redis.Redis.from_url(self.urls.redis_url) as client:
            os.kill(int(client.info("server")["process_id"]), signal.SIGKILL)


@asynccontextmanager
async def standing(folder: Path, *, seed: int) -> AsyncIterator[RealStack]:
    """Everything up; ended again afterwards. Raises Unavailable where something does not start."""
    with EmbeddedServers(folder) as urls:
        migrate(urls.database_url, namespace=_NAMESPACE)
        spec, ports = sandbox_spec({
            "SEED": str(seed % 2**31), "SPEED": "1", "START": START, "INSTRUMENTS": "300", "TICKS_PER_SECOND": "60",
        })  # fmt: skip
        children = [Child(spec, log=folder / "sandbox.log")]
        timers = wall_timers()
        store = await Store.connect(urls.database_url, namespace=_NAMESPACE, producer="risk-1", timers=timers)
        bus = await RedisBus.connect(urls.redis_url, namespace=_NAMESPACE, timers=timers)
        try:
            await started(children[0], seconds=READY_SECONDS)
            async with SandboxAdmin(f"http://127.0.0.1:{ports[ADMIN]}") as admin:
                clock = await admin.market_clock()
                instruments = await _register(admin, store)
                executions = tuple(
                    Child(_execution(urls.for_services, folder, ports, clock, instance=one), log=folder / f"{one}.log")
                    for one in INSTANCES
                )
                children += executions
                await asyncio.gather(*(started(one, seconds=READY_SECONDS) for one in executions))
                yield RealStack(admin, clock, store, bus, executions, instruments, urls, folder)
        finally:
            for child in reversed(children):
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGCONT) if child.pid else None
                await child.stop()
            await bus.close()
            await store.close()


async def _register(admin: SandboxAdmin, store: Store) -> dict[str, Instrument]:
    """What is traded, by what the plan calls it; the options are those at the money."""
    rows = {"future": await admin.instrument(_FUTURE), "share": await admin.instrument(_SHARE)}
    last_paise = await admin.price_paise(_INDEX)
    listed = [(InstrumentKey.parse(row["key"]), row) for row in await admin.instruments(_OPTIONS)]
    for name, right in (("call", Right.CALL), ("put", Right.PUT)):
        near = [one for one in listed if one[0].right is right]
        rows[name] = min(near, key=lambda one: abs((one[0].strike_paise or 0) - last_paise))[1]
    found = {name: _instrument(number, row) for number, (name, row) in enumerate(rows.items())}
    async with store.begin() as transaction:
        await instruments_book(store).register(transaction, list(found.values()))
    return found


def _instrument(number: int, row: Mapping[str, Any]) -> Instrument:
    key = InstrumentKey.parse(row["key"])
    kind: InstrumentKind = "OPTION" if key.is_option else "FUTURE" if key.is_derivative else "EQUITY"
    return Instrument(
        instrument_id=number, symbol=row["symbol"], exchange=key.segment.value, kind=kind,
        market_class="derivative" if key.is_derivative else "equity", underlying=key.name,
        tick_size_paise=row["tick_size_paise"], expiry=key.expiry, instrument_key=row["key"],
        strike_paise=key.strike_paise, right=key.right, lot_size=row["lot_size"],
    )  # fmt: skip


def _execution(
    urls: ServerUrls, folder: Path, ports: Mapping[str, int], clock: SandboxClock, *, instance: str
) -> ServiceSpec:
    health = free_port()
    environment = {
        **broker_addresses(ports), "DATABASE_URL": urls.database_url, "REDIS_URL": urls.redis_url,
        "TRADEBUS_NAMESPACE": _NAMESPACE, "TRADEBUS_PACED": "0", "TRADEBUS_STATE_DIR": str(folder),
        "TRADEBUS_LOG_LEVEL": "warning", "TRADEBUS_HEALTH_PORT": str(health), "TRADEBUS_MARKET_CLOCK": clock.text,
        "TRADEBUS_INSTANCE": instance,
    }  # fmt: skip
    return ServiceSpec(
        f"execution-{instance}", [sys.executable, "-m", "services.execution.main"], health, environment
    )  # fmt: skip
