"""When the line or the broker fails: what is known, what is unknown, and that an unknown order is found by its tag."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from kiteconnect import exceptions as kite_errors
from testkit.kite_desk import ACCOUNT, HANDS, SHARE, KiteDesk
from testkit.kite_hands import AdapterHand, SdkHand
from testkit.sandbox import sandbox

from tradebus.brokers.errors import Malformed, NoAnswer, Throttled
from tradebus.contracts.orders import OrderType
from tradebus.trading.orders import BrokerStatus, Outcome, Result

MARKET, LIMIT = OrderType.MARKET, OrderType.LIMIT
PLACE, MODIFY, CANCEL = "POST /orders/*", "PUT /orders/*", "DELETE /orders/*"
UNDONE = ("DROP", "SERVER_ERROR", "HTML")
DONE = ("ACCEPT_THEN_DROP", "ACCEPT_THEN_ERROR", "EMPTY", "TRUNCATED")


@pytest.mark.parametrize("by", HANDS)
@pytest.mark.parametrize("kind", DONE)
def test_an_order_whose_answer_was_lost_is_unknown_and_found_by_its_tag(desk: KiteDesk, kind: str, by: str) -> None:
    desk.box.fault(kind, broker="kite", endpoint=PLACE, count=1)
    ask = desk.ask(SHARE, MARKET)
    outcome = desk.hand(by).place(ask)
    assert (outcome.result, outcome.broker_order_id) == (Result.UNKNOWN, None)
    found = desk.agreed_by_tag(ask.tag)
    assert found is not None
    assert found.status is BrokerStatus.FILLED
    assert desk.agreed(found.order_id) == found
    assert [row["tag"] for row in desk.sdk.kite.orders()].count(ask.tag) == 1


@pytest.mark.parametrize("by", HANDS)
@pytest.mark.parametrize("kind", UNDONE)
def test_an_order_that_never_arrived_is_unknown_and_then_known_to_be_absent(desk: KiteDesk, kind: str, by: str) -> None:
    desk.box.fault(kind, broker="kite", endpoint=PLACE, count=1, status=503)
    ask = desk.ask(SHARE, MARKET)
    assert desk.hand(by).place(ask).result is Result.UNKNOWN
    assert desk.agreed_by_tag(ask.tag) is None
    lookup = desk.adapter.run(desk.adapter.orders.find_by_tag(ACCOUNT, ask.tag))
    assert (lookup.order, lookup.definitive) == (None, True)


@pytest.mark.parametrize("by", HANDS)
@pytest.mark.parametrize(("kind", "result"), [("TOO_MANY", Result.REFUSED), ("SERVER_ERROR", Result.UNKNOWN)])
def test_a_429_is_a_refusal_and_a_500_is_not(desk: KiteDesk, kind: str, result: Result, by: str) -> None:
    desk.box.fault(kind, broker="kite", endpoint=PLACE, count=1)
    ask = desk.ask(SHARE, LIMIT, price=-2)
    assert desk.hand(by).place(ask).result is result
    assert desk.agreed_by_tag(ask.tag) is None


def test_a_429_has_kites_own_words(desk: KiteDesk) -> None:
    desk.box.fault("TOO_MANY", broker="kite", endpoint="GET /user/*", count=1)
    with pytest.raises(kite_errors.NetworkException, match="Too many requests") as caught:
        desk.sdk.kite.profile()
    assert caught.value.code == 429


@contextmanager
def impatient(desk: KiteDesk, name: str, seconds: float) -> Iterator[AdapterHand | SdkHand]:
    """A hand that waits for an answer no longer than this."""
    if name == "sdk":
        yield SdkHand(desk.url, desk.token, timeout_seconds=seconds)
        return
    hand = AdapterHand(desk.url, desk.token, account=ACCOUNT, run=desk.loop, request_seconds=seconds)
    hand.know(desk.listing(SHARE))
    yield hand
    hand.client.close()


@pytest.mark.parametrize("by", HANDS)
def test_an_order_that_was_not_answered_in_time_is_unknown_and_may_still_come(desk: KiteDesk, by: str) -> None:
    desk.box.fault("DELAY", broker="kite", endpoint=PLACE, count=1, seconds=4.0)
    ask = desk.ask(SHARE, LIMIT, price=-2)
    with impatient(desk, by, 0.2) as hand:
        outcome: Outcome = hand.place(ask)
    assert outcome.result is Result.UNKNOWN
    assert desk.agreed_by_tag(ask.tag) is None  # the order is still on its way


@pytest.mark.parametrize("by", HANDS)
@pytest.mark.parametrize("kind", DONE)
def test_a_cancellation_whose_answer_was_lost_is_unknown_and_the_book_says_what_it_did(
    desk: KiteDesk, kind: str, by: str
) -> None:
    resting = desk.placed(by, desk.ask(SHARE, LIMIT, price=-2))
    desk.box.fault(kind, broker="kite", endpoint=CANCEL, count=1)
    assert desk.hand(by).cancel(resting.order_id).result is Result.UNKNOWN
    assert desk.agreed(resting.order_id).status is BrokerStatus.CANCELLED


@pytest.mark.parametrize("by", HANDS)
@pytest.mark.parametrize("kind", ["ACCEPT_THEN_DROP", "DROP"])
def test_a_modification_without_an_answer_is_unknown(desk: KiteDesk, kind: str, by: str) -> None:
    ask = desk.ask(SHARE, LIMIT, price=-2)
    resting = desk.placed(by, ask)
    desk.box.fault(kind, broker="kite", endpoint=MODIFY, count=1)
    outcome = desk.hand(by).modify(resting.order_id, quantity=9, price_paise=ask.price_paise)
    assert outcome.result is Result.UNKNOWN
    assert desk.agreed(resting.order_id).quantity == (9 if kind == "ACCEPT_THEN_DROP" else 1)


# Reads may be repeated: the SDK's user sees every failure, our adapter's only what does not pass.


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("TOO_MANY", kite_errors.NetworkException),
        ("SERVER_ERROR", kite_errors.GeneralException),
        ("HTML", kite_errors.DataException),
        ("EMPTY", kite_errors.DataException),
        ("TRUNCATED", requests.RequestException),
        ("DROP", requests.RequestException),
    ],
)
def test_a_read_that_fails_once_is_an_exception_of_the_sdk_and_nothing_to_the_adapter(
    desk: KiteDesk, kind: str, error: type[Exception]
) -> None:
    desk.box.fault(kind, broker="kite", endpoint="GET /user/margins", count=1)
    with pytest.raises(error):
        desk.sdk.kite.margins()
    good = desk.sdk.kite.margins()["equity"]["net"]
    if kind == "EMPTY":
        return  # an answer that is none is not asked for again: see below
    desk.box.fault(kind, broker="kite", endpoint="GET /user/margins", count=1)
    assert desk.loop(desk.adapter.account.margins()).available_paise == round(good * 100)


@pytest.mark.parametrize(
    ("kind", "error"),
    [("TOO_MANY", Throttled), ("SERVER_ERROR", NoAnswer), ("HTML", NoAnswer), ("EMPTY", Malformed), ("DROP", NoAnswer)],
)
def test_a_read_that_always_fails_is_told_by_what_to_do_about_it(
    desk: KiteDesk, kind: str, error: type[Exception]
) -> None:
    desk.box.fault(kind, broker="kite", endpoint="GET /user/margins")
    with pytest.raises(error) as caught:
        desk.loop(desk.adapter.account.margins())
    assert desk.token not in str(caught.value)


@pytest.mark.parametrize("kind", ["DROP", "SERVER_ERROR", "HTML", "TRUNCATED", "EMPTY"])
def test_a_book_that_cannot_be_read_says_nothing_of_what_is_in_it(desk: KiteDesk, kind: str) -> None:
    desk.box.fault(kind, broker="kite", endpoint="GET /orders")
    assert desk.adapter.run(desk.adapter.orders.order_book(ACCOUNT)) is None
    lookup = desk.adapter.run(desk.adapter.orders.find_by_tag(ACCOUNT, "nosuchtag"))
    assert (lookup.order, lookup.definitive) == (None, False)


# The broker's own limits, by its own calendar seconds; the market's clock stands, so a second lasts until it is moved.


@pytest.fixture(scope="module")
def strict_desk() -> Iterator[KiteDesk]:
    with sandbox(seed=7, start="2026-11-25T10:00:00", speed=0, instruments=1, limit_scale=1) as box:
        desk = KiteDesk(box)
        yield desk
        desk.close()


def test_the_eleventh_order_of_a_second_is_refused_and_the_next_second_takes_it(strict_desk: KiteDesk) -> None:
    desk = strict_desk
    ask = desk.ask(SHARE, LIMIT, price=-2)
    outcomes = [desk.sdk.place(ask).result for _ in range(11)]
    assert outcomes == [Result.ACCEPTED] * 10 + [Result.REFUSED]
    desk.advance(1.0)
    assert desk.sdk.place(ask).result is Result.ACCEPTED


def test_the_second_quote_of_a_second_is_refused(strict_desk: KiteDesk) -> None:
    strict_desk.advance(1.0)
    strict_desk.sdk.kite.ltp(SHARE)
    with pytest.raises(kite_errors.NetworkException) as caught:
        strict_desk.sdk.kite.ltp(SHARE)
    assert caught.value.code == 429


def test_another_account_has_limits_of_its_own(strict_desk: KiteDesk) -> None:
    strict_desk.advance(1.0)
    other = SdkHand(strict_desk.url, strict_desk.new_token("OTHER"))
    strict_desk.sdk.kite.ltp(SHARE)
    assert other.kite.ltp(SHARE)
