"""Service processes of a benchmark, and sessions as the gateway would start them."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.cli.stack.children import ServiceSpec, free_port
from services.cli.stack.supervisor import ProcessSupervisor
from tradebus.bus.port import Outgoing
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.commands import StartTrading
from tradebus.contracts.sessions import SessionSpec
from tradebus.contracts.streams import COMMANDS
from tradebus.kernel.errors import Unavailable
from tradebus.runtime.embedded import ServerUrls
from tradebus.store.store import Store

_TAKEN_UP_SECONDS = 60.0


def process_specs(
    urls: ServerUrls, namespace: str, modules: Mapping[str, tuple[str, Mapping[str, str]]], folder: Path
) -> list[ServiceSpec]:
    """`modules`: what each runs, and what its environment has beside what all have."""
    shared = {
        "DATABASE_URL": urls.database_url,
        "REDIS_URL": urls.redis_url,
        "TRADEBUS_NAMESPACE": namespace,
        "TRADEBUS_PACED": "0",
        "TRADEBUS_STATE_DIR": str(folder),
        "TRADEBUS_LOG_LEVEL": "warning",
    }
    specs = []
    for name, (module, own) in modules.items():
        port = free_port()
        environment = {**shared, **own, "TRADEBUS_HEALTH_PORT": str(port)}
        specs.append(ServiceSpec(name, [sys.executable, "-m", module], port, environment))
    return specs


def supervised(specs: list[ServiceSpec], folder: Path) -> ProcessSupervisor:
    return ProcessSupervisor(specs, run_dir=folder, changed=lambda _: None, say=lambda _: None)


async def start_sessions(
    store: Store, bus: RedisBus, specs: Sequence[SessionSpec], *, now_ns: int, services: int
) -> None:
    """What the gateway does for START_TRADING: sessions in the book, the commands on the bus. Returns once so many
    services have taken up all of them; raises Unavailable where they do not."""
    for spec in specs:
        async with store.begin() as tx:
            await tx.connection.execute(
                "INSERT INTO sessions (session_id, user_id, status, mode, spec, command_id, created_ns)"
                " VALUES ($1, $2, 'RUNNING', 'paper', $3, $1, $4)",
                spec.session_id, spec.user_id, json.loads(spec.model_dump_json()), now_ns,
            )  # fmt: skip
        command = StartTrading(
            event_id=f"start-{spec.session_id}", ts_event_ns=now_ns, ts_recorded_ns=now_ns, source="bench",
            trace_id="bench", user_id=spec.user_id, session_id=spec.session_id, spec=spec,
        )  # fmt: skip
        await bus.publish([Outgoing(COMMANDS.name, command.TYPE, command.to_json())])
    wanted, found = services * len(specs), 0
    try:
        async with asyncio.timeout(_TAKEN_UP_SECONDS):
            while (found := await store.pool.fetchval("SELECT count(*) FROM session_participants")) != wanted:  # noqa: ASYNC110 - asks another process
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise Unavailable(f"bench: sessions were taken up {found} times of {wanted}") from None
