"""Processor time of the processes of a benchmark, services and servers, as the system counts it (Linux).

What a figure of a second means can only be read beside it: whether the machine was at its end, and through whom.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis.asyncio as redis

from tradebus.store.store import Store

_PROC = Path("/proc")
# Of /proc/PID/stat, after the name: the parent; time in user and system mode; the same of children that have ended.
_PARENT, _OWN, _ENDED = 1, (11, 12), (13, 14)
_BUSY = (0, 1, 2, 5, 6)  # of /proc/stat: user, nice, system, interrupts
_ALL_BUSY = 0.9
EVERYTHING, POSTGRES = "everything", "postgres"


@dataclass(frozen=True, slots=True)
class ProcessorTimes:
    """`pids` by what is shown; `families` are those whose children are counted with them."""

    pids: Mapping[str, int]
    families: Collection[str] = ()

    def seconds(self) -> dict[str, float]:
        """Since each of them began, and `everything` that ran on the machine; empty where the system does not say.
        That of one that is gone is 0."""
        stats, ticks = _stats(), os.sysconf("SC_CLK_TCK")
        if not stats:
            return {}
        found = {
            name: sum(
                sum(int(fields[column]) for column in (*_OWN, *(_ENDED if of == pid and name in self.families else ())))
                for of, fields in stats.items()
                if of == pid or (name in self.families and int(fields[_PARENT]) == pid)
            )
            / ticks
            for name, pid in self.pids.items()
        }
        busy = (_PROC / "stat").read_text().partition("\n")[0].split()[1:]
        return found | {EVERYTHING: sum(int(busy[column]) for column in _BUSY) / ticks}


def shares(spent: Sequence[Mapping[str, float]], *, orders: int, seconds: float, cores: int) -> dict[str, Any]:
    """What an order took of whom, from what was `spent` meanwhile (processor seconds by name, as of two `seconds()`),
    and what bounded how many were done in the `seconds` it took. Empty where the system did not say."""
    if not all(spent):
        return {}
    of = {name: sum(one[name] for one in spent) for name in spent[0]}
    busy, ours = of.pop(EVERYTHING) / seconds, sum(of.values()) / seconds
    per_order = {name: 1_000 * used / orders for name, used in of.items()}
    whole = sum(per_order.values())
    bound = "waiting for answers and commits: cores were idle"
    if busy >= _ALL_BUSY * cores:
        other = f", {busy - ours:.1f} of them with other work" if busy - ours >= 1 - _ALL_BUSY else ""
        bound = f"the machine's {cores} cores, all busy{other}: more processes do no more"
    return {
        "processor_ms_an_order": {"all": whole, **per_order},
        "cores_busy": {"here": ours, "with_what_else_runs": busy, "of": cores},
        "bounded_by": bound,
        "orders_a_second_of_all_cores": 1_000 * cores / whole if whole else 0.0,
    }


async def server_pids(store: Store, redis_url: str) -> dict[str, int]:
    """Of Postgres and Redis on this machine."""
    backend = await store.pool.fetchval("SELECT pg_backend_pid()")
    client: redis.Redis = redis.Redis.from_url(redis_url)
    try:
        info = await client.info("server")
    finally:
        await client.aclose()
    stat = _stats().get(backend)
    return {POSTGRES: int(stat[_PARENT]) if stat else 0, "redis": int(info["process_id"])}


def _stats() -> dict[int, list[str]]:
    found = {}
    for path in _PROC.glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:  # it has ended meanwhile
            continue
        found[int(path.parent.name)] = text.rpartition(")")[2].split()
    return found
