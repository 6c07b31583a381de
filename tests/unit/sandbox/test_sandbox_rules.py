"""What the exchange refuses, rejects, protects and requires."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.exchange_hands import (
    BUY,
    LIMIT,
    MARKET,
    SELL,
    SL,
    SL_M,
    at,
    best,
    future,
    last,
    order_of,
    place,
    set_depth,
    still,
)

from services.sandbox.ports import BrokerName, ChangedOrder, Refusal, SandboxStatus, Validity, Why
from tradebus.trading.orders import Product


@pytest.fixture
def shared():
    return still()


def refused(exchange, account, order):
    with pytest.raises(Refusal) as raised:
        exchange.place(account, order)
    return raised.value


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"quantity": 0}, Why.BAD_VALUE),
        ({"quantity": -65}, Why.BAD_VALUE),
        ({"quantity": 66}, Why.LOT_SIZE),
        ({"price_paise": 0}, Why.BAD_VALUE),
        ({"price_paise": 2_650_003}, Why.TICK_SIZE),
        ({"order_type": SL, "trigger_paise": 0}, Why.TRIGGER_PRICE),
        ({"order_type": SL, "trigger_paise": 2_700_000, "price_paise": 2_690_000}, Why.TRIGGER_PRICE),
        ({"order_type": MARKET, "market_protection_pct": 0}, Why.MARKET_PROTECTION),
        ({"order_type": MARKET, "market_protection_pct": 101}, Why.BAD_VALUE),
        ({"order_type": MARKET, "market_protection_pct": -2}, Why.BAD_VALUE),
        ({"order_type": SL_M, "trigger_paise": 2_700_000, "market_protection_pct": 0}, Why.MARKET_PROTECTION),
        ({"product": Product.DELIVERY}, Why.NOT_ALLOWED),
        ({"validity": Validity.TTL}, Why.BAD_VALUE),
        ({"disclosed_quantity": 1}, Why.BAD_VALUE),
        ({"after_market": True}, Why.NOT_ALLOWED),
        ({"instrument": 99_999}, Why.UNKNOWN_INSTRUMENT),
    ],
)  # fmt: skip
def test_a_bad_order_is_refused_by_its_reason(shared, fields, why):
    order = replace(order_of(future(shared), BUY, 10, price_paise=2_650_000), **fields)
    assert refused(shared, "A", order).why is why
    assert not shared.orders("A")


def test_an_index_cannot_be_traded(shared):
    assert refused(shared, "A", order_of(at(shared, "INDEX:NIFTY"), BUY, 1, price_paise=100)).why is Why.NOT_ALLOWED


def test_a_share_has_no_carry_and_an_option_no_stop_market(shared):
    infy = at(shared, "NSE:INFY")
    assert refused(shared, "A", order_of(infy, BUY, 1, product=Product.CARRY)).why is Why.NOT_ALLOWED
    option = next(one for one in shared.instruments if one.key.is_option)
    order = order_of(option, SELL, 1, order_type=SL_M, trigger_paise=5)
    assert refused(shared, "A", order).why is Why.NOT_ALLOWED


def test_a_market_order_needed_no_protection_before_april_2026():
    exchange = still("2026-03-18T10:00:00")
    one = at(exchange, "NFO:NIFTY:2026-03-30:FUT")
    order = place(exchange, "A", one, BUY, 1, market_protection_pct=0)
    assert order.status is SandboxStatus.COMPLETE
    assert order.request.order_type is MARKET


def test_protection_holds_a_market_order_back_and_leaves_the_rest_as_a_limit(shared):
    one = future(shared)
    price, tick = last(shared, one), one.tick_size_paise
    set_depth(shared, one, bids=[], asks=[(price, 1), (price + 6_000 * tick, 50)])
    order = place(shared, "P", one, BUY, 3, market_protection_pct=1.0)
    assert order.filled_quantity == one.lot_size
    assert order.status is SandboxStatus.OPEN
    assert order.request.order_type is LIMIT
    assert order.request.price_paise == pytest.approx(price * 1.01, abs=2 * tick)


@pytest.mark.parametrize(
    ("lots", "price", "fragment"), [(28, None, "freeze"), (1, 3_400_000, "band"), (1, 1_000_000, "band")]
)
def test_freeze_and_band_reject_in_the_book(shared, lots, price, fragment):
    one = future(shared)
    order = place(shared, "R", one, BUY, lots, price_paise=price or last(shared, one))
    assert order.status is SandboxStatus.REJECTED
    assert fragment in order.reason
    assert shared.order("R", order.order_id) == order


@pytest.mark.parametrize("transaction", [BUY, SELL])
def test_a_trigger_on_the_wrong_side_rejects(shared, transaction):
    one = future(shared)
    trigger = last(shared, one) + (-100 if transaction is BUY else 100) * one.tick_size_paise
    order = place(shared, "T", one, transaction, 1, order_type=SL, trigger_paise=trigger, price_paise=trigger)
    assert order.status is SandboxStatus.REJECTED
    assert "trigger" in order.reason


def test_money_that_is_missing_rejects(shared):
    shared.set_cash("POOR", 1_000_000)
    one = future(shared)
    order = place(shared, "POOR", one, BUY, 1, price_paise=last(shared, one))
    assert order.status is SandboxStatus.REJECTED
    assert "insufficient funds" in order.reason
    assert shared.margins("POOR").available_paise == 1_000_000


def test_shares_that_are_not_held_cannot_be_delivered(shared):
    infy = at(shared, "NSE:INFY")
    order = place(shared, "H", infy, SELL, 10, product=Product.DELIVERY)
    assert order.status is SandboxStatus.REJECTED
    assert "held" in order.reason
    assert place(shared, "H", infy, BUY, 10, product=Product.DELIVERY).filled_quantity == 10
    assert place(shared, "H", infy, SELL, 4, product=Product.DELIVERY).filled_quantity == 4
    assert place(shared, "H", infy, SELL, 7, product=Product.DELIVERY).status is SandboxStatus.REJECTED


def test_a_bought_option_uses_its_premium_and_a_sold_one_a_share_of_the_underlying(shared):
    option = next(one for one in shared.instruments if one.key.is_option and one.key.name == "NIFTY")
    bid, ask = best(shared, option)
    order = place(shared, "O1", option, BUY, 1)
    assert shared.margins("O1").used_paise == order.average_price_paise * option.lot_size
    place(shared, "O2", option, SELL, 1)
    spot = last(shared, at(shared, "INDEX:NIFTY"))
    assert shared.margins("O2").used_paise == pytest.approx(0.12 * spot * option.lot_size, rel=0.02)
    assert bid < ask


def test_closing_needs_no_margin():
    exchange = still()
    one = future(exchange)
    place(exchange, "C", one, BUY, 2)
    used = exchange.margins("C").used_paise
    place(exchange, "C", one, SELL, 2, price_paise=last(exchange, one) + 500 * one.tick_size_paise)
    assert exchange.margins("C").used_paise == used
    place(exchange, "C", one, SELL, 2, price_paise=last(exchange, one) + 500 * one.tick_size_paise)
    assert exchange.margins("C").used_paise == used  # now either side may open, never both
    place(exchange, "C", one, SELL, 2, price_paise=last(exchange, one) + 500 * one.tick_size_paise)
    assert exchange.margins("C").used_paise == pytest.approx(2 * used, rel=0.01)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 12), st.integers(-40, 40)), min_size=1, max_size=12))
def test_an_allowed_opening_fill_never_makes_what_is_available_negative(orders):
    exchange = still("2026-11-25T09:16:00")
    option = next(one for one in exchange.instruments if one.key.is_option and one.key.name == "NIFTY")
    exchange.set_cash("A", 2_000_000_00)
    for buys, lots, offset in orders:
        if any(position.quantity * (1 if buys else -1) < 0 for position in exchange.positions("A")):
            continue  # closing may realise a loss
        price = max(last(exchange, option) + offset * option.tick_size_paise, option.tick_size_paise)
        place(exchange, "A", option, BUY if buys else SELL, lots, price_paise=price)
        margins = exchange.margins("A")
        assert margins.available_paise >= 0
        assert margins.available_paise == margins.opening_paise + margins.realised_paise - margins.used_paise


def test_the_twenty_sixth_modification_is_refused(shared):
    one = future(shared)
    price = last(shared, one) - 900 * one.tick_size_paise
    order = place(shared, "M", one, BUY, 1, price_paise=price)
    for number in range(25):
        shared.modify("M", order.order_id, ChangedOrder(price_paise=price - number * one.tick_size_paise))
    with pytest.raises(Refusal) as raised:
        shared.modify("M", order.order_id, ChangedOrder(price_paise=price))
    assert raised.value.why is Why.TOO_MANY_MODIFICATIONS
    assert shared.order("M", order.order_id).modifications == 25


def test_what_has_ended_or_never_was_cannot_be_changed(shared):
    one = future(shared)
    order = place(shared, "E", one, BUY, 1, price_paise=last(shared, one) - 900 * one.tick_size_paise)
    shared.cancel("E", order.order_id)
    for ask in (lambda: shared.cancel("E", order.order_id), lambda: shared.modify("E", order.order_id, ChangedOrder())):
        with pytest.raises(Refusal) as raised:
            ask()
        assert raised.value.why is Why.ORDER_ENDED
    with pytest.raises(Refusal) as raised:
        shared.order("SOMEBODY ELSE", order.order_id)
    assert raised.value.why is Why.UNKNOWN_ORDER


def test_a_refused_modification_changes_nothing(shared):
    one = future(shared)
    order = place(shared, "F", one, BUY, 1, price_paise=last(shared, one) - 900 * one.tick_size_paise)
    for change in (
        ChangedOrder(quantity=66), ChangedOrder(price_paise=7), ChangedOrder(quantity=one.lot_size * 40),
        ChangedOrder(price_paise=99_999_990),
    ):  # fmt: skip
        with pytest.raises(Refusal):
            shared.modify("F", order.order_id, change)
        assert shared.order("F", order.order_id) == order


def test_the_kill_switch_stops_orders_and_exit_all_still_closes(shared):
    one = future(shared)
    place(shared, "K", one, BUY, 30, quantity=one.lot_size * 20)
    place(shared, "K", one, BUY, 1, price_paise=last(shared, one) - 900 * one.tick_size_paise)
    shared.set_kill_switch("K", engaged=True)
    assert shared.kill_switch("K")
    assert refused(shared, "K", order_of(one, BUY, 1)).why is Why.KILL_SWITCH
    set_depth(shared, one, bids=[(last(shared, one), 100)], asks=[])
    shared.exit_all("K", BrokerName.DHAN)
    assert [position.quantity for position in shared.positions("K")] == [0]
    assert not shared.floor.accounts["K"].open_orders


def test_a_position_can_become_another_product_and_back(shared):
    infy = at(shared, "NSE:INFY")
    place(shared, "V", infy, BUY, 10)
    shared.convert_position(
        "V", infy.index, from_product=Product.INTRADAY, to_product=Product.DELIVERY, quantity=4
    )  # fmt: skip
    held = {one.product: one.quantity for one in shared.positions("V")}
    assert held == {Product.INTRADAY: 6, Product.DELIVERY: 4}
    for one in shared.positions("V"):
        assert one.quantity == one.overnight_quantity + one.day_buy_quantity - one.day_sell_quantity
    with pytest.raises(Refusal):
        shared.convert_position("V", infy.index, from_product=Product.INTRADAY, to_product=Product.CARRY, quantity=1)
    with pytest.raises(Refusal):
        shared.convert_position("V", infy.index, from_product=Product.INTRADAY, to_product=Product.DELIVERY, quantity=7)


def test_required_margin_is_per_order_as_if_alone(shared):
    one = future(shared)
    orders = [order_of(one, BUY, 1), order_of(one, SELL, 2), order_of(at(shared, "NSE:INFY"), BUY, 100)]
    found = shared.required_margins(orders).alone_paise
    assert found[1] == 2 * found[0]
    assert found[2] == pytest.approx(0.2 * 100 * last(shared, at(shared, "NSE:INFY")), rel=0.05)


def test_a_halted_instrument_takes_no_order_until_it_resumes(shared):
    infy = at(shared, "NSE:INFY")
    shared.halt(infy.index, halted=True)
    assert refused(shared, "A", order_of(infy, BUY, 1)).why is Why.MARKET_CLOSED
    shared.halt(infy.index, halted=False)
    assert place(shared, "A", infy, BUY, 1).status is SandboxStatus.COMPLETE


def dear_option(exchange):
    """An option above fifty rupees, where price protection is 40 percent."""
    return next(
        one for one in exchange.instruments
        if one.key.is_option and one.key.name == "NIFTY" and 10_000 < last(exchange, one) < 40_000
    )  # fmt: skip


def on_tick(paise, one):
    return int(paise) // one.tick_size_paise * one.tick_size_paise


def test_price_protection_takes_back_an_options_order_that_would_match_too_far_away():
    exchange = still()
    one = dear_option(exchange)
    price = last(exchange, one)
    far = place(exchange, "A", one, BUY, 1, price_paise=on_tick(price * 1.45, one))
    assert (far.status, far.filled_quantity) == (SandboxStatus.CANCELLED, 0)
    assert "price protection" in far.reason
    near = place(exchange, "A", one, BUY, 1, price_paise=on_tick(price * 1.35, one))
    assert near.status is SandboxStatus.COMPLETE
    resting = place(exchange, "A", one, BUY, 1, price_paise=on_tick(price * 0.5, one))
    assert resting.status is SandboxStatus.OPEN  # it does not match


def test_an_options_stop_can_die_when_it_is_triggered():
    exchange = still()
    one = dear_option(exchange)
    exchange.shock(one.index, 0.0)  # quoted at this instant: what comes after weighs nothing in the average yet
    price = last(exchange, one)
    place(exchange, "A", one, BUY, 2)
    trigger = on_tick(price * 0.9, one)
    fields = {"order_type": SL, "trigger_paise": trigger}
    wide = place(exchange, "A", one, SELL, 1, price_paise=on_tick(trigger * 0.62, one) + one.tick_size_paise, **fields)
    narrow = place(exchange, "A", one, SELL, 1, price_paise=on_tick(trigger * 0.8, one), **fields)
    assert (wide.status, narrow.status) == (SandboxStatus.TRIGGER_PENDING,) * 2
    down = -0.01 if one.key.right == "CE" else 0.01
    for _ in range(6):
        if last(exchange, one) > trigger:
            exchange.shock(one.index, down / 4)
    died, lived = (exchange.order("A", order.order_id) for order in (wide, narrow))
    assert died.status is SandboxStatus.CANCELLED
    assert "price protection" in died.reason
    assert lived.status in (SandboxStatus.COMPLETE, SandboxStatus.OPEN)


def test_an_options_stop_with_a_limit_beyond_its_own_band_is_rejected_at_once():
    exchange = still()
    one = dear_option(exchange)
    trigger = on_tick(last(exchange, one) * 0.9, one)
    found = place(exchange, "A", one, SELL, 1, order_type=SL, trigger_paise=trigger,
                  price_paise=on_tick(trigger * 0.55, one))  # fmt: skip
    assert found.status is SandboxStatus.REJECTED
    assert "would be cancelled when it matches" in found.reason
