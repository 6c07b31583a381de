"""Orders: every type with every product, changed, cancelled, filled in parts, triggered. Both hands act, both look."""

from dataclasses import replace

import pytest
from testkit.dhan_market import STATUSES_OF_TYPE, Desk, bought

from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerStatus, Product, Result

TYPES = (OrderType.MARKET, OrderType.LIMIT, OrderType.SL, OrderType.SL_M)
PLACED = [("share", order_type, Product.INTRADAY, side) for order_type in TYPES for side in Transaction]
PLACED += [("share", order_type, Product.DELIVERY, Transaction.BUY) for order_type in TYPES]
PLACED += [
    ("future", order_type, product, side)
    for order_type in TYPES
    for product, side in ((Product.INTRADAY, Transaction.SELL), (Product.CARRY, Transaction.BUY))
]
PLACED += [
    ("option", order_type, product, side)
    for order_type in TYPES[:3]  # the exchange takes no stop-market orders in options
    for product, side in ((Product.INTRADAY, Transaction.BUY), (Product.CARRY, Transaction.SELL))
]


@pytest.mark.parametrize(("what", "order_type", "product", "side"), PLACED, ids=lambda value: str(value))
def test_an_order_is_placed_changed_and_cancelled(
    desk: Desk, what: str, order_type: OrderType, product: Product, side: Transaction
) -> None:
    listing = getattr(desk.market, what)
    ask = desk.ask(listing, order_type, transaction=side, product=product, tag="placed 1")
    order_id = desk.place(ask)
    found = desk.facts(order_id, STATUSES_OF_TYPE[order_type], quantity=ask.quantity)
    assert (found.tag, found.instrument, found.transaction) == ("placed 1", listing.token, side)
    assert found.trigger_paise == ask.trigger_paise
    tick = listing.tick_size_paise * (1 if side is Transaction.SELL else -1)
    changed = {
        "quantity": 2 * ask.quantity,
        "price_paise": ask.price_paise and ask.price_paise + tick,
        "trigger_paise": ask.trigger_paise and ask.trigger_paise - tick,
    }
    if order_type is OrderType.MARKET:
        assert found.filled_quantity == ask.quantity
        desk.must(desk.hand.modify(order_id, quantity=2 * ask.quantity, price_paise=100), Result.REFUSED)
        desk.must(desk.hand.cancel(order_id), Result.REFUSED)
        return
    desk.must(desk.hand.modify(order_id, **changed), Result.ACCEPTED)
    found = desk.facts(order_id, STATUSES_OF_TYPE[order_type], quantity=2 * ask.quantity, filled=0)
    assert found.trigger_paise == changed["trigger_paise"]
    desk.must(desk.hand.cancel(order_id), Result.ACCEPTED)
    desk.facts(order_id, BrokerStatus.CANCELLED, filled=0)
    desk.must(desk.hand.cancel(order_id), Result.REFUSED)


def test_a_limit_order_at_the_touch_takes_what_is_there_and_waits_with_the_rest(desk: Desk) -> None:
    share, market = desk.market.share, desk.market
    quote = market.box.exchange.quotes[market.place_in_exchange(share)]
    offered = int(quote["ask_quantity"][0])
    assert offered > 0
    ask = desk.ask(share, OrderType.LIMIT, quantity=offered + 7, price_paise=int(quote["ask_paise"][0]))
    order_id = desk.place(ask)
    found = desk.facts(order_id, BrokerStatus.OPEN, quantity=offered + 7, filled=offered)
    assert found.value_paise == offered * int(quote["ask_paise"][0])
    assert desk.sdk.dhan.get_order_by_id(order_id)["data"]["orderStatus"] == "PART_TRADED"
    desk.must(desk.hand.cancel(order_id), Result.ACCEPTED)
    desk.facts(order_id, BrokerStatus.CANCELLED, quantity=offered + 7, filled=offered)


def test_a_part_filled_order_cannot_be_made_smaller_than_its_fills(desk: Desk) -> None:
    share, market = desk.market.share, desk.market
    quote = market.box.exchange.quotes[market.place_in_exchange(share)]
    offered, price = int(quote["ask_quantity"][0]), int(quote["ask_paise"][0])
    order_id = desk.place(desk.ask(share, OrderType.LIMIT, quantity=offered + 50, price_paise=price))
    desk.must(desk.hand.modify(order_id, quantity=offered - 1, price_paise=price), Result.REFUSED)
    desk.must(desk.hand.modify(order_id, quantity=offered + 10, price_paise=price), Result.ACCEPTED)
    desk.facts(order_id, BrokerStatus.OPEN, quantity=offered + 10, filled=offered)


@pytest.mark.parametrize("order_type", [OrderType.SL, OrderType.SL_M], ids=str)
def test_a_stop_below_the_market_sells_when_the_market_falls_to_it(desk: Desk, order_type: OrderType) -> None:
    share, touch = desk.market.share, desk.market.touch(desk.market.share)
    bought(desk, share, 10)
    trigger = int(touch.last * 0.996) // touch.tick * touch.tick
    limit = int(touch.last * 0.98) // touch.tick * touch.tick if order_type is OrderType.SL else None
    order_id = desk.place(
        desk.ask(
            share, order_type, transaction=Transaction.SELL, quantity=10, trigger_paise=trigger, price_paise=limit,
            tag="stop",
        )
    )  # fmt: skip
    desk.facts(order_id, BrokerStatus.TRIGGER_PENDING, filled=0)
    desk.market.shock(share, -0.008)
    found = desk.facts(order_id, BrokerStatus.FILLED, filled=10)
    assert found.value_paise <= 10 * trigger
    desk.market.shock(share, 0.008)


def test_a_waiting_limit_order_fills_when_the_market_comes_to_it(desk: Desk) -> None:
    share, touch = desk.market.share, desk.market.touch(desk.market.share)
    price = int(touch.last * 0.997) // touch.tick * touch.tick
    order_id = desk.place(desk.ask(share, OrderType.LIMIT, quantity=5, price_paise=price))
    desk.facts(order_id, BrokerStatus.OPEN, filled=0)
    desk.market.shock(share, -0.006)
    found = desk.facts(order_id, BrokerStatus.FILLED, filled=5)
    assert found.value_paise <= 5 * price
    desk.market.shock(share, 0.006)


def test_a_limit_order_changed_to_the_touch_fills(desk: Desk) -> None:
    share = desk.market.share
    order_id = desk.place(desk.ask(share, OrderType.LIMIT, quantity=3))
    ask_paise = desk.market.touch(share).ask
    desk.must(desk.hand.modify(order_id, quantity=3, price_paise=ask_paise), Result.ACCEPTED)
    desk.facts(order_id, BrokerStatus.FILLED, filled=3)


def test_a_waiting_limit_order_changed_to_the_market_fills(desk: Desk) -> None:
    order_id = desk.place(desk.ask(desk.market.share, OrderType.LIMIT, quantity=3))
    desk.must(desk.hand.modify(order_id, quantity=3), Result.ACCEPTED)
    desk.facts(order_id, BrokerStatus.FILLED, filled=3)


def test_a_stop_changed_to_a_limit_waits_as_one(desk: Desk) -> None:
    share = desk.market.share
    order_id = desk.place(desk.ask(share, OrderType.SL, quantity=3))
    below = desk.market.touch(share).bid - 50 * share.tick_size_paise
    desk.must(desk.hand.modify(order_id, quantity=3, price_paise=below), Result.ACCEPTED)
    row = desk.sdk.dhan.get_order_by_id(order_id)["data"]
    assert (row["orderType"], row["orderStatus"], row["price"]) == ("LIMIT", "PENDING", below / 100)
    desk.facts(order_id, BrokerStatus.OPEN, quantity=3, filled=0)


def test_a_market_order_is_shown_as_a_protected_limit_order(desk: Desk) -> None:
    order_id = desk.place(desk.ask(desk.market.share, OrderType.MARKET, quantity=2))
    row = desk.sdk.dhan.get_order_by_id(order_id)["data"]
    assert row["orderType"] == "LIMIT"
    assert row["price"] > row["averageTradedPrice"] > 0
    desk.facts(order_id, BrokerStatus.FILLED, filled=2)


def test_shares_bought_for_delivery_are_sold_again_the_same_day(desk: Desk) -> None:
    bought(desk, desk.market.share, 4, Product.DELIVERY)
    ask = desk.ask(desk.market.share, OrderType.MARKET, transaction=Transaction.SELL, product=Product.DELIVERY)
    desk.facts(desk.place(replace(ask, quantity=4)), BrokerStatus.FILLED, filled=4)


def test_an_order_is_found_by_the_clients_own_id(desk: Desk) -> None:
    order_id = desk.place(desk.ask(desk.market.share, OrderType.LIMIT, tag="My tag_1-a"))
    by_sdk, by_adapter = desk.sdk.find("My tag_1-a"), desk.adapter.find("My tag_1-a")
    assert by_sdk == by_adapter == desk.facts(order_id, BrokerStatus.OPEN)


def test_an_unknown_tag_is_certainly_absent(desk: Desk) -> None:
    desk.place(desk.ask(desk.market.share, OrderType.LIMIT, tag="another"))
    assert desk.sdk.find("nobody") is None
    lookup = desk.market.run(desk.adapter.orders.find_by_tag(desk.account, "nobody"))
    assert (lookup.order, lookup.definitive) == (None, True)


def test_of_two_orders_with_one_tag_both_are_in_the_book(desk: Desk) -> None:
    ids = [desk.place(desk.ask(desk.market.share, OrderType.LIMIT, tag="twin")) for _ in range(2)]
    assert [each.order_id for each in desk.adapter.book()] == ids
    found = desk.sdk.find("twin")
    assert found is not None
    assert found.order_id in ids


def test_after_twenty_five_changes_an_order_takes_no_more(desk: Desk) -> None:
    ask = desk.ask(desk.market.share, OrderType.LIMIT)
    order_id, tick = desk.place(ask), desk.market.share.tick_size_paise
    assert ask.price_paise is not None
    for number in range(1, 26):
        desk.must(desk.hand.modify(order_id, quantity=1, price_paise=ask.price_paise - number * tick), Result.ACCEPTED)
    desk.must(desk.hand.modify(order_id, quantity=1, price_paise=ask.price_paise), Result.REFUSED)
    desk.facts(order_id, BrokerStatus.OPEN, filled=0)


def test_the_order_book_tells_every_order_of_the_day_in_one_way(desk: Desk) -> None:
    for order_type in TYPES:
        desk.place(desk.ask(desk.market.share, order_type, tag=order_type.value))
    rows = desk.sdk.dhan.get_order_list()["data"]
    by_adapter = desk.adapter.book()
    assert [row["orderId"] for row in rows] == [each.order_id for each in by_adapter]
    assert [desk.sdk.facts(each.order_id) for each in by_adapter] == by_adapter
