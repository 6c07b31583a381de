"""A broker's book that is not the trade's: of another day, or of another login. What it lacks says nothing.

Intraday positions do not outlive their day. An exit that is sent for one of yesterday, or to another login, opens a
position where it was to close one.
"""

import asyncio
from datetime import date, time

from testkit.broker_life import BrokerLife, opened
from testkit.execution_brokers import PRICE, approval, spec
from testkit.execution_service import TICKS, slice_of
from testkit.fake_broker import FakeBroker

from tradebus.bus.port import Outgoing
from tradebus.contracts.orders import OrderRole
from tradebus.contracts.records import TICK, decode
from tradebus.kernel.time import ist_to_ns
from tradebus.trading.orders import BrokerStatus

SECOND = 1_000_000_000
NEXT_MORNING = ist_to_ns(date(2026, 11, 26), time(9, 15))
FEW_LOOKS_SECONDS = 1.0  # ten reconciliations and as many rounds of housekeeping


class NextDay(BrokerLife):
    """The same service, on the morning after."""

    def __init__(self, *given) -> None:
        super().__init__(*given, at_ns=NEXT_MORNING)

    async def ticks(self, second: int) -> None:
        """A price of the morning."""
        start_ns = NEXT_MORNING + second * SECOND
        ticks = decode(slice_of(start_ns, [PRICE]).body, TICK).copy()
        ticks["instrument"] = 0
        await self.bus.publish(
            [Outgoing(TICKS, "ticks", ticks.tobytes(), watermark_ns=start_ns + SECOND, slice_start_ns=start_ns)]
        )


async def test_a_position_of_yesterday_is_not_closed_by_opening_the_opposite_one(around) -> None:
    broker = FakeBroker()
    async with BrokerLife(around, broker) as life:
        await life.started(spec())
        await opened(life, broker, approval(1))
    today = FakeBroker()  # the broker squared the position off at the close, and its book begins anew
    async with NextDay(around, today) as life:
        told = (await life.told("RECONCILE_MISMATCH"))[-1]
        assert [(one.ours, one.brokers) for one in told.differences] == [("65", "0")]
        await asyncio.sleep(FEW_LOOKS_SECONDS)  # fewer would prove less, never fail
    assert today.book.requests == []


async def test_an_exit_that_was_refused_yesterday_is_not_sent_today(around) -> None:
    broker = FakeBroker()
    async with BrokerLife(around, broker) as life:
        await life.started(spec())
        stop = await opened(life, broker, approval(1))
        broker.book.refused = broker.book.changes_refused = "the market is closed"
        del broker.book.orders[stop.broker_order_id]
        await life.order("EXIT", "REJECTED")
    today = FakeBroker()
    async with NextDay(around, today) as life:
        for second in range(5):
            await life.ticks(second)
        await asyncio.sleep(FEW_LOOKS_SECONDS)  # fewer would prove less, never fail
        assert len(await life.orders(role=OrderRole.EXIT)) <= 2
    assert today.book.requests == []


async def test_the_book_of_another_login_says_nothing_about_our_stop(around) -> None:
    broker = FakeBroker()
    async with BrokerLife(around, broker) as life:
        await life.started(spec())
        await opened(life, broker, approval(1))
    another = FakeBroker()  # the name of the login means another account now
    async with BrokerLife(around, another) as life:
        await life.told("RECONCILE_MISMATCH")
        await asyncio.sleep(FEW_LOOKS_SECONDS)  # fewer would prove less, never fail
        assert (await life.order("STOP", "TRIGGER_PENDING")).quantity == 65
    assert another.book.requests == []


async def test_a_stop_that_is_gone_from_its_own_book_still_means_out(around) -> None:
    broker = FakeBroker()
    async with BrokerLife(around, broker) as life:
        await life.started(spec())
        await opened(life, broker, approval(1))
        stop = await life.order("STOP", "TRIGGER_PENDING")
        del broker.book.orders[stop.broker_order_id]
        leaving = await life.order("EXIT", "OPEN")
    assert broker.book.orders[leaving.broker_order_id].status is BrokerStatus.OPEN
