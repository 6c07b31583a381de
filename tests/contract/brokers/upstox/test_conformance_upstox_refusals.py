"""What Upstox and the exchange say no to, reason by reason: a refusal leaves nothing in the book, a rejection does.

Our adapter refuses some of it before anything is sent; what both hands end with is the same.
"""

from collections.abc import Callable

import pytest
from testkit.upstox_desk import BUY, LIMIT, MARKET, SELL, SL, SL_M, Desk
from testkit.upstox_hands import Ask
from upstox_client.rest import ApiException

from tradebus.trading.orders import Product, Result


def half_lot(desk: Desk) -> Ask:
    ask = desk.ask(desk.future(), BUY, MARKET)
    return type(ask)(ask.instrument, BUY, MARKET, ask.quantity + 1, tag=ask.tag)


def no_quantity(desk: Desk) -> Ask:
    ask = desk.ask(desk.stock(), BUY, MARKET)
    return type(ask)(ask.instrument, BUY, MARKET, 0, tag=ask.tag)


def off_the_tick(desk: Desk) -> Ask:
    item = desk.future("BANKNIFTY")  # its tick is 20 paise
    return desk.ask(item, BUY, LIMIT, price=desk.near(item, -0.01) + 5)


def trigger_off_the_tick(desk: Desk) -> Ask:
    item = desk.future("BANKNIFTY")
    return desk.ask(item, SELL, SL_M, trigger=desk.near(item, -0.01) + 5)


def stop_with_its_price_on_the_wrong_side(desk: Desk) -> Ask:
    item = desk.future()
    return desk.ask(item, BUY, SL, price=desk.near(item, 0.02), trigger=desk.near(item, 0.03))


def index(desk: Desk) -> Ask:
    return desk.ask(desk.index(), BUY, MARKET)


def stop_market_in_an_option(desk: Desk) -> Ask:
    item = desk.options()[0]
    return desk.ask(item, SELL, SL_M, trigger=desk.near(item, -0.3))


def no_protection(desk: Desk) -> Ask:
    return desk.ask(desk.stock(), BUY, MARKET, protection=0.0)


def too_much_protection(desk: Desk) -> Ask:
    return desk.ask(desk.stock(), BUY, MARKET, protection=26.0)


def no_price(desk: Desk) -> Ask:
    return desk.ask(desk.stock(), BUY, LIMIT)


def no_trigger(desk: Desk) -> Ask:
    return desk.ask(desk.stock(), BUY, SL, price=desk.near(desk.stock(), 0.01))


def long_tag(desk: Desk) -> Ask:
    return desk.ask(desk.stock(), BUY, MARKET, tag="t" * 41)


REFUSED: dict[str, tuple[Callable[[Desk], Ask], str]] = {
    "quantity is no whole lot": (half_lot, "UDAPI100038"),
    "quantity is zero": (no_quantity, "UDAPI1052"),
    "price is off the tick": (off_the_tick, "UDAPI100038"),
    "trigger is off the tick": (trigger_off_the_tick, "UDAPI100038"),
    "stop limit on the wrong side": (stop_with_its_price_on_the_wrong_side, "UDAPI1036"),
    "index": (index, "UDAPI100049"),
    "stop market in an option": (stop_market_in_an_option, "UDAPI100049"),
    "market order without protection": (no_protection, "UDAPI1158"),
    "protection above 25 percent": (too_much_protection, "UDAPI1159"),
    "limit order without a price": (no_price, "UDAPI1029"),
    "stop limit without a trigger": (no_trigger, "UDAPI1031"),
    "tag is too long": (long_tag, "UDAPI1119"),
}


@pytest.mark.parametrize("case", REFUSED, ids=lambda name: name.replace(" ", "-"))
def test_what_is_refused_never_becomes_an_order(desk: Desk, case: str) -> None:
    make, code = REFUSED[case]
    theirs, _ = desk.refused(make(desk))
    assert code in theirs.reason


def too_dear(desk: Desk) -> Ask:
    desk.fund(10_000)
    return desk.ask(desk.future(), BUY, MARKET)


def not_held(desk: Desk) -> Ask:
    return desk.ask(desk.stock(), SELL, MARKET, product=Product.DELIVERY)


def above_the_freeze(desk: Desk) -> Ask:
    item = desk.options()[0]
    desk.fund()
    return desk.ask(item, BUY, MARKET, lots=item.freeze_quantity // item.lot_size + 1)


def outside_the_band(desk: Desk) -> Ask:
    item = desk.stock()
    return desk.ask(item, BUY, LIMIT, price=desk.near(item, -0.4))


REJECTED: dict[str, tuple[Callable[[Desk], Ask], str]] = {
    "margin": (too_dear, "insufficient funds"),
    "holdings": (not_held, "held"),
    "freeze quantity": (above_the_freeze, "freeze"),
    "price band": (outside_the_band, ""),
}


@pytest.mark.parametrize("case", REJECTED, ids=lambda name: name.replace(" ", "-"))
def test_what_the_risk_checks_turn_down_is_rejected_with_its_reason(desk: Desk, case: str) -> None:
    make, word = REJECTED[case]
    for hand in desk.hands:
        desk.pass_time()
        assert word in desk.rejected(hand, make(desk)).reason.lower()


def test_with_the_kill_switch_on_nothing_is_taken(desk: Desk) -> None:
    desk.box.on_loop(desk.box.exchange.set_kill_switch, desk.account, engaged=True)
    theirs, ours = desk.refused(desk.ask(desk.stock(), BUY, MARKET))
    assert "kill switch" in theirs.reason
    assert "kill switch" in ours.reason
    desk.box.on_loop(desk.box.exchange.set_kill_switch, desk.account, engaged=False)
    assert all(hand.place(desk.ask(desk.stock(), BUY, MARKET)).result is Result.ACCEPTED for hand in desk.hands)


def test_more_orders_in_a_second_than_allowed_are_refused_and_the_next_second_is_free(desk: Desk) -> None:
    item = desk.stock()
    for hand in desk.hands:
        desk.pass_time()
        results = [hand.place(desk.ask(item, BUY, LIMIT, price=desk.near(item, -0.02))) for _ in range(11)]
        assert [one.result for one in results] == [Result.ACCEPTED] * 10 + [Result.REFUSED]
        assert "UDAPI10005" in results[-1].reason
        desk.pass_time()
        assert hand.place(desk.ask(item, BUY, LIMIT, price=desk.near(item, -0.02))).result is Result.ACCEPTED


def test_too_many_requests_come_without_a_time_to_wait(desk: Desk) -> None:
    """No Retry-After, as BROKERS has it."""
    for _ in range(50):
        desk.sdk.rows()
    with pytest.raises(ApiException) as caught:
        desk.sdk.rows()
    assert caught.value.status == 429
    assert "retry-after" not in {name.lower() for name in caught.value.headers}


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("instrument_token", "NSE_EQ|NOTHING", "UDAPI100011"),
        ("disclosed_quantity", 1, "UDAPI1039"),
        ("price", 99.0, "UDAPI1030"),
    ],
)
def test_a_request_of_the_sdk_that_cannot_be_names_its_field(desk: Desk, field: str, value: object, code: str) -> None:
    request = desk.sdk.request(desk.ask(desk.stock(), BUY, MARKET, lots=100), **{field: value})
    with pytest.raises(ApiException) as caught:
        desk.sdk.place_raw(request)
    assert caught.value.status == 400
    assert code.encode() in caught.value.body
    assert b'"property_path":"%s"' % field.encode() in caught.value.body
