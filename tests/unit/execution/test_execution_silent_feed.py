"""The market goes on while no tick comes: what is late for it is late, whatever the last tick said."""

import asyncio

from testkit.broker_life import BrokerLife, opened
from testkit.execution_brokers import TEN, approval, exit_of, spec
from testkit.fake_broker import FakeBook, FakeBroker

from tradebus.contracts.orders import OrderRole
from tradebus.trading.orders import BrokerStatus, OrderRequest, Outcome
from tradebus.trading.states import OrderState

SECOND = 1_000_000_000


class Clocked(BrokerLife):
    """With the market's clock elsewhere, and faster."""

    def __init__(self, around, broker, *, at_ns: int, speed: float = 1.0) -> None:
        super().__init__(around, broker, reconcile_seconds=60, feed_behind_seconds=0.2, at_ns=at_ns, speed=speed)


class Powerless(FakeBook):
    """The power fails between commit and request."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def place(self, request: OrderRequest) -> Outcome:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError


async def test_an_approval_of_an_hour_ago_is_not_taken_up_after_a_restart(around) -> None:
    broker = FakeBroker()
    async with Clocked(around, broker, at_ns=TEN + 3_600 * SECOND) as life:
        await life.started(spec())
        await life.send(approval(1))
        trade = await life.trade()
        assert (trade.state, trade.exit_reason) == ("CANCELLED", "stale_approval")
    assert broker.book.requests == []


async def test_an_entry_that_never_left_is_not_sent_an_hour_later(around) -> None:
    broker, later = FakeBroker(), FakeBroker()
    broker.book = Powerless()
    async with Clocked(around, broker, at_ns=TEN) as life:
        await life.started(spec())
        await life.send(approval(1))
        async with asyncio.timeout(10):
            await broker.book.asked.wait()
        await life.life.kill()
    async with Clocked(around, later, at_ns=TEN + 3_600 * SECOND) as life:
        await life.order("ENTRY", "CANCELLED")
    assert later.book.requests == []


async def test_an_entry_times_out_without_a_tick(around) -> None:
    broker = FakeBroker()
    async with Clocked(around, broker, at_ns=TEN, speed=150) as life:
        await life.started(spec())
        await life.send(approval(1, at_ns=life.market_ns()))
        waiting = await life.order("ENTRY", "OPEN")
        await life.told("ORDER_TIMEOUT")

        async def cancelled():
            return broker.book.orders[waiting.broker_order_id].status is BrokerStatus.CANCELLED

        await life.until(cancelled)


async def left_and_refused(life: BrokerLife, broker: FakeBroker) -> None:
    """A position whose stop is cancelled and whose exit the broker will not have."""
    entry = approval(1)
    await life.started(spec())
    await opened(life, broker, entry)
    broker.book.refused = "order entry pauses"
    await life.send(exit_of(entry, at_ns=TEN + 2 * SECOND))
    stop = await life.order("STOP", "CANCEL_PENDING")

    async def cancelled():
        return broker.book.orders[stop.broker_order_id].status.final

    await life.until(cancelled)
    broker.tell(broker.book.orders[stop.broker_order_id])
    await life.order("EXIT", "REJECTED")
    broker.book.refused = ""


async def test_a_refused_exit_is_tried_again_without_a_tick(around) -> None:
    broker = FakeBroker()
    async with Clocked(around, broker, at_ns=TEN, speed=10) as life:
        await left_and_refused(life, broker)
        assert (await life.order("EXIT", "OPEN")).quantity == 65


async def test_out_of_hours_nothing_is_tried_again(around) -> None:
    broker = FakeBroker()
    entry = approval(1)
    async with Clocked(around, broker, at_ns=TEN) as life:
        await life.started(spec())
        await opened(life, broker, entry)
    broker.book.refused = broker.book.changes_refused = "the market is closed"
    async with Clocked(around, broker, at_ns=TEN + 12 * 3_600 * SECOND, speed=60) as life:
        await life.send(exit_of(entry, at_ns=TEN + 12 * 3_600 * SECOND))

        async def asked():
            return broker.book.changes

        await life.until(asked)
        await life.time_passes(20)
        asked_for = len(broker.book.changes)
        await life.time_passes(60)  # other attempts would be due after two seconds, four, eight
        (stop,) = await life.orders(role=OrderRole.STOP)
    # It stays and protects as long as the broker has it; what is closed opens in the morning, with a life of its own.
    assert (len(broker.book.changes), stop.state) == (asked_for, OrderState.TRIGGER_PENDING)
    assert asked_for <= 2
    assert await life.orders(role=OrderRole.EXIT) == []
