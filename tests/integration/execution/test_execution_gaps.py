"""The market leaves stops and exits behind, at each broker's face: every position finds its way out."""

import asyncio

import pytest
from testkit.execution_brokers import FUTURE, SECOND, TEN, exit_of
from testkit.execution_sandbox import FACES, KEY, SandboxLife, list_future, session_at
from testkit.execution_service import slice_of, until
from testkit.sandbox import sandbox

from services.sandbox.ports import SandboxStatus
from tradebus.contracts.orders import OrderType
from tradebus.kernel.clock import WallClock
from tradebus.trading.states import OrderState

_FINAL = (SandboxStatus.COMPLETE, SandboxStatus.CANCELLED, SandboxStatus.REJECTED)


@pytest.fixture
def at_the_faces(store, tmp_path, database_url, redis_url, namespace):
    """A market at this speed, and execution with a position at each face."""

    async def play(scene, *, speed: float) -> None:
        await list_future(store)
        where = (database_url, redis_url, namespace)
        with sandbox(seed=3, instruments=60, limit_scale=0, opening_paise=10**13, speed=speed) as box:
            async with SandboxLife(where, tmp_path, box, began_wall_ns=WallClock().now_ns()) as life:
                entries = [life.entry(face, number) for number, face in enumerate(FACES)]
                for face, entry in zip(FACES, entries, strict=True):
                    await life.started(session_at(face))
                    await life.opened(entry)
                await scene(life, entries)
                assert [life.held(face) for face in FACES] == [0, 0, 0]
                assert all(one.status in _FINAL for face in FACES for one in life.at_the_exchange(face))

    return play


async def ticking(life: SandboxLife, entries) -> None:
    """The market's price is told five times a second, until all are out."""
    future, began_ns = life.box.exchange.by_key(KEY), WallClock().now_ns()

    async def flat() -> bool:
        price = int(life.box.exchange.quotes["price_paise"][future.index])
        at_ns = TEN + 10 * SECOND + WallClock().now_ns() - began_ns
        await life.bus.publish([slice_of(at_ns, [price], seconds=0, instrument=FUTURE)])
        await asyncio.sleep(0.2)  # the pace of the ticks
        return all([await life.is_closed(entry) for entry in entries])

    await until(flat, life, seconds=15)


async def test_a_gap_past_all_stops_and_their_protection_leaves_nobody_behind(at_the_faces, store):
    async def scene(life: SandboxLife, entries) -> None:
        await asyncio.to_thread(life.box.shock, life.box.exchange.by_key(KEY).index, -0.06)
        await ticking(life, entries)

    await at_the_faces(scene, speed=1.0)
    stops = await store.pool.fetch("SELECT state, filled_quantity FROM orders WHERE role = 'STOP'")
    assert {(row["state"], row["filled_quantity"]) for row in stops} == {(OrderState.FILLED, 65)}, "they are the exits"


async def test_an_exit_that_rests_follows_the_market_by_changes_of_one_order(at_the_faces, store):
    async def scene(life: SandboxLife, entries) -> None:
        number, quotes = life.box.exchange.by_key(KEY).index, life.box.exchange.floor.market.quotes
        bids = quotes["bid_quantity"][number].copy()

        def bid(share: float, quantities) -> None:
            quotes["bid_quantity"][number] = quantities
            for name in ("price_paise", "bid_paise"):
                quotes[name][number] = quotes[name][number] * share // 10 * 10

        life.box.on_loop(bid, 1.0, 0)  # nobody buys
        await life.send(*(exit_of(entry, at_ns=entry.ts_event_ns + SECOND) for entry in entries))
        for entry in entries:
            await life.one("SELECT 1 FROM orders WHERE role = 'STOP' AND state = 'OPEN' AND pos_id = $1", entry.pos_id)
        life.box.on_loop(bid, 0.95, bids)  # and those who come pay far less
        await ticking(life, entries)
        for face in FACES:
            last = life.at_the_exchange(face)[-1]
            assert (last.request.order_type, last.status) == (OrderType.LIMIT, SandboxStatus.COMPLETE)
            assert last.modifications >= 1

    await at_the_faces(scene, speed=0)
    assert await store.pool.fetchval("SELECT count(*) FROM orders WHERE role = 'EXIT'") == 0, "the stops are the exits"
