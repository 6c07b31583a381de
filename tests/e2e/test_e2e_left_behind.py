"""An execution instance that was taken out of service for good, and a risk process that was killed and stays dead: the
market's data goes on past every bound, nobody waits for the two, and what comes back is right.

    strategy (here) ─► risk, a process of its own ─► execution a, execution b ─► paper      market data, commands (here)

Streams are short, and who is silent is so after half a second; a publisher that had to wait would fail after five.
"""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from testkit.execution_service import Running, until
from testkit.risk import SECOND, at, entry
from testkit.risk_service import Around
from testkit.waiting import WALL_TIMERS

from services.cli.stack.children import Child, ServiceSpec, free_port
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.commands import PauseTrading
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import PositionClosed
from tradebus.contracts.records import TICK
from tradebus.contracts.sessions import RiskLimits, SessionSpec, StrategySpec
from tradebus.contracts.streams import COMMANDS, MD_TICKS, ORDERS, key_of
from tradebus.store.store import Store

BOUND = 64  # of each stream; Redis drops entries by the hundred
BUS = {
    "max_entries": dict.fromkeys((MD_TICKS.name, ORDERS.name, COMMANDS.name), BOUND),
    "silent_seconds": 0.5, "back_pressure_seconds": 5.0,
}  # fmt: skip
SLICES = 8 * BOUND
SLICE_NS = SECOND // 20
PRICE, FALLEN = 50_000, 49_000  # a stop lies between the two
STOCKS = [
    Instrument(instrument_id=n, symbol=f"S{n}", underlying=f"S{n}", kind="EQUITY", market_class="equity",
               tick_size_paise=5)
    for n in range(42)
]  # fmt: skip
STAYS, LATE = 40, 41  # the stock that does not fall, and the one that is entered while risk is dead
SPEC = SessionSpec(
    session_id="session-1", user_id="user-1", symbols=tuple(one.symbol for one in STOCKS),
    strategies=(StrategySpec(name="orb"),), capital_paise=10**9,
    limits=RiskLimits(
        cooldown_seconds=0, max_concurrent_trades=50, consecutive_losses_limit=None, daily_max_loss_pct=None,
        risk_per_trade_pct=0.01,
    ),
)  # fmt: skip


class Market:
    """A slice of ticks at a time, one of each stock."""

    def __init__(self, bus: RedisBus) -> None:
        self._bus = bus
        self.now_ns = at("10:00")
        self._prices = np.full(len(STOCKS), PRICE, np.int64)

    async def falls(self, around: Around) -> None:
        """All but two stocks, a few in each slice: what a slice leads to is one publish, and must fit a stream."""
        for stock in range(0, STAYS, 8):
            self._prices[stock : stock + 8] = FALLEN
            await self.goes_on(around)

    async def goes_on(self, around: Around, slices: int = 1) -> None:
        for _ in range(slices):
            batch = np.zeros(len(STOCKS), TICK)
            batch["ts_event_ns"] = batch["ts_received_ns"] = self.now_ns + 1
            batch["price_paise"], batch["instrument"] = self._prices, np.arange(len(STOCKS))
            await around.slice(batch, start_ns=self.now_ns, end_ns=self.now_ns + SLICE_NS)
            self.now_ns += SLICE_NS


@pytest.fixture
async def small(redis_url: str, migrated: str) -> AsyncIterator[RedisBus]:
    """A bus whose streams are short."""
    connected = await RedisBus.connect(redis_url, namespace=migrated, **BUS, timers=WALL_TIMERS)
    yield connected
    await connected.close()


@pytest.fixture
async def around(
    database_url: str, redis_url: str, migrated: str, small: RedisBus, store: Store, tmp_path: Path
) -> Around:
    around = Around.servers(
        store, small, database_url=database_url, redis_url=redis_url, namespace=migrated, state_dir=tmp_path
    )
    await around.hands.register(STOCKS)
    return around


@pytest.fixture
def instance(database_url: str, redis_url: str, migrated: str) -> Callable[[str], Running]:
    return lambda name: Running(database_url, redis_url, migrated, instance=name, paced=False, **BUS)


@pytest.fixture
async def risk(database_url: str, redis_url: str, migrated: str, tmp_path: Path) -> AsyncIterator[Child]:
    """The service as a process of its own, ready."""
    port = free_port()
    environment = {
        "DATABASE_URL": database_url, "REDIS_URL": redis_url, "TRADEBUS_NAMESPACE": migrated,
        "TRADEBUS_STATE_DIR": str(tmp_path), "TRADEBUS_PACED": "0", "TRADEBUS_HEALTH_PORT": str(port),
        "RISK_LOOK_SECONDS": "0.5",
    }  # fmt: skip
    child = Child(
        ServiceSpec("risk", [sys.executable, "-m", "services.risk.main"], port, environment), log=tmp_path / "risk.log"
    )
    await child.start()
    await child.ready()
    yield child
    await child.stop()


async def held(around: Around, wanted: int) -> bool:
    """Whether so many positions are open, each with its stop at the broker."""
    return wanted == await around.hands.book.pool.fetchval(
        "SELECT count(*) FROM trades t JOIN orders entry USING (pos_id) JOIN orders stop USING (pos_id)"
        " WHERE t.state = 'POSITION_OPEN' AND entry.role = 'ENTRY' AND entry.state = 'FILLED' AND stop.role = 'STOP'"
        " AND stop.state IN ('OPEN', 'TRIGGER_PENDING') AND stop.quantity = t.entry_quantity"
    )


async def until_held(around: Around, market: Market, wanted: int, *running: Running) -> None:
    """The market goes on until so many positions are open."""

    async def are_held() -> bool:
        await market.goes_on(around)
        return await held(around, wanted)

    await until(are_held, *running, seconds=60)


async def until_closed(around: Around, market: Market, wanted: int, running: Running) -> None:
    async def are_closed() -> bool:
        await market.goes_on(around)
        return wanted == await around.hands.book.pool.fetchval("SELECT count(*) FROM trades WHERE state = 'CLOSED'")

    await until(are_closed, running, seconds=60)


async def commands_go_on(around: Around) -> None:
    """More than the stream holds, to a session that nobody has."""
    for number in range(4 * BOUND):
        await around.command(PauseTrading, "nobody", number=number + 1)


async def test_who_is_gone_for_good_holds_up_nobody_and_who_comes_back_is_right(
    around: Around, risk: Child, instance: Callable[[str], Running]
) -> None:
    market = Market(around.bus)
    async with instance("a") as first:
        async with instance("b") as second:
            await around.session(SPEC)
            await market.goes_on(around)
            for stock in STOCKS[:LATE]:
                await around.publish(entry(f"p{stock.instrument_id}", ts_ns=market.now_ns, instrument=stock))
            await until_held(around, market, LATE, first, second)
        assert {one.name for one in await around.bus.groups(key_of(MD_TICKS))} >= {"execution-b", "risk"}
        os.kill(risk.pid, signal.SIGKILL)
        await risk.wait()

        await market.falls(around)
        await market.goes_on(around, SLICES)
        await commands_go_on(around)
        await until_closed(around, market, STAYS, first)
        await around.publish(entry(f"p{LATE}", ts_ns=market.now_ns, instrument=STOCKS[LATE]))
        told = [entry.kind for entry in await around.bus.tail(ORDERS.name, count=10_000)]
        assert told.count(PositionClosed.TYPE) < STAYS, "what risk has not read is gone from the bus"

        await risk.start()
        await until_held(around, market, 2, first)
        await _is_right(around, first)


async def _is_right(around: Around, survivor: Running) -> None:
    """What the ledger, the instance and risk have."""
    pool = around.hands.book.pool
    stay = {f"p{STAYS}", f"p{LATE}"}
    assert set(survivor.component.roster.alive) == stay
    profits = {
        row["pos_id"]: row["net_pnl_paise"]
        for row in await pool.fetch("SELECT * FROM trades WHERE state = 'CLOSED' AND entry_quantity = exit_quantity")
    }
    assert profits.keys() == {f"p{number}" for number in range(STAYS)}

    async def is_known() -> bool:
        state = await around.state()
        open_ones = {pos_id for pos_id, holding in state["holdings"].items() if not holding.get("closed_ns")}
        return state.get("realised") == profits and open_ones == stay

    await around.until(is_known)
    for stream in (key_of(MD_TICKS), ORDERS.name, COMMANDS.name):

        async def has_read_all(stream: str = stream) -> bool:
            behind = {one.name: one.unacknowledged for one in await around.bus.groups(stream)}
            return not behind.get("risk") and not behind.get("execution-a")

        await around.until(has_read_all)
