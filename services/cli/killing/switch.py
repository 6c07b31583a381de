"""The kill switch, from outside. Each of three ways works without the others; all are tried at once, each within its
bound:

file       <state>/.killswitch     gateway and risk look for it every second
Postgres   kill_switch row + KILL in the outbox      risk and execution look for the row; KILL goes out with Redis
Redis      KILL on commands.v1 (risk, execution) and on trading:commands (a live gateway)
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from services.cli.place import database_is_given, find_database, find_redis, state_dir
from services.cli.stack.rundir import RunState, alive_runs, read_run, runs_folder
from services.gateway.killswitch import engage, kill_command
from services.gateway.pausing import pause_running
from tradebus.bus.port import Outgoing
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.streams import COMMAND_CHANNEL, COMMANDS
from tradebus.kernel.clock import WallClock
from tradebus.kernel.errors import InvalidInput, TradebusError
from tradebus.store.books import kill_switch_book, session_register
from tradebus.store.books.kill_switch import KILL_FILE, reasons_in
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store
from tradebus.waiting.timers import wall_timers

_RETRY_SECONDS = 2.0
_WAY_SECONDS = 4.0
_PUBLISH_SECONDS = 1.0
_POSTGRES_FOLDER = "postgres"  # of the embedded server, in the state folder
DONE = "done"
_STAYS = "stays: the book of record does not answer; start it with `tradebus up`, reset then"


@dataclass(frozen=True, slots=True)
class Target:
    """One stack's switch: the folder its services look in, its namespace, and what it has written of itself."""

    name: str
    folder: Path
    namespace: str
    run: RunState | None = None


@dataclass(slots=True)
class KillResult:
    """What became of each way: `done`, or why not."""

    target: Target
    ways: dict[str, str] = field(default_factory=dict)

    @property
    def reached(self) -> bool:
        return DONE in self.ways.values()


def targets(stack: str | None, *, state: Path) -> list[Target]:
    """The stacks that run; where the default one is down it is meant too, as it was when it last ran here, and the one
    that runs elsewhere on the same servers."""
    found = [Target(run.name, Path(run.state_dir), run.namespace, run) for run in alive_runs(state)]
    if "default" not in {one.name for one in found}:
        last = read_run(runs_folder(state) / "default")
        if last is not None and last.namespace:
            found.insert(0, Target(f"default ({last.namespace})", Path(last.state_dir), last.namespace, last))
        found.insert(0, Target("default", state, ""))
    if stack is None:
        return found
    chosen = [one for one in found if stack in (one.name, one.namespace)]
    if not chosen:
        raise InvalidInput(f"--stack {stack!r}: no such stack; there are {', '.join(one.name for one in found)}")
    return chosen


async def engage_switch(target: Target, reason: str) -> KillResult:
    """The file first: it needs nobody."""
    now_ns = WallClock().now_ns()
    result = KillResult(target)
    await _try(result, "file", lambda: asyncio.to_thread(_write_file, target.folder / KILL_FILE, reason))
    await asyncio.gather(
        _try(result, "postgres", lambda: _engage_row(target, reason, now_ns)),
        _try(result, "redis", lambda: _publish(target, reason, now_ns)),
    )
    return result


async def reset_switches(chosen: Sequence[Target], reason: str) -> list[KillResult]:
    """Pauses what runs, removes the files, releases the rows, in this order: while a file lies there the switch would
    engage again, and what was not paused would enter again by itself. So a file stays where there is a book of record
    and it does not answer."""
    results = {target.name: KillResult(target) for target in chosen}
    for result in results.values():
        await _try(result, "postgres", partial(_pause, result.target))
    for folder in {target.folder for target in chosen}:
        here = [result for result in results.values() if result.target.folder == folder]
        answers = [result for result in here if result.reached]
        if not answers and _keeps_book(folder):
            for result in here:
                result.ways["file"] = _STAYS
            continue
        for result in here:
            await _try(result, "file", partial(asyncio.to_thread, _remove_file, folder / KILL_FILE))
        for result in answers:
            await _try(result, "postgres", partial(_release_row, result.target, reason))
    return list(results.values())


def _keeps_book(folder: Path) -> bool:
    """Whether there is a book of record, answering or not: named in the environment, or embedded in the folder."""
    return database_is_given() or (folder / _POSTGRES_FOLDER).is_dir() or (state_dir() / _POSTGRES_FOLDER).is_dir()


async def _try(result: KillResult, name: str, way: Callable[[], Awaitable[None]]) -> None:
    result.ways[name] = "not tried to its end"
    try:
        async with asyncio.timeout(_WAY_SECONDS):
            await way()
        result.ways[name] = DONE
    except TimeoutError:
        result.ways[name] = f"no answer in {_WAY_SECONDS:g} s"
    except TradebusError as error:
        result.ways[name] = str(error)
    except OSError as error:
        result.ways[name] = f"{error.filename or name}: {error.strerror or error}"


def _write_file(path: Path, reason: str) -> None:
    """A reason a line: where the file is there already, this is one more."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if reason.strip() in reasons_in(path):
        return
    with path.open("a") as file:
        file.write(reason + "\n")


def _remove_file(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _engage_row(target: Target, reason: str, now_ns: int) -> None:
    """The row and, through the outbox, the command."""
    store = await _store(target)
    try:
        async with store.begin() as transaction:
            await engage(kill_switch_book(store), transaction, reason=reason, now_ns=now_ns)
        await _flush(target, store)
    finally:
        await store.close()


async def _flush(target: Target, store: Store) -> None:
    """What the row says, out at once where Redis answers; with the next gateway otherwise."""
    try:
        async with asyncio.timeout(_PUBLISH_SECONDS):
            bus = await RedisBus.connect(
                find_redis(), namespace=target.namespace, retry_seconds=_PUBLISH_SECONDS, timers=wall_timers()
            )
            try:
                await Outbox(store, bus, timers=wall_timers()).flush()
            finally:
                await bus.close()
    except (TradebusError, TimeoutError, OSError):
        return


async def _pause(target: Target) -> None:
    """Each session enters again when a person resumes it, not by itself."""
    store = await _store(target)
    try:
        now_ns, switch = WallClock().now_ns(), kill_switch_book(store)
        if await pause_running(store, session_register(store), switch, now_ns=now_ns):
            await _flush(target, store)
    finally:
        await store.close()


async def _release_row(target: Target, reason: str) -> None:
    store = await _store(target)
    try:
        async with store.begin() as transaction:
            await kill_switch_book(store).release(transaction, reason=reason, at_ns=WallClock().now_ns())
    finally:
        await store.close()


def kill_said(reason: str) -> bytes:
    """KILL as an application would send it: where the gateway hears it first, the switch is engaged for this reason."""
    return json.dumps({"action": "KILL", "data": {"reason": reason}}).encode()


async def _publish(target: Target, reason: str, now_ns: int) -> None:
    """Straight to risk and execution. Where the row was engaged too, this is its command a second time: harmless."""
    bus = await RedisBus.connect(
        find_redis(), namespace=target.namespace, retry_seconds=_RETRY_SECONDS, timers=wall_timers()
    )
    try:
        command = kill_command(reason, now_ns=now_ns)
        await bus.publish([Outgoing(COMMANDS.name, command.TYPE, command.to_json())], urgent=True)
        await bus.broadcast(COMMAND_CHANNEL, kill_said(reason))
    finally:
        await bus.close()


async def _store(target: Target) -> Store:
    """As an instance of the gateway, so that a gateway publishes what this leaves in the outbox."""
    return await Store.connect(
        find_database(), namespace=target.namespace, producer="gateway-kill", pool_size=1,
        retry_seconds=_RETRY_SECONDS, timers=wall_timers(),
    )  # fmt: skip
