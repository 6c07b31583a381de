"""The strategy lane's own work, without bus and book: from a batch in hand to the decisions of its sessions."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from services.cli.bench.opinions.load import BATCH_NS, INSTRUMENTS, CrossParameters, TickCross, percentiles_ms
from services.strategy.deciding import Deciding
from services.strategy.desks import Desks
from services.strategy.ports import PastCandles
from tradebus.bus.port import Entry
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.records import Records
from tradebus.contracts.sessions import SessionSpec
from tradebus.contracts.streams import MD_TICKS, key_of
from tradebus.kernel.clock import monotonic_ns, process_ns
from tradebus.runtime.isolation.limits import IsolationLimits
from tradebus.runtime.process.garbage import short_collections
from tradebus.strategies.lane.conflicts import Conflicts
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.sessions import ActiveSessions, Found, open_session
from tradebus.strategies.lane.shared import SharedLane, SharedRunner, compiled_info
from tradebus.strategies.protocol import Candle
from tradebus.waiting.timers import wall_timers


class NoHistory:
    """Nothing was stored before the run."""

    async def before(self, wanted: Mapping[PastCandles, SessionHours]) -> dict[PastCandles, list[Candle]]:
        return {past: [] for past in wanted}


async def measure_deciding(
    specs: Sequence[SessionSpec], *, warm: Sequence[Records], batches: Sequence[Records]
) -> dict[str, Any]:
    """The share of a core, and how long a batch waits for its answer, given when it is due."""
    active, lane, timers = ActiveSessions(), SharedLane(), wall_timers()
    deciding = Deciding(
        active,
        history=NoHistory(),
        desks=Desks(limits=IsolationLimits(), timers=timers, lane=lane),
        lane=lane,
        book=PositionBook(),
        conflicts=Conflicts.INDEPENDENT,
        paced=False,
    )
    _open_sessions(specs, active, lane)
    for batch in warm:  # everybody's day begins
        await deciding.on_ticks(_entry(batch))
    with short_collections(timers):  # as in every service
        return await _paced(deciding, [_entry(batch) for batch in batches])


async def _paced(deciding: Deciding, entries: Sequence[Entry]) -> dict[str, Any]:
    """Gives each batch when it is due; what was late is not given earlier for it."""
    waits_ns, work_ns = np.empty((2, len(entries)), np.int64)
    decisions = signals = 0
    started_ns, used_ns = monotonic_ns(), process_ns()
    for number, entry in enumerate(entries):
        came_ns = started_ns + number * BATCH_NS
        while (left_ns := came_ns - monotonic_ns()) > 0:
            await asyncio.sleep(left_ns / 1e9)
            came_ns = max(came_ns, monotonic_ns())  # woken late: the timer's, not the strategy's
        before_ns = process_ns()
        decided = await deciding.on_ticks(entry)
        work_ns[number] = process_ns() - before_ns
        waits_ns[number] = monotonic_ns() - came_ns
        decisions += len(decided.rows)
        signals += len(decided.signals)
    took_ns, worked_ns = monotonic_ns() - started_ns, process_ns() - used_ns
    return {
        "decisions": decisions,
        "signals": signals,
        "core_share_pct": 100 * worked_ns / took_ns,
        "latency_ms": percentiles_ms(waits_ns),
        # Processor time of a batch: what the latency is where nobody else wants the core.
        "work_ms": percentiles_ms(work_ns),
    }


def _open_sessions(specs: Sequence[SessionSpec], active: ActiveSessions, lane: SharedLane) -> None:
    master = InstrumentMaster(
        Instrument(
            instrument_id=number, symbol=f"BENCH{number}", kind="EQUITY", market_class="equity",
            underlying=f"BENCH{number}", tick_size_paise=5,
        )
        for number in range(INSTRUMENTS)
    )  # fmt: skip
    shared = lane.of(TickCross, CrossParameters())
    found = [Found(compiled_info(TickCross), lambda asking: SharedRunner(asking, shared))]
    book = PositionBook()
    for spec in specs:
        active.add(open_session(spec, instruments=master, book=book, paused=False, found=found))


def _entry(batch: Records) -> Entry:
    return Entry(key_of(MD_TICKS), str(batch["ts_event_ns"][0]), "ticks", batch.tobytes())
