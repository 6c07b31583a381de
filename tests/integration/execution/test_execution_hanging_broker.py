"""A broker that hangs holds up its own orders and nobody else's; what it says late is older than what came since."""

from dataclasses import replace

import pytest
from testkit.execution_brokers import TEN, Life, approval, spec
from testkit.execution_service import until
from testkit.fake_broker import MASTER, FakeBroker

from tradebus.contracts.orders import Transaction
from tradebus.trading.orders import BrokerOrder, BrokerStatus

SECOND = 1_000_000_000

pytestmark = pytest.mark.usefixtures("listed")


async def test_an_unknown_order_at_one_broker_does_not_keep_another_from_trading(tmp_path, where) -> None:
    kite, dhan = FakeBroker(), FakeBroker("dhan", [replace(row, token=f"D{row.token}") for row in MASTER])
    kite.book.lose = ["after"]
    async with Life(where, tmp_path, kite, dhan, reconcile_seconds=60) as life:
        await life.started(spec())
        await life.started(spec("s2", broker="dhan", credential="dhan"))
        kite.book.answering.clear()
        await life.send(approval(1))
        await life.until_state("ENTRY", "UNKNOWN")
        await life.one("SELECT pg_sleep(0.4)")  # some rounds of housekeeping
        await life.send(approval(1, session="s2"))

        async def sent():
            return len(dhan.book.requests) == 1

        await until(sent, life, seconds=3)
        kite.book.answering.set()
        await life.one(
            "SELECT 1 FROM orders o JOIN trades t USING (pos_id) WHERE session_id = 's1' AND o.state = 'OPEN'"
        )


async def test_a_late_absence_does_not_end_what_the_stream_has_shown_since(tmp_path, where) -> None:
    broker = FakeBroker()
    broker.book.lose = ["before"]
    async with Life(where, tmp_path, broker, reconcile_seconds=60) as life:
        await life.started(spec())
        broker.book.answering.clear()
        await life.send(approval(1))
        unknown = await life.until_state("ENTRY", "UNKNOWN")
        await life.one("SELECT pg_sleep(0.4)")
        broker.tell(
            BrokerOrder(
                "B0001", unknown["tag"], "s1", 0, Transaction.BUY, BrokerStatus.OPEN, 65, 0, None, (), TEN + SECOND
            )
        )
        await life.until_state("ENTRY", "OPEN")
        broker.book.answering.set()
        await life.one("SELECT pg_sleep(0.4)")
        await life.until_state("ENTRY", "OPEN")
