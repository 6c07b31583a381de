"""What the network and the broker's servers may do to a request: an order that may be live is never called refused.

Both hands meet each fault; what our adapter does not know it finds by the tag.
"""

from collections.abc import Callable

import pytest
from testkit.broker_hands import Hand
from testkit.upstox_desk import BUY, LIMIT, MARKET, Desk
from testkit.upstox_hands import Ask
from testkit.waiting import eventually

from tradebus.trading.orders import BrokerStatus, Outcome, Result

PLACE, MODIFY, CANCEL, BOOK = (
    "POST /v3/order/place", "PUT /v3/order/modify", "DELETE /v3/order/cancel", "GET /v2/order/retrieve-all"
)  # fmt: skip
DONE_AND_NOT_TOLD = ["ACCEPT_THEN_DROP", "ACCEPT_THEN_ERROR", "EMPTY", "TRUNCATED"]
NOT_DONE = ["DROP", "SERVER_ERROR", "HTML"]


def strike(desk: Desk, kind: str, endpoint: str, **rule: object) -> None:
    desk.box.fault(kind, broker="upstox", endpoint=endpoint, account=desk.account, **{"count": 1, **rule})


def orders_of(desk: Desk) -> int:
    """How many the exchange has, asked of itself."""
    return len(desk.box.on_loop(desk.box.exchange.orders, desk.account))


@pytest.mark.parametrize("kind", DONE_AND_NOT_TOLD)
def test_an_order_that_was_taken_and_not_confirmed_is_unknown_and_found_by_its_tag(desk: Desk, kind: str) -> None:
    for number, hand in enumerate(desk.hands):
        ask = desk.ask(desk.stock(), BUY, MARKET)
        strike(desk, kind, PLACE)
        assert hand.place(ask).result is Result.UNKNOWN
        assert orders_of(desk) == number + 1
        found = [either.find(ask.tag) for either in desk.hands]
        assert found[0] == found[1]
        assert found[0] is not None
        assert found[0].status is BrokerStatus.FILLED


@pytest.mark.parametrize("kind", NOT_DONE)
def test_an_order_that_never_arrived_is_unknown_until_the_book_says_that_it_is_not_there(desk: Desk, kind: str) -> None:
    for hand in desk.hands:
        ask = desk.ask(desk.stock(), BUY, MARKET)
        strike(desk, kind, PLACE)
        assert hand.place(ask).result is Result.UNKNOWN
        assert orders_of(desk) == 0
        lookup = desk.loop(desk.ours.orders.find_by_tag(desk.account, ask.tag))
        assert (lookup.order, lookup.definitive) == (None, True)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_no_server_error_is_a_refusal(desk: Desk, status: int) -> None:
    for hand in desk.hands:
        strike(desk, "ACCEPT_THEN_ERROR", PLACE, status=status)
        assert hand.place(desk.ask(desk.stock(), BUY, MARKET)).result is Result.UNKNOWN
    assert orders_of(desk) == 2


def test_an_answer_that_comes_too_late_is_unknown_and_the_order_is_found(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(request_seconds=0.1)
    ask = desk.ask(desk.stock(), BUY, MARKET)
    strike(desk, "DELAY", PLACE, seconds=0.2)
    assert desk.ours.place(ask).result is Result.UNKNOWN
    found = eventually(lambda: desk.ours.find(ask.tag))
    assert found.status is BrokerStatus.FILLED
    assert orders_of(desk) == 1


def test_too_many_requests_is_a_refusal_of_an_order(desk: Desk) -> None:
    for hand in desk.hands:
        strike(desk, "TOO_MANY", PLACE)
        outcome = hand.place(desk.ask(desk.stock(), BUY, MARKET))
        assert outcome.result is Result.REFUSED
        assert "UDAPI10005" in outcome.reason
    assert orders_of(desk) == 0


def resting(desk: Desk, hand: Hand) -> tuple[Ask, str]:
    ask = desk.ask(desk.stock(), BUY, LIMIT, price=desk.near(desk.stock(), -0.02))
    return ask, desk.placed(hand, ask).order_id


@pytest.mark.parametrize("kind", DONE_AND_NOT_TOLD)
@pytest.mark.parametrize("what", ["modify", "cancel"])
def test_a_change_that_was_taken_and_not_confirmed_is_unknown_and_the_book_has_it(
    desk: Desk, what: str, kind: str
) -> None:
    ask, order_id = resting(desk, desk.ours)
    strike(desk, kind, MODIFY if what == "modify" else CANCEL)
    outcome: Outcome = (
        desk.ours.cancel(order_id)
        if what == "cancel"
        else desk.ours.modify(order_id, quantity=9, price_paise=ask.price_paise)
    )
    assert outcome.result is Result.UNKNOWN
    facts = desk.agreed(order_id)
    assert (facts.status, facts.quantity) == (
        (BrokerStatus.CANCELLED, 1) if what == "cancel" else (BrokerStatus.OPEN, 9)
    )


@pytest.mark.parametrize("kind", ["ACCEPT_THEN_DROP", "ACCEPT_THEN_ERROR", "TRUNCATED", *NOT_DONE, "TOO_MANY"])
def test_a_book_that_cannot_be_read_is_read_again(desk: Desk, kind: str) -> None:
    _, order_id = resting(desk, desk.sdk)
    strike(desk, kind, BOOK, count=2)
    facts = desk.ours.facts(order_id)
    assert facts == desk.sdk.facts(order_id)


def test_an_empty_book_is_no_book(desk: Desk) -> None:
    """A reply without a body is not a list without orders."""
    ask, _ = resting(desk, desk.sdk)
    strike(desk, "EMPTY", BOOK, count=2)
    assert desk.loop(desk.ours.orders.order_book(desk.account)) is None
    assert not desk.loop(desk.ours.orders.find_by_tag(desk.account, ask.tag)).definitive
    assert desk.ours.find(ask.tag) is not None


def test_a_book_that_can_never_be_read_says_nothing_for_certain(desk: Desk) -> None:
    """Not "there is no such order"."""
    ask, _ = resting(desk, desk.sdk)
    strike(desk, "SERVER_ERROR", BOOK, count=10)
    lookup = desk.loop(desk.ours.orders.find_by_tag(desk.account, ask.tag))
    assert (lookup.order, lookup.definitive) == (None, False)
    assert desk.loop(desk.ours.orders.order_book(desk.account)) is None


def test_the_sdk_alone_sends_a_change_again_and_our_adapter_does_not(desk: Desk) -> None:
    """Its transport repeats PUT and DELETE by itself when a connection is cut."""
    sent = []
    for hand in desk.hands:
        ask, order_id = resting(desk, hand)
        strike(desk, "ACCEPT_THEN_DROP", MODIFY)
        hand.modify(order_id, quantity=3, price_paise=ask.price_paise)
        order = desk.box.on_loop(desk.box.exchange.order, desk.account, order_id)
        assert order.request.quantity == 3
        sent.append(order.modifications)
    assert sent == [2, 1]
