"""A night between two days: deliveries become holdings, positions are carried, logins end."""

from collections.abc import Iterator
from typing import Any

import pytest
from testkit.dhan_hands import code, data
from testkit.dhan_market import Desk, Market, bought, dhan_market

from tradebus.brokers.account import SessionState
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerStatus, Product


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    with dhan_market(start="2026-11-25T15:00:00", instruments=300, step_ms=60_000) as made:
        yield made


def test_deliveries_become_holdings_a_carried_future_is_carried_and_the_login_ends(one_desk: Desk) -> None:
    market = one_desk.market
    bought(one_desk, market.share, 6, Product.DELIVERY)
    bought(one_desk, market.future, market.future.lot_size, Product.CARRY)
    touch, dhan = market.touch(market.share), one_desk.sdk.dhan
    asked = ("1333", "NSE_EQ", "BUY", 1, "LIMIT", "INTRADAY", touch.ask / 100, touch.upper / 100, touch.lower / 100)
    data(dhan.place_super_order(*asked))
    assert len(data(dhan.get_super_order_list())) == 1
    data(dhan.place_forever("1333", "NSE_EQ", "BUY", "CNC", "LIMIT", 1, touch.lower / 100, touch.lower / 100))
    market.box.advance(18.75 * 3600)  # to a quarter to ten of the next morning
    assert data(dhan.get_super_order_list()) == []  # they live a day; forever orders live on
    assert [row["orderStatus"] for row in data(dhan.get_forever())] == ["PENDING"]
    (row,) = data(dhan.get_holdings())
    (holding,) = market.run(one_desk.adapter.account.holdings())
    assert (row["totalQty"], holding.quantity, row["isin"]) == (6, 6, holding.isin)
    assert round(row["avgCostPrice"] * 100) == holding.average_price_paise
    (row,), (net,) = _positions(one_desk, market.future.token)
    lot = market.future.lot_size
    assert (row["carryForwardBuyQty"], row["dayBuyQty"], row["netQty"], net.quantity) == (lot, 0, lot, lot)
    assert data(one_desk.sdk.dhan.get_order_list()) == one_desk.adapter.book() == []
    assert data(one_desk.sdk.dhan.edis_inquiry(holding.isin))["aprvdQty"] == 6
    ask = one_desk.ask(market.share, OrderType.MARKET, transaction=Transaction.SELL, product=Product.DELIVERY)
    sold = one_desk.place(ask)
    one_desk.facts(sold, BrokerStatus.FILLED)
    market.box.advance(6 * 3600)  # the login was a day ago
    assert code(one_desk.sdk.dhan.get_holdings()) == "DH-901"
    assert market.run(one_desk.adapter.session.check()) is SessionState.EXPIRED
    assert Desk(market, one_desk.account, "sdk").sdk.facts(sold) is not None


def _positions(desk: Desk, token: str) -> tuple[list[dict[str, Any]], list[Any]]:
    rows, ours = data(desk.sdk.dhan.get_positions()), desk.market.run(desk.adapter.account.positions())
    return [row for row in rows if row["securityId"] == token], [each for each in ours if each.token == token]
