"""When answers go missing: an outcome nobody told is unknown to both hands, and the order is found by its tag."""

import asyncio
from collections.abc import Iterator

import pytest
from testkit.dhan_hands import AdapterHand, SdkHand, code, data
from testkit.dhan_market import Desk, Market
from testkit.dhan_streams import until
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.account import SessionState
from tradebus.brokers.dhan import DhanClient, DhanEndpoints, DhanOrders, DhanSettings
from tradebus.brokers.errors import TokenExpired
from tradebus.contracts.orders import OrderType
from tradebus.trading.orders import BrokerStatus, Result

LIMIT = OrderType.LIMIT
DONE = ["ACCEPT_THEN_DROP", "ACCEPT_THEN_ERROR", "EMPTY", "TRUNCATED"]
NOT_DONE = ["DROP", "SERVER_ERROR", "HTML"]
ON_PLACING = {"endpoint": "POST /v2/orders", "count": 1}


@pytest.fixture(autouse=True)
def _no_faults(market: Market) -> Iterator[None]:
    yield
    market.box.on_loop(market.box.faults.clear)


@pytest.mark.parametrize("fault", DONE)
def test_an_order_that_was_taken_without_a_word_is_unknown_and_found_by_its_tag(desk: Desk, fault: str) -> None:
    desk.market.box.fault(fault, account=desk.account, **ON_PLACING)
    assert desk.place(desk.ask(desk.market.share, LIMIT, tag="lost"), Result.UNKNOWN) == ""
    by_sdk, by_adapter = desk.sdk.find("lost"), desk.adapter.find("lost")
    assert by_sdk is not None
    assert by_sdk == by_adapter
    desk.facts(by_sdk.order_id, BrokerStatus.OPEN, filled=0)


@pytest.mark.parametrize("fault", NOT_DONE)
def test_an_order_that_never_arrived_is_unknown_and_then_certainly_absent(desk: Desk, fault: str) -> None:
    desk.market.box.fault(fault, account=desk.account, status=503, **ON_PLACING)
    desk.place(desk.ask(desk.market.share, LIMIT, tag="lost"), Result.UNKNOWN)
    assert desk.sdk.find("lost") is None
    lookup = desk.market.run(desk.adapter.orders.find_by_tag(desk.account, "lost"))
    assert (lookup.order, lookup.definitive) == (None, True)


@pytest.mark.parametrize("fault", [*DONE, *NOT_DONE])
def test_a_cancellation_without_an_answer_is_unknown_and_the_book_knows(desk: Desk, fault: str) -> None:
    order_id = desk.place(desk.ask(desk.market.share, LIMIT))
    desk.market.box.fault(fault, account=desk.account, endpoint="DELETE /v2/orders/*", count=1)
    desk.must(desk.hand.cancel(order_id), Result.UNKNOWN)
    desk.facts(order_id, BrokerStatus.CANCELLED if fault in DONE else BrokerStatus.OPEN, filled=0)


@pytest.mark.parametrize("fault", ["ACCEPT_THEN_DROP", "HTML"])
def test_a_change_without_an_answer_is_unknown_and_the_book_knows(desk: Desk, fault: str) -> None:
    ask = desk.ask(desk.market.share, LIMIT)
    order_id = desk.place(ask)
    desk.market.box.fault(fault, account=desk.account, endpoint="PUT /v2/orders/*", count=1)
    desk.must(desk.hand.modify(order_id, quantity=3, price_paise=ask.price_paise), Result.UNKNOWN)
    desk.facts(order_id, BrokerStatus.OPEN, quantity=3 if fault in DONE else 1)


def test_an_answer_that_comes_too_late_is_none(desk: Desk) -> None:
    url, market = desk.market.box.dhan_url, desk.market
    if desk.hand is desk.sdk:
        desk.hand = SdkHand(url, desk.token, account=desk.account, timeout_seconds=0.05)
    else:
        desk.hand = AdapterHand(
            url, desk.token, account=desk.account, listings=market.listings, run=market.run, request_seconds=0.05
        )
    market.box.fault("DELAY", account=desk.account, seconds=0.2, **ON_PLACING)
    desk.place(desk.ask(market.share, LIMIT, tag="late"), Result.UNKNOWN)
    until(lambda: desk.sdk.find("late") is not None, "late order in the book")
    assert desk.sdk.find("late") == desk.adapter.find("late")


def test_too_many_requests_are_a_refusal_that_did_nothing(desk: Desk) -> None:
    desk.market.box.fault("TOO_MANY", account=desk.account, **ON_PLACING)
    desk.place(desk.ask(desk.market.share, LIMIT), Result.REFUSED)
    assert desk.adapter.book() == []


@pytest.mark.parametrize("fault", ["TOO_MANY", "SERVER_ERROR", "HTML", "DROP", "TRUNCATED"])
def test_a_book_that_could_not_be_read_is_asked_for_again_by_us_and_failed_by_the_sdk(
    one_desk: Desk, fault: str
) -> None:
    order_id = one_desk.place(one_desk.ask(one_desk.market.share, LIMIT))
    for _ in range(2):
        one_desk.market.box.fault(fault, account=one_desk.account, endpoint="GET /v2/orders", count=1)
    reply = one_desk.sdk.dhan.get_order_list()
    assert reply["status"] == "failure"
    assert isinstance(reply["remarks"], dict) == (fault in ("TOO_MANY", "SERVER_ERROR"))
    assert [each.order_id for each in one_desk.adapter.book()] == [order_id]


def test_an_empty_book_is_no_book(one_desk: Desk) -> None:
    order_id = one_desk.place(one_desk.ask(one_desk.market.share, LIMIT))
    one_desk.market.box.fault("EMPTY", account=one_desk.account, endpoint="GET /v2/orders", count=2)
    assert one_desk.sdk.dhan.get_order_list()["status"] == "failure"
    assert one_desk.market.run(one_desk.adapter.orders.order_book(one_desk.account)) is None
    assert [each.order_id for each in one_desk.adapter.book()] == [order_id]


def test_an_ended_login_is_told_as_one(one_desk: Desk) -> None:
    market = one_desk.market
    market.box.on_loop(market.box.exchange.log_out, one_desk.token)
    assert code(one_desk.sdk.dhan.get_order_list()) == "DH-901"
    one_desk.must(one_desk.sdk.place(one_desk.ask(market.share, LIMIT)), Result.REFUSED)
    one_desk.must(one_desk.adapter.place(one_desk.ask(market.share, LIMIT)), Result.REFUSED)
    assert market.run(one_desk.adapter.session.check()) is SessionState.EXPIRED
    with pytest.raises(TokenExpired):
        market.run(one_desk.adapter.account.margins())


def test_our_adapter_renews_an_ended_login_once_and_the_order_goes_through(one_desk: Desk) -> None:
    market = one_desk.market
    asked: list[str] = []

    async def refresh() -> str:
        asked.append(await asyncio.to_thread(market.box.token, "dhan", one_desk.account))
        return asked[-1]

    settings = DhanSettings(
        one_desk.account, one_desk.token, endpoints=DhanEndpoints.at(market.box.dhan_url), refresh=refresh
    )
    client = DhanClient(settings, timers=WALL_TIMERS)
    one_desk.adapter.orders = DhanOrders(client, listing_of=market.listings.at, instrument_of=market.listings.place_of)
    market.box.on_loop(market.box.exchange.log_out, one_desk.token)
    found = one_desk.adapter.place(one_desk.ask(market.share, LIMIT, tag="renewed"))
    one_desk.must(found, Result.ACCEPTED)
    assert len(asked) == 1
    again = SdkHand(market.box.dhan_url, asked[0], account=one_desk.account)
    assert again.find("renewed") == one_desk.adapter.find("renewed")
    client.close()


def test_another_clients_id_does_not_go_with_a_token(one_desk: Desk) -> None:
    other = SdkHand(one_desk.market.box.dhan_url, one_desk.token, account="1999999999")
    assert code(other.dhan.get_fund_limits()) == "DH-901"


def test_nothing_of_a_fault_remains(one_desk: Desk) -> None:
    one_desk.market.box.fault("SERVER_ERROR", account=one_desk.account, count=1)
    assert code(one_desk.sdk.dhan.get_fund_limits()) == "DH-908"
    assert data(one_desk.sdk.dhan.get_fund_limits())["dhanClientId"] == one_desk.account
