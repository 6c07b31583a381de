"""The market goes on while no tick comes: what is late for it is late, whatever the last tick said."""

import asyncio

import pytest
from testkit.execution_brokers import TEN, Life, approval, exit_of, opened, spec
from testkit.execution_service import until
from testkit.fake_broker import FakeBroker

from tradebus.kernel.clock import WallClock
from tradebus.trading.orders import BrokerStatus

SECOND = 1_000_000_000

pytestmark = pytest.mark.usefixtures("listed")


class Clocked(Life):
    """With the market's clock elsewhere, and faster."""

    def __init__(self, where, state_dir, broker, *, at_ns: int, speed: float = 1.0) -> None:
        super().__init__(where, state_dir, broker, reconcile_seconds=60)
        clock = f"{at_ns}@{WallClock().now_ns()}x{speed:g}"
        self.settings = self.settings.model_copy(update={"market_clock": clock, "feed_behind_seconds": 0.2})


async def test_an_approval_of_an_hour_ago_is_not_taken_up_after_a_restart(tmp_path, where) -> None:
    broker = FakeBroker()
    async with Clocked(where, tmp_path, broker, at_ns=TEN + 3_600 * SECOND) as life:
        await life.started(spec())
        await life.send(approval(1))
        trade = await life.one("SELECT * FROM trades")
        assert (trade["state"], trade["exit_reason"]) == ("CANCELLED", "stale_approval")
    assert broker.book.requests == []


async def test_an_entry_that_never_left_is_not_sent_an_hour_later(tmp_path, where, listed) -> None:
    broker, later = FakeBroker(), FakeBroker()
    async with Clocked(where, tmp_path, broker, at_ns=TEN) as life:
        await life.started(spec())
        await life.send(approval(1))
        await life.until_state("ENTRY", "OPEN")
    # As a crash between commit and request leaves them.
    await listed.pool.execute("UPDATE orders SET state = 'PENDING', broker_order_id = NULL")
    await listed.pool.execute("UPDATE trades SET state = 'ENTRY_PENDING'")
    async with Clocked(where, tmp_path, later, at_ns=TEN + 3_600 * SECOND) as life:
        await life.until_state("ENTRY", "CANCELLED")
    assert later.book.requests == []


async def test_an_entry_times_out_without_a_tick(tmp_path, where) -> None:
    broker = FakeBroker()
    async with Clocked(where, tmp_path, broker, at_ns=TEN, speed=100) as life:
        await life.started(spec())
        await life.send(approval(1))
        waiting = await life.until_state("ENTRY", "OPEN")
        await life.told("ORDER_TIMEOUT")

        async def cancelled():
            return broker.book.orders[waiting["broker_order_id"]].status is BrokerStatus.CANCELLED

        await until(cancelled, life)


async def left_and_refused(life: Life, broker: FakeBroker) -> None:
    """A position whose stop is cancelled and whose exit the broker will not have."""
    entry = approval(1)
    await life.started(spec())
    await opened(life, broker, entry)
    broker.book.refused = "order entry pauses"
    await life.send(exit_of(entry, at_ns=TEN + 2 * SECOND))
    stop = await life.one("SELECT * FROM orders WHERE role = 'STOP' AND state = 'CANCEL_PENDING'")

    async def cancelled():
        return broker.book.orders[stop["broker_order_id"]].status.final

    await until(cancelled, life)
    broker.tell(broker.book.orders[stop["broker_order_id"]])
    await life.until_state("EXIT", "REJECTED")
    broker.book.refused = ""


async def test_a_refused_exit_is_tried_again_without_a_tick(tmp_path, where) -> None:
    broker = FakeBroker()
    async with Clocked(where, tmp_path, broker, at_ns=TEN) as life:
        await left_and_refused(life, broker)
        assert (await life.until_state("EXIT", "OPEN"))["quantity"] == 65


async def test_out_of_hours_nothing_is_tried_again(tmp_path, where, listed) -> None:
    broker = FakeBroker()
    entry = approval(1)
    async with Clocked(where, tmp_path, broker, at_ns=TEN) as life:
        await life.started(spec())
        await opened(life, broker, entry)
    broker.book.refused = "the market is closed"
    async with Clocked(where, tmp_path, broker, at_ns=TEN + 12 * 3_600 * SECOND) as life:
        await life.send(exit_of(entry, at_ns=TEN + 12 * 3_600 * SECOND))
        # The stop's end is told, or read in the book by the account that is just opened: whichever comes first.
        stop = await life.one("SELECT * FROM orders WHERE role = 'STOP' AND state IN ('CANCEL_PENDING', 'CANCELLED')")

        async def cancelled():
            return broker.book.orders[stop["broker_order_id"]].status.final

        await until(cancelled, life)
        broker.tell(broker.book.orders[stop["broker_order_id"]])
        await life.until_state("EXIT", "REJECTED")
        await asyncio.sleep(2.5)  # more than until another attempt would be due
    assert await listed.pool.fetchval("SELECT count(*) FROM orders WHERE role = 'EXIT'") == 1
