"""Money, positions, holdings, trades and logins: as the SDK returns them and as our adapter reads them."""

from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect import exceptions as kite_errors
from testkit.baskets import listed, spread_orders, together_paise
from testkit.kite_desk import BUY, FUTURE, HANDS, SELL, SHARE, KiteDesk
from testkit.kite_hands import API_KEY, AdapterHand, SdkHand

from services.sandbox.faces.kite.logins import SANDBOX_API_SECRET
from tradebus.brokers.account import NetPosition, SessionState
from tradebus.brokers.errors import Refused, TokenExpired
from tradebus.contracts.orders import OrderType
from tradebus.trading.orders import Product, Result

MARKET, LIMIT = OrderType.MARKET, OrderType.LIMIT


def position(desk: KiteDesk, what: str, product: str) -> tuple[dict, NetPosition]:
    """One net position, both ways."""
    token = desk.instrument(what).kite_token
    row = next(
        row for row in desk.sdk.kite.positions()["net"]
        if row["instrument_token"] == token and row["product"] == product
    )  # fmt: skip
    ours = next(
        one for one in desk.adapter.run(desk.adapter.account.positions())
        if one.token == str(token) and one.product == product
    )  # fmt: skip
    return row, ours


@pytest.mark.parametrize("by", HANDS)
def test_an_open_position_is_the_same_both_ways(desk: KiteDesk, by: str) -> None:
    before = desk.instrument(FUTURE).lot_size
    bought = desk.placed(by, desk.ask(FUTURE, MARKET, product=Product.CARRY, lots=2))
    row, ours = position(desk, FUTURE, "NRML")
    assert ours.quantity == row["quantity"] >= 2 * before
    assert (ours.buy_quantity, ours.sell_quantity) == (row["buy_quantity"], row["sell_quantity"])
    assert abs(ours.average_price_paise - row["average_price"] * 100) <= 0.5
    assert abs(ours.realised_paise + ours.unrealised_paise - row["pnl"] * 100) < 1
    assert bought.value_paise <= row["buy_value"] * 100 + 1


@pytest.mark.parametrize("by", HANDS)
def test_a_closed_position_stays_in_the_list_with_its_profit(desk: KiteDesk, by: str) -> None:
    what = "NSE:TCS"
    bought = desk.placed(by, desk.ask(what, MARKET))
    sold = desk.placed(by, desk.ask(what, MARKET, side=SELL))
    row, ours = position(desk, what, "MIS")
    assert (ours.quantity, row["quantity"], row["day_buy_quantity"], row["day_sell_quantity"]) == (0, 0, 1, 1)
    profit = sold.value_paise - bought.value_paise
    assert round(row["pnl"] * 100) == profit
    assert ours.realised_paise + ours.unrealised_paise == profit
    assert row in desk.sdk.kite.positions()["day"]


def test_a_position_becomes_one_of_another_product(desk: KiteDesk) -> None:
    desk.placed("sdk", desk.ask("NSE:SBIN", MARKET, lots=4))
    converted = desk.sdk.kite.convert_position(
        exchange="NSE", tradingsymbol="SBIN", transaction_type="BUY", position_type="day", quantity=3,
        old_product="MIS", new_product="CNC",
    )  # fmt: skip
    assert converted is True
    assert position(desk, "NSE:SBIN", "CNC")[1].quantity == 3
    assert position(desk, "NSE:SBIN", "MIS")[1].quantity == 1


def test_more_than_is_held_is_not_converted(desk: KiteDesk) -> None:
    with pytest.raises(kite_errors.KiteException) as caught:
        desk.sdk.kite.convert_position("NSE", "SBIN", "BUY", "day", 10_000, "MIS", "CNC")
    assert caught.value.code == 400


@pytest.mark.parametrize("by", HANDS)
def test_margins_agree_and_an_order_uses_some(desk: KiteDesk, by: str) -> None:
    before = desk.adapter.run(desk.adapter.account.margins())
    resting = desk.placed(by, desk.ask(FUTURE, LIMIT, price=-3))
    after = desk.adapter.run(desk.adapter.account.margins())
    equity = desk.sdk.kite.margins()["equity"]
    assert equity == desk.sdk.kite.margins("equity")
    assert (after.available_paise, after.used_paise) == (
        round(equity["net"] * 100), round(equity["utilised"]["debits"] * 100),
    )  # fmt: skip
    assert after.available_paise < before.available_paise
    assert after.used_paise > before.used_paise
    desk.hand(by).cancel(resting.order_id)
    assert desk.adapter.run(desk.adapter.account.margins()) == before


def test_the_margin_of_an_order_is_what_placing_it_uses(desk: KiteDesk) -> None:
    token = desk.new_token("MARGIN")
    sdk = SdkHand(desk.url, token)
    ask = desk.ask(FUTURE, LIMIT, price=-3, product=Product.CARRY)
    needed = sdk.kite.order_margins([{
        "exchange": "NFO", "tradingsymbol": ask.instrument.symbol, "transaction_type": "BUY", "variety": "regular",
        "product": "NRML", "order_type": "LIMIT", "quantity": ask.quantity, "price": ask.price_paise / 100,
        "trigger_price": 0,
    }])[0]  # fmt: skip
    free = sdk.kite.margins("equity")["net"]
    assert sdk.place(ask).result is Result.ACCEPTED
    assert free - sdk.kite.margins("equity")["net"] == pytest.approx(needed["total"], abs=0.01)
    assert needed["charges"]["total"] > 0


def test_a_basket_needs_what_its_orders_need(desk: KiteDesk) -> None:
    order = {
        "exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 1, "order_type": "LIMIT",
        "product": "CNC", "price": 1450,
    }  # fmt: skip
    basket = desk.sdk.kite.basket_order_margins([order, {**order, "quantity": 2}])
    assert basket["final"]["total"] == pytest.approx(sum(row["total"] for row in basket["orders"]))
    assert basket["charges"]["total"] == pytest.approx(sum(row["charges"]["total"] for row in basket["orders"]))


def test_charges_of_orders_by_their_day(desk: KiteDesk) -> None:
    note = desk.sdk.kite.get_virtual_contract_note([{
        "order_id": "1", "exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "SELL", "variety": "regular",
        "product": "MIS", "order_type": "MARKET", "quantity": 10, "average_price": 1500,
    }])[0]  # fmt: skip
    charges = note["charges"]
    assert charges["transaction_tax"] > 0
    parts = ("transaction_tax", "exchange_turnover_charge", "sebi_turnover_charge", "brokerage", "stamp_duty")
    assert charges["total"] == pytest.approx(sum(charges[part] for part in parts) + charges["gst"]["total"], abs=0.011)


@pytest.mark.parametrize("by", HANDS)
def test_trades_are_in_the_book_of_trades_and_in_the_orders_own(desk: KiteDesk, by: str) -> None:
    facts = desk.placed(by, desk.ask(SHARE, MARKET))
    kite = desk.sdk.kite
    own = kite.order_trades(facts.order_id)
    assert own == [trade for trade in kite.trades() if trade["order_id"] == facts.order_id]
    fills = desk.adapter.run(desk.adapter.orders.fills(facts.order_id))
    assert [(fill.quantity, fill.price_paise) for fill in fills] == [
        (trade["quantity"], round(trade["average_price"] * 100)) for trade in own
    ]
    for trade, fill in zip(own, fills, strict=True):
        assert isinstance(trade["fill_timestamp"], datetime)
        assert trade["fill_timestamp"].strftime("%H:%M:%S") == trade["order_timestamp"]
        assert trade["trade_id"] in fill.fill_id


def login(desk: KiteDesk, kite: KiteConnect, account: str) -> str:
    """The browser's part: opens the login page and is sent back; the request token."""
    KiteConnect._default_login_uri = f"{desk.url}/connect/login"
    answer = requests.get(f"{kite.login_url()}&user_id={account}", allow_redirects=False, timeout=5)
    assert answer.status_code == 302
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["status"] == ["success"]
    return query["request_token"][0]


def test_the_login_dance_of_the_sdk_ends_in_a_session(desk: KiteDesk) -> None:
    kite = KiteConnect(API_KEY, root=desk.url)
    session = kite.generate_session(login(desk, kite, "ZZ0001"), SANDBOX_API_SECRET)
    assert (session["user_id"], kite.profile()["user_id"]) == ("ZZ0001", "ZZ0001")
    assert isinstance(session["login_time"], datetime)
    renewed = kite.renew_access_token(session["refresh_token"], SANDBOX_API_SECRET)
    assert renewed["access_token"] != session["access_token"]
    assert kite.profile()["user_id"] == "ZZ0001"
    assert kite.invalidate_access_token() is True
    with pytest.raises(kite_errors.TokenException) as caught:
        kite.profile()
    assert caught.value.code == 403


def test_the_adapters_login_takes_the_address_the_browser_was_sent_to(desk: KiteDesk) -> None:
    hand = AdapterHand(desk.url, "", account="ZZ0002", run=desk.loop)
    url = hand.session.login_url()
    assert url is not None
    answer = requests.get(f"{url}&user_id=ZZ0002", allow_redirects=False, timeout=5)
    token = desk.loop(hand.session.complete_login(answer.headers["location"]))
    assert SdkHand(desk.url, token).kite.profile()["user_id"] == "ZZ0002"
    assert desk.loop(hand.session.check()) is SessionState.VALID


@pytest.mark.parametrize("secret", ["wrong", ""])
def test_a_wrong_secret_gets_no_session(desk: KiteDesk, secret: str) -> None:
    kite = KiteConnect(API_KEY, root=desk.url)
    with pytest.raises(kite_errors.TokenException):
        kite.generate_session(login(desk, kite, "ZZ0003"), secret)


def test_a_request_token_works_once(desk: KiteDesk) -> None:
    kite = KiteConnect(API_KEY, root=desk.url)
    token = login(desk, kite, "ZZ0004")
    kite.generate_session(token, SANDBOX_API_SECRET)
    with pytest.raises(kite_errors.TokenException):
        kite.generate_session(token, SANDBOX_API_SECRET)


def test_the_login_page_sends_nobody_to_another_machine(desk: KiteDesk) -> None:
    where = f"{desk.url}/connect/login?api_key=k&redirect_url=https://elsewhere.example/"
    assert requests.get(where, allow_redirects=False, timeout=5).status_code == 400
    back = f"{desk.url}/connect/login?api_key=k&redirect_url=http://127.0.0.1:9/back?a=1"
    location = requests.get(back, allow_redirects=False, timeout=5).headers["location"]
    assert location.startswith("http://127.0.0.1:9/back?a=1&")


@pytest.mark.parametrize("token", ["nonsense", "expired"])
def test_a_token_that_is_not_valid_stops_both(desk: KiteDesk, token: str) -> None:
    if token == "expired":
        token = desk.new_token("OLD")
        desk.box.on_loop(desk.box.exchange.log_out, token)
    hooked: list[bool] = []
    sdk = SdkHand(desk.url, token)
    sdk.kite.set_session_expiry_hook(lambda: hooked.append(True))
    with pytest.raises(kite_errors.TokenException) as caught:
        sdk.kite.margins()
    assert (caught.value.code, hooked) == (403, [True])
    ours = AdapterHand(desk.url, token, account="OLD", run=desk.loop)
    with pytest.raises(TokenExpired):
        desk.loop(ours.account.margins())
    assert desk.loop(ours.session.check()) is SessionState.EXPIRED
    ask = desk.ask(SHARE, LIMIT, side=BUY, price=-1)
    ours.know(ask.instrument)
    assert ours.place(ask).result is sdk.place(ask).result is Result.REFUSED
    assert desk.agreed_by_tag(ask.tag) is None


@pytest.mark.parametrize(
    "call",
    ["mf_orders", "mf_sips", "mf_holdings", "mf_instruments", "get_auction_instruments"],
)
def test_what_the_sandbox_does_not_trade_is_an_empty_book(desk: KiteDesk, call: str) -> None:
    assert getattr(desk.sdk.kite, call)() == []


def test_mutual_fund_orders_are_refused(desk: KiteDesk) -> None:
    with pytest.raises(kite_errors.InputException, match="mutual funds"):
        desk.sdk.kite.place_mf_order("INF209K01157", "BUY", amount=5000)
    with pytest.raises(kite_errors.GeneralException):
        desk.sdk.kite.cancel_mf_order("1")


def test_holdings_are_authorised_by_a_request_of_their_own(desk: KiteDesk) -> None:
    headers = {"Authorization": f"token {API_KEY}:{desk.token}"}
    answer = requests.post(f"{desk.url}/portfolio/holdings/authorise", headers=headers, timeout=5).json()
    assert answer["data"]["request_id"].isalnum()


def test_a_position_of_one_account_is_nothing_to_another(desk: KiteDesk) -> None:
    desk.placed("sdk", desk.ask(SHARE, MARKET))
    other = SdkHand(desk.url, desk.new_token("STRANGER"))
    assert other.kite.orders() == other.kite.trades() == other.kite.positions()["net"] == []
    mine = desk.sdk.kite.orders()[0]["order_id"]
    with pytest.raises(kite_errors.OrderException):
        other.kite.order_history(mine)


def test_a_hedged_basket_needs_less_than_its_orders(desk: KiteDesk) -> None:
    orders = spread_orders(
        desk.box, lambda one: listed(one, token=str(one.kite_token), broker_segment=one.key.segment.value)
    )
    basket = desk.sdk.kite.basket_order_margins(
        [
            {
                "exchange": "NFO", "tradingsymbol": one.listing.symbol, "transaction_type": one.transaction.value,
                "variety": "regular", "product": "NRML", "order_type": "LIMIT", "quantity": one.quantity,
                "price": one.price_paise / 100, "trigger_price": 0,
            }
            for one in orders
        ],
        consider_positions=False,
    )  # fmt: skip
    alone, together = together_paise(desk.box, orders)
    assert (round(basket["initial"]["total"] * 100), round(basket["final"]["total"] * 100)) == (alone, together)
    assert desk.adapter.run(desk.adapter.account.basket_margin_paise(orders)) == together < alone


def test_a_kill_switch_at_the_broker_is_refused_by_name(desk: KiteDesk) -> None:
    with pytest.raises(Refused, match="kite: offers no kill switch to programs"):
        desk.adapter.run(desk.adapter.account.engage_kill_switch())
