"""Stops, standing triggers (GTT) and the varieties of orders: placed through the SDK, seen alike by our adapter."""

from typing import Any

import pytest
from kiteconnect import KiteConnect
from kiteconnect import exceptions as kite_errors
from testkit.kite_desk import BUY, FUTURE, HANDS, OPTION, SELL, SHARE, KiteDesk

from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerStatus, Product

MARKET, LIMIT, SL, SL_M = OrderType.MARKET, OrderType.LIMIT, OrderType.SL, OrderType.SL_M
FILLED, WAITING = BrokerStatus.FILLED, BrokerStatus.TRIGGER_PENDING


@pytest.mark.parametrize("by", HANDS)
@pytest.mark.parametrize(
    ("what", "order_type", "side"),
    [(SHARE, SL_M, SELL), (SHARE, SL, SELL), (SHARE, SL_M, BUY), (FUTURE, SL_M, SELL), (FUTURE, SL, BUY)],
    ids=lambda value: str(value).split(":")[-1],
)
def test_a_stop_fills_after_its_trigger_is_reached(
    desk: KiteDesk, what: str, order_type: OrderType, side: Transaction, by: str
) -> None:
    stop = desk.placed(by, desk.ask(what, order_type, side=side, trigger=1, price=5 if order_type is SL else None))
    assert stop.status is WAITING
    desk.shock(what, 0.014 if side is BUY else -0.014)  # past the trigger, within the stop's protection
    filled = desk.until(stop.order_id, FILLED)
    words = [row["status"] for row in desk.sdk.kite.order_history(stop.order_id)]
    assert words[:3] == ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "TRIGGER PENDING"]
    assert words[-3:] == ["OPEN PENDING", "OPEN", "COMPLETE"]
    assert filled.trigger_paise is not None
    reached = filled.trigger_paise
    assert filled.average_paise <= reached * 1.02 if side is BUY else filled.average_paise >= reached * 0.98


def gtt(desk: KiteDesk, *percents: float, side: Transaction = BUY, quantity: int = 1) -> dict[str, Any]:
    """Arguments of place_gtt on the share: a leg for each percent away from the last price."""
    last = int(desk.quote(SHARE)["price_paise"])
    triggers = [desk.trigger(SHARE, BUY, percent) / 100 for percent in percents]
    legs = [
        {"transaction_type": side.value, "quantity": quantity, "order_type": "LIMIT", "product": "CNC",
         "price": round(trigger * (1.03 if side is BUY else 0.97), 0)}
        for trigger in triggers
    ]  # fmt: skip
    return {
        "trigger_type": KiteConnect.GTT_TYPE_SINGLE if len(legs) == 1 else KiteConnect.GTT_TYPE_OCO,
        "tradingsymbol": "INFY", "exchange": "NSE", "trigger_values": triggers, "last_price": last / 100,
        "orders": legs,
    }  # fmt: skip


def test_a_single_trigger_places_its_order_when_reached_and_both_find_it(desk: KiteDesk) -> None:
    asked = gtt(desk, -1, quantity=3)
    number = desk.sdk.kite.place_gtt(**asked)["trigger_id"]
    standing = desk.sdk.kite.get_gtt(number)
    assert (standing["status"], standing["type"], standing["orders"][0]["result"]) == ("active", "single", None)
    assert standing["condition"]["trigger_values"] == asked["trigger_values"]
    desk.shock(SHARE, -0.02)
    fired = desk.sdk.kite.get_gtt(number)
    assert fired["status"] == "triggered"
    facts = desk.until(fired["orders"][0]["result"]["order_result"]["order_id"], FILLED)
    assert (facts.quantity, facts.transaction) == (3, BUY)


@pytest.mark.parametrize(("share", "leg"), [(0.03, 1), (-0.03, 0)], ids=["up", "down"])
def test_the_first_leg_of_two_that_is_reached_is_the_only_one(desk: KiteDesk, share: float, leg: int) -> None:
    number = desk.sdk.kite.place_gtt(**gtt(desk, -2, 2))["trigger_id"]
    desk.shock(SHARE, share)
    fired = desk.sdk.kite.get_gtt(number)
    assert (fired["status"], fired["type"]) == ("triggered", "two-leg")
    results = [order["result"] for order in fired["orders"]]
    assert results[1 - leg] is None
    assert desk.until(results[leg]["order_result"]["order_id"], FILLED).quantity == 1
    desk.shock(SHARE, -share)
    assert desk.sdk.kite.get_gtt(number)["orders"][1 - leg]["result"] is None


def test_a_trigger_is_listed_modified_and_deleted(desk: KiteDesk) -> None:
    kite = desk.sdk.kite
    number = kite.place_gtt(**gtt(desk, -3))["trigger_id"]
    assert number in [trigger["id"] for trigger in kite.get_gtts()]
    changed = gtt(desk, -4, quantity=9)
    assert kite.modify_gtt(number, **changed) == {"trigger_id": number}
    standing = kite.get_gtt(number)
    assert standing["condition"]["trigger_values"] == changed["trigger_values"]
    assert standing["orders"][0]["quantity"] == 9
    assert kite.delete_gtt(number) == {"trigger_id": number}
    assert kite.get_gtt(number)["status"] == "deleted"
    with pytest.raises(kite_errors.OrderException):
        kite.delete_gtt(number)


def test_two_triggers_on_one_side_of_the_price_are_refused(desk: KiteDesk) -> None:
    with pytest.raises(kite_errors.InputException, match="both sides"):
        desk.sdk.kite.place_gtt(**gtt(desk, 2, 3))


def test_a_trigger_nobody_knows_is_said_to_be_unknown(desk: KiteDesk) -> None:
    with pytest.raises(kite_errors.GeneralException) as caught:
        desk.sdk.kite.get_gtt(7)
    assert caught.value.code == 404


def test_an_iceberg_shows_one_leg_after_the_other(desk: KiteDesk) -> None:
    tag = desk.tag()
    first = desk.sdk.kite.place_order(
        "iceberg", "NSE", "INFY", "BUY", 23, "CNC", "LIMIT", price=desk.price(SHARE, BUY, 0.5) / 100,
        iceberg_legs=3, iceberg_quantity=10, tag=tag,
    )  # fmt: skip
    desk.sdk.kite.profile()  # lets the followers take their turn
    legs = [row for row in desk.sdk.kite.orders() if row["tag"] == tag]
    assert [row["quantity"] for row in legs] == [10, 10, 3]
    assert legs[0]["order_id"] == first
    assert [leg["meta"]["iceberg"]["remaining_quantity"] for leg in legs] == [13, 3, 0]
    for leg in legs:
        assert desk.agreed(leg["order_id"]).status is FILLED


def test_an_iceberg_shows_no_further_leg_while_one_rests(desk: KiteDesk) -> None:
    tag = desk.tag()
    price = desk.price(SHARE, BUY, -2) / 100
    first = desk.sdk.kite.place_order(
        "iceberg", "NSE", "INFY", "BUY", 20, "CNC", "LIMIT", price=price, iceberg_legs=2, iceberg_quantity=10, tag=tag,
    )  # fmt: skip
    assert [row["quantity"] for row in desk.sdk.kite.orders() if row["tag"] == tag] == [10]
    desk.sdk.kite.cancel_order("iceberg", first)
    desk.sdk.kite.profile()
    assert len([row for row in desk.sdk.kite.orders() if row["tag"] == tag]) == 1


def cover(desk: KiteDesk, price_percent: float | None) -> str:
    """Places a cover order on the share, 1 % covered; its order id."""
    priced = {"price": None if price_percent is None else desk.price(SHARE, BUY, price_percent) / 100}
    order_id: str = desk.sdk.kite.place_order(
        "co", "NSE", "INFY", "BUY", 5, "MIS", "MARKET" if price_percent is None else "LIMIT",
        trigger_price=desk.trigger(SHARE, SELL, 1) / 100, market_protection=-1, **priced,
    )  # fmt: skip
    desk.sdk.kite.profile()
    return order_id


def stops_of(desk: KiteDesk, parent: str) -> list[dict[str, Any]]:
    return [row for row in desk.sdk.kite.orders() if row["parent_order_id"] == parent]


def test_a_cover_order_has_a_stop_once_it_is_filled(desk: KiteDesk) -> None:
    entry = cover(desk, None)
    assert desk.agreed(entry).status is FILLED
    stop = stops_of(desk, entry)[0]
    assert (stop["transaction_type"], stop["quantity"], stop["status"]) == ("SELL", 5, "TRIGGER PENDING")
    assert desk.agreed(stop["order_id"]).status is WAITING
    desk.shock(SHARE, -0.014)  # past the trigger, within the stop's protection
    assert desk.until(stop["order_id"], FILLED).filled_quantity == 5


def test_leaving_a_cover_order_closes_its_position_at_the_market(desk: KiteDesk) -> None:
    entry = cover(desk, None)
    stop = stops_of(desk, entry)[0]["order_id"]
    held = _held(desk)
    desk.sdk.kite.exit_order("co", stop, parent_order_id=entry)
    assert desk.agreed(stop).status is BrokerStatus.CANCELLED
    assert _held(desk) == held - 5


def test_a_cover_order_that_rests_has_no_stop_yet(desk: KiteDesk) -> None:
    entry = cover(desk, -2)
    assert stops_of(desk, entry) == []
    desk.shock(SHARE, -0.03)
    desk.until(entry, FILLED)
    desk.sdk.kite.profile()
    assert len(stops_of(desk, entry)) == 1


def _held(desk: KiteDesk) -> int:
    return sum(row["quantity"] for row in desk.sdk.kite.positions()["net"]
               if (row["tradingsymbol"], row["product"], row["exchange"]) == ("INFY", "MIS", "NSE"))  # fmt: skip


def test_slices_over_the_freeze_quantity_are_orders_of_their_own(desk: KiteDesk) -> None:
    future = desk.instrument(FUTURE)
    most = future.freeze_quantity // future.lot_size * future.lot_size
    price = desk.price(FUTURE, BUY, -3) / 100
    made = desk.sdk.kite.place_autoslice_order(
        "regular", "NFO", future.symbol, "BUY", most + 2 * future.lot_size, "NRML", "LIMIT", price=price
    )
    orders = [made["order_id"], *(child["order_id"] for child in made["children"])]
    assert [desk.agreed(order_id).quantity for order_id in orders] == [most, 2 * future.lot_size]
    for order_id in orders:
        desk.sdk.kite.cancel_order("regular", order_id)


@pytest.mark.parametrize("by", HANDS)
def test_the_history_of_a_changed_order_names_every_station(desk: KiteDesk, by: str) -> None:
    resting = desk.placed(by, desk.ask(OPTION, LIMIT, price=-3, product=Product.CARRY))
    price = desk.price(OPTION, BUY, -2)
    desk.hand(by).modify(resting.order_id, quantity=desk.instrument(OPTION).lot_size, price_paise=price)
    desk.hand(by).cancel(resting.order_id)
    history = desk.sdk.kite.order_history(resting.order_id)
    assert [row["status"] for row in history] == [
        "PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "OPEN", "MODIFY VALIDATION PENDING",
        "MODIFY PENDING", "MODIFIED", "OPEN", "CANCEL PENDING", "CANCELLED",
    ]  # fmt: skip
    assert history[-1]["price"] == price / 100
    assert history[-1]["cancelled_quantity"] == desk.instrument(OPTION).lot_size
    assert all(row["order_id"] == resting.order_id for row in history)
