"""What the bus lost and the book has: a start that never came, and a trade whose handling fails."""

from testkit.broker_life import BrokerLife
from testkit.execution_books import begin
from testkit.execution_brokers import approval, exit_of, spec
from testkit.fake_broker import FakeBook, FakeBroker

from tradebus.contracts.sessions import SessionStatus
from tradebus.trading.orders import OrderRequest, Outcome


async def test_a_session_whose_start_was_lost_on_the_bus_is_taken_up_from_the_book(around) -> None:
    async with BrokerLife(around, FakeBroker()) as life:
        for wanted in (spec("s1"), spec("s2", broker="paper", credential=None)):
            await begin(around.book, wanted, status=SessionStatus.STARTING)

        async def both():
            return sorted(await life.taken_up()) == ["s1", "s2"]

        await life.until(both)


class Broken(FakeBook):
    """Its client fails on one instrument's orders with an error that no port allows."""

    broken = True

    async def place(self, request: OrderRequest) -> Outcome:
        if self.broken and request.quantity == 130:
            raise ZeroDivisionError("a defect of the client")
        return await super().place(request)


async def test_a_trade_that_cannot_be_handled_is_set_aside_and_the_others_go_on(around) -> None:
    broker = FakeBroker()
    broker.book = Broken()
    async with BrokerLife(around, broker, reconcile_seconds=60) as life:
        await life.started(spec())
        await life.send(approval(1, quantity=130), approval(2))
        await life.order("ENTRY", "OPEN", quantity=65)
        broker.book.broken = False
        await life.order("ENTRY", "CANCELLED", quantity=130)
        await life.send(exit_of(approval(2), at_ns=approval(2).ts_event_ns))

        async def cancelled():
            return any(order.status.final for order in broker.book.orders.values())

        await life.until(cancelled)
