"""The end of a day and the next: the closing auction, orders out of hours, tokens that end, what was bought is held."""

from collections.abc import Iterator

import pytest
import upstox_client
from testkit.broker_hands import Loop
from testkit.sandbox import Box, sandbox
from testkit.upstox_desk import BUY, LIMIT, MARKET, SELL, SL_M, Desk
from testkit.upstox_hands import VERSION
from upstox_client.rest import ApiException

from services.sandbox.ports import BrokerName
from tradebus.brokers.account import SessionState
from tradebus.brokers.errors import TokenExpired
from tradebus.trading.orders import BrokerStatus, Product, Result

ACCOUNT = "UXDAYS"


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    """A minute before cash trading ends for stocks with derivatives (15:15); derivatives go on to 15:40."""
    with sandbox(seed=11, start="2026-11-25T15:14:00", speed=0, step_ms=10_000, instruments=300) as running:
        yield running


def test_a_day_ends_and_the_next_begins(box: Box, loop: Loop) -> None:
    """One account through the night, in the order in which it happens."""
    desk = Desk(box, ACCOUNT, loop)
    stock, future = desk.stock(), desk.future()
    bought = desk.placed(desk.ours, desk.ask(stock, BUY, MARKET, lots=5, product=Product.DELIVERY))
    assert bought.status is BrokerStatus.FILLED
    stop = desk.placed(desk.sdk, desk.ask(stock, SELL, SL_M, lots=5, trigger=desk.near(stock, -0.03)))
    resting = desk.placed(desk.ours, desk.ask(future, BUY, LIMIT, price=desk.near(future, -0.02)))

    desk.pass_time(90)  # 15:15:30: the exchange has cancelled the stops of such stocks, and takes no orders
    facts = desk.agreed(stop.order_id)
    assert (facts.status, facts.filled_quantity) == (BrokerStatus.CANCELLED, 0)
    assert desk.agreed(resting.order_id).status is BrokerStatus.OPEN

    desk.pass_time(26 * 60)  # 15:41: derivatives have closed as well
    assert desk.agreed(resting.order_id).status is BrokerStatus.CANCELLED
    after = [desk.placed(hand, desk.ask(future, BUY, MARKET)) for hand in desk.hands]
    assert [one.status for one in after] == [BrokerStatus.PENDING] * 2
    assert desk.sdk.row(after[0].order_id).is_amo is True
    assert desk.ours.cancel(after[0].order_id).result is Result.ACCEPTED
    assert desk.agreed(after[0].order_id).status is BrokerStatus.CANCELLED
    assert desk.sdk.row(after[0].order_id).status == "cancelled after market order"

    desk.pass_time(18 * 3600)  # 09:41 of the next day
    desk.close()
    assert_the_token_has_ended(desk)
    box.on_loop(box.exchange.login, BrokerName.UPSTOX, ACCOUNT)
    morning = Desk(box, ACCOUNT, loop)
    theirs = upstox_client.PortfolioApi(morning.sdk.client).get_holdings(VERSION).data
    ours = loop(morning.ours.account.holdings())
    assert (
        [(row.isin, row.t1_quantity) for row in theirs]
        == [(one.isin, one.quantity) for one in ours]
        == [(stock.isin, 5)]
    )
    assert ours[0].average_price_paise == round(theirs[0].average_price * 100)
    sold = morning.placed(morning.ours, morning.ask(stock, SELL, MARKET, lots=5, product=Product.DELIVERY))
    assert sold.status is BrokerStatus.FILLED
    morning.close()


def assert_the_token_has_ended(desk: Desk) -> None:
    """401 with Upstox's word for it; our adapter halts, and refuses instead of not knowing."""
    with pytest.raises(ApiException) as caught:
        desk.sdk.rows()
    assert caught.value.status == 401
    assert b"UDAPI100050" in caught.value.body
    late = Desk(desk.box, desk.account, desk.loop, token=desk.token)
    assert desk.loop(late.ours.session.check()) is SessionState.EXPIRED
    with pytest.raises(TokenExpired):
        desk.loop(late.ours.account.margins())
    outcome = late.ours.place(late.ask(late.stock(), BUY, MARKET))
    assert outcome.result is Result.REFUSED
    late.close()
