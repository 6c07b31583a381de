"""What `tradebus streams` does: the groups of every stream, and a retired one removed from all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.cli.output import print_json
from services.cli.place import find_namespace, find_redis
from tradebus.bus.port import Bus, GroupState
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.streams import STREAMS, key_of
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.waiting.timers import wall_timers

_LIVELY_SECONDS = 60.0


async def run_show(*, stack: str | None, namespace: str | None, json: bool) -> None:
    """Prints a line per stream and group."""
    async with _bus(stack, namespace) as bus:
        found = await groups_of(bus)
    if json:
        rows = [
            {"stream": stream, "group": one.name, "unacknowledged": one.unacknowledged, "silent_s": one.silent_seconds}
            for stream, groups in found.items()
            for one in groups
        ]
        print_json({"command": "streams", "groups": rows})
        return
    for stream, groups in found.items():
        for one in groups:
            read = "never read" if one.silent_seconds is None else f"read {one.silent_seconds:,.0f} s ago"
            print(f"{stream:<24} {one.name:<20} {one.unacknowledged:>9,} to do  {read}")


async def run_retire(group: str, *, stack: str | None, namespace: str | None, force: bool, json: bool) -> None:
    """Removes the group. Raises InvalidInput for one that is not there, or that has read a moment ago."""
    async with _bus(stack, namespace) as bus:
        left = await retire(bus, group, force=force)
    if json:
        print_json({"command": "streams retire", "group": group, "streams": left})
        return
    for stream, entries in left.items():
        print(f"{stream}: {group} removed, with {entries:,} entries it had not acknowledged")


async def groups_of(bus: Bus) -> dict[str, list[GroupState]]:
    """The groups of every stream that has any."""
    names = [key_of(stream) for stream in STREAMS]
    found = {name: await bus.groups(name) for name in names}
    return {name: groups for name, groups in found.items() if groups}


async def retire(bus: Bus, group: str, *, force: bool) -> dict[str, int]:
    """Takes the group off every stream; what it had not acknowledged, by stream."""
    found = await groups_of(bus)
    mine = {name: one for name, groups in found.items() for one in groups if one.name == group}
    if not mine:
        known = sorted({one.name for groups in found.values() for one in groups})
        raise InvalidInput(f"group {group!r} reads no stream{nearest(group, known)}; known are {', '.join(known)}")
    silent = [one.silent_seconds for one in mine.values() if one.silent_seconds is not None]
    if silent and min(silent) < _LIVELY_SECONDS and not force:
        raise InvalidInput(
            f"group {group!r} has read {min(silent):.0f} s ago: stop its service first, or say --force where it is gone"
        )
    await bus.leave(list(mine), group=group)
    return {name: one.unacknowledged for name, one in mine.items()}


@asynccontextmanager
async def _bus(stack: str | None, namespace: str | None) -> AsyncIterator[Bus]:
    bus = await RedisBus.connect(
        find_redis(), namespace=find_namespace(stack) if namespace is None else namespace, timers=wall_timers()
    )
    try:
        yield bus
    finally:
        await bus.close()
