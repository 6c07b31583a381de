"""The ticker: the same frames through the official parser and through our decoder, and our feed over a real socket."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kiteconnect import KiteTicker
from testkit.kite_desk import FUTURE, OPTION, SHARE, KiteDesk
from testkit.kite_hands import API_KEY
from testkit.kite_line import QUICK, SECONDS, line
from testkit.kite_ticks import differences, official_ticks
from testkit.waiting import WALL_TIMERS
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tradebus.brokers.feed import FeedEvent, FeedEventKind, FeedMode
from tradebus.brokers.kite import KiteDecoder, KiteFeed
from tradebus.brokers.kite.client import KiteClient
from tradebus.contracts.records import Records

INDEX = "NSE:NIFTY 50"
WATCHED = (SHARE, FUTURE, OPTION, INDEX)


def decoded(desk: KiteDesk, frame: bytes) -> Records:
    """Through our decoder, instruments by the sandbox's own index."""
    decoder = KiteDecoder({one.kite_token: one.index for one in desk.box.exchange.instruments})
    result = decoder.decode(frame, received_ns=1)
    assert result.skipped == 0
    return result.quotes


def agreed(desk: KiteDesk, frame: bytes) -> list[dict[str, Any]]:
    """The official parser's ticks, after checking that our decoder says the same of each."""
    ticks, ours = official_ticks(frame), decoded(desk, frame)
    assert len(ticks) == len(ours)
    for tick, record in zip(ticks, ours, strict=True):
        assert tick["instrument_token"] == desk.box.exchange.instruments[record["instrument"]].kite_token
        assert not list(differences(tick, record))
    return ticks


@pytest.mark.parametrize("mode", ["ltp", "quote", "full"])
@pytest.mark.parametrize("what", WATCHED, ids=lambda what: what.split(":")[-1])
def test_a_snapshot_in_each_mode_is_the_market_both_ways(desk: KiteDesk, what: str, mode: str) -> None:
    token = desk.instrument(what).kite_token
    with line(desk) as ticker:
        ticker.say("subscribe", [token])
        assert [tick["mode"] for tick in agreed(desk, ticker.frame())] == ["quote"]
        ticker.say("mode", [mode, [token]])
        tick = agreed(desk, ticker.frame())[0]
    assert (tick["mode"], tick["tradable"]) == (mode, what != INDEX)
    assert not list(differences(tick, desk.quote(what)))


def test_live_frames_follow_the_market_both_ways(desk: KiteDesk) -> None:
    tokens = {desk.instrument(what).kite_token: what for what in WATCHED}
    seen: set[str] = set()
    with line(desk) as ticker:
        ticker.say("mode", ["full", list(tokens)])
        agreed(desk, ticker.frame())
        for _ in range(20):
            desk.advance(1.0)
            if seen == set(WATCHED):
                break
            for tick in agreed(desk, ticker.frame()):
                seen.add(tokens[tick["instrument_token"]])
    assert seen == set(WATCHED)


def test_modes_may_differ_in_one_frame(desk: KiteDesk) -> None:
    share, future, index = (desk.instrument(what).kite_token for what in (SHARE, FUTURE, INDEX))
    with line(desk) as ticker:
        ticker.say("mode", ["ltp", [share]])
        ticker.frame()
        ticker.say("mode", ["full", [future, index]])
        ticker.frame()
        ticker.say("subscribe", [share, future, index])  # again: changes no mode, sends everything
        modes = {tick["instrument_token"]: tick["mode"] for tick in agreed(desk, ticker.frame())}
    assert modes == {share: "ltp", future: "full", index: "full"}


def test_nothing_comes_of_what_was_unsubscribed(desk: KiteDesk) -> None:
    share, future = desk.instrument(SHARE).kite_token, desk.instrument(FUTURE).kite_token
    with line(desk) as ticker:
        ticker.say("subscribe", [share, future])
        assert len(agreed(desk, ticker.frame())) == 2
        ticker.say("unsubscribe", [share])
        ticker.say("subscribe", [future])
        assert [tick["instrument_token"] for tick in agreed(desk, ticker.frame())] == [future]
        desk.advance(20.0)
        assert {tick["instrument_token"] for tick in agreed(desk, ticker.frame())} == {future}


def test_a_still_market_has_a_heartbeat_that_neither_takes_for_a_tick(desk: KiteDesk) -> None:
    with line(desk) as ticker:
        beat = ticker.heartbeat()
    assert official_ticks(beat) == []
    assert len(decoded(desk, beat)) == 0


@pytest.mark.parametrize(
    "text",
    ["", "not json", "[]", '{"a":"dance","v":[1]}', '{"a":"subscribe","v":"408065"}', '{"a":"subscribe","v":["x"]}',
     '{"a":"mode","v":["loud",[1]]}', '{"a":"mode","v":[]}', '{"a":"mode","v":[[],[]]}', "[" * 5000],
    ids=lambda text: text[:24] or "empty",
)  # fmt: skip
def test_a_message_nobody_understands_is_answered_with_an_error_and_the_line_goes_on(desk: KiteDesk, text: str) -> None:
    with line(desk) as ticker:
        ticker.text(text)
        assert ticker.message()["type"] == "error"
        ticker.say("subscribe", [12345, desk.instrument(SHARE).kite_token])
        assert len(agreed(desk, ticker.frame())) == 1


def test_an_error_text_reaches_the_official_error_callback(desk: KiteDesk) -> None:
    with line(desk) as ticker:
        ticker.say("mode", ["loud", [1]])
        text = json.dumps(ticker.message())
    told: list[tuple[int, str]] = []
    official = KiteTicker("key", "token")
    official.on_error = lambda _ws, code, reason: told.append((code, reason))
    official._parse_text_message(text.encode())
    assert told[0][0] == 0
    assert "mode" in told[0][1]


def test_a_wrong_token_is_refused_at_the_handshake_for_both(desk: KiteDesk) -> None:
    with pytest.raises(InvalidStatus) as caught, line(desk, "nonsense"):
        pass
    assert caught.value.response.status_code == 403
    settings, _ = desk.adapter.settings, [desk.listing(one) for one in WATCHED]
    feed = KiteFeed(
        KiteClient(type(settings)(API_KEY, "", "nonsense", settings.endpoints), timers=WALL_TIMERS), timing=QUICK
    )
    events = desk.loop(_collect(feed, desk, stop=lambda _items: False))
    assert [event.kind for event in events if isinstance(event, FeedEvent)] == [FeedEventKind.REFUSED]


def test_a_fourth_connection_is_refused_until_one_has_left(desk: KiteDesk) -> None:
    with line(desk), line(desk):
        with line(desk):
            with pytest.raises(InvalidStatus) as caught, line(desk):
                pass
            assert caught.value.response.status_code == 429
        desk.sdk.kite.profile()
        with line(desk) as ticker:
            ticker.say("subscribe", [desk.instrument(SHARE).kite_token])
            ticker.frame()


def test_a_socket_does_not_outlive_its_login(desk: KiteDesk) -> None:
    token = desk.new_token("SHORT")
    with line(desk, token) as ticker:
        ticker.say("subscribe", [desk.instrument(SHARE).kite_token])
        ticker.frame()
        desk.box.on_loop(desk.box.exchange.log_out, token)
        desk.advance(1.0)
        assert "log in" in ticker.message()["data"]
        with pytest.raises(ConnectionClosed):
            ticker.message()


# our feed over the socket


async def _collect(
    feed: KiteFeed, desk: KiteDesk, *, stop: Callable[[list[Any]], bool], mode: FeedMode = FeedMode.FULL,
    what: tuple[str, ...] = WATCHED,
) -> list[Records | FeedEvent]:  # fmt: skip
    """What the feed brings until `stop` is satisfied; the market moves on meanwhile."""
    instruments = {desk.instrument(one).index: desk.listing(one) for one in what}
    await feed.subscribe(instruments, mode)
    items: list[Records | FeedEvent] = []
    async with asyncio.timeout(SECONDS):
        async for item in feed.batches():
            items.append(item)
            if stop(items):
                break
            await asyncio.to_thread(desk.advance, 1.0)
    await feed.close()
    return items


def _records(items: list[Records | FeedEvent]) -> Records:
    return np.concatenate([item for item in items if not isinstance(item, FeedEvent)])


def _run_feed(desk: KiteDesk, stop: Callable[[list[Any]], bool], mode: FeedMode = FeedMode.FULL) -> list[Any]:
    for one in WATCHED:
        desk.listing(one)  # reads the dump before the loop is busy
    feed = KiteFeed(desk.adapter.client, timing=QUICK)
    items: list[Any] = desk.loop(_collect(feed, desk, stop=stop, mode=mode))
    return items


@pytest.mark.parametrize("mode", list(FeedMode))
def test_our_feed_brings_every_instrument_in_each_mode(desk: KiteDesk, mode: FeedMode) -> None:
    wanted = {desk.instrument(one).index for one in WATCHED}

    def all_seen(items: list[Any]) -> bool:
        return wanted <= {int(one) for item in items if not isinstance(item, FeedEvent) for one in item["instrument"]}

    items = _run_feed(desk, all_seen, mode)
    assert isinstance(items[0], FeedEvent)
    assert items[0].kind is FeedEventKind.CONNECTED
    assert (_records(items)["price_paise"] > 0).all()


def test_our_feed_comes_back_with_its_subscriptions_after_a_cut(desk: KiteDesk) -> None:
    desk.box.fault("DISCONNECT", broker="kite", endpoint="feed", skip=2, count=1)

    def back(items: list[Any]) -> bool:
        kinds = [item.kind for item in items if isinstance(item, FeedEvent)]
        return kinds.count(FeedEventKind.CONNECTED) == 2 and not isinstance(items[-1], FeedEvent)

    watched = {desk.instrument(one).index for one in WATCHED}  # the call at the money may be another soon
    items = _run_feed(desk, back)
    kinds = [item.kind for item in items if isinstance(item, FeedEvent)]
    assert kinds == [FeedEventKind.CONNECTED, FeedEventKind.DISCONNECTED, FeedEventKind.CONNECTED]
    assert set(items[-1]["instrument"].tolist()) <= watched


@pytest.mark.parametrize("kind", ["SILENT", "HALF_OPEN"])
def test_our_feed_leaves_a_line_that_brings_nothing(desk: KiteDesk, kind: str) -> None:
    desk.box.fault(kind, broker="kite", endpoint="feed", skip=2, count=1)

    def left(items: list[Any]) -> bool:
        return isinstance(items[-1], FeedEvent) and items[-1].kind is FeedEventKind.DISCONNECTED

    assert "no frame" in _run_feed(desk, left)[-1].text


def test_stacked_frames_lose_nothing(desk: KiteDesk) -> None:
    share, future = desk.instrument(SHARE).kite_token, desk.instrument(FUTURE).kite_token
    desk.box.fault("STACKED", broker="kite", endpoint="feed", count=1)
    with line(desk) as ticker:
        ticker.say("mode", ["full", [share]])
        ticker.say("mode", ["full", [future]])
        ticks = agreed(desk, ticker.frame())
    assert [tick["instrument_token"] for tick in ticks] == [share, future]


def test_a_frame_cut_short_gives_our_decoder_whole_packets_only(desk: KiteDesk) -> None:
    tokens = [desk.instrument(what).kite_token for what in WATCHED]
    desk.box.fault("TRUNCATED_FRAME", broker="kite", endpoint="feed", count=1)
    with line(desk) as ticker:
        ticker.say("mode", ["full", tokens])
        cut = ticker.frame()
        ticker.say("subscribe", tokens)
        whole = decoded(desk, ticker.frame())
    decoder = KiteDecoder({one.kite_token: one.index for one in desk.box.exchange.instruments})
    ours = decoder.decode(cut, received_ns=1).quotes
    assert 0 < len(ours) < len(whole)
    assert ours.tobytes() == whole[: len(ours)].tobytes()
