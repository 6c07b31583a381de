"""A second order under a tag of ours that has filled: booked, undone and told, whatever it was."""

from dataclasses import replace

import pytest
from testkit.broker_life import BrokerLife, opened, trading
from testkit.execution_around import Around
from testkit.execution_brokers import PRICE, SECOND, TEN, approval, exit_of
from testkit.fake_broker import FakeBroker

from tradebus.contracts.orders import OrderRole, Transaction
from tradebus.execution.trade import Order
from tradebus.trading.orders import BrokerFill, BrokerStatus
from tradebus.trading.states import TradeState


def twin_of(broker: FakeBroker, order: Order, number: str = "B9999") -> None:
    """The broker has made a second order of a request, and it has filled."""
    first = broker.book.orders[order.broker_order_id or ""]
    fill = BrokerFill(f"{number}-0", order.quantity, PRICE, TEN + 20 * SECOND)
    broker.book.orders[number] = replace(
        first, broker_order_id=number, status=BrokerStatus.FILLED, filled_quantity=order.quantity, fills=(fill,),
        as_of_ns=TEN + 20 * SECOND,
    )  # fmt: skip


async def fill_exits(life: BrokerLife, broker: FakeBroker) -> None:
    """Fills what is sent to get out, until all is over."""

    async def over() -> bool:
        for number, line in list(broker.book.orders.items()):
            if line.status is BrokerStatus.OPEN:
                broker.tell(broker.book.fill(number, PRICE, at_ns=TEN + 30 * SECOND))
        return bool(await life.trades(state=TradeState.CLOSED))

    await life.until(over)


def net(broker: FakeBroker) -> int:
    return sum(row.quantity for row in broker.book.positions())


async def told_of_second(around: Around) -> list[str]:
    said = [one for message in await around.told("RECONCILE_MISMATCH") for one in message.differences]
    return [one.what for one in said if "what it filled is undone" in one.action]


async def test_what_a_second_entry_bought_is_sold_with_the_position(around: Around) -> None:
    broker, entry = FakeBroker(), approval(1)
    async with trading(around, broker) as life:
        await opened(life, broker, entry)
        [bought] = await life.orders(role=OrderRole.ENTRY)
        twin_of(broker, bought)
        await fill_exits(life, broker)
        [trade] = await life.trades()
        assert (trade.exit_reason, trade.entry_quantity, trade.exit_quantity) == ("second_order", 130, 130)
        assert net(broker) == 0
        assert await told_of_second(around) == ["order B9999"]
        await life.until(lambda: around.told("RECONCILED"))


async def test_what_a_second_exit_sold_is_bought_back(around: Around) -> None:
    broker, entry = FakeBroker(), approval(1)
    async with trading(around, broker) as life:
        await opened(life, broker, entry)
        await life.leave(broker, entry)
        [leaving] = await life.orders(role=OrderRole.STOP)
        twin_of(broker, leaving)
        assert net(broker) == -65

        async def bought_back() -> bool:
            return any(one.transaction is Transaction.BUY for one in broker.book.requests[1:])

        await life.until(bought_back)
        await fill_exits(life, broker)
        assert net(broker) == 0
        assert await told_of_second(around) == ["order B9999"]


@pytest.mark.parametrize("lives", [1, 2])
async def test_it_is_undone_once_also_by_the_next_life(around: Around, lives: int) -> None:
    broker, entry = FakeBroker(), approval(1)
    async with trading(around, broker) as life:
        await opened(life, broker, entry)
        [bought] = await life.orders(role=OrderRole.ENTRY)
        twin_of(broker, bought)
        await fill_exits(life, broker)
        await life.send(exit_of(entry, at_ns=TEN + 40 * SECOND))
        await life.time_passes(1)
    for _ in range(lives):
        async with BrokerLife(around, broker) as life:
            await life.time_passes(1)
    [trade] = await around.hands.trades()
    assert (trade.state, trade.entry_quantity, net(broker)) == (TradeState.CLOSED, 130, 0)
