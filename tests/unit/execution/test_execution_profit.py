"""The broker's profit beside ours: equal where both have the same fills, at whatever price; named where they do not."""

import json

from hypothesis import given
from hypothesis import strategies as st
from testkit.broker_life import BrokerLife, opened
from testkit.execution_brokers import FUTURE, PRICE, approval, spec
from testkit.fake_broker import FakeBroker

from services.execution.positions.profit import InstrumentProfit, compared
from tradebus.brokers.account import NetPosition

NAMES = {1: "NIFTY26NOVFUT", 2: "INFY"}
FILLS = st.lists(st.tuples(st.integers(-40, 40).filter(bool), st.integers(1, 10**7)), min_size=1, max_size=8)


def position(*, quantity=0, average=0, realised=0, unrealised=0) -> NetPosition:
    return NetPosition("1", "NFO", "X", "MIS", quantity, 0, 0, average, realised, unrealised)


@given(FILLS, st.integers(1, 10**7))
def test_the_same_fills_are_the_same_profit_at_any_last_price(fills: list[tuple[int, int]], last: int) -> None:
    cash, net = sum(-quantity * price for quantity, price in fills), sum(quantity for quantity, _ in fills)
    # The broker takes an average of its own, and what is left of the profit is realised.
    unrealised = net * (last - 5_000)
    row = position(quantity=net, average=5_000, realised=cash + net * last - unrealised, unrealised=unrealised)
    (found,) = compared({1: (cash, net)}, [(1, row)], NAMES)
    assert found == InstrumentProfit("NIFTY26NOVFUT", cash + net * last, cash + net * last)


def test_what_one_of_the_two_does_not_have_is_named() -> None:
    rows = [(1, position(realised=5_000)), (2, position(realised=-700))]
    assert compared({1: (4_000, 0)}, rows, NAMES) == [
        InstrumentProfit("NIFTY26NOVFUT", 4_000, 5_000), InstrumentProfit("INFY", 0, -700)
    ]  # fmt: skip
    assert compared({2: (-10_000, 10)}, [(2, position())], NAMES) == [InstrumentProfit("INFY", None, 0)], "no price"
    assert compared({2: (-300, 0)}, [], NAMES) == [InstrumentProfit("INFY", -300, 0)]


async def test_an_account_keeps_both_in_the_book_for_whoever_looks(around) -> None:
    broker = FakeBroker("kite")
    async with BrokerLife(around, broker) as life:
        await life.started(spec("s1"))
        await opened(life, broker, approval(1))

        async def noted() -> dict | None:
            one = around.book.database.table("account_standings").get("kite:mine")
            return None if one is None or one.profit is None else json.loads(one.profit)

        found = await life.until(noted)
    assert found["brokers_paise"] == 0
    assert {one["symbol"] for one in found["differences"]} <= {"NIFTY26NOVFUT"}
    assert await around_traded(around) == (-65 * PRICE, 65)


async def around_traded(around) -> tuple[int, int]:
    books, _ = await around.hands.life("a reader")
    return (await books.own.traded("kite", "mine", since_ns=0))[FUTURE]
