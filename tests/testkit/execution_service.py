"""Execution on real servers, in this process: an instance that can be killed, and what its neighbours send it."""

import asyncio

import numpy as np
from prometheus_client import CollectorRegistry

from services.execution.bootstrap import build
from services.execution.settings import ExecutionSettings
from testkit.waiting import WALL_TIMERS
from tradebus.brokers.paper.gateway import PaperGateway
from tradebus.bus.port import Outgoing
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.records import TICK
from tradebus.contracts.registry import parse
from tradebus.contracts.risk import EntryApproved, ExitApproved
from tradebus.contracts.sessions import PaperSettings, SessionSpec
from tradebus.contracts.signals import Side
from tradebus.contracts.streams import INTENTS, MD_TICKS, ORDERS
from tradebus.kernel.clock import WallClock
from tradebus.kernel.ids import RandomIds, derive_id
from tradebus.store.store import Store

SECOND = 1_000_000_000
MORNING = 1_704_080_700 * SECOND  # 2024-01-01 09:15 in India
TICKS, APPROVALS = MD_TICKS.shard(0), INTENTS.shard(0)


def spec(session_id="s1") -> SessionSpec:
    return SessionSpec(
        session_id=session_id, user_id="u1", symbols=("X",), strategies=({"name": "orb"},), capital_paise=10**8,
        paper=PaperSettings(seed=1, latency_ms=100, slippage_bps=1.0, partial_fill_probability=0.5),
    )  # fmt: skip


def approval(number: int, *, at_ns: int, side=Side.LONG, quantity=100, stop=9_900, target=10_100) -> EntryApproved:
    pos_id = derive_id(at_ns, "test", number)
    return EntryApproved(
        event_id=derive_id(at_ns, "event", number), ts_event_ns=at_ns, ts_recorded_ns=1, source="risk", trace_id="t",
        session_id="s1", user_id="u1", pos_id=pos_id, signal_id=f"g{number}", strategy="orb", symbol="X", instrument=1,
        side=side, rule="all_passed", intent_id=f"i{number}", quantity=quantity, lot_size=25, tick_size_paise=5,
        price_paise=10_000, stop_paise=stop, target_paise=target, valid_until_ns=at_ns + 120 * SECOND,
        max_slippage_pct=0.5, order_timeout_seconds=30,
    )  # fmt: skip


def exit_of(entry: EntryApproved, *, at_ns: int) -> ExitApproved:
    return ExitApproved(
        event_id=derive_id(at_ns, "exit", entry.intent_id), ts_event_ns=at_ns, ts_recorded_ns=1, source="risk",
        trace_id="t", session_id="s1", user_id="u1", pos_id=entry.pos_id, intent_id=f"x{entry.intent_id}",
        strategy="orb", symbol="X", instrument=1, side=entry.side, rule="exit_signal", reason="r",
    )  # fmt: skip


def slice_of(start_ns: int, prices: list[int], *, seconds: float = 1.0, instrument: int = 1) -> Outgoing:
    ticks = np.zeros(len(prices), TICK)
    ticks["ts_event_ns"] = start_ns + (np.arange(len(prices)) * seconds * SECOND).astype(np.int64) + 1
    ticks["ts_received_ns"] = ticks["ts_event_ns"]
    ticks["price_paise"] = prices
    ticks["instrument"] = instrument
    end_ns = start_ns + 60 * SECOND
    return Outgoing(TICKS, "ticks", ticks.tobytes(), watermark_ns=end_ns - 1, slice_start_ns=start_ns)


def intent(message) -> Outgoing:
    return Outgoing(APPROVALS, message.TYPE, message.to_json())


def mark(at_ns: int) -> Outgoing:
    return Outgoing(APPROVALS, "watermark", watermark_ns=at_ns)


class Running:
    """An execution instance in this process, with connections of its own."""

    def __init__(self, database_url, redis_url, namespace, *, instance="1", paced=True, paper=PaperGateway, **bus):
        """`paper` makes the paper broker; `bus` are further options of the bus."""
        self.paper, self.bus_options = paper, bus
        self.where = (database_url, redis_url, namespace)
        self.settings = ExecutionSettings(
            DATABASE_URL=database_url, REDIS_URL=redis_url, TRADEBUS_NAMESPACE=namespace, TRADEBUS_INSTANCE=instance,
            TRADEBUS_PACED=paced, EXECUTION_HOUSEKEEPING_SECONDS=0.2, EXECUTION_ORPHAN_SECONDS=1.0,
            EXECUTION_LIVES_MAX=1_000,
        )  # fmt: skip
        self.stop = asyncio.Event()

    async def __aenter__(self):
        database_url, redis_url, namespace = self.where
        self.bus = await RedisBus.connect(redis_url, namespace=namespace, **self.bus_options, timers=WALL_TIMERS)
        producer = f"execution-{self.settings.instance}"
        self.store = await Store.connect(database_url, namespace=namespace, producer=producer, timers=WALL_TIMERS)
        self.component, _ = await build(
            self.settings,
            bus=self.bus,
            store=self.store,
            clock=WallClock(),
            ids=RandomIds(),
            open_paper=self.paper,
            timers=WALL_TIMERS,
            registry=CollectorRegistry(),
        )
        self.task = asyncio.create_task(self.component.run(self.stop))
        return self

    async def kill(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def __aexit__(self, *_):
        self.stop.set()
        await asyncio.wait([self.task], timeout=5)
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.store.close()
        await self.bus.close()


async def until_watermark(bus, at_ns: int, *, running: Running | None = None, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while (await bus.last_watermark(ORDERS.name) or 0) < at_ns:
            if running is not None and running.task.done():
                running.task.result()
                raise AssertionError("execution ended")
            await asyncio.sleep(0.005)


async def play(bus, steps, *, running=None, seconds: float = 20) -> None:
    """A paced run: each slice, then what its end leads to, once execution is done with it."""
    for step in steps:
        slice_entry, *rest = step
        await bus.publish([slice_entry])
        await until_watermark(bus, slice_entry.watermark_ns, running=running, seconds=seconds)
        await bus.publish(rest)
        await until_watermark(bus, rest[-1].watermark_ns, running=running, seconds=seconds)


async def messages(bus) -> list:
    return [parse(entry.body) for entry in await bus.tail(ORDERS.name, count=10_000) if entry.body]


async def until(question, *running: Running, seconds: float = 20):
    """The first true answer of `question`. Fails where an instance ends meanwhile: an upper bound, no measurement."""
    async with asyncio.timeout(seconds):
        while not (answer := await question()):
            for each in running:
                if each.task.done():
                    each.task.result()
                    raise AssertionError("execution ended")
            await asyncio.sleep(0.02)
        return answer
