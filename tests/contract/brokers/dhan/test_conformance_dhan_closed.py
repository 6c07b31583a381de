"""After the close of the day."""

from collections.abc import Iterator

import pytest
from testkit.dhan_market import Desk, Market, dhan_market

from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerStatus, Result

LIMIT, MARKET, SELL = OrderType.LIMIT, OrderType.MARKET, Transaction.SELL


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    with dhan_market(start="2026-11-25T17:00:00", instruments=300) as made:
        yield made


def test_an_order_is_refused(desk: Desk) -> None:
    desk.refused(desk.ask(desk.market.share, LIMIT))


def test_an_after_market_order_waits_for_the_next_day(one_desk: Desk) -> None:
    share, last = one_desk.market.share, one_desk.market.touch(one_desk.market.share).last
    reply = one_desk.sdk.dhan.place_order(
        share.token, "NSE_EQ", "BUY", 1, "LIMIT", "INTRADAY", last / 100, after_market_order=True, tag="amo"
    )
    order_id = reply["data"]["orderId"]
    one_desk.facts(order_id, BrokerStatus.OPEN, filled=0)
    one_desk.must(one_desk.sdk.cancel(order_id), Result.ACCEPTED)
    one_desk.facts(order_id, BrokerStatus.CANCELLED, filled=0)


def test_no_position_can_be_left(one_desk: Desk) -> None:
    ask = one_desk.ask(one_desk.market.share, MARKET, transaction=SELL)
    one_desk.refused(ask)
