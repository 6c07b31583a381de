"""Standing orders (GTT) through the official SDK; what they make of orders is read by our adapter too."""

import pytest
import upstox_client
from testkit.upstox_desk import BUY, MARKET, Desk
from upstox_client.rest import ApiException

from services.sandbox.ports import SandboxInstrument
from tradebus.trading.orders import BrokerStatus


def rule(strategy: str, trigger_type: str, paise: int, **more: float) -> upstox_client.GttRule:
    return upstox_client.GttRule(strategy=strategy, trigger_type=trigger_type, trigger_price=paise / 100, **more)


def place(desk: Desk, item: SandboxInstrument, kind: str, *rules: upstox_client.GttRule, side: str = "BUY") -> str:
    request = upstox_client.GttPlaceOrderRequest(
        type=kind, quantity=item.lot_size, product="D", rules=list(rules), instrument_token=item.upstox_key,
        transaction_type=side,
    )  # fmt: skip
    reply = desk.sdk.v3.place_gtt_order(request)
    assert reply.status == "success"
    assert reply.metadata.latency >= 1
    return reply.data.gtt_order_ids[0]


def rules_of(desk: Desk, gtt_id: str) -> dict[str, upstox_client.Rule]:
    found = desk.sdk.v3.get_gtt_order_details(gtt_order_id=gtt_id).data
    assert [row.gtt_order_id for row in found] == [gtt_id]
    return {each.strategy: each for each in found[0].rules}


@pytest.mark.parametrize(("trigger_type", "away"), [("ABOVE", 0.01), ("BELOW", -0.01)])
def test_a_single_one_waits_and_becomes_an_order_at_its_price(desk: Desk, trigger_type: str, away: float) -> None:
    item = desk.future("BANKNIFTY")
    gtt_id = place(desk, item, "SINGLE", rule("ENTRY", trigger_type, desk.near(item, away)))
    assert rules_of(desk, gtt_id)["ENTRY"].status == "SCHEDULED"
    assert desk.sdk.rows() == []
    desk.drive(item, 1.5 * away)
    desk.pass_time(5)
    entry = rules_of(desk, gtt_id)["ENTRY"]
    assert entry.status in ("OPEN", "COMPLETED")
    facts = desk.agreed(entry.order_id)
    assert (facts.quantity, facts.transaction) == (item.lot_size, BUY)
    assert facts.status is (BrokerStatus.FILLED if entry.status == "COMPLETED" else BrokerStatus.OPEN)
    desk.drive(item, -1.5 * away)


@pytest.mark.parametrize(("leaves_by", "drive"), [("TARGET", 0.02), ("STOPLOSS", -0.02)])
def test_an_entry_with_target_and_stop_leaves_by_one_and_drops_the_other(
    desk: Desk, leaves_by: str, drive: float
) -> None:
    item = desk.stock("RELIANCE")
    gtt_id = place(
        desk, item, "MULTIPLE", rule("ENTRY", "IMMEDIATE", desk.near(item, 0.01)),
        rule("TARGET", "IMMEDIATE", desk.near(item, 0.015)), rule("STOPLOSS", "IMMEDIATE", desk.near(item, -0.015)),
    )  # fmt: skip
    rules = rules_of(desk, gtt_id)
    assert {name: each.status for name, each in rules.items()} == {
        "ENTRY": "COMPLETED", "TARGET": "SCHEDULED", "STOPLOSS": "SCHEDULED"
    }  # fmt: skip
    assert desk.agreed(rules["ENTRY"].order_id).status is BrokerStatus.FILLED
    desk.drive(item, drive)
    desk.pass_time(5)
    rules = rules_of(desk, gtt_id)
    other = "STOPLOSS" if leaves_by == "TARGET" else "TARGET"
    assert (rules[leaves_by].status, rules[other].status) == ("COMPLETED", "CANCELLED")
    assert rules[leaves_by].transaction_type == "SELL"
    assert desk.agreed(rules[leaves_by].order_id).status is BrokerStatus.FILLED
    positions = desk.loop(desk.ours.account.positions())
    assert [position.quantity for position in positions] == [0]
    desk.drive(item, -drive)


def test_the_exits_wait_until_the_entry_has_filled(desk: Desk) -> None:
    item = desk.stock()
    gtt_id = place(
        desk, item, "MULTIPLE", rule("ENTRY", "BELOW", desk.near(item, -0.02)),
        rule("STOPLOSS", "IMMEDIATE", desk.near(item, -0.04)),
    )  # fmt: skip
    assert {name: each.status for name, each in rules_of(desk, gtt_id).items()} == {
        "ENTRY": "SCHEDULED", "STOPLOSS": "PENDING"
    }  # fmt: skip


def test_a_waiting_one_is_changed(desk: Desk) -> None:
    item = desk.stock()
    gtt_id = place(desk, item, "SINGLE", rule("ENTRY", "BELOW", desk.near(item, -0.02)))
    request = upstox_client.GttModifyOrderRequest(
        type="SINGLE", quantity=7, rules=[rule("ENTRY", "BELOW", desk.near(item, -0.05))], gtt_order_id=gtt_id
    )
    assert desk.sdk.v3.modify_gtt_order(request).data.gtt_order_ids == [gtt_id]
    found = desk.sdk.v3.get_gtt_order_details(gtt_order_id=gtt_id).data[0]
    assert (found.quantity, found.rules[0].status) == (7, "SCHEDULED")
    assert found.rules[0].trigger_price == desk.near(item, -0.05) / 100


def test_a_waiting_one_is_cancelled_once(desk: Desk) -> None:
    item = desk.stock()
    gtt_id = place(
        desk, item, "MULTIPLE", rule("ENTRY", "BELOW", desk.near(item, -0.02)),
        rule("TARGET", "IMMEDIATE", desk.near(item, 0.04)),
    )  # fmt: skip
    request = upstox_client.GttCancelOrderRequest(gtt_order_id=gtt_id)
    assert desk.sdk.v3.cancel_gtt_order(request).data.gtt_order_ids == [gtt_id]
    assert {each.status for each in rules_of(desk, gtt_id).values()} == {"CANCELLED"}
    with pytest.raises(ApiException, match="UDAPI100040"):
        desk.sdk.v3.cancel_gtt_order(request)
    desk.drive(item, -0.03)
    desk.pass_time(3)
    assert desk.sdk.rows() == []
    desk.drive(item, 0.03)


def test_an_entry_that_is_rejected_takes_its_exits_along(desk: Desk) -> None:
    desk.fund(1)
    item = desk.stock()
    gtt_id = place(
        desk, item, "MULTIPLE", rule("ENTRY", "IMMEDIATE", desk.near(item, 0.01)),
        rule("TARGET", "IMMEDIATE", desk.near(item, 0.04)),
    )  # fmt: skip
    rules = rules_of(desk, gtt_id)
    assert (rules["ENTRY"].status, rules["TARGET"].status) == ("FAILED", "CANCELLED")
    assert rules["ENTRY"].message
    assert desk.agreed(rules["ENTRY"].order_id).status is BrokerStatus.REJECTED


@pytest.mark.parametrize(
    ("kind", "rules", "code"),
    [
        ("SINGLE", [("TARGET", "ABOVE", 0.02)], "UDAPI100038"),
        ("MULTIPLE", [("ENTRY", "ABOVE", 0.02)], "UDAPI100038"),
        ("MULTIPLE", [("ENTRY", "ABOVE", 0.02), ("ENTRY", "ABOVE", 0.03)], "UDAPI100038"),
        ("SINGLE", [("ENTRY", "ABOVE", -0.02)], "UDAPI1036"),
        ("SINGLE", [("ENTRY", "BELOW", 0.02)], "UDAPI1036"),
    ],
)
def test_rules_that_make_no_standing_order(
    desk: Desk, kind: str, rules: list[tuple[str, str, float]], code: str
) -> None:
    item = desk.stock()
    made = [rule(strategy, trigger, desk.near(item, share)) for strategy, trigger, share in rules]
    with pytest.raises(ApiException, match=code):
        place(desk, item, kind, *made)
    assert desk.sdk.v3.get_gtt_order_details().data == []


def test_one_of_another_account_is_not_there(desk: Desk, open_desk) -> None:
    item = desk.stock()
    gtt_id = place(desk, item, "SINGLE", rule("ENTRY", "BELOW", desk.near(item, -0.02)))
    with pytest.raises(ApiException, match="UDAPI100010"):
        open_desk().sdk.v3.get_gtt_order_details(gtt_order_id=gtt_id)
    desk.placed(desk.ours, desk.ask(item, BUY, MARKET))
