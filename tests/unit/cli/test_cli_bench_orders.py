"""The broker of `tradebus bench orders`: one book, whichever process has placed what."""

import asyncio
import os
import subprocess
import sys

import pytest

from services.cli.bench.orders.broker import RestingBook, RestingLine
from services.cli.bench.processor import EVERYTHING, ProcessorTimes, shares
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


def test_what_bounds_the_orders_of_a_second_is_read_off_the_processors() -> None:
    spent = [{"risk": 0.2, "execution-0": 0.4, EVERYTHING: 1.2}, {"risk": 0.2, "execution-0": 0.4, EVERYTHING: 0.8}]
    idle = shares(spent, orders=1_000, seconds=2.0, cores=2)
    assert idle["processor_ms_an_order"] == pytest.approx({"all": 1.2, "risk": 0.4, "execution-0": 0.8})
    assert idle["cores_busy"] == pytest.approx({"here": 0.6, "with_what_else_runs": 1.0, "of": 2})
    assert "cores were idle" in idle["bounded_by"]
    assert idle["orders_a_second_of_all_cores"] == pytest.approx(1_667, abs=1)
    full = shares(spent, orders=1_000, seconds=1.0, cores=2)
    assert (
        full["bounded_by"] == "the machine's 2 cores, all busy, 0.8 of them with other work: more processes do no more"
    )
    assert shares([{}, spent[0]], orders=1, seconds=1.0, cores=2) == {}, "where the system does not say"


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="this system does not tell")
def test_a_family_is_counted_with_its_children_and_others_without() -> None:
    burns = "sum(range(3_000_000))"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burns!r}]); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        times = ProcessorTimes({"family": process.pid, "alone": process.pid, "gone": 0}, families=("family",)).seconds()
        process.communicate(b"\n")
    assert times["family"] > times["alone"] >= 0.0
    assert times["gone"] == 0.0
    assert times[EVERYTHING] >= times["family"]
