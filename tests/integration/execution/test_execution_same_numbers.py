"""Two brokers, or one on two days, may number an order and its trades alike: neither is taken for the other."""

from dataclasses import replace

import pytest
from testkit.execution_brokers import PRICE, TEN, Life, approval, spec
from testkit.execution_service import until
from testkit.fake_broker import MASTER, FakeBroker

SECOND = 1_000_000_000

pytestmark = pytest.mark.usefixtures("listed")


@pytest.fixture
def brokers():
    """Kite and Dhan, each of which calls its first order B0001."""
    return FakeBroker(), FakeBroker("dhan", [replace(row, token=f"D{row.token}") for row in MASTER])


async def entered(life: Life) -> None:
    """An entry at each broker, on its book."""
    await life.started(spec())
    await life.started(spec("s2", broker="dhan", credential="dhan"))
    await life.send(approval(1), approval(1, session="s2"))

    async def both():
        return await life.store.pool.fetchval("SELECT count(*) FROM orders WHERE state = 'OPEN'") == 2

    await until(both, life)


async def test_fills_of_one_number_are_each_kept_and_counted_once(tmp_path, where, brokers) -> None:
    async with Life(where, tmp_path, *brokers, reconcile_seconds=60) as life:
        await entered(life)
        for broker in brokers:
            broker.tell(broker.book.fill("B0001", PRICE, at_ns=TEN + SECOND))

        async def both():
            return await life.store.pool.fetchval("SELECT count(*) FROM orders WHERE state = 'TRIGGER_PENDING'") == 2

        await until(both, life)
    async with Life(where, tmp_path, *brokers) as life:  # knows of the fills what the book of record has
        for _ in range(2):
            for broker in brokers:
                broker.tell(broker.book.orders["B0001"])
        await life.told("RECONCILED")
        rows = await life.store.pool.fetch("SELECT entry_quantity FROM trades")
        assert [row["entry_quantity"] for row in rows] == [65, 65]
        assert await life.store.pool.fetchval("SELECT sum(quantity)::int FROM fills") == 130
    assert [order.quantity for broker in brokers for order in broker.book.orders.values()] == [65] * 4


async def test_an_update_without_a_tag_is_about_the_order_of_its_own_broker(tmp_path, where, brokers) -> None:
    async with Life(where, tmp_path, *brokers, reconcile_seconds=60) as life:
        await entered(life)
        for broker, session in zip(brokers, ("s1", "s2"), strict=True):
            broker.tell(replace(broker.book.fill("B0001", PRICE, at_ns=TEN + SECOND), tag=""))
            await life.one("SELECT 1 FROM trades WHERE session_id = $1 AND entry_quantity = 65", session)
