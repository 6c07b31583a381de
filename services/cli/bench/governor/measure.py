"""`tradebus bench governor`: eight processes send two hundred orders each, at once, to the sandbox, which counts by its
own seconds: each of ten accounts by a clock that is up to 400 ms ahead of ours, or behind.

    8 processes ─► sender, governor ─► one budget per account (Postgres) ─► Kite's adapter ─► sandbox ─► 429?
"""

import asyncio
import json
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from services.cli.bench.governor.broker import SkewedLimits, skewed_sandbox
from services.cli.bench.governor.process import KEY
from services.sandbox.assembly import Sandbox, run_until
from services.sandbox.ports import BrokerName
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import Unavailable
from tradebus.runtime.embedded import EmbeddedServers, ServerUrls
from tradebus.store.migrate import migrate

PROCESSES, ACCOUNTS, ENTRIES, EXITS = 8, 10, 16, 4  # entries and exits of each process in each account
SKEW_MS = 400
_SECONDS = 35.0  # in which the exits come
_READY_SECONDS, _DONE_SECONDS = 60.0, 120.0
_NAMESPACE = "bench_governor"


def measure() -> dict[str, Any]:
    """429s (there must be none), the most requests of any second of the broker's, and how long exits waited (ms)."""
    return measure_governor()


def measure_governor(
    *, processes: int = PROCESSES, accounts: int = ACCOUNTS, entries: int = ENTRIES, exits: int = EXITS,
    seconds: float = _SECONDS,
) -> dict[str, Any]:  # fmt: skip
    """As `measure`: `entries` and `exits` are those of each process in each account."""
    told = {"namespace": _NAMESPACE, "entries": entries, "exits": exits, "seconds": seconds}
    names = [f"AB{number:04}" for number in range(accounts)]
    with tempfile.TemporaryDirectory(prefix="tradebus-bench-") as folder, EmbeddedServers(Path(folder)) as servers:
        return asyncio.run(_measure(servers.for_services, names, processes, told))


async def _measure(
    urls: ServerUrls, accounts: Sequence[str], processes: int, told: Mapping[str, Any]
) -> dict[str, Any]:
    migrate(urls.database_url, namespace=_NAMESPACE)
    sandbox, limits = skewed_sandbox(_skews_ns(accounts))
    stop = asyncio.Event()
    serving = asyncio.create_task(run_until(sandbox, stop))
    running: list[Process] = []
    try:
        work = {**told, **_market(sandbox, accounts), "database_url": urls.database_url}
        running += [await _started({**work, "number": number}) for number in range(processes)]
        await asyncio.gather(*(_ready(one) for one in running))
        began_ns = monotonic_ns()
        answers = await asyncio.gather(*(_done(one) for one in running))
        return _figures(limits, answers, seconds=(monotonic_ns() - began_ns) / 1e9)
    finally:
        for one in running:
            if one.returncode is None:
                one.kill()
                await one.wait()
        stop.set()
        await serving


def _skews_ns(accounts: Sequence[str]) -> dict[str, int]:
    """Evenly from the one end to the other."""
    last = max(1, len(accounts) - 1)
    return {name: (2 * number - last) * SKEW_MS * 1_000_000 // last for number, name in enumerate(accounts)}


def _market(sandbox: Sandbox, accounts: Sequence[str]) -> dict[str, Any]:
    exchange = sandbox.exchange
    listed = exchange.by_key(KEY)
    assert listed is not None  # the generated market has it
    return {
        "url": sandbox.url("kite"),
        "tokens": {name: exchange.login(BrokerName.KITE, name).value for name in accounts},
        "price_paise": int(exchange.quotes["price_paise"][listed.index]),
    }


async def _started(told: Mapping[str, Any]) -> Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli.bench.governor.process", stdin=PIPE, stdout=PIPE, limit=2**24
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(told).encode() + b"\n")
    return process


async def _ready(process: Process) -> None:
    await _line(process, _READY_SECONDS)


async def _done(process: Process) -> dict[str, Any]:
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    answer: dict[str, Any] = json.loads(await _line(process, _DONE_SECONDS))
    return answer


async def _line(process: Process, seconds: float) -> bytes:
    """What it says next; log lines are passed over. Raises Unavailable where it ends instead, or takes too long."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(seconds):
            while line := await process.stdout.readline():
                if line.startswith((b"ready", b"{")):
                    return line
    except TimeoutError:
        raise Unavailable(f"bench governor: a process said nothing for {seconds:g} s") from None
    raise Unavailable("bench governor: a process has ended")


def _figures(limits: SkewedLimits, answers: Sequence[Mapping[str, Any]], *, seconds: float) -> dict[str, Any]:
    waits_ms = np.concatenate([np.asarray(one["exit_waits_ns"]) for one in answers]) / 1e6
    outcomes: Counter[str] = sum((Counter(one["outcomes"]) for one in answers), Counter())
    p50, p99, worst = np.percentile(waits_ms, (50, 99, 100))
    return {
        "orders": sum(outcomes.values()),
        "accepted": outcomes["ACCEPTED"],
        "answered_429": limits.counted.refused,
        "most_in_a_second_of_the_brokers": max(limits.counted.seconds.values()),
        "seconds": seconds,
        "exits": len(waits_ms),
        "exit_wait_ms": {"p50": float(p50), "p99": float(p99), "max": float(worst)},
        "other_outcomes": {what: count for what, count in outcomes.items() if what != "ACCEPTED"},
    }
