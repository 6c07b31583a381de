"""What is refused, and what the exchange turns down in the book: each reason, through both hands."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from testkit.dhan_hands import Ask, code
from testkit.dhan_market import Desk, Market, bought

from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerStatus, Product, Result

LIMIT, MARKET, SL, SL_M = OrderType.LIMIT, OrderType.MARKET, OrderType.SL, OrderType.SL_M
SELL = Transaction.SELL
Make = Callable[[Desk], Ask]


def _price_between_ticks(desk: Desk) -> Ask:
    ask = desk.ask(desk.market.share, LIMIT)
    return replace(ask, price_paise=(ask.price_paise or 0) + 1)


def _stop_limit_below_its_trigger(desk: Desk) -> Ask:
    ask = desk.ask(desk.market.share, SL)
    return replace(ask, price_paise=(ask.trigger_paise or 0) - desk.market.share.tick_size_paise)


REFUSED: dict[str, Make] = {
    "part of a lot": lambda desk: desk.ask(desk.market.future, LIMIT, quantity=desk.market.future.lot_size + 1),
    "no quantity": lambda desk: desk.ask(desk.market.share, LIMIT, quantity=0),
    "no price": lambda desk: desk.ask(desk.market.share, LIMIT, price_paise=0),
    "no trigger": lambda desk: desk.ask(desk.market.share, SL_M, trigger_paise=0),
    "price between two ticks": _price_between_ticks,
    "stop-limit on the wrong side of its trigger": _stop_limit_below_its_trigger,
    "stop-market in an option": lambda desk: desk.ask(desk.market.option, SL_M),
    "delivery of a future": lambda desk: desk.ask(desk.market.future, LIMIT, product=Product.DELIVERY),
    "carried share": lambda desk: desk.ask(desk.market.share, LIMIT, product=Product.CARRY),
    "an index": lambda desk: replace(desk.ask(desk.market.share, LIMIT), instrument=desk.market.index),
    "an id that is not listed": lambda desk: replace(
        desk.ask(desk.market.share, LIMIT), instrument=replace(desk.market.share, token="4999999")
    ),
    "own id too long": lambda desk: desk.ask(desk.market.share, LIMIT, tag="t" * 31),
    "own id with other characters": lambda desk: desk.ask(desk.market.share, LIMIT, tag="a/b"),
}
REJECTED: dict[str, Make] = {
    "above the freeze quantity": lambda desk: desk.ask(
        desk.market.future, LIMIT, quantity=desk.market.future.lot_size * 100
    ),
    "above the band": lambda desk: desk.ask(
        desk.market.share, LIMIT, price_paise=desk.market.touch(desk.market.share).upper + 10 * 10
    ),
    "below the band": lambda desk: desk.ask(
        desk.market.share, LIMIT, price_paise=desk.market.touch(desk.market.share).lower - 10 * 10
    ),
    "trigger that was passed already": lambda desk: desk.ask(
        desk.market.share, SL_M, trigger_paise=desk.market.touch(desk.market.share).last - 500
    ),
    "more than the money": lambda desk: desk.ask(
        desk.market.share, LIMIT, quantity=200_000, product=Product.DELIVERY
    ),
    "shares that are not held": lambda desk: desk.ask(
        desk.market.share, LIMIT, transaction=SELL, product=Product.DELIVERY
    ),
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_a_bad_request_is_refused_and_leaves_no_order(desk: Desk, reason: str) -> None:
    desk.refused(REFUSED[reason](desk))


@pytest.mark.parametrize("reason", REJECTED)
def test_a_sound_request_that_the_exchange_turns_down_is_in_the_book_as_rejected(desk: Desk, reason: str) -> None:
    desk.rejected(REJECTED[reason](desk))


def test_nobody_elses_order_can_be_seen_changed_or_cancelled(desk: Desk, market: Market) -> None:
    theirs = market.desk()
    order_id = theirs.place(theirs.ask(market.share, LIMIT))
    desk.must(desk.hand.cancel(order_id), Result.REFUSED)
    desk.must(desk.hand.modify(order_id, quantity=2, price_paise=100_000), Result.REFUSED)
    assert desk.sdk.facts(order_id) is None
    assert desk.adapter.facts(order_id) is None
    theirs.facts(order_id, BrokerStatus.OPEN, filled=0)


def test_an_order_that_never_was_is_refused(desk: Desk) -> None:
    desk.must(desk.hand.cancel("990000000001"), Result.REFUSED)
    desk.must(desk.hand.modify("990000000001", quantity=1, price_paise=100_000), Result.REFUSED)


def test_a_change_to_a_price_that_cannot_be_is_refused_and_the_order_stays(desk: Desk) -> None:
    ask = desk.ask(desk.market.share, LIMIT)
    order_id = desk.place(ask)
    desk.must(desk.hand.modify(order_id, quantity=1, price_paise=(ask.price_paise or 0) + 1), Result.REFUSED)
    found = desk.facts(order_id, BrokerStatus.OPEN, quantity=1, filled=0)
    assert found.trigger_paise is None


def test_the_kill_switch_refuses_every_order_until_it_is_released(desk: Desk) -> None:
    assert "activated" in desk.sdk.dhan.kill_switch("activate")["data"]["killSwitchStatus"]
    assert desk.sdk.dhan.status_kill_switch()["data"]["killSwitchStatus"] == "ACTIVATE"
    desk.refused(desk.ask(desk.market.share, LIMIT))
    desk.sdk.dhan.kill_switch("deactivate")
    assert desk.sdk.dhan.status_kill_switch()["data"]["killSwitchStatus"] == "DEACTIVATE"
    desk.facts(desk.place(desk.ask(desk.market.share, LIMIT)), BrokerStatus.OPEN)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("transaction_type", "HOLD"), ("exchange_segment", "NYSE"), ("product_type", "BO"), ("order_type", "ICEBERG"),
        ("validity", "GTC"), ("security_id", "HDFC"), ("exchange_segment", "MCX_COMM"),
    ],
)  # fmt: skip
def test_a_word_that_dhan_does_not_have_is_an_input_error_that_names_it(one_desk: Desk, field: str, value: str) -> None:
    asked = {
        "security_id": one_desk.market.share.token, "exchange_segment": "NSE_EQ", "transaction_type": "BUY",
        "quantity": 1, "order_type": "LIMIT", "product_type": "INTRADAY", "price": 1000.0,
    }  # fmt: skip
    reply = one_desk.sdk.dhan.place_order(**(asked | {field: value}))
    assert code(reply) == "DH-905"
    assert value in reply["remarks"]["error_message"]


def test_an_ioc_order_leaves_no_rest(one_desk: Desk) -> None:
    share = one_desk.market.share
    quote = one_desk.market.box.exchange.quotes[one_desk.market.place_in_exchange(share)]
    offered, price = int(quote["ask_quantity"][0]), int(quote["ask_paise"][0])
    reply = one_desk.sdk.dhan.place_order(
        share.token, "NSE_EQ", "BUY", offered + 9, "LIMIT", "INTRADAY", price / 100, validity="IOC", tag="ioc"
    )
    one_desk.facts(reply["data"]["orderId"], BrokerStatus.CANCELLED, quantity=offered + 9, filled=offered)


def test_a_disclosed_quantity_below_a_tenth_is_refused(one_desk: Desk) -> None:
    reply = one_desk.sdk.dhan.place_order(
        one_desk.market.share.token, "NSE_EQ", "BUY", 100, "LIMIT", "INTRADAY", 1000, disclosed_quantity=5
    )
    assert code(reply) == "DH-905"


def test_after_market_orders_are_refused_while_the_market_is_open(one_desk: Desk) -> None:
    reply = one_desk.sdk.dhan.place_order(
        one_desk.market.share.token, "NSE_EQ", "BUY", 1, "LIMIT", "INTRADAY", 1000, after_market_order=True
    )
    assert code(reply) == "DH-906"


def test_selling_more_for_delivery_than_is_held_is_rejected(desk: Desk) -> None:
    bought(desk, desk.market.share, 3, Product.DELIVERY)
    desk.rejected(desk.ask(desk.market.share, LIMIT, transaction=SELL, quantity=4, product=Product.DELIVERY))
