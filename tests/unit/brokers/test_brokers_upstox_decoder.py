"""Upstox market frames to records: equal to the official classes on frames they accept, silent on the rest."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.fuzz_upstox import fuzz_frames
from testkit.upstox_frames import KEYS, full_feed, full_frame, official_quotes, pb2

from tradebus.brokers.feed import FeedEventKind
from tradebus.brokers.upstox import UpstoxDecoder
from tradebus.brokers.upstox.measure import measure_parse
from tradebus.brokers.upstox.synthetic import full_frames
from tradebus.contracts.records import (
    QUOTE_HAS_DAY_PRICES,
    QUOTE_HAS_DEPTH,
    QUOTE_HAS_EXCHANGE_TIME,
    QUOTE_HAS_LAST_TRADE_TIME,
    QUOTE_HAS_OPEN_INTEREST,
    QUOTE_HAS_PREVIOUS_CLOSE,
    QUOTE_HAS_PRICE,
    QUOTE_HAS_TOTAL_QUANTITIES,
    QUOTE_HAS_VOLUME,
)

SHARED = Path(__file__).parents[4] / "shared" / "fixtures" / "upstox" / "generated_frames.json"
RECEIVED_NS = 1_795_146_300_500_000_000
FUTURE = "NSE_FO|50978"

_numbers = st.one_of(
    st.floats(width=64), st.sampled_from([0.0, -0.0, 108.75, 0.05, 1e13, -1.0, float("nan"), float("inf"), 5e-324])
)
_wholes = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, 1, 65, 2**31, -1, 1_795_146_299_000]), st.integers(0, 10**6)
)


def _message(cls, **fields):
    return st.builds(cls, **{name: st.none() | strategy for name, strategy in fields.items()})


_ltpc = _message(pb2.LTPC, ltp=_numbers, ltt=_wholes, ltq=_wholes, cp=_numbers)
_quote = _message(pb2.Quote, bidQ=_wholes, bidP=_numbers, askQ=_wholes, askP=_numbers)
_greeks = _message(pb2.OptionGreeks, delta=_numbers, rho=_numbers)
_bar = _message(
    pb2.OHLC, interval=st.sampled_from(["1d", "I1", "", "1dd", "é"]), open=_numbers, high=_numbers, low=_numbers,
    close=_numbers, vol=_wholes, ts=_wholes,
)  # fmt: skip
_bars = st.builds(pb2.MarketOHLC, ohlc=st.lists(_bar, max_size=3))
_levels = st.builds(pb2.MarketLevel, bidAskQuote=st.lists(_quote, max_size=7))
_market = _message(
    pb2.MarketFullFeed, ltpc=_ltpc, marketLevel=_levels, optionGreeks=_greeks, marketOHLC=_bars, atp=_numbers,
    vtt=_wholes, oi=_numbers, iv=_numbers, tbq=_numbers, tsq=_numbers, iep=_numbers, ieq=_wholes,
    casEligible=st.booleans(),
)  # fmt: skip
_index = _message(pb2.IndexFullFeed, ltpc=_ltpc, marketOHLC=_bars)
_full = st.one_of(st.builds(pb2.FullFeed, marketFF=_market), st.builds(pb2.FullFeed, indexFF=_index))
_first = _message(
    pb2.FirstLevelWithGreeks, ltpc=_ltpc, firstDepth=_quote, optionGreeks=_greeks, vtt=_wholes, oi=_numbers, iv=_numbers
)
_feed = st.one_of(
    st.builds(pb2.Feed, ltpc=_ltpc), st.builds(pb2.Feed, fullFeed=_full),
    st.builds(pb2.Feed, firstLevelWithGreeks=_first), st.builds(pb2.Feed, requestMode=st.integers(0, 9)),
)  # fmt: skip
_keys = st.sampled_from([*KEYS, "NSE_FO|nobody asked", ""])


@st.composite
def _frames(draw) -> bytes:
    """One frame; entries of the map may come twice, and the parts in any order."""
    parts = []
    for key, feed in draw(st.lists(st.tuples(_keys, _feed), max_size=4)):
        message = pb2.FeedResponse()
        message.feeds[key].CopyFrom(feed)
        parts.append(message.SerializeToString())
    parts.append(pb2.FeedResponse(type=draw(st.integers(0, 5)), currentTs=draw(_wholes)).SerializeToString())
    return b"".join(draw(st.permutations(parts)))


def _decode(frame: bytes):
    decoded = UpstoxDecoder(KEYS).decode(frame, received_ns=RECEIVED_NS)
    return decoded.quotes[np.argsort(decoded.quotes["instrument"], kind="stable")], decoded


def _assert_like_official(frame: bytes) -> bool:
    """Whether the official classes accept the frame; fails where ours says anything else than they do."""
    expected = official_quotes(frame, KEYS, received_ns=RECEIVED_NS)
    ours, decoded = _decode(frame)
    if expected is None:
        assert len(ours) == 0
        assert decoded.skipped == 1
        return False
    assert ours.tobytes() == expected.tobytes()
    return True


@settings(max_examples=400, deadline=None)
@given(_frames())
def test_every_message_reads_as_the_official_classes_read_it(frame):
    assert _assert_like_official(frame)


def test_a_full_frame_cut_at_every_byte_gives_what_the_official_classes_make_of_the_rest():
    message = pb2.FeedResponse(type=1, currentTs=1_795_146_300_123)
    message.feeds[FUTURE].CopyFrom(full_feed(np.random.default_rng(1)))
    message.feeds["NSE_EQ|INE009A01021"].ltpc.ltp = 1500.05
    message.marketInfo.segmentStatus["NSE_FO"] = 2
    frame = message.SerializeToString()
    accepted = [cut for cut in range(len(frame)) if _assert_like_official(frame[:cut])]
    assert 0 in accepted
    assert len(accepted) < 10  # only cuts between whole parts of the response


def test_every_byte_of_a_frame_may_be_any_byte():
    message = pb2.FeedResponse(type=1, currentTs=5)
    feed = message.feeds[FUTURE].fullFeed.marketFF
    feed.ltpc.ltp, feed.vtt = 108.75, 9
    feed.marketLevel.bidAskQuote.add(bidQ=65, bidP=108.7)
    feed.marketOHLC.ohlc.add(interval="1d", open=1, high=2, low=1)
    frame = message.SerializeToString()
    for place in range(len(frame)):
        for value in (0, 1, 2, 3, 4, 7, 0x12, 0x7F, 0x80, 0xFF, frame[place] ^ 1, frame[place] ^ 8):
            _assert_like_official(frame[:place] + bytes([value]) + frame[place + 1 :])


def test_mutated_frames_never_raise_and_never_read_differently():
    assert fuzz_frames(20_000, seed=3, compare_every=4) > 200


def test_a_full_feed_gives_everything_a_record_holds():
    frame, keys = full_frame(1)
    (row,) = UpstoxDecoder(keys).decode(frame, received_ns=RECEIVED_NS).quotes
    assert row["fields"] & QUOTE_HAS_PRICE
    assert row["fields"] & QUOTE_HAS_DEPTH
    assert row["fields"] & QUOTE_HAS_VOLUME
    assert row["fields"] & QUOTE_HAS_OPEN_INTEREST
    assert row["fields"] & QUOTE_HAS_TOTAL_QUANTITIES
    assert row["fields"] & QUOTE_HAS_DAY_PRICES
    assert row["volume_cumulative"] == 1_300_000
    assert row["open_interest"] == 2_500_000
    assert row["high_paise"] - row["open_paise"] == 500
    assert (np.diff(row["bid_paise"]) == -5).all()
    assert (np.diff(row["ask_paise"]) == 5).all()
    assert row["ts_event_ns"] == row["ts_last_trade_ns"]


def test_thirty_levels_keep_the_best_five():
    frame, keys = full_frame(1, levels=30)
    few, _ = full_frame(1, levels=5)
    (deep,) = UpstoxDecoder(keys).decode(frame, received_ns=0).quotes
    (shallow,) = UpstoxDecoder(keys).decode(few, received_ns=0).quotes
    assert deep["bid_paise"].tolist() == shallow["bid_paise"].tolist()


def test_an_omitted_zero_is_a_zero_and_not_an_old_value():
    decoder = UpstoxDecoder({FUTURE: 0})
    before = pb2.FeedResponse(currentTs=1)
    before.feeds[FUTURE].ltpc.MergeFrom(pb2.LTPC(ltp=10.0, ltq=7, ltt=5, cp=9.0))
    after = pb2.FeedResponse(currentTs=2)
    after.feeds[FUTURE].ltpc.ltp = 11.0
    decoder.decode(before.SerializeToString(), received_ns=1)
    (row,) = decoder.decode(after.SerializeToString(), received_ns=2).quotes
    assert row["price_paise"] == 1100
    assert row["last_quantity"] == 0
    assert row["previous_close_paise"] == 0
    assert not row["fields"] & (QUOTE_HAS_PREVIOUS_CLOSE | QUOTE_HAS_LAST_TRADE_TIME)
    assert row["fields"] & QUOTE_HAS_EXCHANGE_TIME
    assert row["ts_event_ns"] == 2_000_000


@pytest.mark.parametrize("interest", [None, 0.0, -1.0, float("nan")])
def test_an_open_interest_that_was_not_sent_is_not_one_of_nothing(interest):
    message = pb2.FeedResponse(currentTs=1)
    body = message.feeds[FUTURE].fullFeed.marketFF
    body.ltpc.ltp, body.ltpc.ltt = 10.0, 5
    if interest is not None:
        body.oi = interest
    (row,) = UpstoxDecoder({FUTURE: 0}).decode(message.SerializeToString(), received_ns=1).quotes
    assert not row["fields"] & QUOTE_HAS_OPEN_INTEREST
    assert row["open_interest"] == 0


def test_a_feed_without_any_time_is_as_of_its_arrival():
    message = pb2.FeedResponse()
    message.feeds[FUTURE].ltpc.ltp = 11.0
    (row,) = UpstoxDecoder({FUTURE: 0}).decode(message.SerializeToString(), received_ns=77).quotes
    assert row["ts_event_ns"] == 77
    assert not row["fields"] & QUOTE_HAS_EXCHANGE_TIME


def test_prices_become_the_nearest_paisa():
    message = pb2.FeedResponse()
    for place, rupees in enumerate((108.60000000000001, 108.89999999999999, 0.05, 26000.15, 0.1 + 0.2)):
        message.feeds[f"k{place}"].ltpc.ltp = rupees
    decoder = UpstoxDecoder({f"k{place}": place for place in range(5)})
    rows = decoder.decode(message.SerializeToString(), received_ns=0).quotes
    by_instrument = dict(zip(rows["instrument"].tolist(), rows["price_paise"].tolist(), strict=True))
    assert by_instrument == {0: 10860, 1: 10890, 2: 5, 3: 2_600_015, 4: 30}


def test_feeds_nobody_asked_for_are_skipped_and_counted():
    frame, keys = full_frame(5)
    wanted = dict(list(keys.items())[:2])
    decoded = UpstoxDecoder(wanted).decode(frame, received_ns=0)
    assert sorted(decoded.quotes["instrument"].tolist()) == [0, 1]
    assert decoded.skipped == 3


def test_market_info_is_an_event_with_the_word_of_each_segment():
    message = pb2.FeedResponse(type=2, currentTs=5)
    message.marketInfo.segmentStatus["NSE_FO"] = 2
    message.marketInfo.segmentStatus["MCX_FO"] = 3
    message.marketInfo.segmentStatus["XX"] = 77
    decoded = UpstoxDecoder(KEYS).decode(message.SerializeToString(), received_ns=0)
    (event,) = decoded.events
    assert event.kind is FeedEventKind.MARKET_STATUS
    assert event.text == "MCX_FO NORMAL_CLOSE, NSE_FO NORMAL_OPEN, XX status 77"
    assert len(decoded.quotes) == 0


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5000])
def test_any_number_of_keys_is_told_apart(count):
    keys = {f"NSE_FO|{number}": number * 3 for number in range(count)}
    decoder = UpstoxDecoder(keys)
    for key, instrument in list(keys.items())[:: max(1, count // 50)]:
        message = pb2.FeedResponse()
        message.feeds[key].ltpc.ltp = 1.0
        message.feeds[key + "0x"].ltpc.ltp = 2.0
        decoded = decoder.decode(message.SerializeToString(), received_ns=0)
        assert decoded.quotes["instrument"].tolist() == [instrument]
        assert decoded.skipped == 1


def test_a_change_of_subscriptions_is_a_change_of_what_is_known():
    frame, keys = full_frame(3)
    decoder = UpstoxDecoder(keys)
    decoder.know({"NSE_FO|50001": 9})
    assert decoder.decode(frame, received_ns=0).quotes["instrument"].tolist() == [9]
    decoder.know({})
    assert len(decoder.decode(frame, received_ns=0).quotes) == 0


def test_a_batch_that_was_given_out_does_not_change_with_the_next_frame():
    frame, keys = full_frame(2, seed=1)
    other, _ = full_frame(2, seed=2)
    decoder = UpstoxDecoder(keys)
    first = decoder.decode(frame, received_ns=0).quotes
    before = first.tobytes()
    decoder.decode(other, received_ns=0)
    assert first.tobytes() == before


def test_generated_frames_for_measuring_are_what_the_official_classes_read():
    frames, keys = full_frames(2, 3)
    for frame in frames:
        expected = official_quotes(frame, keys, received_ns=1)
        ours = UpstoxDecoder(keys).decode(frame, received_ns=1).quotes
        assert expected is not None
        assert ours[np.argsort(ours["instrument"])].tobytes() == expected.tobytes()
        assert (ours["fields"] & QUOTE_HAS_DEPTH).all()


def test_parsing_is_measured_beside_the_sdk_on_the_same_frames():
    figures = measure_parse(seconds_per_figure=0.003)
    assert {figure["feeds"] for figure in figures.values()} == {1, 20, 200}
    assert all(value > 0 for figure in figures.values() for value in figure.values())


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.exists(), reason="the shared vectors are not beside this checkout")
def test_the_shared_vectors_read_as_their_values():
    vectors = json.loads(SHARED.read_text())["messages"]
    assert len(vectors) >= 6
    for name, vector in vectors.items():
        frame = bytes.fromhex(vector["hex"])
        assert _assert_like_official(frame), name
        rows, _ = _decode(frame)
        feeds = vector["as_dict"].get("feeds", {})
        assert len(rows) == len(feeds)
        for row in rows:
            feed = next(feed for key, feed in feeds.items() if KEYS[key] == row["instrument"])
            prices = list(_values(feed, "ltp"))
            assert row["price_paise"] == round(prices[0] * 100)


def _values(tree, name):
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == name:
                yield value
            yield from _values(value, name)
