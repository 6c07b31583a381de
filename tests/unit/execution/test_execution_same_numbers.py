"""Two brokers, or one on two days, may number an order and its trades alike: neither is taken for the other."""

from dataclasses import replace

import pytest
from testkit.broker_life import BrokerLife
from testkit.execution_brokers import PRICE, TEN, approval, spec
from testkit.fake_broker import MASTER, FakeBroker

from tradebus.trading.states import OrderState

SECOND = 1_000_000_000


@pytest.fixture
def brokers():
    """Kite and Dhan, each of which calls its first order B0001."""
    return FakeBroker(), FakeBroker("dhan", [replace(row, token=f"D{row.token}") for row in MASTER])


async def entered(life: BrokerLife) -> None:
    """An entry at each broker, on its book."""
    await life.started(spec())
    await life.started(spec("s2", broker="dhan", credential="dhan"))
    await life.send(approval(1), approval(1, session="s2"))

    async def both():
        return len(await life.orders(state=OrderState.OPEN)) == 2

    await life.until(both)


async def test_fills_of_one_number_are_each_kept_and_counted_once(around, brokers) -> None:
    async with BrokerLife(around, *brokers, reconcile_seconds=60) as life:
        await entered(life)
        for broker in brokers:
            broker.tell(broker.book.fill("B0001", PRICE, at_ns=TEN + SECOND))

        async def both():
            return len(await life.orders(state=OrderState.TRIGGER_PENDING)) == 2

        await life.until(both)
    async with BrokerLife(around, *brokers) as life:  # knows of the fills what the book of record has
        for _ in range(2):
            for broker in brokers:
                broker.tell(broker.book.orders["B0001"])
        await life.told("RECONCILED")
        assert [(one.entry_quantity, len(one.fill_ids)) for one in await life.trades()] == [(65, 1), (65, 1)]
    assert [order.quantity for broker in brokers for order in broker.book.orders.values()] == [65] * 4


async def test_an_update_without_a_tag_is_about_the_order_of_its_own_broker(around, brokers) -> None:
    async with BrokerLife(around, *brokers, reconcile_seconds=60) as life:
        await entered(life)
        for broker, session in zip(brokers, ("s1", "s2"), strict=True):
            broker.tell(replace(broker.book.fill("B0001", PRICE, at_ns=TEN + SECOND), tag=""))
            await life.trade(session_id=session, entry_quantity=65)
