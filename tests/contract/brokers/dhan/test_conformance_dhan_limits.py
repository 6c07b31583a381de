"""429: as many requests a calendar second of the market as Dhan takes, and no more."""

from collections.abc import Iterator

import pytest
from testkit.dhan_hands import code
from testkit.dhan_market import Desk, Market, dhan_market

from tradebus.contracts.orders import OrderType
from tradebus.trading.orders import Result


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    with dhan_market(limit_scale=1, instruments=300) as made:
        yield made


def test_the_eleventh_order_of_a_second_is_refused_and_the_next_second_takes_orders_again(desk: Desk) -> None:
    for number in range(10):
        desk.place(desk.ask(desk.market.share, OrderType.LIMIT, tag=f"n{number}"))
    desk.place(desk.ask(desk.market.share, OrderType.LIMIT, tag="n10"), Result.REFUSED)
    desk.market.box.advance(1)
    desk.place(desk.ask(desk.market.share, OrderType.LIMIT, tag="n11"))
    assert [each.tag for each in desk.adapter.book()] == [*(f"n{number}" for number in range(10)), "n11"]


def test_a_second_quote_in_a_second_is_refused_with_the_codes_of_a_limit(one_desk: Desk) -> None:
    assert one_desk.sdk.dhan.ticker_data({"NSE_EQ": [1333]})["status"] == "success"
    reply = one_desk.sdk.dhan.ticker_data({"NSE_EQ": [1333]})
    assert code(reply) == "DH-904"
    assert reply["remarks"]["error_type"] == "Rate_Limit"
    one_desk.market.box.advance(1)
    assert one_desk.sdk.dhan.ticker_data({"NSE_EQ": [1333]})["status"] == "success"


def test_one_clients_requests_are_not_anothers(one_desk: Desk, market: Market) -> None:
    for number in range(10):
        one_desk.place(one_desk.ask(market.share, OrderType.LIMIT, tag=f"n{number}"))
    other = market.desk()
    other.place(other.ask(market.share, OrderType.LIMIT))
