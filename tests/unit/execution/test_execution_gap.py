"""The price jumps past a stop and its protection: the stop is triggered, rests at its limit, and sells nothing."""

from dataclasses import replace

from testkit.broker_life import BrokerLife, opened
from testkit.execution_brokers import TEN, approval, spec
from testkit.fake_broker import FakeBroker

from tradebus.contracts.orders import OrderType
from tradebus.trading.orders import BrokerStatus

SECOND = 1_000_000_000


async def test_a_stop_that_was_hit_and_does_not_fill_becomes_the_exit(around) -> None:
    broker = FakeBroker()
    async with BrokerLife(around, broker) as life:
        await life.started(spec())
        await opened(life, broker, approval(1))
        stop = await life.order("STOP", "TRIGGER_PENDING")
        number = stop.broker_order_id
        broker.book.orders[number] = replace(
            broker.book.orders[number], status=BrokerStatus.OPEN, as_of_ns=TEN + 2 * SECOND
        )
        leaving = await life.order("STOP", "OPEN", order_type=OrderType.MARKET)
        assert (leaving.broker_order_id, leaving.quantity) == (number, 65)
        await life.trade(exit_reason="stop_not_filled")
