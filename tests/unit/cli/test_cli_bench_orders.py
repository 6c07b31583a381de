"""The broker of `tradebus bench orders`: one book, whichever process has placed what."""

import asyncio

import pytest

from services.cli.bench.orders.broker import RestingBook, RestingLine
from tradebus.brokers.errors import NoAnswer
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerStatus, OrderRequest


def request(tag: str) -> OrderRequest:
    return OrderRequest(
        account="bench-1", tag=tag, instrument=3, symbol="BENCH3", transaction=Transaction.BUY,
        order_type=OrderType.LIMIT, quantity=5, lot_size=1, tick_size_paise=5, at_ns=7, price_paise=100,
    )  # fmt: skip


async def test_every_process_sees_what_each_has_placed_in_a_login() -> None:
    book = RestingBook()
    async with await asyncio.start_server(book.serve, "127.0.0.1", 0) as server:
        one, other = [await RestingLine.connect(server.sockets[0].getsockname()[1]) for _ in range(2)]
        numbers = await asyncio.gather(one.place("a", request("t1")), other.place("a", request("t2")))
        assert len({*numbers, await other.place("b", request("t3"))}) == 3
        assert len(book.came_ns) == 3
        seen = await other.book("a")
        assert {(order.tag, order.broker_order_id) for order in seen} == {("t1", numbers[0]), ("t2", numbers[1])}
        assert [(order.status, order.quantity, order.instrument, order.account) for order in seen] == [
            (BrokerStatus.OPEN, 5, 3, "a")
        ] * 2
        found = await other.find("a", "t1")
        assert found is not None
        assert found.broker_order_id == numbers[0]
        assert await one.find("b", "t1") is None
        await asyncio.gather(one.close(), other.close())


async def test_a_line_that_was_closed_says_so() -> None:
    async with await asyncio.start_server(RestingBook().serve, "127.0.0.1", 0) as server:
        line = await RestingLine.connect(server.sockets[0].getsockname()[1])
        await line.close()
        with pytest.raises(NoAnswer):
            await line.place("a", request("t1"))
