"""A broker that hangs holds up its own orders and nobody else's; what it says late is older than what came since."""

import asyncio
from dataclasses import replace

from testkit.broker_life import BrokerLife
from testkit.execution_brokers import TEN, approval, spec
from testkit.fake_broker import MASTER, FakeBroker

from tradebus.contracts.orders import Transaction
from tradebus.trading.orders import BrokerOrder, BrokerStatus

SECOND = 1_000_000_000


async def test_an_unknown_order_at_one_broker_does_not_keep_another_from_trading(around) -> None:
    kite, dhan = FakeBroker(), FakeBroker("dhan", [replace(row, token=f"D{row.token}") for row in MASTER])
    kite.book.lose = ["after"]
    async with BrokerLife(around, kite, dhan, reconcile_seconds=60) as life:
        await life.started(spec())
        await life.started(spec("s2", broker="dhan", credential="dhan"))
        kite.book.answering.clear()
        await life.send(approval(1))
        await life.order("ENTRY", "UNKNOWN")
        await asyncio.sleep(0.4)  # some rounds of housekeeping
        await life.send(approval(1, session="s2"))

        async def sent():
            return len(dhan.book.requests) == 1

        await life.until(sent, seconds=3)
        kite.book.answering.set()
        await life.order("ENTRY", "OPEN", of=approval(1))


async def test_a_late_absence_does_not_end_what_the_stream_has_shown_since(around) -> None:
    broker = FakeBroker()
    broker.book.lose = ["before"]
    async with BrokerLife(around, broker, reconcile_seconds=60) as life:
        await life.started(spec())
        broker.book.answering.clear()
        await life.send(approval(1))
        unknown = await life.order("ENTRY", "UNKNOWN")
        await asyncio.sleep(0.4)  # as above
        broker.tell(
            BrokerOrder(
                "B0001", unknown.tag, "s1", 0, Transaction.BUY, BrokerStatus.OPEN, 65, 0, None, (), TEN + SECOND
            )
        )
        await life.order("ENTRY", "OPEN")
        broker.book.answering.set()
        await asyncio.sleep(0.4)  # as above
        await life.order("ENTRY", "OPEN")
