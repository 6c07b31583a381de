"""Orders that Dhan's servers keep: slices, forever orders, super orders, alerts, P&L exits. The SDK places them; what
comes of them in the book both hands see alike."""

from typing import Any

import pytest
from testkit.dhan_hands import code, data
from testkit.dhan_market import Desk, bought
from testkit.dhan_streams import until

from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerStatus, Product

BUY, SELL = Transaction.BUY, Transaction.SELL


def _near(desk: Desk, share: float) -> float:
    """The share's price moved by so much, on its tick, in rupees."""
    touch = desk.market.touch(desk.market.share)
    return int(touch.last * (1 + share)) // touch.tick * touch.tick / 100


def _by_tag(desk: Desk, tag: str) -> list[Any]:
    return [each for each in desk.adapter.book() if each.tag == tag]


class TestSlices:
    def test_more_than_the_freeze_quantity_becomes_several_orders(self, one_desk: Desk) -> None:
        option, touch = one_desk.market.option, one_desk.market.touch(one_desk.market.option)
        frozen = one_desk.market.box.exchange.by_key(str(option.key)).freeze_quantity // option.lot_size
        lots = 2 * frozen + 3
        price = (touch.bid - 20 * touch.tick) / 100
        asked = (option.token, "NSE_FNO", "BUY", lots * option.lot_size, "LIMIT", "INTRADAY", price)
        rows = data(one_desk.sdk.dhan.place_slice_order(*asked, tag="sliced"))
        facts = [one_desk.facts(row["orderId"], BrokerStatus.OPEN, filled=0) for row in rows]
        assert [each.quantity // option.lot_size for each in facts] == [frozen, frozen, 3]
        assert {each.tag for each in facts} == {"sliced"}
        whole = data(one_desk.sdk.dhan.place_order(*asked, tag="whole"))
        one_desk.facts(whole["orderId"], BrokerStatus.REJECTED, filled=0)

    def test_less_than_the_freeze_quantity_is_one_order(self, one_desk: Desk) -> None:
        reply = one_desk.sdk.dhan.place_order(
            "1333", "NSE_EQ", "BUY", 10, "LIMIT", "INTRADAY", _near(one_desk, -0.01), should_slice=True
        )
        (row,) = data(reply)
        one_desk.facts(row["orderId"], BrokerStatus.OPEN, quantity=10)

    def test_a_first_slice_that_is_refused_refuses_all(self, one_desk: Desk) -> None:
        reply = one_desk.sdk.dhan.place_slice_order("1333", "NSE_EQ", "BUY", 10, "LIMIT", "INTRADAY", 1000.013)
        assert code(reply) == "DH-905"
        assert one_desk.adapter.book() == []


class TestForever:
    def _place(self, desk: Desk, at: float, **given: Any) -> str:
        asked: dict[str, Any] = {
            "security_id": "1333", "exchange_segment": "NSE_EQ", "transaction_type": "BUY", "product_type": "CNC",
            "order_type": "LIMIT", "quantity": 5, "price": _near(desk, at + 0.01), "trigger_Price": _near(desk, at),
            "tag": "forever",
        }  # fmt: skip
        row = data(desk.sdk.dhan.place_forever(**(asked | given)))
        assert row["orderStatus"] == "PENDING"
        return str(row["orderId"])

    def _rows(self, desk: Desk, order_id: str) -> list[dict[str, Any]]:
        return [row for row in data(desk.sdk.dhan.get_forever()) if row["orderId"] == order_id]

    def test_a_single_one_waits_outside_the_book_and_buys_when_the_price_comes(self, one_desk: Desk) -> None:
        order_id = self._place(one_desk, -0.005)
        assert one_desk.adapter.book() == []
        (row,) = self._rows(one_desk, order_id)
        assert (row["orderType"], row["legName"], row["orderStatus"]) == ("SINGLE", "ENTRY_LEG", "PENDING")
        one_desk.market.shock(one_desk.market.share, -0.007)
        (row,) = self._rows(one_desk, order_id)
        (order,) = _by_tag(one_desk, "forever")
        assert row["orderStatus"] == "TRIGGERED"
        one_desk.facts(order.order_id, BrokerStatus.FILLED, filled=5)
        one_desk.market.shock(one_desk.market.share, 0.007)

    def test_it_is_changed_and_cancelled(self, one_desk: Desk) -> None:
        order_id = self._place(one_desk, -0.005)
        trigger, price = _near(one_desk, -0.02), _near(one_desk, -0.015)
        reply = one_desk.sdk.dhan.modify_forever(order_id, "SINGLE", "LIMIT", "ENTRY_LEG", 9, price, trigger, 0, "DAY")
        assert data(reply)["orderStatus"] == "PENDING"
        (row,) = self._rows(one_desk, order_id)
        assert (row["quantity"], row["triggerPrice"], row["price"]) == (9, trigger, price)
        assert data(one_desk.sdk.dhan.cancel_forever(order_id))["orderStatus"] == "CANCELLED"
        assert code(one_desk.sdk.dhan.cancel_forever(order_id)) == "DH-906"
        assert self._rows(one_desk, order_id)[0]["orderStatus"] == "CANCELLED"

    @pytest.mark.parametrize("way", [0.007, -0.007], ids=["target", "stop"])
    def test_of_two_legs_the_first_that_is_reached_sells_and_ends_the_other(self, one_desk: Desk, way: float) -> None:
        bought(one_desk, one_desk.market.share, 5, Product.DELIVERY)
        order_id = self._place(
            one_desk, -0.005, transaction_type="SELL", order_flag="OCO", price=_near(one_desk, -0.02),
            price1=_near(one_desk, 0.004), trigger_Price1=_near(one_desk, 0.005), quantity1=5,
        )  # fmt: skip
        assert [row["legName"] for row in self._rows(one_desk, order_id)] == ["ENTRY_LEG", "TARGET_LEG"]
        assert {row["orderType"] for row in self._rows(one_desk, order_id)} == {"OCO"}
        one_desk.market.shock(one_desk.market.share, way)
        (order,) = _by_tag(one_desk, "forever")
        one_desk.facts(order.order_id, BrokerStatus.FILLED, filled=5)
        one_desk.market.shock(one_desk.market.share, -way)
        assert len(_by_tag(one_desk, "forever")) == 1

    def test_what_it_needs_is_asked_for(self, one_desk: Desk) -> None:
        dhan, near = one_desk.sdk.dhan, _near(one_desk, -0.01)
        assert code(dhan.place_forever("1333", "NSE_EQ", "BUY", "CNC", "LIMIT", 5, near, 0)) == "DH-905"
        assert code(dhan.place_forever("1333", "NSE_EQ", "BUY", "CNC", "LIMIT", 5, near, near, "TRIO")) == "DH-905"
        assert code(dhan.modify_forever("1", "SINGLE", "LIMIT", "ENTRY_LEG", 5, near, near, 0, "DAY")) == "DH-906"


class TestSuper:
    def _place(self, desk: Desk, price: float, **given: Any) -> str:
        asked: dict[str, Any] = {
            "security_id": "1333", "exchange_segment": "NSE_EQ", "transaction_type": "BUY", "quantity": 8,
            "order_type": "LIMIT", "product_type": "INTRADAY", "price": price, "targetPrice": _near(desk, 0.005),
            "stopLossPrice": _near(desk, -0.005), "tag": "super",
        }  # fmt: skip
        return str(data(desk.sdk.dhan.place_super_order(**(asked | given)))["orderId"])

    def _row(self, desk: Desk, order_id: str) -> dict[str, Any]:
        (row,) = [row for row in data(desk.sdk.dhan.get_super_order_list()) if row["orderId"] == order_id]
        return dict(row)

    def _legs(self, desk: Desk, order_id: str) -> dict[str, str]:
        return {leg["legName"]: leg["orderStatus"] for leg in self._row(desk, order_id)["legDetails"]}

    def _filled(self, desk: Desk, **given: Any) -> str:
        order_id = self._place(desk, desk.market.touch(desk.market.share).ask / 100, **given)
        desk.facts(order_id, BrokerStatus.FILLED, filled=8)
        return order_id

    def test_its_legs_sleep_until_the_entry_is_filled(self, one_desk: Desk) -> None:
        order_id = self._place(one_desk, _near(one_desk, -0.002))
        assert self._legs(one_desk, order_id) == {"STOP_LOSS_LEG": "INACTIVE", "TARGET_LEG": "INACTIVE"}
        one_desk.market.shock(one_desk.market.share, -0.003)
        assert self._legs(one_desk, order_id) == {"STOP_LOSS_LEG": "PENDING", "TARGET_LEG": "PENDING"}
        assert self._row(one_desk, order_id)["orderStatus"] == "TRADED"
        one_desk.market.shock(one_desk.market.share, 0.003)

    @pytest.mark.parametrize(
        ("way", "left", "stayed"),
        [(0.008, "TARGET_LEG", "STOP_LOSS_LEG"), (-0.008, "STOP_LOSS_LEG", "TARGET_LEG")],
        ids=["target", "stop loss"],
    )
    def test_the_leg_that_is_reached_closes_the_position(
        self, one_desk: Desk, way: float, left: str, stayed: str
    ) -> None:
        order_id = self._filled(one_desk)
        one_desk.market.shock(one_desk.market.share, way)
        assert self._legs(one_desk, order_id) == {left: "TRIGGERED", stayed: "CANCELLED"}
        assert self._row(one_desk, order_id)["orderStatus"] == "CLOSED"
        exit_order = next(each for each in _by_tag(one_desk, "super") if each.transaction is SELL)
        one_desk.facts(exit_order.order_id, BrokerStatus.FILLED, filled=8)
        one_desk.market.shock(one_desk.market.share, -way)

    def test_its_legs_are_changed_and_cancelled_one_by_one(self, one_desk: Desk) -> None:
        order_id, dhan = self._filled(one_desk), one_desk.sdk.dhan
        target, stop = _near(one_desk, 0.02), _near(one_desk, -0.02)
        data(dhan.modify_super_order(order_id, "LIMIT", "TARGET_LEG", targetPrice=target))
        data(dhan.modify_super_order(order_id, "LIMIT", "STOP_LOSS_LEG", stopLossPrice=stop, trailingJump=1))
        legs = {leg["legName"]: leg for leg in self._row(one_desk, order_id)["legDetails"]}
        assert (legs["TARGET_LEG"]["price"], legs["STOP_LOSS_LEG"]["price"]) == (target, stop)
        assert legs["STOP_LOSS_LEG"]["trailingJump"] == 1
        data(dhan.cancel_super_order(order_id, "TARGET_LEG"))
        assert self._legs(one_desk, order_id) == {"TARGET_LEG": "CANCELLED", "STOP_LOSS_LEG": "PENDING"}
        data(dhan.cancel_super_order(order_id, "STOP_LOSS_LEG"))
        assert set(self._legs(one_desk, order_id).values()) == {"CANCELLED"}
        one_desk.facts(order_id, BrokerStatus.FILLED, filled=8)

    def test_the_stop_loss_trails_the_price(self, one_desk: Desk) -> None:
        order_id = self._filled(one_desk, targetPrice=_near(one_desk, 0.05), trailingJump=1)
        stop = self._row(one_desk, order_id)["legDetails"][0]["price"]
        one_desk.market.shock(one_desk.market.share, 0.006)
        moved = self._row(one_desk, order_id)["legDetails"][0]["price"]
        assert moved >= stop + 3
        assert (moved - stop) % 1 == 0
        one_desk.market.shock(one_desk.market.share, -0.006)
        assert self._row(one_desk, order_id)["legDetails"][0]["price"] >= moved

    def test_a_waiting_entry_is_changed_and_cancelled_with_all_that_hangs_on_it(self, one_desk: Desk) -> None:
        order_id, dhan = self._place(one_desk, _near(one_desk, -0.002)), one_desk.sdk.dhan
        data(
            dhan.modify_super_order(
                order_id,
                "LIMIT",
                "ENTRY_LEG",
                4,
                _near(one_desk, -0.003),
                _near(one_desk, 0.01),
                _near(one_desk, -0.01),
            )
        )
        one_desk.facts(order_id, BrokerStatus.OPEN, quantity=4, filled=0)
        data(dhan.cancel_super_order(order_id, "ENTRY_LEG"))
        one_desk.facts(order_id, BrokerStatus.CANCELLED, filled=0)
        assert set(self._legs(one_desk, order_id).values()) == {"CANCELLED"}

    def test_a_target_on_the_wrong_side_is_refused(self, one_desk: Desk) -> None:
        body = {
            "transactionType": "BUY", "exchangeSegment": "NSE_EQ", "productType": "INTRADAY", "orderType": "LIMIT",
            "securityId": "1333", "quantity": 1, "price": 1000.0, "targetPrice": 900.0, "stopLossPrice": 0,
        }  # fmt: skip
        assert code(one_desk.sdk.dhan.dhan_http.post("/super/orders", body)) == "DH-905"
        assert one_desk.adapter.book() == []


class TestAlerts:
    def _condition(self, desk: Desk, at: float, operator: str = "CROSSING_UP") -> dict[str, Any]:
        return {
            "comparisonType": "PRICE_WITH_VALUE", "exchangeSegment": "NSE_EQ", "securityId": "1333",
            "operator": operator, "comparingValue": _near(desk, at), "frequency": "ONCE", "userNote": "test",
        }  # fmt: skip

    def _order(self) -> dict[str, Any]:
        return {
            "transactionType": "BUY", "exchangeSegment": "NSE_EQ", "productType": "INTRADAY", "orderType": "MARKET",
            "securityId": "1333", "quantity": 2, "validity": "DAY", "price": "0", "discQuantity": "0",
            "triggerPrice": "0", "correlationId": "alert",
        }  # fmt: skip

    def test_an_alert_places_its_order_when_the_price_crosses(self, one_desk: Desk) -> None:
        dhan = one_desk.sdk.dhan
        row = data(dhan.place_conditional_order(self._condition(one_desk, 0.004), [self._order()]))
        assert row["alertStatus"] == "ACTIVE"
        assert one_desk.adapter.book() == []
        one_desk.market.shock(one_desk.market.share, 0.006)
        until(lambda: len(_by_tag(one_desk, "alert")) == 1, "order of the alert")
        one_desk.facts(_by_tag(one_desk, "alert")[0].order_id, BrokerStatus.FILLED, filled=2)
        told = data(dhan.get_conditional_order(row["alertId"]))
        assert told["alertStatus"] == "TRIGGERED"
        assert told["triggeredTime"] is not None
        one_desk.market.shock(one_desk.market.share, -0.006)

    def test_an_alert_is_changed_and_cancelled(self, one_desk: Desk) -> None:
        dhan = one_desk.sdk.dhan
        alert = data(dhan.place_conditional_order(self._condition(one_desk, 0.004), [self._order()]))["alertId"]
        changed = self._condition(one_desk, 0.03, "GREATER_THAN")
        assert data(dhan.modify_conditional_order(alert, changed))["alertStatus"] == "ACTIVE"
        assert data(dhan.get_conditional_order(alert))["condition"] == changed
        assert data(dhan.cancel_conditional_order(alert))["alertStatus"] == "CANCELLED"
        assert [row["alertStatus"] for row in data(dhan.get_conditional_orders())] == ["CANCELLED"]

    def test_an_alert_on_an_indicator_is_refused(self, one_desk: Desk) -> None:
        condition = self._condition(one_desk, 0.01) | {"comparisonType": "TECHNICAL_WITH_VALUE"}
        assert code(one_desk.sdk.dhan.place_conditional_order(condition, [self._order()])) == "DH-905"


class TestProfitAndLoss:
    def test_at_the_loss_everything_is_left_and_the_switch_is_on(self, one_desk: Desk) -> None:
        dhan = one_desk.sdk.dhan
        bought(one_desk, one_desk.market.share, 100)
        assert data(dhan.set_pnl_exit(1e6, 200, ["INTRADAY"], enable_kill_switch=True))["pnlExitStatus"] == "ACTIVE"
        assert data(dhan.get_pnl_exit())["loss"] == "200.00"
        one_desk.market.shock(one_desk.market.share, -0.006)
        until(lambda: data(dhan.get_pnl_exit())["pnlExitStatus"] == "DISABLED", "exit")
        assert [row["netQty"] for row in data(dhan.get_positions())] == [0]
        assert data(dhan.status_kill_switch())["killSwitchStatus"] == "ACTIVATE"
        one_desk.market.shock(one_desk.market.share, 0.006)

    def test_it_can_be_stopped(self, one_desk: Desk) -> None:
        dhan = one_desk.sdk.dhan
        data(dhan.set_pnl_exit(1000, 0, ["INTRADAY"]))
        assert data(dhan.stop_pnl_exit())["pnlExitStatus"] == "DISABLED"
        assert data(dhan.get_pnl_exit())["pnlExitStatus"] == "DISABLED"
        assert code(dhan.set_pnl_exit(0, 0, ["INTRADAY"])) == "DH-905"


def test_a_forever_order_may_be_at_the_market(one_desk: Desk) -> None:
    order_id = data(
        one_desk.sdk.dhan.place_forever(
            "1333", "NSE_EQ", "BUY", "CNC", "MARKET", 3, 0, _near(one_desk, -0.005), tag="at market"
        )
    )["orderId"]
    one_desk.market.shock(one_desk.market.share, -0.007)
    (order,) = _by_tag(one_desk, "at market")
    one_desk.facts(order.order_id, BrokerStatus.FILLED, filled=3)
    assert data(one_desk.sdk.dhan.get_forever())[0]["orderId"] == order_id
    one_desk.market.shock(one_desk.market.share, 0.007)


def test_standing_orders_of_others_are_not_seen(one_desk: Desk) -> None:
    other = one_desk.market.desk()
    data(other.sdk.dhan.place_forever("1333", "NSE_EQ", "BUY", "CNC", "LIMIT", 1, 900, _near(one_desk, -0.05)))
    other.place(other.ask(other.market.share, OrderType.LIMIT))
    assert data(one_desk.sdk.dhan.get_forever()) == []
    assert data(one_desk.sdk.dhan.get_super_order_list()) == []
    assert data(one_desk.sdk.dhan.get_conditional_orders()) == []
