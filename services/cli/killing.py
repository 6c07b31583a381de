"""What `tradebus kill` does. Each of three ways works without the others:

file       <state>/.killswitch     gateway and risk look for it every second
Postgres   kill_switch row + KILL in the outbox      risk and execution look for the row; KILL goes out with Redis
Redis      KILL on commands.v1 (risk, execution) and on trading:commands (a live gateway)
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from services.cli.output import print_json
from services.cli.place import find_database, find_redis, state_dir
from services.cli.stack.rundir import alive_runs, read_run, runs_folder
from services.gateway.killswitch import engage, kill_command
from tradebus.bus.port import Outgoing
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.streams import COMMAND_CHANNEL, COMMANDS
from tradebus.kernel.clock import WallClock
from tradebus.kernel.errors import InvalidInput, TradebusError, Unavailable
from tradebus.store.books import kill_switch_book
from tradebus.store.books.kill_switch import KILL_FILE
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store
from tradebus.waiting.timers import wall_timers

_RETRY_SECONDS = 2.0
DONE = "done"


@dataclass(frozen=True, slots=True)
class Target:
    """One stack's switch: the folder its services look in, and its namespace."""

    name: str
    folder: Path
    namespace: str


@dataclass(slots=True)
class KillResult:
    """What became of each way: `done`, or why not."""

    target: Target
    ways: dict[str, str] = field(default_factory=dict)


async def run_kill(*, reason: str, reset: bool, stack: str | None, json: bool) -> None:
    """Prints what was reached. Raises Unavailable where nothing was, InvalidInput for a reason that is no line."""
    if not reason.strip() or len(reason) > 200 or not reason.isprintable():
        raise InvalidInput("--reason: write one line of at most 200 characters")
    results = [
        await (_reset(one, reason) if reset else _engage(one, reason)) for one in targets(stack, state=state_dir())
    ]
    reached = [way for result in results for way, what in result.ways.items() if what == DONE]
    if json:
        shown = [{"stack": one.target.name, "namespace": one.target.namespace, **one.ways} for one in results]
        print_json({"command": "kill", "reset": reset, "reason": reason, "stacks": shown})
    else:
        for result in results:
            for way, what in result.ways.items():
                print(f"{result.target.name}: {way}: {what}")
        print(
            "released: entries are let through again" if reset else "kill switch engaged" if reached else "not engaged"
        )
    if not reached:
        raise Unavailable("the kill switch could not be reached in any way; see the lines above")


def targets(stack: str | None, *, state: Path) -> list[Target]:
    """The stacks that run; where the default one is down it is meant too, as it was when it last ran here, and the one
    that runs elsewhere on the same servers."""
    found = [Target(run.name, Path(run.state_dir), run.namespace) for run in alive_runs(state)]
    if "default" not in {one.name for one in found}:
        last = read_run(runs_folder(state) / "default")
        if last is not None and last.namespace:
            found.insert(0, Target(f"default ({last.namespace})", Path(last.state_dir), last.namespace))
        found.insert(0, Target("default", state, ""))
    if stack is None:
        return found
    chosen = [one for one in found if stack in (one.name, one.namespace)]
    if not chosen:
        raise InvalidInput(f"--stack {stack!r}: no such stack; there are {', '.join(one.name for one in found)}")
    return chosen


async def _engage(target: Target, reason: str) -> KillResult:
    """The file first: it needs nobody."""
    now_ns = WallClock().now_ns()
    return await _each(
        target,
        {
            "file": lambda: asyncio.to_thread(_write_file, target.folder / KILL_FILE, reason),
            "postgres": lambda: _engage_row(target, reason, now_ns),
            "redis": lambda: _publish(target, reason, now_ns),
        },
    )


async def _reset(target: Target, reason: str) -> KillResult:
    """The file first: while it lies there the switch would engage again."""
    return await _each(
        target,
        {
            "file": lambda: asyncio.to_thread(_remove_file, target.folder / KILL_FILE),
            "postgres": lambda: _release_row(target, reason),
        },
    )


async def _each(target: Target, ways: dict[str, Callable[[], Awaitable[None]]]) -> KillResult:
    result = KillResult(target)
    for name, way in ways.items():
        try:
            await way()
            result.ways[name] = DONE
        except TradebusError as error:
            result.ways[name] = str(error)
        except OSError as error:
            result.ways[name] = f"{error.filename or name}: {error.strerror or error}"
    return result


def _write_file(path: Path, reason: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(reason + "\n")


def _remove_file(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _engage_row(target: Target, reason: str, now_ns: int) -> None:
    """The row and, through the outbox, the command: now where Redis answers, with the next gateway otherwise."""
    store = await _store(target)
    try:
        async with store.begin() as transaction:
            await engage(kill_switch_book(store), transaction, reason=reason, now_ns=now_ns)
        if (bus := await _bus_or_none(target)) is not None:
            try:
                await Outbox(store, bus, timers=wall_timers()).flush()
            finally:
                await bus.close()
    finally:
        await store.close()


async def _release_row(target: Target, reason: str) -> None:
    store = await _store(target)
    try:
        async with store.begin() as transaction:
            await kill_switch_book(store).release(transaction, reason=reason, at_ns=WallClock().now_ns())
    finally:
        await store.close()


async def _publish(target: Target, reason: str, now_ns: int) -> None:
    """Straight to risk and execution. Where the row was engaged too, this is its command a second time: harmless."""
    bus = await RedisBus.connect(
        find_redis(), namespace=target.namespace, retry_seconds=_RETRY_SECONDS, timers=wall_timers()
    )
    try:
        command = kill_command(reason, now_ns=now_ns)
        await bus.publish([Outgoing(COMMANDS.name, command.TYPE, command.to_json())], urgent=True)
        await bus.broadcast(COMMAND_CHANNEL, b'{"action":"KILL"}')
    finally:
        await bus.close()


async def _store(target: Target) -> Store:
    """As an instance of the gateway, so that a gateway publishes what this leaves in the outbox."""
    return await Store.connect(
        find_database(), namespace=target.namespace, producer="gateway-kill", pool_size=1,
        retry_seconds=_RETRY_SECONDS, timers=wall_timers())  # fmt: skip


async def _bus_or_none(target: Target) -> RedisBus | None:
    try:
        return await RedisBus.connect(
            find_redis(), namespace=target.namespace, retry_seconds=_RETRY_SECONDS, timers=wall_timers()
        )
    except Unavailable:
        return None
