"""A broker's book that is not the trade's: of another day, or of another login. What it lacks says nothing.

Intraday positions do not outlive their day. An exit that is sent for one of yesterday, or to another login, opens a
position where it was to close one.
"""

import asyncio
from datetime import date, time

import pytest
from testkit.execution_brokers import PRICE, TEN, Life, approval, exit_of, opened, spec
from testkit.execution_service import TICKS, slice_of
from testkit.fake_broker import FakeBroker

from tradebus.bus.port import Outgoing
from tradebus.contracts.records import TICK, decode
from tradebus.kernel.clock import WallClock
from tradebus.kernel.time import ist_to_ns
from tradebus.trading.orders import BrokerStatus

SECOND = 1_000_000_000
NEXT_MORNING = ist_to_ns(date(2026, 11, 26), time(9, 15))
FEW_LOOKS_SECONDS = 1.0  # ten reconciliations and as many rounds of housekeeping

pytestmark = pytest.mark.usefixtures("listed")


class NextDay(Life):
    """The same service, on the morning after."""

    def __init__(self, *given) -> None:
        super().__init__(*given)
        clock = f"{NEXT_MORNING}@{WallClock().now_ns()}x1"
        self.settings = self.settings.model_copy(update={"market_clock": clock})

    async def ticks(self, second: int) -> None:
        """A price of the morning."""
        start_ns = NEXT_MORNING + second * SECOND
        ticks = decode(slice_of(start_ns, [PRICE]).body, TICK).copy()
        ticks["instrument"] = 0
        await self.bus.publish(
            [Outgoing(TICKS, "ticks", ticks.tobytes(), watermark_ns=start_ns + SECOND, slice_start_ns=start_ns)]
        )


async def test_a_position_of_yesterday_is_not_closed_by_opening_the_opposite_one(tmp_path, where) -> None:
    broker = FakeBroker()
    async with Life(where, tmp_path, broker) as life:
        await life.started(spec())
        await opened(life, broker, approval(1))
    today = FakeBroker()  # the broker squared the position off at the close, and its book begins anew
    async with NextDay(where, tmp_path, today) as life:
        told = (await life.told("RECONCILE_MISMATCH"))[-1]
        assert [(one.ours, one.brokers) for one in told.differences] == [("65", "0")]
        await asyncio.sleep(FEW_LOOKS_SECONDS)  # fewer would prove less, never fail
    assert today.book.requests == []


async def test_an_exit_that_was_refused_yesterday_is_not_sent_today(tmp_path, where) -> None:
    broker, entry = FakeBroker(), approval(1)
    async with Life(where, tmp_path, broker) as life:
        await life.started(spec())
        await opened(life, broker, entry)
        broker.book.refused = "the market is closed"
        await life.send(exit_of(entry, at_ns=TEN + 60 * SECOND))
        await life.until_state("EXIT", "REJECTED")
    today = FakeBroker()
    async with NextDay(where, tmp_path, today) as life:
        for second in range(5):
            await life.ticks(second)
        await asyncio.sleep(FEW_LOOKS_SECONDS)  # fewer would prove less, never fail
        assert await life.store.pool.fetchval("SELECT count(*) FROM orders WHERE role = 'EXIT'") <= 2
    assert today.book.requests == []


async def test_the_book_of_another_login_says_nothing_about_our_stop(tmp_path, where) -> None:
    broker = FakeBroker()
    async with Life(where, tmp_path, broker) as life:
        await life.started(spec())
        await opened(life, broker, approval(1))
    another = FakeBroker()  # the name of the login means another account now
    async with Life(where, tmp_path, another) as life:
        await life.told("RECONCILE_MISMATCH")
        await asyncio.sleep(FEW_LOOKS_SECONDS)  # fewer would prove less, never fail
        assert (await life.until_state("STOP", "TRIGGER_PENDING"))["quantity"] == 65
    assert another.book.requests == []


async def test_a_stop_that_is_gone_from_its_own_book_still_means_out(tmp_path, where) -> None:
    broker = FakeBroker()
    async with Life(where, tmp_path, broker) as life:
        await life.started(spec())
        await opened(life, broker, approval(1))
        stop = await life.until_state("STOP", "TRIGGER_PENDING")
        del broker.book.orders[stop["broker_order_id"]]
        leaving = await life.until_state("EXIT", "OPEN")
    assert broker.book.orders[leaving["broker_order_id"]].status is BrokerStatus.OPEN
