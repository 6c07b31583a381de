"""Money, positions, holdings, history of an order, trades, charges, exits: the SDK's answer and our adapter's agree."""

import pytest
import upstox_client
from testkit.baskets import spread_orders, together_paise
from testkit.upstox_desk import BUY, LIMIT, MARKET, SELL, SL, Desk
from testkit.upstox_hands import VERSION, listing_of
from upstox_client.rest import ApiException

from tradebus.brokers.errors import Refused
from tradebus.contracts.orders import Transaction
from tradebus.trading.orders import BrokerStatus, Product, Result


def portfolio(desk: Desk) -> upstox_client.PortfolioApi:
    return upstox_client.PortfolioApi(desk.sdk.client)


def users(desk: Desk) -> upstox_client.UserApi:
    return upstox_client.UserApi(desk.sdk.client)


def test_funds_go_down_by_what_an_order_holds(desk: Desk) -> None:
    def agreed() -> tuple[int, int]:
        theirs = users(desk).get_user_fund_margin(VERSION).data["equity"]
        ours = desk.loop(desk.ours.account.margins())
        seen = (round(theirs.available_margin * 100), round(theirs.used_margin * 100))
        assert seen == (ours.available_paise, ours.used_paise)
        return seen

    before = agreed()
    item = desk.future()
    order_id = desk.placed(desk.sdk, desk.ask(item, BUY, LIMIT, price=desk.near(item, -0.02))).order_id
    held = agreed()
    assert held[0] < before[0]
    assert held[1] > before[1]
    desk.ours.cancel(order_id)
    assert agreed() == before


@pytest.mark.parametrize("side", [BUY, SELL])
@pytest.mark.parametrize("product", [Product.INTRADAY, Product.CARRY])
def test_a_position_is_told_alike(desk: Desk, side: Transaction, product: Product) -> None:
    item = desk.future()
    facts = desk.placed(desk.sdk, desk.ask(item, side, MARKET, lots=2, product=product))
    assert facts.status is BrokerStatus.FILLED
    theirs = portfolio(desk).get_positions(VERSION).data
    ours = desk.loop(desk.ours.account.positions())
    assert len(theirs) == len(ours) == 1
    row, position = theirs[0], ours[0]
    sign = 1 if side is BUY else -1
    assert row.quantity == position.quantity == sign * 2 * item.lot_size
    assert row.instrument_token == position.token == item.upstox_key
    assert row.product == position.product == ("I" if product is Product.INTRADAY else "D")
    assert position.average_price_paise == round(row.average_price * 100)
    assert row.average_price * 100 == pytest.approx(facts.value_paise / facts.filled_quantity, abs=0.01)
    assert (position.realised_paise, position.unrealised_paise) == (
        round(row.realised * 100), round(row.unrealised * 100)
    )  # fmt: skip
    assert row.pnl == pytest.approx(row.realised + row.unrealised)


def test_a_closed_position_stays_with_what_it_made(desk: Desk) -> None:
    item = desk.stock()
    bought = desk.placed(desk.sdk, desk.ask(item, BUY, MARKET, lots=3))
    sold = desk.placed(desk.ours, desk.ask(item, SELL, MARKET, lots=3))
    row = portfolio(desk).get_positions(VERSION).data[0]
    position = desk.loop(desk.ours.account.positions())[0]
    made = sold.value_paise - bought.value_paise
    assert (position.quantity, position.buy_quantity, position.sell_quantity) == (0, 3, 3)
    assert position.realised_paise == made == round(row.realised * 100)
    assert row.day_buy_value == pytest.approx(bought.value_paise / 100)
    assert row.day_sell_value == pytest.approx(sold.value_paise / 100)


def test_an_intraday_position_becomes_a_carried_one(desk: Desk) -> None:
    item = desk.future()
    desk.placed(desk.sdk, desk.ask(item, BUY, MARKET, lots=2))
    request = upstox_client.ConvertPositionRequest(
        instrument_token=item.upstox_key, new_product="D", old_product="I", transaction_type="BUY",
        quantity=item.lot_size,
    )  # fmt: skip
    assert portfolio(desk).convert_positions(request, VERSION).status == "success"
    theirs = {row.product: row.quantity for row in portfolio(desk).get_positions(VERSION).data}
    ours = {position.product: position.quantity for position in desk.loop(desk.ours.account.positions())}
    assert theirs == ours == {"I": item.lot_size, "D": item.lot_size}


def test_a_position_that_is_not_there_cannot_be_converted(desk: Desk) -> None:
    request = upstox_client.ConvertPositionRequest(
        instrument_token=desk.stock().upstox_key, new_product="D", old_product="I", transaction_type="BUY", quantity=1
    )
    with pytest.raises(ApiException, match="UDAPI1035"):
        portfolio(desk).convert_positions(request, VERSION)


def test_the_history_of_an_order_ends_with_what_it_is(desk: Desk) -> None:
    for hand in desk.hands:
        item = desk.stock()
        facts = desk.placed(hand, desk.ask(item, BUY, LIMIT, price=desk.near(item, -0.01)))
        rows = desk.sdk.v2.get_order_details(VERSION, order_id=facts.order_id).data
        assert [row.status for row in rows] == ["put order req received", "validation pending", "open"]
        hand.modify(facts.order_id, quantity=2, price_paise=desk.near(item, -0.02))
        hand.cancel(facts.order_id)
        rows = desk.sdk.v2.get_order_details(VERSION, order_id=facts.order_id).data
        assert rows[-1].status == "cancelled"
        assert rows[-1].quantity == 2
        assert {row.tag for row in rows} == {facts.tag}
        by_tag = desk.sdk.v2.get_order_details(VERSION, tag=facts.tag).data
        assert [row.status for row in by_tag] == [row.status for row in rows]


def test_trades_of_the_day_are_the_fills_of_the_book(desk: Desk) -> None:
    item = desk.stock("RELIANCE")
    placed = [desk.placed(hand, desk.ask(item, BUY, MARKET, lots=2)) for hand in desk.hands]
    rows = desk.sdk.v2.get_trade_history(VERSION).data
    ours = desk.loop(desk.ours.orders.order_book(desk.account))
    theirs = {(f"{row.order_id}:{row.trade_id}", row.quantity, round(row.average_price * 100)) for row in rows}
    fills = {(fill.fill_id, fill.quantity, fill.price_paise) for order in ours for fill in order.fills}
    assert theirs == fills
    assert {row.order_id for row in rows} == {facts.order_id for facts in placed}
    assert {row.exchange_timestamp[:11] for row in rows} == {"25-Nov-2026"}


def test_earlier_trades_come_page_by_page(desk: Desk) -> None:
    item = desk.stock()
    for _ in range(3):
        desk.placed(desk.sdk, desk.ask(item, BUY, MARKET))
    api = upstox_client.PostTradeApi(desk.sdk.client)
    pages = [api.get_trades_by_date_range("2026-11-01", "2026-11-30", number, 2).data for number in (1, 2)]
    assert [len(page) for page in pages] == [2, 1]
    assert {row.instrument_token for page in pages for row in page} == {item.upstox_key}


def test_the_margin_of_an_order_is_what_it_holds(desk: Desk) -> None:
    item = desk.future()
    request = upstox_client.MarginRequest(
        instruments=[
            upstox_client.Instrument(
                instrument_key=item.upstox_key, quantity=item.lot_size, product="D", transaction_type="BUY"
            )
        ]
    )
    needed = upstox_client.ChargeApi(desk.sdk.client).post_margin(request).data
    before = desk.loop(desk.ours.account.margins())
    desk.placed(desk.ours, desk.ask(item, BUY, LIMIT, product=Product.CARRY, price=desk.near(item, -0.001)))
    after = desk.loop(desk.ours.account.margins())
    held = before.available_paise - after.available_paise
    assert needed.required_margin * 100 == pytest.approx(held, rel=0.02)
    assert needed.margins[0].total_margin == needed.required_margin == needed.final_margin


def test_charges_add_up(desk: Desk) -> None:
    api = upstox_client.ChargeApi(desk.sdk.client)
    charges = api.get_brokerage(desk.stock().upstox_key, 10, "D", "BUY", 1500.0, VERSION).data.charges
    parts = (
        charges.brokerage, charges.taxes.gst, charges.taxes.stt, charges.taxes.stamp_duty,
        charges.other_taxes.transaction, charges.other_taxes.sebi_turnover,
    )  # fmt: skip
    assert 0 < sum(parts) <= charges.total
    assert charges.total == pytest.approx(sum(parts), abs=1.0)


def test_all_positions_are_left_at_once(desk: Desk) -> None:
    for item in (desk.stock(), desk.future()):
        desk.placed(desk.sdk, desk.ask(item, BUY, MARKET))
    reply = desk.sdk.v2.exit_positions()
    assert (reply.status, reply.summary.success) == ("success", 2)
    desk.pass_time()
    for order_id in reply.data.order_ids:
        assert desk.agreed(order_id).transaction is SELL
    assert {position.quantity for position in desk.loop(desk.ours.account.positions())} == {0}
    with pytest.raises(ApiException, match="UDAPI1111"):
        desk.sdk.v2.exit_positions()


def test_everything_open_is_cancelled_at_once(desk: Desk) -> None:
    item = desk.stock()
    ids = [
        desk.placed(hand, desk.ask(item, BUY, LIMIT, price=desk.near(item, -0.02))).order_id
        for hand in desk.hands
    ]  # fmt: skip
    ids.append(
        desk.placed(
            desk.sdk, desk.ask(item, SELL, SL, price=desk.near(item, -0.03), trigger=desk.near(item, -0.02))
        ).order_id
    )
    reply = desk.sdk.v2.cancel_multi_order()
    assert sorted(reply.data.order_ids) == sorted(ids)
    assert {desk.agreed(order_id).status for order_id in ids} == {BrokerStatus.CANCELLED}
    with pytest.raises(ApiException, match="UDAPI1109"):
        desk.sdk.v2.cancel_multi_order()


def test_several_orders_go_in_one_request(desk: Desk) -> None:
    item = desk.stock()
    good = desk.sdk.request(desk.ask(item, BUY, MARKET)).to_dict()
    requests = [
        upstox_client.MultiOrderRequest(**good, correlation_id="one"),
        upstox_client.MultiOrderRequest(**{**good, "quantity": 0}, correlation_id="two"),
    ]
    reply = desk.sdk.v2.place_multi_order(requests)
    assert reply.status == "partial_success"
    assert [row.correlation_id for row in reply.data] == ["one"]
    assert [(row.correlation_id, row.error_code) for row in reply.errors] == [("two", "UDAPI1052")]
    assert (reply.summary.total, reply.summary.success, reply.summary.error) == (2, 1, 1)
    assert desk.agreed(reply.data[0].order_id).status is BrokerStatus.FILLED


def test_an_order_beyond_the_freeze_quantity_is_sliced(desk: Desk) -> None:
    desk.fund()
    item = desk.future()
    slices = item.freeze_quantity // item.lot_size
    ask = desk.ask(item, BUY, LIMIT, lots=2 * slices + 1, price=desk.near(item, -0.02))
    reply = desk.sdk.place_raw(desk.sdk.request(ask, slice=True))
    assert reply.status == "success"
    assert reply.metadata.latency >= 1
    facts = [desk.agreed(order_id) for order_id in reply.data.order_ids]
    assert [one.quantity for one in facts] == [slices * item.lot_size] * 2 + [item.lot_size]
    assert {one.status for one in facts} == {BrokerStatus.OPEN}


def test_more_slices_than_allowed_are_refused(desk: Desk) -> None:
    desk.fund()
    item = desk.future()
    ask = desk.ask(item, BUY, LIMIT, lots=26 * (item.freeze_quantity // item.lot_size), price=desk.near(item, -0.02))
    with pytest.raises(ApiException, match="UDAPI1118"):
        desk.sdk.place_raw(desk.sdk.request(ask, slice=True))


def test_the_second_api_places_changes_and_cancels_too(desk: Desk) -> None:
    item = desk.stock()
    asked = desk.sdk.request(desk.ask(item, BUY, LIMIT, price=desk.near(item, -0.02))).to_dict()
    asked = {name: value for name, value in asked.items() if name not in ("slice", "market_protection")}
    order_id = desk.sdk.v2.place_order(upstox_client.PlaceOrderRequest(**asked), VERSION).data.order_id
    assert desk.agreed(order_id).status is BrokerStatus.OPEN
    change = upstox_client.ModifyOrderRequest(
        quantity=4, validity="DAY", price=asked["price"], order_id=order_id, order_type="LIMIT", trigger_price=0
    )
    assert desk.sdk.v2.modify_order(change, VERSION).data.order_id == order_id
    assert desk.agreed(order_id).quantity == 4
    assert desk.sdk.v2.cancel_order(order_id, VERSION).data.order_id == order_id
    assert desk.agreed(order_id).status is BrokerStatus.CANCELLED


def test_the_kill_switch_is_thrown_and_shown(desk: Desk) -> None:
    request = [upstox_client.KillSwitchSegmentUpdateRequest(segment="NSE_FO", action="ENABLE")]
    assert users(desk).update_kill_switch(request).status == "success"
    shown = users(desk).get_kill_switch().data
    assert all(row["kill_switch_enabled"] for row in shown)
    assert all("kill switch" in outcome.reason for outcome in desk.refused(desk.ask(desk.future(), BUY, MARKET)))


def test_the_funds_of_the_third_api_are_the_same_money(desk: Desk) -> None:
    theirs = users(desk).get_user_fund_margin_v3().data
    assert round(theirs.available_to_trade.total * 100) == desk.loop(desk.ours.account.margins()).available_paise


def test_a_hedged_basket_needs_less_than_its_orders(desk: Desk) -> None:
    orders = spread_orders(desk.box, listing_of)
    request = upstox_client.MarginRequest(
        instruments=[
            upstox_client.Instrument(
                instrument_key=one.listing.token, quantity=one.quantity, product="D",
                transaction_type=one.transaction.value, price=one.price_paise / 100,
            )
            for one in orders
        ]
    )  # fmt: skip
    theirs = upstox_client.ChargeApi(desk.sdk.client).post_margin(request).data
    alone, together = together_paise(desk.box, orders)
    assert (round(theirs.required_margin * 100), round(theirs.final_margin * 100)) == (alone, together)
    assert desk.loop(desk.ours.account.basket_margin_paise(orders)) == together < alone


def test_the_brokers_own_kill_switch_is_engaged_in_every_segment_also_where_the_answer_is_lost(desk: Desk) -> None:
    desk.box.fault("DROP", broker="upstox", endpoint="POST /v2/user/kill-switch", count=1)
    with pytest.raises(Refused, match="the kill switch is not engaged in "):
        desk.loop(desk.ours.account.engage_kill_switch())
    desk.box.fault("ACCEPT_THEN_DROP", broker="upstox", endpoint="POST /v2/user/kill-switch", count=1)
    assert desk.loop(desk.ours.account.kill_switch_engaged()) is False
    desk.loop(desk.ours.account.engage_kill_switch())
    assert desk.loop(desk.ours.account.kill_switch_engaged()) is True
    assert all(row["kill_switch_enabled"] for row in users(desk).get_kill_switch().data)
    refused = desk.ours.place(desk.ask(desk.stock(), BUY, LIMIT, price=desk.near(desk.stock(), -0.01)))
    assert (refused.result, "kill switch" in refused.reason) == (Result.REFUSED, True)
    desk.loop(desk.ours.account.engage_kill_switch())
