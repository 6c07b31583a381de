"""STOPPED is said once the broker's own book has nothing alive of the session."""

import asyncio
from dataclasses import replace

from testkit.broker_life import BrokerLife, opened, trading
from testkit.execution_around import Around
from testkit.execution_brokers import approval
from testkit.fake_broker import FakeBroker

from tradebus.contracts.orders import OrderRole
from tradebus.contracts.sessions import SessionStatus
from tradebus.store.books import session_register
from tradebus.trading.orders import BrokerStatus


async def stopping(around: Around) -> None:
    """The gateway has heard STOP_TRADING."""
    async with around.book.begin() as transaction:
        await session_register(around.book).set_status(transaction, "s1", SessionStatus.STOPPING)


async def looked(life: BrokerLife) -> None:
    """The broker's book is read, and once more."""
    for _ in range(2):
        await asyncio.sleep(0)
        await life.time_passes(0.3)


async def test_a_session_whose_trades_are_over_is_so_at_the_broker_too(around: Around) -> None:
    broker, entry, register = FakeBroker(), approval(1), session_register(around.book)
    async with trading(around, broker) as life:
        await opened(life, broker, entry)
        await looked(life)
        assert await register.awaits_look("s1"), "it runs"
        await life.leave(broker, entry)
        await looked(life)
        assert await register.awaits_look("s1"), "nobody has told it to stop"
        await stopping(around)

        async def is_clear() -> bool:
            return not await register.awaits_look("s1")

        await life.until(is_clear)


async def test_an_order_that_lives_there_though_ours_is_over_keeps_it_from_being_said(around: Around) -> None:
    broker, entry, register = FakeBroker(), approval(1), session_register(around.book)
    async with trading(around, broker) as life:
        await opened(life, broker, entry)
        await life.leave(broker, entry)
        [stop] = await life.orders(role=OrderRole.STOP)
        line = broker.book.orders[stop.broker_order_id or ""]
        broker.book.cancels_lost = 10**6
        broker.book.orders["B9999"] = replace(
            line, broker_order_id="B9999", status=BrokerStatus.TRIGGER_PENDING, filled_quantity=0, fills=()
        )
        await stopping(around)
        await looked(life)
        assert await register.awaits_look("s1"), "a second order of the stop may still fire"
        del broker.book.orders["B9999"]

        async def is_clear() -> bool:
            return not await register.awaits_look("s1")

        await life.until(is_clear)


async def test_a_book_that_cannot_be_read_says_nothing(around: Around) -> None:
    broker, entry, register = FakeBroker(), approval(1), session_register(around.book)
    async with trading(around, broker) as life:
        await opened(life, broker, entry)
        await life.leave(broker, entry)
        broker.book.readable = False
        await stopping(around)
        await looked(life)
        assert await register.awaits_look("s1")
        broker.book.readable = True

        async def is_clear() -> bool:
            return not await register.awaits_look("s1")

        await life.until(is_clear)
