"""Live data and order updates from Kite: subscriptions that survive a reconnect, limits, refusals, no secret shown."""

import asyncio
import json
import struct
from contextlib import aclosing

import numpy as np
import pytest
from testkit.fuzz_kite import frame_of
from testkit.kite_ticker import KiteTickerServer
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.feed import FeedEvent, FeedEventKind, FeedMode
from tradebus.brokers.kite import KiteFeed, KiteOrderUpdates
from tradebus.brokers.kite.client import KiteClient
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.sockets import SocketTiming
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.kernel.errors import InvalidInput
from tradebus.trading.orders import BrokerOrder, BrokerStatus

TOKEN = "secret-access+token/1"
QUICK = SocketTiming(first_delay_seconds=0.01, last_delay_seconds=0.02, connect_seconds=2.0)


def listing(number: int, *, token: str = "") -> ListedInstrument:
    token = token or str((1_000 + number) * 256 + 1)
    return ListedInstrument(InstrumentKey(Segment.NSE, f"S{number}"), token, "NSE", f"S{number}", 1, 5)


def token_of(number: int) -> int:
    return (1_000 + number) * 256 + 1


def ltp_frame(*prices: tuple[int, int]) -> bytes:
    return frame_of([struct.pack(">II", token_of(number), price) for number, price in prices])


@pytest.fixture
async def ticker():
    async with KiteTickerServer(TOKEN) as server:
        yield server


async def take(items, count):
    async with asyncio.timeout(10):
        return [await anext(items) for _ in range(count)]


async def until(items, wanted):
    async with asyncio.timeout(10):
        async for item in items:
            if wanted(item):
                return item
    raise AssertionError("ended")


def is_event(kind):
    return lambda item: isinstance(item, FeedEvent) and item.kind is kind


async def test_subscriptions_are_said_on_every_connection(ticker):
    feed = KiteFeed(KiteClient(ticker.settings(), timers=WALL_TIMERS), timing=QUICK)
    await feed.subscribe({1: listing(1), 2: listing(2)}, FeedMode.FULL)
    await feed.subscribe({3: listing(3)}, FeedMode.PRICE)
    expected = [
        {"a": "subscribe", "v": [token_of(3)]}, {"a": "mode", "v": ["ltp", [token_of(3)]]},
        {"a": "subscribe", "v": [token_of(1), token_of(2)]}, {"a": "mode", "v": ["full", [token_of(1), token_of(2)]]},
    ]  # fmt: skip
    async with aclosing(feed.batches()) as items:
        assert (await take(items, 1))[0].kind is FeedEventKind.CONNECTED
        assert await ticker.until_told(0, 4) == expected
        await ticker.open[0].close()
        assert [item.kind for item in await take(items, 2)] == [FeedEventKind.DISCONNECTED, FeedEventKind.CONNECTED]
        assert await ticker.until_told(1, 4) == expected
        await feed.close()
    assert ticker.queries[0] == {"api_key": ["apikey"], "access_token": [TOKEN]}


async def test_changes_while_connected_are_said_at_once_and_remembered(ticker):
    feed = KiteFeed(KiteClient(ticker.settings(), timers=WALL_TIMERS), timing=QUICK)
    await feed.subscribe({1: listing(1)}, FeedMode.QUOTE)
    async with aclosing(feed.batches()) as items:
        await take(items, 1)
        await ticker.until_told(0, 2)
        await feed.subscribe({1: listing(1), 2: listing(2)}, FeedMode.FULL)
        await feed.unsubscribe([1, 77])
        told = await ticker.until_told(0, 5)
        assert told[2:] == [
            {"a": "subscribe", "v": [token_of(1), token_of(2)]},
            {"a": "mode", "v": ["full", [token_of(1), token_of(2)]]},
            {"a": "unsubscribe", "v": [token_of(1)]},
        ]
        await ticker.open[0].send(ltp_frame((1, 100), (2, 200)))
        [batch] = await take(items, 1)
        assert list(batch["instrument"]) == [2]
        assert feed.skipped == 1
        await ticker.open[0].close()
        await take(items, 2)
        assert (await ticker.until_told(1, 2))[0] == {"a": "subscribe", "v": [token_of(2)]}


async def test_what_has_arrived_is_one_batch_in_order(ticker):
    feed = KiteFeed(KiteClient(ticker.settings(), timers=WALL_TIMERS), timing=QUICK)
    await feed.subscribe({1: listing(1), 2: listing(2)}, FeedMode.PRICE)
    async with aclosing(feed.batches()) as items:
        await take(items, 1)
        for price in range(1, 101):
            await ticker.open[0].send(ltp_frame((1, price), (2, 1000 + price)))
            await ticker.open[0].send(b"\x00")
        prices: list[int] = []
        while len(prices) < 200:
            [batch] = await take(items, 1)
            prices += [int(price) for price in batch["price_paise"]]
    assert prices[0::2] == list(range(1, 101))
    assert prices[1::2] == list(range(1001, 1101))


async def test_words_of_the_broker_come_without_the_token(ticker):
    feed = KiteFeed(KiteClient(ticker.settings(), timers=WALL_TIMERS), timing=QUICK)
    await feed.subscribe({1: listing(1)}, FeedMode.PRICE)
    async with aclosing(feed.batches()) as items:
        await take(items, 1)
        await ticker.open[0].send(json.dumps({"type": "error", "data": f"bad {TOKEN}"}))
        [event] = await take(items, 1)
        assert event == FeedEvent(FeedEventKind.NOTICE, "error: bad ***")


async def test_three_thousand_instruments_a_connection_and_three_connections(ticker):
    feed = KiteFeed(KiteClient(ticker.settings(), timers=WALL_TIMERS), timing=QUICK)
    await feed.subscribe({number: listing(number) for number in range(9_000)}, FeedMode.PRICE)
    with pytest.raises(InvalidInput, match="room for 0: Kite allows 3,000 on each of 3 connections"):
        await feed.subscribe({9_000: listing(9_000)}, FeedMode.PRICE)
    await feed.unsubscribe([5])
    await feed.subscribe({9_000: listing(9_000)}, FeedMode.PRICE)
    async with aclosing(feed.batches()) as items:
        await take(items, 3)
        told = [(await ticker.until_told(connection, 2))[0]["v"] for connection in range(3)]
        assert [len(tokens) for tokens in told] == [3_000] * 3
        assert len(set().union(*told)) == 9_000
        for connection in ticker.open:
            await connection.send(ltp_frame((7, 7), (3_007, 8), (6_007, 9), (9_000, 10)))
        seen: set[int] = set()
        while len(seen) < 4:
            [batch] = await take(items, 1)
            seen |= {int(instrument) for instrument in batch["instrument"]}
    assert seen == {7, 3_007, 6_007, 9_000}


async def test_a_connection_is_added_while_running(ticker):
    feed = KiteFeed(KiteClient(ticker.settings(), timers=WALL_TIMERS), timing=QUICK, connections=2)
    async with aclosing(feed.batches()) as items:
        first = asyncio.ensure_future(anext(items))
        await asyncio.sleep(0)
        await feed.subscribe({1: listing(1)}, FeedMode.PRICE)
        assert (await first).kind is FeedEventKind.CONNECTED
        await feed.subscribe({number: listing(number) for number in range(2, 3_002)}, FeedMode.PRICE)
        assert (await take(items, 1))[0].text == "kite feed 2"
        assert len((await ticker.until_told(1, 2))[0]["v"]) == 1
        with pytest.raises(InvalidInput, match="2 connections"):
            await feed.subscribe({number: listing(number) for number in range(4_000, 8_000)}, FeedMode.PRICE)


@pytest.mark.parametrize("token", ["", "x", "-257", "259", str(2**40 + 1), "１"])
async def test_what_has_no_token_of_a_known_segment_is_named(ticker, token):
    feed = KiteFeed(KiteClient(ticker.settings(), timers=WALL_TIMERS))
    bad = ListedInstrument(InstrumentKey(Segment.NSE, "BAD"), token, "NSE", "BADSYMBOL", 1, 5)
    with pytest.raises(InvalidInput, match="BADSYMBOL"):
        await feed.subscribe({1: listing(1), 2: bad}, FeedMode.PRICE)
    await feed.subscribe({2: listing(1)}, FeedMode.PRICE)  # nothing of the refused call was kept


async def test_one_token_cannot_be_two_instruments(ticker):
    feed = KiteFeed(KiteClient(ticker.settings(), timers=WALL_TIMERS))
    await feed.subscribe({1: listing(1)}, FeedMode.PRICE)
    for clash in ({2: listing(1)}, {1: listing(2)}):
        with pytest.raises(InvalidInput, match="clashes"):
            await feed.subscribe(clash, FeedMode.PRICE)
    await feed.unsubscribe([1])
    await feed.subscribe({2: listing(1)}, FeedMode.PRICE)


async def test_a_refused_login_ends_the_feed_and_shows_no_token(ticker):
    ticker.tokens.clear()
    feed = KiteFeed(KiteClient(ticker.settings(access_token=TOKEN), timers=WALL_TIMERS), timing=QUICK)
    await feed.subscribe({1: listing(1)}, FeedMode.PRICE)
    async with asyncio.timeout(10):
        events = [item async for item in feed.batches()]
    assert [event.kind for event in events] == [FeedEventKind.REFUSED]
    assert "secret" not in str(events)
    assert len(ticker.queries) == 1


async def test_a_refused_login_is_renewed_once(ticker):
    fresh = iter(["another-secret-token", "third-secret-token"])

    async def refresh():
        return next(fresh)

    ticker.tokens = {"another-secret-token"}
    feed = KiteFeed(KiteClient(ticker.settings(access_token=TOKEN, refresh=refresh), timers=WALL_TIMERS), timing=QUICK)
    await feed.subscribe({1: listing(1)}, FeedMode.PRICE)
    async with aclosing(feed.batches()) as items:
        assert (await take(items, 1))[0].kind is FeedEventKind.CONNECTED
        assert [query["access_token"] for query in ticker.queries] == [[TOKEN], ["another-secret-token"]]
        ticker.tokens.clear()
        await ticker.open[0].close()
        await until(items, is_event(FeedEventKind.REFUSED))
    assert ticker.queries[-1]["access_token"] == ["third-secret-token"]


async def test_a_connection_without_heartbeats_is_given_up(ticker):
    timing = SocketTiming(first_delay_seconds=0.01, last_delay_seconds=0.02, silent_seconds=0.1)
    feed = KiteFeed(KiteClient(ticker.settings(), timers=WALL_TIMERS), timing=timing)
    await feed.subscribe({1: listing(1)}, FeedMode.PRICE)
    async with aclosing(feed.batches()) as items:
        kinds = [item.kind for item in await take(items, 3)]
    assert kinds == [FeedEventKind.CONNECTED, FeedEventKind.DISCONNECTED, FeedEventKind.CONNECTED]


async def test_close_ends_a_feed_that_waits(ticker):
    for subscribed in (False, True):
        feed = KiteFeed(KiteClient(ticker.settings(), timers=WALL_TIMERS), timing=QUICK)
        if subscribed:
            await feed.subscribe({1: listing(1)}, FeedMode.PRICE)
        reading = asyncio.create_task(collect(feed))
        await asyncio.sleep(0.1)  # it waits by then; a close that comes earlier ends it as well
        await feed.close()
        async with asyncio.timeout(5):
            await reading


async def collect(feed):
    return [item async for item in feed.batches()]


@pytest.mark.parametrize("connections", [0, 4])
def test_more_connections_than_kite_allows_are_refused(connections):
    from tradebus.brokers.kite import KiteSettings

    with pytest.raises(InvalidInput, match="connections"):
        KiteFeed(KiteClient(KiteSettings("apikey"), timers=WALL_TIMERS), connections=connections)


UPDATE = {
    "user_id": "AB1234", "order_id": "261125000000001", "status": "UPDATE", "status_message": None,
    "order_timestamp": "2026-11-25 10:00:00", "exchange_update_timestamp": "2026-11-25 10:00:01", "variety": "regular",
    "exchange": "NSE", "tradingsymbol": "S1", "instrument_token": 256257, "transaction_type": "BUY", "quantity": 10,
    "filled_quantity": 4, "trigger_price": 0, "tag": "tb0123456789abcdefgh", "unfilled_quantity": 6,
}  # fmt: skip


def order_frame(**changes) -> str:
    return json.dumps({"type": "order", "id": "", "data": UPDATE | changes})


async def test_order_updates_are_orders_of_the_book(ticker):
    stream = KiteOrderUpdates(
        KiteClient(ticker.settings(), timers=WALL_TIMERS),
        instrument_of=lambda *names: {("NSE", "256257"): 1}.get(names), timing=QUICK,
    )  # fmt: skip
    async with aclosing(stream.updates()) as items:
        assert (await take(items, 1))[0].kind is FeedEventKind.CONNECTED
        connection = ticker.open[0]
        for frame in (
            b"\x00", ltp_frame((1, 5)), "no json", '{"type":"other"}', order_frame(), order_frame(quantity="ten"),
            order_frame(status="COMPLETE", filled_quantity=10), '{"type":"message","data":"hello"}',
        ):  # fmt: skip
            await connection.send(frame)
        first, unreadable, last, notice = await take(items, 4)
        await stream.close()
    assert isinstance(first, BrokerOrder)
    assert (first.account, first.instrument, first.status) == ("AB1234", 1, BrokerStatus.OPEN)
    assert (first.filled_quantity, first.fills) == (4, ()), "the trades are looked up by whoever needs them"
    assert unreadable.kind is FeedEventKind.NOTICE
    assert "quantity" in unreadable.text
    assert (last.status, last.filled_quantity) == (BrokerStatus.UNKNOWN, 10)
    assert notice == FeedEvent(FeedEventKind.NOTICE, "message: hello")
    assert ticker.told[0] == []


async def test_order_updates_connect_again_with_a_new_token_and_prices_go_on(ticker):
    client = KiteClient(ticker.settings(), timers=WALL_TIMERS)
    stream, feed = KiteOrderUpdates(client, instrument_of=lambda *_: None, timing=QUICK), KiteFeed(client, timing=QUICK)
    await feed.subscribe({1: listing(1)}, FeedMode.FULL)
    async with aclosing(feed.batches()) as prices, aclosing(stream.updates()) as items:
        await take(prices, 1)
        await take(items, 1)
        ticker.tokens.add("another-token")
        client.use_token("another-token")
        assert [item.kind for item in await take(items, 2)] == [FeedEventKind.DISCONNECTED, FeedEventKind.CONNECTED]
        assert [one["access_token"] for one in ticker.queries] == [[TOKEN], [TOKEN], ["another-token"]]
        await ticker.open[0].send(ltp_frame((1, 100)))
        [batch] = await take(prices, 1)
        assert list(batch["instrument"]) == [1]
        await stream.close()
        await feed.close()


async def test_an_update_does_not_tell_an_end_whose_fills_it_has_not(ticker):
    stream = KiteOrderUpdates(
        KiteClient(ticker.settings(), timers=WALL_TIMERS), instrument_of=lambda *_: None, account="s1", timing=QUICK
    )
    async with aclosing(stream.updates()) as items:
        await take(items, 1)
        for status, filled in (("COMPLETE", 10), ("CANCELLED", 4), ("CANCELLED", 0), ("REJECTED", 0)):
            await ticker.open[0].send(order_frame(status=status, filled_quantity=filled))
        orders = await take(items, 4)
    assert [order.status for order in orders] == [
        BrokerStatus.UNKNOWN, BrokerStatus.UNKNOWN, BrokerStatus.CANCELLED, BrokerStatus.REJECTED
    ]  # fmt: skip
    assert [order.filled_quantity for order in orders] == [10, 4, 0, 0]
    assert {order.account for order in orders} == {"s1"}


async def test_the_batches_of_a_feed_can_be_kept(ticker):
    """A later frame does not write into the memory of an earlier one."""
    feed = KiteFeed(KiteClient(ticker.settings(), timers=WALL_TIMERS), timing=QUICK)
    await feed.subscribe({1: listing(1)}, FeedMode.PRICE)
    async with aclosing(feed.batches()) as items:
        await take(items, 1)
        kept = []
        for price in (5, 6):
            await ticker.open[0].send(ltp_frame((1, price)))
            kept += await take(items, 1)
    assert [int(np.asarray(batch)["price_paise"][0]) for batch in kept] == [5, 6]
