"""The end of a day: stops go at 15:15, the feed tells that segments shut, what still waits expires at the close."""

from collections.abc import Iterator

import pytest
from testkit.dhan_hands import data
from testkit.dhan_market import Desk, Market, dhan_market
from testkit.dhan_streams import TICKER, by_sdk, tap

from tradebus.brokers.dhan import DhanDecoder
from tradebus.brokers.feed import FeedEventKind
from tradebus.contracts.orders import OrderType
from tradebus.trading.orders import BrokerStatus, Product, Result

NSE_EQ, NSE_FNO = 1, 2


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    with dhan_market(start="2026-11-25T15:14:00", instruments=300, step_ms=5_000) as made:
        yield made


def test_the_day_ends_in_its_order(one_desk: Desk) -> None:
    market, dhan = one_desk.market, one_desk.sdk.dhan
    # The future's within the range that is set anew when the stocks' auction begins: 3 % around its price.
    far_up, future = market.touch(market.share).upper, market.touch(market.future)
    far_down = future.last * 98 // 100 // future.tick * future.tick
    stop = one_desk.place(
        one_desk.ask(market.share, OrderType.SL, trigger_paise=far_up - 1000, price_paise=far_up, tag="stop")
    )
    carried = one_desk.place(
        one_desk.ask(market.future, OrderType.LIMIT, price_paise=far_down, product=Product.CARRY, tag="waits")
    )
    with tap(one_desk) as feed:
        feed.say(TICKER, [market.share])
        feed.frames()
        market.box.advance(90)
        status = [frame for frame in feed.frames() if frame[0] == 7]
        assert [frame[3] for frame in status] == [NSE_EQ]
        assert by_sdk(one_desk, status) == ["Markets Open"]  # it says so of every change
        (event,) = DhanDecoder().decode(status[0], received_ns=1).events
        assert event.kind is FeedEventKind.MARKET_STATUS
        one_desk.facts(stop, BrokerStatus.CANCELLED, filled=0)
        one_desk.facts(carried, BrokerStatus.OPEN, filled=0)
        market.box.advance(26 * 60)
        assert NSE_FNO in [frame[3] for frame in feed.frames() if frame[0] == 7]
    found = one_desk.facts(carried, BrokerStatus.CANCELLED, filled=0)
    assert "ended" in found.reason or data(dhan.get_order_by_id(carried))["orderStatus"] == "EXPIRED"
    one_desk.place(one_desk.ask(market.future, OrderType.LIMIT, tag="too late"), Result.REFUSED)
