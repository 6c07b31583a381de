"""`tradebus bench opinions`: one compiled strategy, 500 instruments, 1,000 sessions, 25,000 ticks a second.

    ticks, each 2 ms a batch ─► Redis ─► one strategy process ─► Redis ─► the first signal of a batch is heard

Beside it the same way with a process that only passes on an instant: what the strategy adds is the difference. And the
lane's own work alone, without bus and book.
"""

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from services.cli.bench.instruments import register
from services.cli.bench.opinions.deciding import measure_deciding
from services.cli.bench.opinions.echo import ECHO
from services.cli.bench.opinions.load import (
    BATCH_NS,
    BATCH_TICKS,
    INSTRUMENTS,
    SESSIONS,
    open_ns,
    percentiles_ms,
    session_specs,
    tick_batches,
)
from services.cli.bench.processes import process_specs, start_sessions, supervised
from tradebus.bus.port import Entry, Outgoing
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.records import Records
from tradebus.contracts.registry import parse
from tradebus.contracts.streams import MD_TICKS, SIGNALS, key_of
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import Unavailable
from tradebus.runtime.embedded import EmbeddedServers, ServerUrls
from tradebus.store.migrate import migrate
from tradebus.store.store import Store
from tradebus.waiting.timers import wall_timers

_SECONDS, _WARM_SECONDS, _FLOOR_SECONDS = 10.0, 1.0, 5.0
_PATIENCE_SECONDS = 60.0
_TICKS = key_of(MD_TICKS)
_HANDLED = re.compile(
    r'^tradebus_consumer_handled_total\{consumer="strategy",stream="' + re.escape(_TICKS) + r'"\} (\S+)$', re.M
)
_PROCESSOR = re.compile(r"^process_cpu_seconds_total (\S+)$", re.M)


def measure() -> dict[str, Any]:
    """The process' share of a core; milliseconds from a batch's publishing to its first signal, beside the floor's."""
    batches = tick_batches(_WARM_SECONDS + _SECONDS)
    warm, passed = round(_WARM_SECONDS * 1e9 / BATCH_NS), batches[: round(_FLOOR_SECONDS * 1e9 / BATCH_NS)]
    alone = asyncio.run(measure_deciding(session_specs(), warm=batches[:warm], batches=batches[warm:]))
    with tempfile.TemporaryDirectory(prefix="tradebus-bench-") as folder, EmbeddedServers(Path(folder)) as servers:
        floor = asyncio.run(_floor(servers.for_services, Path(folder), passed))
        real = asyncio.run(_standing(servers.for_services, Path(folder), warm=batches[:warm], batches=batches[warm:]))
    return {
        "instruments": INSTRUMENTS,
        "sessions": SESSIONS,
        **real,
        "floor_same_hops_ms": floor,
        "added_latency_p50_ms": real["tick_to_signal_ms"]["p50"] - floor["p50"],
        "added_latency_p99_ms": real["tick_to_signal_ms"]["p99"] - floor["p99"],
        "deciding_alone": alone,
    }


class _Heard:
    """When the first signal of each batch came; `sent_ns` says when the batch left. Nothing is read of what comes while
    it comes: that would be counted as the way here."""

    def __init__(self, batches: int) -> None:
        self.sent_ns = np.zeros(batches, np.int64)
        self._came: list[tuple[int, list[Entry]]] = []

    @property
    def signals(self) -> int:
        return sum(len(entries) for _, entries in self._came)

    def forget(self) -> None:
        """What came so far was of batches that do not count."""
        self._came.clear()

    async def listen(self, bus: RedisBus) -> None:
        subscription = await bus.subscribe([SIGNALS.name], group="bench", consumer="bench")
        while True:
            entries = await subscription.read(block_ms=200)
            self._came.append((monotonic_ns(), entries))
            await subscription.ack(entries)

    def latencies_ns(self, instant_of: Callable[[Entry], int], *, first_ns: int) -> Any:
        came_ns = np.zeros(len(self.sent_ns), np.int64)
        for now_ns, entries in self._came:
            for entry in entries:
                number = (instant_of(entry) - first_ns) // BATCH_NS
                if 0 <= number < len(came_ns) and not came_ns[number]:
                    came_ns[number] = now_ns
        came = came_ns > 0
        return came_ns[came] - self.sent_ns[came]


async def _publish(bus: RedisBus, batches: Sequence[Records], heard: _Heard) -> int:
    """Each when it is due; nanoseconds that took."""
    started_ns = monotonic_ns()
    for number, batch in enumerate(batches):
        due_ns = started_ns + number * BATCH_NS
        while (left_ns := due_ns - monotonic_ns()) > 0:  # noqa: ASYNC110 - a clock is no event
            await asyncio.sleep(left_ns / 1e9)
        heard.sent_ns[number] = monotonic_ns()
        await bus.publish([_outgoing(batch)])
    return monotonic_ns() - started_ns


def _outgoing(batch: Records) -> Outgoing:
    return Outgoing(_TICKS, "ticks", batch.tobytes(), watermark_ns=int(batch["ts_event_ns"][-1]))


async def _floor(urls: ServerUrls, folder: Path, batches: Sequence[Records]) -> dict[str, float]:
    namespace = "bench_floor"
    migrate(urls.database_url, namespace=namespace)
    supervisor = supervised(
        process_specs(urls, namespace, {ECHO: ("services.cli.bench.opinions.echo", {})}, folder), folder
    )
    bus, heard = await RedisBus.connect(urls.redis_url, namespace=namespace, timers=wall_timers()), _Heard(len(batches))
    hearing = asyncio.create_task(heard.listen(bus))
    try:
        await supervisor.start([ECHO])
        await _publish(bus, batches, heard)
        await _until(lambda: _is(heard.signals, at_least=len(batches)), "the floor did not pass everything on")
        return percentiles_ms(heard.latencies_ns(lambda entry: int(entry.body), first_ns=open_ns()))
    finally:
        await _end(hearing)
        await supervisor.stop()
        await bus.close()


async def _standing(
    urls: ServerUrls, folder: Path, *, warm: Sequence[Records], batches: Sequence[Records]
) -> dict[str, Any]:
    namespace = "bench_opinions"
    migrate(urls.database_url, namespace=namespace)
    specs = process_specs(urls, namespace, {"strategy": ("services.cli.bench.opinions.strategy", {})}, folder)
    supervisor = supervised(specs, folder)
    store = await Store.connect(urls.database_url, namespace=namespace, producer="bench-1", timers=wall_timers())
    bus, heard = await RedisBus.connect(urls.redis_url, namespace=namespace, timers=wall_timers()), _Heard(len(batches))
    hearing = asyncio.create_task(heard.listen(bus))
    try:
        await register(store, count=INSTRUMENTS)
        await supervisor.start(["strategy"])
        await start_sessions(store, bus, session_specs(), now_ns=open_ns(), services=1)
        async with httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{specs[0].health_port}") as http:
            await _publish(bus, warm, _Heard(len(warm)))  # everybody's day begins
            await _handled(http, len(warm))
            used_seconds = await _figure(http, _PROCESSOR)
            heard.forget()
            took_ns = await _publish(bus, batches, heard)
            await _handled(http, len(warm) + len(batches))
            used_seconds = await _figure(http, _PROCESSOR) - used_seconds
        return {
            "ticks_a_second": round(len(batches) * BATCH_TICKS / (took_ns / 1e9)),
            "signals": heard.signals,
            "core_share_pct": 100 * used_seconds / (took_ns / 1e9),
            "tick_to_signal_ms": percentiles_ms(
                heard.latencies_ns(lambda one: parse(one.body).ts_event_ns, first_ns=int(batches[0]["ts_event_ns"][0]))
            ),
        }
    finally:
        await _end(hearing)
        await supervisor.stop()
        await bus.close()
        await store.close()


async def _handled(http: httpx.AsyncClient, count: int) -> None:
    async def all_handled() -> bool:
        return await _figure(http, _HANDLED) >= count

    await _until(all_handled, f"the strategy process did not handle {count} batches")


async def _figure(http: httpx.AsyncClient, wanted: re.Pattern[str]) -> float:
    found = wanted.search((await http.get("/metrics")).text)
    return float(found.group(1)) if found is not None else 0.0


async def _is(count: int, *, at_least: int) -> bool:
    return count >= at_least


async def _until(is_so: Callable[[], Awaitable[bool]], problem: str) -> None:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not await is_so():  # noqa: ASYNC110 - asks another process
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise Unavailable(f"bench opinions: {problem}") from None


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
