"""Order updates: what the official ticker hands to its callback, and what our order stream says of the same acts."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from kiteconnect import KiteTicker
from testkit.kite_desk import ACCOUNT, BUY, FUTURE, SELL, SHARE, KiteDesk
from testkit.kite_line import QUICK, SECONDS, line

from services.sandbox.faces.kite.logins import SANDBOX_API_SECRET
from tradebus.brokers.feed import FeedEvent
from tradebus.brokers.kite import KiteOrderUpdates
from tradebus.contracts.orders import OrderType
from tradebus.trading.orders import BrokerOrder, BrokerStatus, Result

MARKET, LIMIT, SL_M = OrderType.MARKET, OrderType.LIMIT, OrderType.SL_M


def _updates(desk: KiteDesk, act: Callable[[], None], count: int) -> tuple[list[dict[str, Any]], list[BrokerOrder]]:
    """What the official text parser hands to on_order_update, and what our order stream yields, for the same acts."""
    ours: list[BrokerOrder] = []
    theirs: list[dict[str, Any]] = []
    official = KiteTicker("key", "token")
    official.on_order_update = lambda _ws, data: theirs.append(data)

    async def follow(started: asyncio.Event, stream: KiteOrderUpdates) -> None:
        async for item in stream.updates():
            if isinstance(item, FeedEvent):
                started.set()
                continue
            ours.append(item)
            if len(ours) == count:
                return

    async def both() -> None:
        stream = KiteOrderUpdates(
            desk.adapter.client, account=ACCOUNT, timing=QUICK,
            instrument_of=lambda _exchange, token: int(token),
        )  # fmt: skip
        started = asyncio.Event()
        following = asyncio.create_task(follow(started, stream))
        async with asyncio.timeout(SECONDS):
            await started.wait()
            await asyncio.to_thread(act)
            await following
        await stream.close()

    with line(desk) as ticker:
        coroutine: Coroutine[Any, Any, None] = both()
        desk.loop(coroutine)
        while len(theirs) < count:
            official._parse_text_message(json.dumps(ticker.message()).encode())
    return theirs, ours


def test_a_fill_is_told_to_both_once_and_a_placement_is_not(desk: KiteDesk) -> None:
    ask = desk.ask(SHARE, MARKET)
    theirs, ours = _updates(desk, lambda: _accept(desk.sdk.place(ask).result), 1)
    assert (theirs[0]["status"], theirs[0]["tag"]) == ("COMPLETE", ask.tag)
    _is_to_be_looked_up(desk, ours[0])
    assert theirs[0]["unfilled_quantity"] == 0


def test_an_orders_life_is_told_to_both_in_the_same_words(desk: KiteDesk) -> None:
    ask = desk.ask(SHARE, LIMIT, side=SELL, price=-2)

    def act() -> None:
        order_id = desk.sdk.place(ask).broker_order_id or ""
        desk.sdk.modify(order_id, quantity=3, price_paise=ask.price_paise)
        desk.sdk.cancel(order_id)

    theirs, ours = _updates(desk, act, 2)
    assert [data["status"] for data in theirs] == ["UPDATE", "CANCELLED"]
    assert [order.status for order in ours] == [BrokerStatus.OPEN, BrokerStatus.CANCELLED]
    assert [order.quantity for order in ours] == [data["quantity"] for data in theirs] == [3, 3]


def test_a_stop_that_was_triggered_and_filled_is_told_once(desk: KiteDesk) -> None:
    ask = desk.ask(SHARE, SL_M, trigger=0.5)

    def act() -> None:
        desk.sdk.place(ask)
        desk.shock(SHARE, 0.01)

    theirs, ours = _updates(desk, act, 1)
    assert [data["status"] for data in theirs] == ["COMPLETE"]
    _is_to_be_looked_up(desk, ours[-1])


def test_a_rejection_is_told_with_its_reason(desk: KiteDesk) -> None:
    ask = desk.ask(FUTURE, LIMIT, price=-15)
    theirs, ours = _updates(desk, lambda: _accept(desk.sdk.place(ask).result), 1)
    assert (theirs[0]["status"], ours[0].status) == ("REJECTED", BrokerStatus.REJECTED)
    assert "band" in theirs[0]["status_message"]
    assert ours[0].reason == theirs[0]["status_message"]


def test_an_update_is_signed_with_the_apps_secret(desk: KiteDesk) -> None:
    theirs, _ = _updates(desk, lambda: _accept(desk.sdk.place(desk.ask(SHARE, MARKET, side=BUY)).result), 1)
    signed = f"{theirs[0]['order_id']}{theirs[0]['order_timestamp']}{SANDBOX_API_SECRET}"
    assert theirs[0]["checksum"] == hashlib.sha256(signed.encode()).hexdigest()


@pytest.mark.parametrize("kind", ["DUPLICATE", "SHUFFLE_UPDATES"])
def test_updates_twice_or_out_of_order_are_told_as_they_come(desk: KiteDesk, kind: str) -> None:
    """The stream is a hint: what both say of the order in the end is what its book says."""
    desk.box.fault(kind, broker="kite", endpoint="orders", count=2)
    ask = desk.ask(SHARE, LIMIT, side=SELL, price=-2)

    def act() -> None:
        order_id = desk.sdk.place(ask).broker_order_id or ""
        desk.sdk.modify(order_id, quantity=3, price_paise=ask.price_paise)
        desk.sdk.cancel(order_id)

    theirs, ours = _updates(desk, act, 2)
    expected = ["UPDATE", "UPDATE"] if kind == "DUPLICATE" else ["CANCELLED", "UPDATE"]
    assert [data["status"] for data in theirs] == expected
    assert sorted(order.status for order in ours) == sorted(
        BrokerStatus.OPEN if word == "UPDATE" else BrokerStatus.CANCELLED for word in expected
    )
    assert desk.agreed(theirs[0]["order_id"]).status is BrokerStatus.CANCELLED


def _accept(result: Result) -> None:
    assert result is Result.ACCEPTED


def _is_to_be_looked_up(desk: KiteDesk, told: BrokerOrder) -> None:
    """Kite does not say what it was filled at; the book does."""
    assert (told.status, told.fills) == (BrokerStatus.UNKNOWN, ())
    agreed = desk.agreed(told.broker_order_id)
    assert (agreed.status, told.filled_quantity, told.tag) == (BrokerStatus.FILLED, told.quantity, agreed.tag)
