"""One stack: servers, a namespace, every service as a child process, and what others need to find it.

    servers ─► migrate ─► market_data, gateway ─► [commands] ─► execution, risk, strategy, market_data_api

Sessions may be commanded before the services that take them up are there: they find the commands on the stream, all
before the first tick, which makes a paced run of several sessions repeatable.
"""

import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from services.cli.client import GatewayClient
from services.cli.output import Verbosity, say
from services.cli.place import Servers, open_servers, read_token, state_dir
from services.cli.stack.children import ServiceSpec, free_port
from services.cli.stack.restarts import RUN, STANDING, STANDING_VITAL, RestartPolicy
from services.cli.stack.rundir import RunState, ServiceState, prune_runs, runs_folder, unfinished_runs, write_run
from services.cli.stack.supervisor import ProcessSupervisor
from services.gateway.settings import TOKEN_FILE
from tradebus.config.brokers import BROKER_VARIABLES
from tradebus.config.settings import without_password
from tradebus.kernel.clock import WallClock
from tradebus.kernel.errors import TradebusError, Unavailable
from tradebus.kernel.time import utc_iso
from tradebus.runtime.embedded.local import is_free
from tradebus.store.migrate import drop_namespace, migrate
from tradebus.waiting.timers import wall_timers

FIRST = ("market_data", "gateway")
THEN = ("execution", "risk", "strategy", "market_data_api")
# Stopped in reverse: the feed goes first, the gateway tells the outside until the end.
ORDER = ("gateway", "execution", "risk", "strategy", "market_data", "market_data_api")
# What a position is watched, protected and closed through, and KILL arrives by.
_VITAL = ("execution", "risk", "market_data", "gateway")
_MODULES = {
    **{name: f"services.{name}.main" for name in ("market_data", "gateway", "execution", "risk", "strategy")},
    "market_data_api": "services.market_data.api_main",
}
_PATIENCE_SECONDS = 20.0
# Set by the supervisor for its children, whatever our own environment says.
_OURS = ("DATABASE_URL_FILE", "REDIS_URL_FILE", "DATABASE_PASSWORD", "REDIS_PASSWORD", "DATABASE_PASSWORD_FILE",
         "REDIS_PASSWORD_FILE", "TRADEBUS_HEALTH_HOST")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. `own_state`: kill file and token lie in the run's folder, so that runs do not touch each other.
    `shared` is the environment of every service, `feed` market_data's alone."""

    name: str
    command: str
    namespace: str
    paced: bool
    feed: Mapping[str, str] = field(default_factory=dict)
    shared: Mapping[str, str] = field(default_factory=dict)
    own_state: bool = True
    gateway_port: int = 0  # 0: any free one
    api_port: int | None = None  # of the market-data API; None: it does not run
    standing: bool = False  # it holds positions and never ends by itself: no service is given up


@dataclass(slots=True)
class Stack:
    """A stack that runs."""

    plan: Plan
    run_dir: Path
    servers: Servers
    supervisor: ProcessSupervisor
    state: RunState

    def client(self) -> GatewayClient:
        token = read_token(Path(self.state.token_file))
        return GatewayClient(self.state.gateway_url, token, patience_seconds=_PATIENCE_SECONDS)

    async def start_first(self) -> None:
        """Feed and gateway: instruments are registered, commands are taken."""
        await self.supervisor.start(FIRST, required=() if self.plan.standing else None)

    async def start_rest(self) -> None:
        """The services that take sessions up. A paced feed waits for the first session. Without execution a standing
        stack is none; it goes on without the others until they come."""
        names = THEN if self.plan.api_port is not None else THEN[:-1]
        await self.supervisor.start(names, required=("execution",) if self.plan.standing else None)

    @property
    def restarts(self) -> dict[str, int]:
        return {name: one.restarts for name, one in self.supervisor.services().items() if one.restarts}


@asynccontextmanager
async def open_stack(plan: Plan, *, keep: bool) -> AsyncIterator[Stack]:
    """Everything prepared and nothing started yet. At the end all services are stopped, and without `keep` the
    namespace is removed from both servers. Raises Unavailable and InvalidInput in one line."""
    root = state_dir()
    run_dir = runs_folder(root) / plan.name
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"{run_dir}: cannot be made ({error.strerror}); name another folder with TRADEBUS_STATE_DIR"
        ) from error
    prune_runs(root)
    with open_servers() as servers:
        if plan.standing and servers.starter_pid:
            say(_whose(servers.starter_pid, root))
        await _require_redis(servers)
        await remove_leftovers(root, servers)
        stack = _prepared(plan, run_dir, servers, services_state=run_dir if plan.own_state else root, keep=keep)
        write_run(run_dir, stack.state)
        migrate(servers.database_url, namespace=plan.namespace)
        try:
            yield stack
        finally:
            await stack.supervisor.stop()
            if not keep:
                await _clean_up(servers, plan.namespace)
                write_run(run_dir, replace(stack.state, leaves_namespace=False))


def _whose(starter_pid: int, root: Path) -> str:
    if starter_pid == os.getpid():
        return f"Postgres and Redis are embedded in {root}; commands that come to use them keep them up with this one"
    return (
        f"Postgres and Redis in {root} were started by process {starter_pid} and are shared with it; "
        "they stay when it ends, for as long as this command lasts"
    )


async def _require_redis(servers: Servers) -> None:
    """Raises InvalidInput for an address that is none, Unavailable where nobody answers after some attempts."""
    from tradebus.bus.redis.bus import RedisBus

    await (await RedisBus.connect(servers.redis_url, namespace="", timers=wall_timers())).close()


async def remove_leftovers(root: Path, servers: Servers) -> None:
    """What runs that were killed left in these servers."""
    for folder, run in unfinished_runs(root):
        if run.database_url == without_password(servers.database_url):
            say(f"removing what {run.name} left: it was killed")
            await remove_namespace(servers, run.namespace)
            write_run(folder, replace(run, leaves_namespace=False))


async def _clean_up(servers: Servers, namespace: str) -> None:
    """Removes the run's tables and keys. A server that is not there must not hide why the run ended; what is left is
    removed by the next run."""
    from redis.exceptions import RedisError

    try:
        await remove_namespace(servers, namespace)
    except (RedisError, TradebusError, OSError) as error:
        say(f"not everything of {namespace} could be removed ({type(error).__name__}); the next run removes it")


async def remove_namespace(servers: Servers, namespace: str) -> None:
    """Drops the schema and deletes the keys of a namespace that has a name."""
    if not namespace:
        raise ValueError("the default namespace is never removed")
    import redis.asyncio

    drop_namespace(servers.database_url, namespace=namespace)
    async with redis.asyncio.Redis.from_url(servers.redis_url) as client:
        async for key in client.scan_iter(f"{namespace}:*", count=1000):
            await client.unlink(key)


def _prepared(plan: Plan, run_dir: Path, servers: Servers, *, services_state: Path, keep: bool) -> Stack:
    names = ORDER if plan.api_port is not None else ORDER[:-1]
    ports = {name: free_port() for name in names}
    gateway_port = plan.gateway_port or free_port()
    state = RunState(
        name=plan.name,
        command=plan.command,
        namespace=plan.namespace,
        supervisor_pid=os.getpid(),
        started_utc=utc_iso(WallClock().now_ns()),
        state_dir=str(services_state),
        database_url=without_password(servers.database_url),
        redis_url=without_password(servers.redis_url),
        gateway_url=f"http://127.0.0.1:{gateway_port}",
        token_file=str(services_state / TOKEN_FILE),
        leaves_namespace=not keep,
        brokers={name: value for name in BROKER_VARIABLES if (value := plan.shared.get(name) or os.environ.get(name))},
    )
    shared: dict[str, str | None] = {
        **dict.fromkeys(_OURS),
        "DATABASE_URL": servers.services_database_url or servers.database_url,
        "REDIS_URL": servers.services_redis_url or servers.redis_url,
        "TRADEBUS_NAMESPACE": plan.namespace,
        "TRADEBUS_PACED": "1" if plan.paced else "0",
        "TRADEBUS_STATE_DIR": str(services_state),
        "TRADEBUS_LOG_LEVEL": Verbosity.log_level,
        **plan.shared,
    }
    own: dict[str, dict[str, str]] = {
        "market_data": dict(plan.feed),
        "market_data_api": {"MDS_PORT": str(plan.api_port or 0)},
        "gateway": {
            "TRADEBUS_GATEWAY_PORT": str(gateway_port),
            "TRADEBUS_SERVICE_URLS": json.dumps(
                {name: f"http://127.0.0.1:{port}" for name, port in ports.items() if name != "gateway"}
            ),
        },
    }
    specs = [
        ServiceSpec(
            name,
            [sys.executable, "-m", _MODULES[name]],
            ports[name],
            {**shared, **own.get(name, {}), "TRADEBUS_HEALTH_PORT": str(ports[name])},
            policy=_policy(plan, name),
        )
        for name in names
    ]

    def changed(services: dict[str, ServiceState]) -> None:
        write_run(run_dir, replace(state, services=services))

    return Stack(plan, run_dir, servers, ProcessSupervisor(specs, run_dir=run_dir, changed=changed, say=say), state)


def _policy(plan: Plan, name: str) -> RestartPolicy:
    if not plan.standing:
        return RUN
    return STANDING_VITAL if name in _VITAL else STANDING


def preferred_port(port: int) -> int:
    """`port` where it is free, else any free one."""
    return port if is_free(port) else free_port()


def require_free(port: int, *, option: str) -> None:
    """Raises Unavailable where somebody listens there already."""
    if port and not is_free(port):
        raise Unavailable(f"{option}: 127.0.0.1:{port} is taken; choose another port")


def require_alone(name: str) -> None:
    """Raises Unavailable where that stack runs already."""
    from services.cli.stack.rundir import read_run

    run = read_run(runs_folder(state_dir()) / name)
    if run is not None and run.alive:
        raise Unavailable(f"it runs already (process {run.supervisor_pid}, {run.gateway_url}); see `tradebus status`")
