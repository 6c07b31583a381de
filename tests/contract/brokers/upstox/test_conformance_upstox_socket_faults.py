"""What may happen to a socket: our feed goes on with the right numbers, and order updates are hints that may repeat."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
from testkit.upstox_desk import BUY, LIMIT, Desk
from testkit.upstox_hands import listing_of

from services.sandbox.ports import SandboxInstrument
from tradebus.brokers.feed import FeedEvent, FeedEventKind, FeedMode
from tradebus.brokers.sockets import SocketTiming
from tradebus.brokers.upstox import UpstoxFeed, UpstoxOrderUpdates
from tradebus.trading.orders import BrokerOrder, BrokerStatus

TIMING = SocketTiming(first_delay_seconds=0.02, last_delay_seconds=0.2, silent_seconds=1.0)
PATIENT = SocketTiming(
    first_delay_seconds=0.02, last_delay_seconds=0.2, silent_seconds=20.0
)  # a busy machine is no loss
GONE = ["DISCONNECT", "SILENT", "HALF_OPEN"]
SPOILT = ["TRUNCATED_FRAME", "DUPLICATE", "STACKED"]


@pytest.fixture(autouse=True)
def no_fault_is_left(desk: Desk) -> None:
    """On a busy machine a feed may have gone by itself before the fault of the test before this one struck."""
    desk.box.on_loop(desk.box.faults.clear)


def prices(desk: Desk, items: list[SandboxInstrument]) -> list[int]:
    quotes = desk.box.on_loop(lambda: desk.box.exchange.quotes["price_paise"].copy())
    return [int(quotes[item.index]) for item in items]


def follow(
    desk: Desk, items: list[SandboxInstrument], *, until: Callable[[list[FeedEvent]], bool],
    timing: SocketTiming = TIMING,
) -> list[FeedEvent]:  # fmt: skip
    """Lets the market run until `until` holds for what the feed told, then until the feed shows where it stands.

    A price in a spoilt frame comes with its instrument's next one: where the feed shows another, the market goes on.
    """

    async def following() -> list[FeedEvent]:
        feed = UpstoxFeed(desk.ours.client, timing=timing)
        await feed.subscribe({item.index: listing_of(item) for item in items}, FeedMode.FULL)
        places = {item.index: number for number, item in enumerate(items)}
        seen, events, batches = [0] * len(items), list[FeedEvent](), 0

        async def run_market() -> None:
            while True:
                await asyncio.to_thread(desk.pass_time, 1.0)
                await asyncio.sleep(0.02)
                if batches > 5 and until(events) and await shows(await asyncio.to_thread(prices, desk, items)):
                    await feed.close()
                    return

        async def shows(wanted: list[int]) -> bool:
            for _ in range(50):
                if seen == wanted:
                    return True
                await asyncio.sleep(0.02)  # it is asked fifty times, and then the market goes on
            return False

        running = asyncio.create_task(run_market())
        async with asyncio.timeout(60):
            async for told in feed.batches():
                if isinstance(told, FeedEvent):
                    events.append(told)
                    continue
                batches += 1
                for quote in told:
                    seen[places[int(quote["instrument"])]] = int(quote["price_paise"])
        await running
        return events

    return desk.loop(following())


@pytest.mark.parametrize("kind", GONE)
def test_a_feed_that_died_comes_back_subscribed(desk: Desk, kind: str) -> None:
    desk.box.fault(kind, broker="upstox", endpoint="feed", account=desk.account, skip=2, count=1)
    events = follow(
        desk, [desk.stock(), desk.future()],
        until=lambda events: sum(event.kind is FeedEventKind.CONNECTED for event in events) == 2,
    )  # fmt: skip
    assert FeedEventKind.DISCONNECTED in [event.kind for event in events]
    assert FeedEventKind.REFUSED not in [event.kind for event in events]


@pytest.mark.parametrize("kind", SPOILT)
def test_a_feed_goes_on_over_spoilt_frames(desk: Desk, kind: str) -> None:
    desk.box.fault(kind, broker="upstox", endpoint="feed", account=desk.account, skip=2, count=2)
    events = follow(desk, [desk.stock(), desk.index(), desk.options()[0]], until=lambda _: True, timing=PATIENT)
    assert [event for event in events if event.kind is FeedEventKind.DISCONNECTED] == []


@pytest.mark.parametrize("kind", ["DUPLICATE", "SHUFFLE_UPDATES"])
def test_updates_may_repeat_and_overtake_each_other(desk: Desk, kind: str) -> None:
    """Both speak of the same order, and the book has the last word."""
    desk.box.fault(kind, broker="upstox", endpoint="orders", account=desk.account, count=1)
    item, by_key = desk.stock(), {one.upstox_key: one.index for one in desk.instruments}
    ask = desk.ask(item, BUY, LIMIT, price=desk.near(item, -0.02))

    def act() -> None:
        order_id = desk.sdk.place(ask).broker_order_id
        assert order_id is not None
        desk.sdk.modify(order_id, quantity=2, price_paise=ask.price_paise)
        desk.sdk.cancel(order_id)

    async def following() -> list[BrokerOrder]:
        stream = UpstoxOrderUpdates(
            desk.ours.client, account=desk.account, timing=TIMING,
            instrument_of=lambda _segment, key: by_key.get(key),
        )  # fmt: skip
        heard: list[BrokerOrder] = []
        async with asyncio.timeout(30):
            async for update in stream.updates():
                if isinstance(update, BrokerOrder):
                    heard.append(update)
                elif update.kind is FeedEventKind.CONNECTED and not heard:
                    await asyncio.to_thread(act)
                if any(order.status is BrokerStatus.CANCELLED for order in heard):
                    await stream.close()
        return heard

    heard = desk.loop(following())
    assert len({order.broker_order_id for order in heard}) == 1
    assert desk.agreed(heard[0].broker_order_id).status is BrokerStatus.CANCELLED


def test_a_handshake_that_is_cut_is_tried_again(desk: Desk) -> None:
    desk.box.fault("DROP", broker="upstox", endpoint="WS /market-data-feeder/*", count=1)
    events = follow(desk, [desk.stock()], until=lambda _: True)
    kinds = [event.kind for event in events]
    assert kinds[:2] == [FeedEventKind.DISCONNECTED, FeedEventKind.CONNECTED]


def test_many_frames_at_once_are_read_in_order(desk: Desk) -> None:
    """A minute of market passes before anybody reads."""
    items = [desk.stock(), desk.future()]

    async def following() -> list[int]:
        feed = UpstoxFeed(desk.ours.client, timing=SocketTiming(first_delay_seconds=0.02))
        await feed.subscribe({item.index: listing_of(item) for item in items}, FeedMode.PRICE)
        at_ns: list[int] = []
        expected: list[int] = []
        last = dict.fromkeys((item.index for item in items), 0)
        async with asyncio.timeout(30):
            async for told in feed.batches():
                if isinstance(told, FeedEvent):
                    continue
                for quote in told:
                    assert quote["ts_event_ns"] >= 0
                    if int(quote["instrument"]) == items[1].index:
                        at_ns.append(int(quote["ts_event_ns"]))
                    last[int(quote["instrument"])] = int(quote["price_paise"])
                if not expected:
                    for _ in range(10):
                        await asyncio.to_thread(desk.pass_time, 6)
                    expected = await asyncio.to_thread(prices, desk, items)
                if list(last.values()) == expected:
                    await feed.close()
        return at_ns

    at_ns = desk.loop(following())
    assert at_ns == sorted(at_ns)
    assert len(np.unique(at_ns)) > 10
