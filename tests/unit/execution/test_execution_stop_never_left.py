"""A stop that was committed, asked for once and never answered before its process was killed."""

import asyncio

from testkit.broker_life import BrokerLife
from testkit.execution_brokers import TEN, approval, spec
from testkit.fake_broker import FakeBook, FakeBroker

from tradebus.contracts.orders import OrderRole
from tradebus.trading.orders import OrderRequest, Outcome
from tradebus.trading.states import OrderState, TradeState

SECOND = 1_000_000_000


class Silent(FakeBook):
    """Takes a stop and never says so; it does not have it either."""

    def __init__(self) -> None:
        super().__init__()
        self.stops = 0

    async def place(self, request: OrderRequest) -> Outcome:
        if request.role is OrderRole.STOP:
            self.stops += 1
            await asyncio.Event().wait()
        return await super().place(request)


async def test_it_is_not_sent_again_for_a_position_that_was_left_without_it(around) -> None:
    broker = FakeBroker()
    broker.book = book = Silent()
    async with BrokerLife(around, broker, reconcile_seconds=60) as life:
        await life.started(spec())
        await life.send(approval(1))
        entry = await life.order("ENTRY", "OPEN")
        broker.tell(book.fill(entry.broker_order_id, 2_600_000, at_ns=TEN + SECOND))

        async def asked():
            return book.stops

        await life.until(asked)
        await life.life.kill()
    book.definitive = False  # for all that the book says, the stop may still come
    async with BrokerLife(around, broker, reconcile_seconds=60) as life:
        leaving = await life.order("EXIT", "OPEN")
        broker.tell(book.fill(leaving.broker_order_id, 2_599_000, at_ns=TEN + 8 * SECOND))
        await life.order("EXIT", "FILLED")
        assert (await life.trade()).state is TradeState.EXIT_PENDING, "its stop may still come"
        book.definitive = True
        await life.order("STOP", "CANCELLED")
        trade = await life.trade()
    assert (trade.state, book.stops) == (TradeState.CLOSED, 1)
    assert [order.state for order in trade.orders if order.role is OrderRole.STOP] == [OrderState.CANCELLED]
