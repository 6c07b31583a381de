"""The market feed: the SDK's own streamer and our feed on the same market, frame by frame the same numbers."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import upstox_client
from testkit.sandbox import Box
from testkit.upstox_desk import Desk
from testkit.upstox_hands import VERSION, listing_of
from testkit.upstox_streams import SdkStream, market_stream, sdk_sockets_at
from websocket import ABNF

from services.sandbox.ports import SandboxInstrument
from tradebus.brokers.feed import FeedEvent, FeedEventKind, FeedMode
from tradebus.brokers.sockets import SocketTiming
from tradebus.brokers.upstox import UpstoxDecoder, UpstoxFeed
from tradebus.contracts.records import QUOTE, QUOTE_HAS_DEPTH, QUOTE_HAS_LAST_QUANTITY, QUOTE_HAS_VOLUME, Records

MODES = {"ltpc": FeedMode.PRICE, "full": FeedMode.FULL, "option_greeks": FeedMode.QUOTE, "full_d30": None}
WORDS = {"ltpc": None, "full": "full_d5", "option_greeks": "option_greeks", "full_d30": "full_d30"}
PAISE = 100


@pytest.fixture(autouse=True)
def _sdk_goes_to_the_sandbox(box: Box) -> Iterator[None]:
    with sdk_sockets_at(box.upstox_url):
        yield


@pytest.fixture
def watched(desk: Desk) -> list[SandboxInstrument]:
    return [desk.stock(), desk.index(), desk.future(), *desk.options()[:2]]


def ltpc_of(feed: dict[str, Any]) -> dict[str, Any]:
    if "ltpc" in feed:
        return feed["ltpc"]
    if "firstLevelWithGreeks" in feed:
        return feed["firstLevelWithGreeks"]["ltpc"]
    return next(iter(feed["fullFeed"].values()))["ltpc"]


def market_part(feed: dict[str, Any]) -> dict[str, Any]:
    return feed.get("fullFeed", {}).get("marketFF", {}) or feed.get("firstLevelWithGreeks", {})


def assert_alike(stream: SdkStream, known: dict[str, int]) -> None:
    """Every frame: what the SDK made of it is what our decoder makes of it."""
    decoder = UpstoxDecoder(known)
    for frame, said in zip(stream.raw, stream.messages(), strict=True):
        quotes = decoder.decode(frame, received_ns=1).quotes
        feeds = said.get("feeds", {})
        assert {int(quote["instrument"]) for quote in quotes} == {known[key] for key in feeds}
        by_instrument = {int(quote["instrument"]): quote for quote in quotes}
        for key, feed in feeds.items():
            assert_quote_alike(by_instrument[known[key]], feed)


def assert_quote_alike(quote: np.void, feed: dict[str, Any]) -> None:
    ltpc, part = ltpc_of(feed), market_part(feed)
    assert quote["price_paise"] == round(ltpc.get("ltp", 0) * PAISE)
    assert quote["previous_close_paise"] == round(ltpc.get("cp", 0) * PAISE)
    assert quote["ts_last_trade_ns"] == int(ltpc.get("ltt", 0)) * 1_000_000
    if quote["fields"] & QUOTE_HAS_LAST_QUANTITY:
        assert quote["last_quantity"] == int(ltpc.get("ltq", 0))
    if quote["fields"] & QUOTE_HAS_VOLUME:
        assert quote["volume_cumulative"] == int(part.get("vtt", 0))
        assert quote["open_interest"] == part.get("oi", 0)
    levels = part.get("marketLevel", {}).get("bidAskQuote", [])[:5]
    if quote["fields"] & QUOTE_HAS_DEPTH and levels:
        assert quote["bid_paise"].tolist() == [round(level.get("bidP", 0) * PAISE) for level in levels]
        assert quote["ask_quantity"].tolist() == [int(level.get("askQ", 0)) for level in levels]


def types_of(stream: SdkStream) -> list[str]:
    """The enumeration's 0 is left out by the SDK's reading."""
    return [message.get("type", "initial_feed") for message in stream.messages()]


@pytest.mark.parametrize("mode", list(MODES))
def test_the_feed_begins_with_the_market_then_a_snapshot_then_changes(
    desk: Desk, watched: list[SandboxInstrument], mode: str
) -> None:
    keys = [item.upstox_key for item in watched]
    stream = market_stream(desk.sdk.client, keys, mode)
    stream.wait(lambda: len(stream.heard) >= 2, "no snapshot")
    market = desk.box.on_loop(lambda: desk.box.exchange.quotes[[item.index for item in watched]].copy())
    info, snapshot = stream.messages()[:2]
    assert info["marketInfo"]["segmentStatus"]["NSE_FO"] == "NORMAL_OPEN"
    assert set(snapshot["feeds"]) == set(keys)
    for item, quote in zip(watched, market, strict=True):
        feed = snapshot["feeds"][item.upstox_key]
        assert feed.get("requestMode") == WORDS[mode]
        assert round(ltpc_of(feed)["ltp"] * PAISE) == quote["price_paise"]
        assert round(ltpc_of(feed)["cp"] * PAISE) == quote["previous_close_paise"]
    desk.pass_time(3)
    stream.wait(lambda: len(stream.heard) >= 4, "nothing live")
    desk.pass_time()
    stream.close()
    assert types_of(stream)[:3] == ["market_info", "initial_feed", "live_feed"]
    assert set(types_of(stream)[2:]) == {"live_feed"}
    assert_alike(stream, {item.upstox_key: item.index for item in watched})


def test_a_full_feed_carries_depth_greeks_and_the_day(desk: Desk) -> None:
    item = desk.options()[0]
    stream = market_stream(desk.sdk.client, [item.upstox_key], "full")
    stream.wait(lambda: len(stream.heard) >= 2, "no snapshot")
    quote = desk.quote(item)
    stream.close()
    part = stream.messages()[1]["feeds"][item.upstox_key]["fullFeed"]["marketFF"]
    greeks = desk.box.on_loop(desk.box.exchange.greeks, item.index)
    assert part["optionGreeks"]["delta"] == pytest.approx(greeks.delta)
    assert part["iv"] == pytest.approx(greeks.implied_volatility)
    levels = part["marketLevel"]["bidAskQuote"]
    assert [round(level["askP"] * PAISE) for level in levels] == quote["ask_paise"].tolist()
    day = part["marketOHLC"]["ohlc"][0]
    assert (day["interval"], round(day["open"] * PAISE)) == ("1d", quote["open_paise"])
    assert (part["atp"], part["tbq"], part["tsq"]) == (
        quote["average_price_paise"] / PAISE, quote["total_buy_quantity"], quote["total_sell_quantity"]
    )  # fmt: skip


def test_thirty_levels_go_on_from_the_fifth(desk: Desk) -> None:
    item = desk.future()
    stream = market_stream(desk.sdk.client, [item.upstox_key], "full_d30")
    stream.wait(lambda: len(stream.heard) >= 2, "no snapshot")
    stream.close()
    levels = stream.messages()[1]["feeds"][item.upstox_key]["fullFeed"]["marketFF"]["marketLevel"]["bidAskQuote"]
    assert len(levels) == 30
    bids, asks = ([level[name] for level in levels] for name in ("bidP", "askP"))
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)


def test_the_minute_under_way_is_that_of_the_history(desk: Desk) -> None:
    item = desk.future()
    stream = market_stream(desk.sdk.client, [item.upstox_key], "full")
    stream.wait(lambda: len(stream.heard) >= 2, "no snapshot")
    for _ in range(10):
        desk.pass_time(8)
    now_ns = desk.box.on_loop(lambda: desk.box.exchange.now_ns)
    minute_ns = now_ns // 60_000_000_000 * 60_000_000_000

    price = desk.price(item)

    def newest() -> dict[str, Any] | None:
        """Of the last message, once it says the market's price."""
        feed = stream.last.get("feeds", {}).get(item.upstox_key)
        if feed is None or round(ltpc_of(feed)["ltp"] * PAISE) != price:
            return None
        found = [one for one in feed["fullFeed"]["marketFF"]["marketOHLC"]["ohlc"] if one["interval"] == "I1"]
        return found[0] if found and int(found[0]["ts"]) * 1_000_000 == minute_ns else None

    stream.wait(lambda: newest() is not None, "no candle of this minute")
    stream.close()
    candle = desk.box.on_loop(
        lambda: desk.box.exchange.history(item.index, timeframe_seconds=60, from_ns=minute_ns, to_ns=now_ns)
    )[-1]
    live = newest()
    assert live is not None
    assert [round(live[name] * PAISE) for name in ("open", "high", "low", "close")] == [
        candle[f"{name}_paise"] for name in ("open", "high", "low", "close")
    ]
    assert int(live.get("vol", 0)) == candle["volume"]


def test_modes_change_and_subscriptions_end(desk: Desk) -> None:
    one, other = desk.stock(), desk.future()
    stream = market_stream(desk.sdk.client, [one.upstox_key, other.upstox_key], "ltpc")
    stream.wait(lambda: len(stream.heard) >= 2, "no snapshot")
    stream.change_mode([one.upstox_key], "full")
    stream.wait(lambda: "fullFeed" in stream.last.get("feeds", {}).get(one.upstox_key, {}), "no change of mode")
    stream.unsubscribe([other.upstox_key])
    desk.pass_time(0.1)
    stream.wait(lambda: len(stream.heard) >= 3, "nothing")
    # What was asked for is read in order, so after a snapshot of a third key the end of the second is done too.
    third = desk.index()
    stream.subscribe([third.upstox_key], "ltpc")
    stream.wait(lambda: third.upstox_key in stream.last.get("feeds", {}), "no third")
    heard = len(stream.heard)
    desk.pass_time(5)
    stream.wait(lambda: len(stream.heard) >= heard + 2, "nothing live")
    stream.close()
    later = [message["feeds"] for message in stream.messages()[heard:]]
    assert all(other.upstox_key not in feeds for feeds in later)
    assert all("fullFeed" in feeds[one.upstox_key] for feeds in later if one.upstox_key in feeds)


def test_keys_that_nobody_knows_and_requests_that_are_none_are_passed_over(desk: Desk) -> None:
    item = desk.stock()
    stream = market_stream(desk.sdk.client, ["NSE_EQ|NOTHING"], "full")
    stream.opened()
    for said in (b"\xff\xfe", b"[]", b'{"method":"sub"}', b'{"method":"sub","data":{"mode":"x","instrumentKeys":[1]}}'):
        stream.feeder.ws.send(said, opcode=ABNF.OPCODE_BINARY)
    stream.subscribe([item.upstox_key], "ltpc")
    stream.wait(lambda: item.upstox_key in stream.last.get("feeds", {}), "no snapshot")
    stream.close()
    assert [set(message.get("feeds", {})) for message in stream.messages()] == [set(), {item.upstox_key}]


def test_more_keys_than_a_connection_may_have_end_it(desk: Desk) -> None:
    keys = [item.upstox_key for item in desk.instruments[:51]]
    stream = market_stream(desk.sdk.client, keys, "full_d30")
    stream.wait(lambda: bool(stream.closed), "still open")
    assert stream.closed[0][0] == 1008


def test_a_token_nobody_gave_out_opens_no_feed(desk: Desk) -> None:
    desk.sdk.client.configuration.access_token = "nobody's"
    stream = market_stream(desk.sdk.client, [desk.stock().upstox_key], "ltpc")
    stream.wait(lambda: bool(stream.errors), "no error")
    assert "401 Unauthorized" in stream.errors[0]
    assert stream.heard == []


def test_a_socket_does_not_outlive_its_login(desk: Desk) -> None:
    stream = market_stream(desk.sdk.client, [desk.index().upstox_key], "ltpc")
    stream.wait(lambda: len(stream.heard) >= 2, "no snapshot")
    upstox_client.LoginApi(desk.sdk.client).logout(VERSION)
    desk.pass_time(3)
    stream.wait(lambda: bool(stream.closed), "still open")
    assert stream.closed[0][0] == 1008


def test_one_connection_too_many_ends_the_oldest(desk: Desk) -> None:
    streams = []
    for _ in range(6):
        streams.append(market_stream(desk.sdk.client, [desk.index().upstox_key], "ltpc"))
        streams[-1].wait(lambda: len(streams[-1].heard) >= 2, "no snapshot")
    streams[0].wait(lambda: bool(streams[0].closed), "still open")
    assert [bool(stream.closed) for stream in streams] == [True] + [False] * 5
    for stream in streams[1:]:
        stream.close()


def newest(batches: list[Records], items: list[SandboxInstrument]) -> Records:
    """The last quote of each instrument."""
    found = np.zeros(len(items), QUOTE)
    for batch in batches:
        for quote in batch:
            found[[item.index for item in items].index(int(quote["instrument"]))] = quote
    return found


@pytest.mark.parametrize("mode", [FeedMode.PRICE, FeedMode.QUOTE, FeedMode.FULL])
def test_our_feed_shows_the_market_as_it_is(desk: Desk, watched: list[SandboxInstrument], mode: FeedMode) -> None:
    items = watched

    async def follow() -> tuple[list[Records], list[FeedEvent]]:
        feed = UpstoxFeed(desk.ours.client, timing=SocketTiming(first_delay_seconds=0.05))
        await feed.subscribe({item.index: listing_of(item) for item in items}, mode)
        batches: list[Records] = []
        events: list[FeedEvent] = []
        moved = False
        async with asyncio.timeout(30):
            async for seen in feed.batches():
                if isinstance(seen, FeedEvent):
                    events.append(seen)
                    continue
                batches.append(seen)
                if not moved:
                    moved = True
                    await asyncio.to_thread(desk.pass_time, 3)
                market = desk.box.exchange.quotes[[item.index for item in items]]
                if np.array_equal(newest(batches, items)["price_paise"], market["price_paise"]) and len(batches) > 1:
                    await feed.close()
        assert feed.skipped == 0
        return batches, events

    batches, events = desk.loop(follow())
    assert [event.kind for event in events][:2] == [FeedEventKind.CONNECTED, FeedEventKind.MARKET_STATUS]
    market = desk.box.on_loop(lambda: desk.box.exchange.quotes[[item.index for item in items]].copy())
    found = newest(batches, items)
    assert np.array_equal(found["previous_close_paise"], market["previous_close_paise"])
    if mode is FeedMode.FULL:
        for name in ("volume_cumulative", "open_interest", "bid_paise", "ask_quantity", "total_buy_quantity"):
            assert np.array_equal(found[name], market[name]), name
