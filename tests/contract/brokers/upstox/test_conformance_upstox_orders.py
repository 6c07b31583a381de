"""Every type and product of order, its changes and its end: through the official SDK and through our adapter.

Each case runs with both hands; after each step both read the book and say the same of the order.
"""

from collections.abc import Callable

import pytest
from testkit.broker_hands import Facts, Hand
from testkit.upstox_desk import BUY, LIMIT, MARKET, SELL, SL, SL_M, Desk
from testkit.upstox_hands import Ask

from services.sandbox.ports import SandboxInstrument
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerStatus, Product, Result

CARRIED = Product.CARRY
INSTRUMENTS: dict[str, Callable[[Desk], SandboxInstrument]] = {
    "stock": lambda desk: desk.stock(),
    "future": lambda desk: desk.future(),
    "option": lambda desk: desk.options()[0],
}
KINDS: dict[str, tuple[OrderType, float, float]] = {  # type, price and trigger as shares of the last price
    "market": (MARKET, 0, 0),
    "limit through the market": (LIMIT, 0.02, 0),
    "limit away from it": (LIMIT, -0.02, 0),
    "stop limit": (SL, 0.04, 0.03),
    "stop market": (SL_M, 0, 0.03),
}
ENDS = {
    "market": BrokerStatus.FILLED, "limit through the market": BrokerStatus.FILLED,
    "limit away from it": BrokerStatus.OPEN, "stop limit": BrokerStatus.TRIGGER_PENDING,
    "stop market": BrokerStatus.TRIGGER_PENDING,
}  # fmt: skip
# The exchange takes no stop-market orders in options.
PLACED = [
    (name, kind, product)
    for name in INSTRUMENTS
    for kind in KINDS
    for product in (Product.INTRADAY, CARRIED)
    if (name, kind) != ("option", "stop market")
]


def ask_of(desk: Desk, name: str, kind: str, product: Product, side: Transaction = BUY) -> Ask:
    item, (order_type, price, trigger) = INSTRUMENTS[name](desk), KINDS[kind]
    sign = 1 if side is BUY else -1
    return desk.ask(
        item, side, order_type, product=product, price=desk.near(item, sign * price) if price else None,
        trigger=desk.near(item, sign * trigger) if trigger else None,
    )  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "product"), PLACED, ids=lambda value: str(value).replace(" ", "-"))
def test_an_order_is_placed_and_both_say_the_same_of_it(desk: Desk, name: str, kind: str, product: Product) -> None:
    for hand in desk.hands:
        desk.pass_time()
        ask = ask_of(desk, name, kind, product)
        facts = desk.placed(hand, ask)
        assert facts.status is ENDS[kind], facts
        assert (facts.quantity, facts.transaction, facts.instrument) == (ask.quantity, BUY, ask.instrument.index)
        assert facts.trigger_paise == ask.trigger_paise
        filled = ask.quantity if facts.status is BrokerStatus.FILLED else 0
        assert facts.filled_quantity == filled
        assert (facts.value_paise > 0) == bool(filled)


@pytest.mark.parametrize("name", ["future", "option"])
@pytest.mark.parametrize("kind", list(ENDS)[:4], ids=lambda value: value.replace(" ", "-"))
def test_a_short_order_is_placed(desk: Desk, name: str, kind: str) -> None:
    for hand in desk.hands:
        desk.pass_time()
        facts = desk.placed(hand, ask_of(desk, name, kind, Product.INTRADAY, SELL))
        assert (facts.status, facts.transaction) == (ENDS[kind], SELL)


def resting(desk: Desk, hand: Hand, *, lots: int = 2, tag: str | None = None) -> tuple[SandboxInstrument, str]:
    """A limit order below the market."""
    item = desk.future()
    desk.pass_time()
    facts = desk.placed(hand, desk.ask(item, BUY, LIMIT, lots=lots, price=desk.near(item, -0.02), tag=tag))
    assert facts.status is BrokerStatus.OPEN
    return item, facts.order_id


def test_a_changed_price_through_the_market_fills(desk: Desk) -> None:
    for hand in desk.hands:
        item, order_id = resting(desk, hand)
        outcome = hand.modify(order_id, quantity=2 * item.lot_size, price_paise=desk.near(item, 0.02))
        assert (outcome.result, outcome.broker_order_id) == (Result.ACCEPTED, order_id)
        assert desk.agreed(order_id).status is BrokerStatus.FILLED


def test_a_changed_quantity_is_the_new_total(desk: Desk) -> None:
    for hand in desk.hands:
        item, order_id = resting(desk, hand)
        price = desk.near(item, -0.02)
        assert hand.modify(order_id, quantity=5 * item.lot_size, price_paise=price).result is Result.ACCEPTED
        facts = desk.agreed(order_id)
        assert (facts.quantity, facts.status) == (5 * item.lot_size, BrokerStatus.OPEN)


def test_a_stop_is_moved_by_its_trigger(desk: Desk) -> None:
    for hand in desk.hands:
        desk.pass_time()
        item = desk.future()
        ask = desk.ask(item, SELL, SL, price=desk.near(item, -0.04), trigger=desk.near(item, -0.03))
        order_id = desk.placed(hand, ask).order_id
        trigger = desk.near(item, -0.02)
        outcome = hand.modify(
            order_id, quantity=item.lot_size, price_paise=desk.near(item, -0.03), trigger_paise=trigger
        )
        assert outcome.result is Result.ACCEPTED
        facts = desk.agreed(order_id)
        assert (facts.status, facts.trigger_paise) == (BrokerStatus.TRIGGER_PENDING, trigger)


def test_an_open_order_is_cancelled(desk: Desk) -> None:
    for hand in desk.hands:
        _, order_id = resting(desk, hand)
        assert hand.cancel(order_id).result is Result.ACCEPTED
        facts = desk.agreed(order_id)
        assert (facts.status, facts.filled_quantity) == (BrokerStatus.CANCELLED, 0)


def test_a_waiting_stop_is_cancelled(desk: Desk) -> None:
    for hand in desk.hands:
        desk.pass_time()
        item = desk.future()
        ask = desk.ask(item, SELL, SL_M, trigger=desk.near(item, -0.03))
        order_id = desk.placed(hand, ask).order_id
        assert hand.cancel(order_id).result is Result.ACCEPTED
        assert desk.agreed(order_id).status is BrokerStatus.CANCELLED


@pytest.mark.parametrize("change", ["modify", "cancel"])
def test_an_order_that_has_ended_takes_no_change(desk: Desk, change: str) -> None:
    for hand in desk.hands:
        item, order_id = resting(desk, hand)
        assert hand.cancel(order_id).result is Result.ACCEPTED
        price = desk.near(item, -0.01)
        outcome = (
            hand.cancel(order_id)
            if change == "cancel"
            else hand.modify(order_id, quantity=item.lot_size, price_paise=price)
        )
        assert outcome.result is Result.REFUSED
        assert ("UDAPI100040" if change == "cancel" else "UDAPI100041") in outcome.reason
        assert desk.agreed(order_id).status is BrokerStatus.CANCELLED


def test_an_order_nobody_placed_cannot_be_cancelled(desk: Desk) -> None:
    for hand in desk.hands:
        outcome = hand.cancel("990101000000001")
        assert outcome.result is Result.REFUSED
        assert "UDAPI100010" in outcome.reason


def filled_in_part(desk: Desk, hand: Hand) -> Facts:
    """A limit order at the best offer, for more than stands there."""
    desk.pass_time()
    item = desk.stock()
    quote = desk.quote(item)
    best, there = int(quote["ask_paise"][0]), int(quote["ask_quantity"][0])
    facts = desk.placed(hand, desk.ask(item, BUY, LIMIT, lots=there + 10, price=best))
    assert (facts.status, facts.quantity, facts.filled_quantity) == (BrokerStatus.OPEN, there + 10, there)
    assert facts.value_paise == there * best
    return facts


def test_an_order_beyond_what_stands_there_fills_in_part(desk: Desk) -> None:
    for hand in desk.hands:
        order_id = filled_in_part(desk, hand).order_id
        row = desk.sdk.row(order_id)
        assert (row.pending_quantity, row.status) == (10, "open")


def test_an_order_filled_in_part_and_cancelled_keeps_its_fills(desk: Desk) -> None:
    for hand in desk.hands:
        before = filled_in_part(desk, hand)
        assert hand.cancel(before.order_id).result is Result.ACCEPTED
        facts = desk.agreed(before.order_id)
        assert (facts.status, facts.filled_quantity) == (BrokerStatus.CANCELLED, before.filled_quantity)


def test_an_order_filled_in_part_cannot_be_made_smaller_than_its_fills(desk: Desk) -> None:
    for hand in desk.hands:
        before = filled_in_part(desk, hand)
        outcome = hand.modify(
            before.order_id, quantity=before.filled_quantity - 1, price_paise=desk.near(desk.stock(), 0)
        )
        assert outcome.result is Result.REFUSED
        assert desk.agreed(before.order_id).quantity == before.quantity


@pytest.mark.parametrize("kind", ["stop limit", "stop market"], ids=["stop-limit", "stop-market"])
def test_a_stop_wakes_when_the_market_comes_to_it(desk: Desk, kind: str) -> None:
    for hand in desk.hands:
        desk.pass_time()
        item = desk.future("FINNIFTY")
        order_type = KINDS[kind][0]
        price = desk.near(item, -0.03) if order_type is SL else None
        order_id = desk.placed(
            hand, desk.ask(item, SELL, order_type, price=price, trigger=desk.near(item, -0.01))
        ).order_id
        desk.drive(item, -0.015)
        desk.pass_time(3)
        facts = desk.agreed(order_id)
        assert (facts.status, facts.filled_quantity) == (BrokerStatus.FILLED, item.lot_size)
        desk.drive(item, 0.015)


def test_an_order_is_found_by_its_tag(desk: Desk) -> None:
    for number, hand in enumerate(desk.hands):
        tag = f"tag{number}x7"
        _, order_id = resting(desk, hand, tag=tag)
        found = [either.find(tag) for either in desk.hands]
        assert found[0] == found[1]
        assert found[0] is not None
        assert found[0].order_id == order_id
        assert all(either.find("tag9x9") is None for either in desk.hands)


def test_a_market_order_carries_the_protection_it_asks_for(desk: Desk) -> None:
    for hand in desk.hands:
        desk.pass_time()
        item = desk.stock()
        facts = desk.placed(hand, desk.ask(item, BUY, MARKET, protection=3.0))
        assert facts.status is BrokerStatus.FILLED
        row = desk.sdk.row(facts.order_id)
        assert row.order_type == "LIMIT"  # what protection makes of it
        assert row.price == pytest.approx(desk.price(item) * 1.03 / 100, rel=0.005)
