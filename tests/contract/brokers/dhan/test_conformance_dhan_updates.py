"""Order updates: what the official client hears, what our stream hears, and what the book then says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from testkit.dhan_market import Desk, Market
from testkit.dhan_streams import SdkUpdates, until
from testkit.waiting import within

from tradebus.brokers.dhan import DhanOrderUpdates
from tradebus.brokers.feed import FeedEvent, FeedEventKind
from tradebus.brokers.sockets import SocketTiming
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerOrder, BrokerStatus

LIMIT = OrderType.LIMIT


@pytest.fixture(autouse=True)
def _quiet(market: Market, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    market.box.on_loop(market.box.faults.clear)
    capsys.readouterr()  # the official client prints the token


def _of_sdk(told: list[dict[str, Any]], order_id: str) -> list[dict[str, Any]]:
    return [message["Data"] for message in list(told) if message["Data"]["orderNo"] == order_id]


def _heard(desk: Desk, act: Callable[[], str], last: BrokerStatus | None, *, alerts: int = 1) -> list[BrokerOrder]:
    """What our stream tells of the order that `act` makes, until `last` (or so many alerts) came."""

    async def follow() -> list[BrokerOrder]:
        stream = _stream(desk)
        heard: list[BrokerOrder] = []
        order_id = ""
        async for item in stream.updates():
            if isinstance(item, FeedEvent):
                if item.kind is FeedEventKind.CONNECTED and not order_id:
                    order_id = await asyncio.to_thread(act)
                continue
            heard.append(item)
            if len(heard) >= alerts and (last is None or item.status is last):
                break
        await stream.close()
        return [each for each in heard if each.broker_order_id == order_id]

    return desk.market.run(within(10, follow()))


def _stream(desk: Desk) -> DhanOrderUpdates:
    return DhanOrderUpdates(
        desk.adapter.client, instrument_of=desk.market.listings.place_of,
        timing=SocketTiming(first_delay_seconds=0.01),
    )  # fmt: skip


def _listening(desk: Desk) -> SdkUpdates:
    """The official client, once it certainly hears."""
    updates = SdkUpdates(desk)

    def heard() -> bool:
        desk.sdk.place(desk.ask(desk.market.share, LIMIT, tag="hello"))
        return bool(updates.told)

    until(heard, "update in the official client")
    return updates


def test_both_hear_of_a_placement_a_change_and_a_cancellation(one_desk: Desk) -> None:
    updates, ask = _listening(one_desk), one_desk.ask(one_desk.market.share, LIMIT, tag="heard")

    def act() -> str:
        order_id = one_desk.sdk.place(ask).broker_order_id or ""
        one_desk.sdk.modify(order_id, quantity=4, price_paise=ask.price_paise)
        one_desk.sdk.cancel(order_id)
        return order_id

    heard = _heard(one_desk, act, BrokerStatus.CANCELLED)
    order_id = heard[0].broker_order_id
    until(lambda: _of_sdk(updates.told, order_id)[-1]["status"] == "Cancelled", "cancellation")
    by_sdk = _of_sdk(updates.told, order_id)
    assert [each["quantity"] for each in by_sdk] == [each.quantity for each in heard] == [1, 4, 4]
    assert [each.status for each in heard] == [BrokerStatus.OPEN, BrokerStatus.OPEN, BrokerStatus.CANCELLED]
    assert {each["correlationId"] for each in by_sdk} == {each.tag for each in heard} == {"heard"}
    one_desk.facts(order_id, BrokerStatus.CANCELLED, quantity=4)


def test_a_fill_is_heard_and_the_book_has_its_trades(one_desk: Desk) -> None:
    updates = _listening(one_desk)
    heard = _heard(
        one_desk, lambda: one_desk.place(one_desk.ask(one_desk.market.share, OrderType.MARKET)), last=None
    )  # fmt: skip
    order_id = heard[0].broker_order_id
    until(lambda: bool(_of_sdk(updates.told, order_id)), "fill")
    facts = one_desk.facts(order_id, BrokerStatus.FILLED, filled=1)
    last = _of_sdk(updates.told, order_id)[-1]
    assert (last["status"], last["tradedQty"], round(last["avgTradedPrice"] * 100)) == ("Traded", 1, facts.value_paise)
    assert heard[-1].filled_quantity == 1
    assert heard[-1].status is BrokerStatus.UNKNOWN  # fills have no numbers in the stream: look the order up


def test_a_rejection_is_heard_with_its_reason(one_desk: Desk) -> None:
    updates = _listening(one_desk)
    ask = one_desk.ask(one_desk.market.share, LIMIT, transaction=Transaction.SELL)
    far = replace(ask, price_paise=one_desk.market.touch(one_desk.market.share).upper + 1000)
    heard = _heard(one_desk, lambda: one_desk.place(far), BrokerStatus.REJECTED)
    until(lambda: bool(_of_sdk(updates.told, heard[0].broker_order_id)), "rejection")
    (told,) = _of_sdk(updates.told, heard[0].broker_order_id)
    assert told["status"] == "Rejected"
    assert told["reasonDescription"] == heard[0].reason
    assert "band" in heard[0].reason


def test_nobody_hears_of_anothers_orders(one_desk: Desk, market: Market) -> None:
    mine, other = _listening(one_desk), market.desk()
    theirs = other.place(other.ask(market.share, LIMIT))
    own = one_desk.place(one_desk.ask(market.share, LIMIT))
    until(lambda: bool(_of_sdk(mine.told, own)), "own order")
    assert _of_sdk(mine.told, theirs) == []


@pytest.mark.parametrize("fault", ["DUPLICATE", "SHUFFLE_UPDATES"])
def test_updates_twice_or_out_of_order_leave_the_book_as_it_is(one_desk: Desk, fault: str) -> None:
    ask = one_desk.ask(one_desk.market.share, LIMIT)

    def act() -> str:
        one_desk.market.box.fault(fault, endpoint="orders", account=one_desk.account)
        order_id = one_desk.place(ask)
        one_desk.sdk.cancel(order_id)
        return order_id

    heard = _heard(one_desk, act, last=None, alerts=4 if fault == "DUPLICATE" else 2)
    words = [each.status for each in heard]
    opened, ended = BrokerStatus.OPEN, BrokerStatus.CANCELLED
    assert words == ([opened, opened, ended, ended] if fault == "DUPLICATE" else [ended, opened])
    one_desk.facts(heard[0].broker_order_id, BrokerStatus.CANCELLED)


def test_a_lost_stream_comes_back_and_says_that_the_book_must_be_read(one_desk: Desk) -> None:
    async def follow() -> list[FeedEventKind]:
        stream, kinds = _stream(one_desk), []
        items: AsyncIterator[BrokerOrder | FeedEvent] = stream.updates()
        async for item in items:
            if not isinstance(item, FeedEvent):
                break
            kinds.append(item.kind)
            if item.kind is FeedEventKind.CONNECTED:
                await asyncio.to_thread(one_desk.place, one_desk.ask(one_desk.market.share, LIMIT))
        await stream.close()
        return kinds

    one_desk.market.box.fault("DISCONNECT", endpoint="orders", account=one_desk.account, count=1)
    kinds = one_desk.market.run(within(10, follow()))
    assert kinds == [FeedEventKind.CONNECTED, FeedEventKind.DISCONNECTED, FeedEventKind.CONNECTED]
    assert len(one_desk.adapter.book()) == 2  # the one whose update was lost is in the book


def test_a_bad_login_hears_nothing(one_desk: Desk, market: Market) -> None:
    market.box.on_loop(market.box.exchange.log_out, one_desk.token)
    updates = SdkUpdates(one_desk)
    updates.thread.join(5)
    assert not updates.thread.is_alive()
    assert updates.told == []
