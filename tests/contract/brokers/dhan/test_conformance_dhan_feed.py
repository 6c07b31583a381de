"""The market feed: the official client and our decoder read the face's frames to the same numbers, the exchange's."""

import asyncio
import json
import logging
import struct
from collections.abc import Iterator

import numpy as np
import pytest
from dhanhq import FullDepth
from testkit.dhan_market import Desk
from testkit.dhan_streams import FULL, QUOTE, TICKER, SdkFeed, Tap, by_adapter, by_sdk, same, tap, until
from testkit.waiting import within
from websockets.sync.client import connect

from tradebus.brokers.dhan import DhanDecoder, DhanFeed
from tradebus.brokers.feed import FeedEvent, FeedEventKind, FeedMode
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.sockets import SocketTiming
from tradebus.contracts.records import QUOTE_HAS_PRICE

CODES = {TICKER: 2, QUOTE: 4, FULL: 8}
SIZES = {2: 16, 4: 50, 5: 12, 6: 16, 8: 162}


@pytest.fixture
def watched(one_desk: Desk) -> list[ListedInstrument]:
    market = one_desk.market
    return [market.share, market.future, market.option, market.index]


@pytest.fixture
def no_faults(one_desk: Desk) -> Iterator[None]:
    yield
    one_desk.market.box.on_loop(one_desk.market.box.faults.clear)


def _exchange_quote(desk: Desk, listed: ListedInstrument) -> np.void:
    return desk.market.box.exchange.quotes[desk.market.place_in_exchange(listed)]


@pytest.mark.parametrize("mode", CODES)
def test_both_decoders_read_every_frame_to_the_same_numbers(
    one_desk: Desk, watched: list[ListedInstrument], mode: int
) -> None:
    with tap(one_desk) as feed:
        feed.say(mode, watched)
        first = feed.frames()
        one_desk.market.advance(3)
        frames = first + feed.frames()
    assert {frame[0] for frame in frames} == {CODES[mode], 6, *([5] if mode == QUOTE else [])}
    assert all(len(frame) == SIZES[frame[0]] == int.from_bytes(frame[1:3], "little") for frame in frames)
    latest: dict[int, np.void] = {}
    for told, records in zip(by_sdk(one_desk, frames), by_adapter(watched, frames), strict=True):
        (record,) = records
        listed = watched[int(record["instrument"])]
        assert str(told["security_id"]) == listed.token
        same(told, record)
        if record["fields"] & QUOTE_HAS_PRICE:
            latest[int(record["instrument"])] = record
    assert set(latest) == {0, 1, 2, 3}
    for place, record in latest.items():
        quote = _exchange_quote(one_desk, watched[place])
        assert record["price_paise"] == quote["price_paise"]
        assert record["ts_last_trade_ns"] == quote["ts_last_trade_ns"] // 10**9 * 10**9
        if mode == FULL:
            assert record["open_interest"] == quote["open_interest"]
            assert record["bid_paise"].tolist() == quote["bid_paise"].tolist()
        if mode != TICKER:
            assert record["volume_cumulative"] == quote["volume_cumulative"]


def test_a_subscription_brings_the_previous_close_then_the_price_then_open_interest(one_desk: Desk) -> None:
    future = one_desk.market.future
    with tap(one_desk) as feed:
        feed.say(QUOTE, [future])
        frames = feed.frames()
    assert [frame[0] for frame in frames] == [6, 4, 5]
    close, price, interest = by_adapter([future], frames)
    quote = _exchange_quote(one_desk, future)
    assert close["previous_close_paise"][0] == quote["previous_close_paise"]
    assert price["price_paise"][0] == quote["price_paise"]
    assert interest["open_interest"][0] == quote["open_interest"]


def test_the_official_feed_client_ends_at_the_exchanges_prices(one_desk: Desk, watched: list[ListedInstrument]) -> None:
    feed = SdkFeed(one_desk, [(each, FULL) for each in watched])
    try:
        until(lambda: len(feed.told) >= 2 * len(watched), "snapshot in the official client")
        one_desk.market.advance(5)

        def settled() -> bool:
            last = {str(told["security_id"]): told for told in list(feed.told) if told["type"] == "Full Data"}
            return all(
                round(float(last[each.token]["LTP"]) * 100) == _exchange_quote(one_desk, each)["price_paise"]
                and last[each.token]["volume"] == _exchange_quote(one_desk, each)["volume_cumulative"]
                for each in watched
            )

        until(settled, "price of the exchange in the official client")
        feed.feed.subscribe_symbols([(1, one_desk.market.share.token, TICKER)])
        until(lambda: any(told["type"] == "Ticker Data" for told in list(feed.told)), "price in the added mode")
    finally:
        feed.stop()


def test_our_feed_ends_at_the_exchanges_prices(one_desk: Desk, watched: list[ListedInstrument]) -> None:
    async def follow() -> dict[int, np.void]:
        feed, latest = DhanFeed(one_desk.adapter.client), {}
        await feed.subscribe(dict(enumerate(watched)), FeedMode.FULL)
        moved = False
        async for item in feed.batches():
            if isinstance(item, FeedEvent):
                continue
            latest |= {int(record["instrument"]): record for record in item if record["fields"] & QUOTE_HAS_PRICE}
            if len(latest) == len(watched) and not moved:
                moved = True
                await asyncio.to_thread(one_desk.market.advance, 5)
            if moved and all(
                latest[place][name] == _exchange_quote(one_desk, each)[name]
                for place, each in enumerate(watched)
                for name in ("price_paise", "volume_cumulative", "open_interest")
            ):
                break
        await feed.close()
        return latest

    latest = one_desk.market.run(within(10, follow()))
    for place, each in enumerate(watched):
        assert latest[place]["bid_paise"].tolist() == _exchange_quote(one_desk, each)["bid_paise"].tolist()


def test_nothing_more_comes_of_what_is_unsubscribed(one_desk: Desk, watched: list[ListedInstrument]) -> None:
    with tap(one_desk) as feed:
        feed.say(FULL, watched)
        feed.frames()
        feed.say(FULL + 1, [each for each in watched if each is not one_desk.market.future])
        feed.frames()
        one_desk.market.advance(5)
        tokens = {int.from_bytes(frame[4:8], "little") for frame in feed.frames()}
    assert tokens == {int(one_desk.market.future.token)}


def test_an_instrument_may_be_had_in_two_modes_at_once(one_desk: Desk) -> None:
    with tap(one_desk) as feed:
        feed.say(TICKER, [one_desk.market.share])
        feed.say(FULL, [one_desk.market.share])
        feed.frames()
        one_desk.market.advance(5)
        assert {frame[0] for frame in feed.frames()} == {2, 8}


def test_what_is_not_listed_is_passed_over(one_desk: Desk) -> None:
    share = one_desk.market.share
    with tap(one_desk) as feed:
        feed.say(TICKER, [ListedInstrument(share.key, "4999999", "NSE_EQ", "NONE", 1, 5), share])
        assert len(feed.frames()) == 2
        feed.say_text("not JSON")
        feed.say_text('{"RequestCode": 15, "InstrumentList": "all"}')
        feed.say(99, [share])
        assert feed.frames() == []
        feed.say(TICKER, [share])
        assert len(feed.frames()) == 2


def test_a_hundred_and_one_instruments_in_a_message_end_the_connection(one_desk: Desk) -> None:
    with tap(one_desk) as feed:
        feed.say(TICKER, one_desk.market.listings.listed[:101])
        assert feed.goodbye() == 804


def test_the_sixth_connection_ends_the_first(one_desk: Desk) -> None:
    taps = [tap(one_desk) for _ in range(6)]
    feeds: list[Tap] = []
    try:
        for each in taps:
            feeds.append(each.__enter__())
            feeds[-1].say(TICKER, [one_desk.market.share])
            assert len(feeds[-1].frames()) == 2
        assert feeds[0].goodbye() == 805
        one_desk.market.advance(5)
        assert all(feed.frames() for feed in feeds[1:])
    finally:
        for each in taps[: len(feeds)]:
            each.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("token", "client", "reason"), [("", None, 808), ("nobodys", None, 809), (None, "1999999999", 810)]
)
def test_a_bad_login_is_told_its_reason(one_desk: Desk, token: str | None, client: str | None, reason: int) -> None:
    with tap(one_desk, token=token, client=client) as feed:
        assert feed.goodbye() == reason


def test_no_token_is_in_the_sandboxs_log(one_desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), tap(one_desk) as feed:
        feed.say(TICKER, [one_desk.market.share])
        assert feed.frames()
    assert one_desk.token not in caplog.text


def test_a_login_that_ends_ends_the_feed(one_desk: Desk) -> None:
    feed = SdkFeed(one_desk, [(one_desk.market.share, TICKER)])
    until(lambda: len(feed.told) >= 2, "snapshot")
    with tap(one_desk) as mine:
        mine.say(TICKER, [one_desk.market.share])
        assert len(mine.frames()) == 2
        one_desk.market.box.on_loop(one_desk.market.box.exchange.log_out, one_desk.token)
        until(feed.closed.is_set, "disconnection in the official client")
        assert mine.goodbye() == 807
    feed.stop()


def test_our_feed_takes_an_ended_login_as_a_refusal(one_desk: Desk) -> None:
    one_desk.market.box.on_loop(one_desk.market.box.exchange.log_out, one_desk.token)

    async def follow() -> list[FeedEvent]:
        feed = DhanFeed(one_desk.adapter.client)
        await feed.subscribe({0: one_desk.market.share}, FeedMode.PRICE)
        return [item async for item in feed.batches() if isinstance(item, FeedEvent)]

    events = one_desk.market.run(within(10, follow()))
    assert events[-1].kind is FeedEventKind.REFUSED
    assert one_desk.token not in "".join(event.text for event in events)


@pytest.mark.usefixtures("no_faults")
def test_stacked_packets_are_all_read_by_us_and_the_first_by_the_official_client(one_desk: Desk) -> None:
    market = one_desk.market
    market.box.fault("STACKED", endpoint="feed", account=one_desk.account)
    with tap(one_desk) as feed:
        feed.say(TICKER, [market.share, market.future])
        frames = feed.frames()
    assert [len(frame) for frame in frames] == [32, 32]
    decoder = DhanDecoder({0: market.share, 1: market.future})
    assert [len(decoder.decode(frame, received_ns=1).quotes) for frame in frames] == [2, 2]
    assert [told["type"] for told in by_sdk(one_desk, frames)] == ["Previous Close", "Ticker Data"]


@pytest.mark.usefixtures("no_faults")
def test_a_packet_cut_short_gives_nothing(one_desk: Desk) -> None:
    one_desk.market.box.fault("TRUNCATED_FRAME", endpoint="feed", account=one_desk.account)
    with tap(one_desk) as feed:
        feed.say(FULL, [one_desk.market.share])
        frames = feed.frames()
    assert len(frames) == 2
    assert [len(records) for records in by_adapter([one_desk.market.share], frames)] == [0, 0]


@pytest.mark.usefixtures("no_faults")
def test_our_feed_comes_back_after_a_disconnection_and_subscribes_again(one_desk: Desk) -> None:
    async def follow() -> list[FeedEventKind]:
        timing = SocketTiming(first_delay_seconds=0.01)
        feed = DhanFeed(one_desk.adapter.client, timing=timing)
        await feed.subscribe({0: one_desk.market.share}, FeedMode.FULL)
        kinds, batches, broken = [], 0, False
        async for item in feed.batches():
            if isinstance(item, FeedEvent):
                kinds.append(item.kind)
                continue
            batches += 1
            if not broken:
                broken = True
                one_desk.market.box.fault("DISCONNECT", endpoint="feed", account=one_desk.account, count=1)
                await asyncio.to_thread(one_desk.market.advance, 5)
            elif kinds.count(FeedEventKind.CONNECTED) == 2:
                break
        await feed.close()
        return kinds

    kinds = one_desk.market.run(within(10, follow()))
    assert kinds == [FeedEventKind.CONNECTED, FeedEventKind.DISCONNECTED, FeedEventKind.CONNECTED]


@pytest.mark.parametrize(("levels", "path"), [(20, "twentydepth"), (200, "fulldepth")])
def test_the_official_deep_book_client_reads_the_book(
    one_desk: Desk, capsys: pytest.CaptureFixture[str], levels: int, path: str
) -> None:
    share, box = one_desk.market.share, one_desk.market.box
    client = FullDepth(one_desk.sdk.context, [(FullDepth.NSE, share.token)], levels)
    client.ws_url = f"{box.dhan_url.replace('http', 'ws')}/{path}"
    client.run_forever()
    try:
        (book,) = client.get_data()
    finally:
        client.loop.run_until_complete(client.ws.close())
        client.loop.close()
        capsys.readouterr()
    assert (book["security_id"], len(book["depth"])) == (int(share.token), levels)
    quote = _exchange_quote(one_desk, share)
    for level in range(5):
        bid, ask = quote["bid_paise"][level] / 100, quote["ask_paise"][level] / 100
        assert f"price:{bid:.2f}, quantity:{quote['bid_quantity'][level]}," in book["depth"][level]
        assert f"price:{ask:.2f}, quantity:{quote['ask_quantity'][level]}," in book["depth"][level]


@pytest.mark.parametrize("reason", [804, 807, 809])
def test_a_deep_book_ends_with_its_reason(one_desk: Desk, reason: int) -> None:
    token = "nobodys" if reason == 809 else one_desk.token
    url = f"{one_desk.market.box.dhan_url.replace('http', 'ws')}/twentydepth"
    with connect(f"{url}?token={token}&clientId={one_desk.account}&authType=2") as socket:
        shares = [each for each in one_desk.market.listings.listed if each.broker_segment == "NSE_FNO"]
        named = [{"ExchangeSegment": each.broker_segment, "SecurityId": each.token} for each in shares]
        if reason != 809:
            many = 51 if reason == 804 else 1
            socket.send(json.dumps({"RequestCode": 23, "InstrumentCount": many, "InstrumentList": named[:many]}))
        if reason == 807:
            one_desk.market.box.on_loop(one_desk.market.box.exchange.log_out, one_desk.token)
        frames = list(socket)  # until it is closed
    assert struct.unpack("<hBBiI", frames[-1]) == (12, 50, 0, 0, reason)
