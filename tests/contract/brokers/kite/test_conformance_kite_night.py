"""What a night changes: logins end, shares are delivered, orders left over meet the open. In coarse steps of time."""

from collections.abc import Iterator

import pytest
from kiteconnect import exceptions as kite_errors
from testkit.kite_desk import ACCOUNT, BUY, SHARE, KiteDesk
from testkit.sandbox import sandbox

from tradebus.brokers.account import SessionState
from tradebus.brokers.errors import TokenExpired
from tradebus.brokers.kite import KiteOrders
from tradebus.contracts.orders import OrderType
from tradebus.trading.orders import BrokerStatus, Product, Result

HOUR = 3600.0
CNC = Product.DELIVERY


@pytest.fixture(scope="module")
def kite_desk() -> Iterator[KiteDesk]:
    """On Wednesday 14:45, with nothing but the shares and futures and a step a minute."""
    with sandbox(seed=7, start="2026-11-25T14:45:00", speed=0, instruments=1, step_ms=60_000, limit_scale=0) as box:
        desk = KiteDesk(box)
        yield desk
        desk.close()


def test_a_night_in_the_life_of_an_account(kite_desk: KiteDesk) -> None:
    desk = kite_desk
    delivered = desk.placed("sdk", desk.ask("NSE:ITC", OrderType.MARKET, product=CNC, lots=6))
    resting = desk.placed("adapter", desk.ask("NSE:TCS", OrderType.LIMIT, product=CNC, price=-5))
    assert delivered.status is BrokerStatus.FILLED
    desk.advance(2 * HOUR)

    # After the close: what rested has ended, and only orders for the morning are taken.
    assert desk.agreed(resting.order_id).status is BrokerStatus.CANCELLED
    late = desk.ask(SHARE, OrderType.LIMIT, product=CNC, price=1)
    assert desk.sdk.place(late).result is desk.adapter.place(late).result is Result.REFUSED
    after_market = KiteOrders(
        desk.adapter.client, variety="amo", settle_seconds=0,
        listing_of=lambda _instrument: desk.listing(SHARE), instrument_of=lambda _exchange, token: int(token),
    )  # fmt: skip
    desk.adapter.orders = after_market
    left = [desk.placed("adapter", desk.ask(SHARE, OrderType.LIMIT, product=CNC, price=3))]
    theirs = desk.sdk.place_raw(
        variety="amo", exchange="NSE", tradingsymbol="INFY", transaction_type="BUY", quantity=1, product="CNC",
        order_type="LIMIT", price=desk.price(SHARE, BUY, 3) / 100,
    )  # fmt: skip
    left.append(desk.agreed(theirs.broker_order_id))
    assert [facts.status for facts in left] == [BrokerStatus.PENDING] * 2
    assert desk.sdk.row(left[0].order_id)["status"] == "AMO REQ RECEIVED"
    dropped = desk.placed("adapter", desk.ask(SHARE, OrderType.LIMIT, product=CNC, price=-3))
    assert desk.adapter.cancel(dropped.order_id).result is Result.ACCEPTED
    assert desk.sdk.row(dropped.order_id)["status"] == "CANCELLED AMO"
    assert desk.agreed(dropped.order_id).status is BrokerStatus.CANCELLED

    # The next morning: yesterday's login has ended for both.
    desk.advance(17 * HOUR)
    with pytest.raises(kite_errors.TokenException):
        desk.sdk.kite.holdings()
    with pytest.raises(TokenExpired):
        desk.loop(desk.adapter.account.holdings())
    assert desk.loop(desk.adapter.session.check()) is SessionState.EXPIRED
    desk.log_in(ACCOUNT)
    desk.adapter.client.calls.renewed()
    assert desk.loop(desk.adapter.session.check()) is SessionState.VALID

    # What was left over has met the open; what was bought is held.
    for facts in left:
        assert desk.agreed(facts.order_id).status is BrokerStatus.FILLED
    row = desk.sdk.kite.holdings()[0]
    ours = desk.loop(desk.adapter.account.holdings())[0]
    assert (row["tradingsymbol"], row["exchange"], row["product"]) == ("ITC", "NSE", "CNC")
    assert (row["quantity"], row["t1_quantity"]) == (0, 6), "it settles today"
    assert (ours.symbol, ours.isin, ours.quantity) == ("ITC", row["isin"], 6)
    assert ours.average_price_paise == round(row["average_price"] * 100)
    assert ours.last_price_paise == round(row["last_price"] * 100)
    assert ours.average_price_paise == round(delivered.average_paise)
