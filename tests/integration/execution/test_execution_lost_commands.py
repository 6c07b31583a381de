"""What the bus lost and the book has: a start that never came, and a trade whose handling fails."""

import pytest
from testkit.execution_brokers import Life, approval, exit_of, spec
from testkit.execution_service import until
from testkit.fake_broker import FakeBook, FakeBroker

from tradebus.trading.orders import OrderRequest, Outcome

pytestmark = pytest.mark.usefixtures("listed")


async def test_a_session_whose_start_was_lost_on_the_bus_is_taken_up_from_the_book(tmp_path, where) -> None:
    async with Life(where, tmp_path, FakeBroker()) as life:
        for wanted in (spec("s1"), spec("s2", broker="paper", credential=None)):
            await life.store.pool.execute(
                "INSERT INTO sessions (session_id, user_id, status, mode, spec, command_id, created_ns)"
                " VALUES ($1, $2, 'STARTING', $3, $4, $1, 1)",
                wanted.session_id, wanted.user_id, wanted.mode.value, wanted.model_dump(mode="json"),
            )  # fmt: skip
        await life.one("SELECT 1 WHERE (SELECT count(*) FROM session_participants WHERE service = 'execution') = 2")


class Broken(FakeBook):
    """Its client fails on one instrument's orders with an error that no port allows."""

    broken = True

    async def place(self, request: OrderRequest) -> Outcome:
        if self.broken and request.quantity == 130:
            raise ZeroDivisionError("a defect of the client")
        return await super().place(request)


async def test_a_trade_that_cannot_be_handled_is_set_aside_and_the_others_go_on(tmp_path, where) -> None:
    broker = FakeBroker()
    broker.book = Broken()
    async with Life(where, tmp_path, broker, reconcile_seconds=60) as life:
        await life.started(spec())
        await life.send(approval(1, quantity=130), approval(2))
        await life.one("SELECT 1 FROM orders WHERE quantity = 65 AND state = 'OPEN'")
        assert await life.store.pool.fetchval("SELECT state FROM orders WHERE quantity = 130") == "PENDING"
        broker.book.broken = False
        await life.one("SELECT 1 FROM orders WHERE quantity = 130 AND state = 'OPEN'")
        await life.send(exit_of(approval(2), at_ns=approval(2).ts_event_ns))

        async def cancelled():
            return any(order.status.final for order in broker.book.orders.values())

        await until(cancelled, life)
