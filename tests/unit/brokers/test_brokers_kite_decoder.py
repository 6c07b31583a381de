"""Ticker frames: every kind of packet equals what the official SDK makes of it, and nothing breaks the decoder."""

import base64
import json
import logging
import struct
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.fuzz_kite import LENGTHS, frame_of, fuzz_frames, mixed_frame, packet

from tradebus.brokers.feed import FeedEventKind
from tradebus.brokers.kite import KiteDecoder
from tradebus.brokers.kite.measure import full_frame, measure_parse
from tradebus.contracts import records
from tradebus.contracts.records import QUOTE_HAS_PRICE, ticks_of
from tradebus.kernel.errors import InvalidInput

SHARED = Path(__file__).parents[3].parent / "shared" / "fixtures" / "kite"
RECEIVED_NS = 1_795_600_000_123_456_789
TOKENS = [number * 256 + segment for number in range(1, 40) for segment in (1, 2, 4, 5, 9)]
EVERY = {token: number for number, token in enumerate(TOKENS)}


@pytest.fixture(scope="module")
def sdk_parse():
    from kiteconnect import KiteTicker

    logging.getLogger("kiteconnect").setLevel(logging.CRITICAL)
    return KiteTicker("key", "token")._parse_binary


def paise(value):
    return round(value * 100)


def seconds_ns(naive: datetime | None) -> int:
    """The SDK makes local naive times."""
    return 0 if naive is None else round(naive.timestamp()) * 10**9


def small(count):
    return min(count, 2**31 - 1)


def assert_same(quote, tick):
    assert TOKENS[quote["instrument"]] == tick["instrument_token"]
    assert quote["price_paise"] == paise(tick["last_price"])
    assert bool(quote["fields"] & QUOTE_HAS_PRICE) == (tick["last_price"] > 0)
    day = tick.get("ohlc", {})
    for name, field in (("open", "open"), ("high", "high"), ("low", "low"), ("close", "previous_close")):
        assert quote[f"{field}_paise"] == paise(day.get(name, 0))
    assert quote["last_quantity"] == small(tick.get("last_traded_quantity", 0))
    assert quote["average_price_paise"] == paise(tick.get("average_traded_price", 0))
    assert quote["volume_cumulative"] == tick.get("volume_traded", 0)
    assert quote["total_buy_quantity"] == tick.get("total_buy_quantity", 0)
    assert quote["total_sell_quantity"] == tick.get("total_sell_quantity", 0)
    assert quote["open_interest"] == tick.get("oi", 0)
    assert quote["open_interest_high"] == tick.get("oi_day_high", 0)
    assert quote["open_interest_low"] == tick.get("oi_day_low", 0)
    exchange_ns = seconds_ns(tick.get("exchange_timestamp"))
    assert quote["ts_event_ns"] == (exchange_ns or RECEIVED_NS)
    assert bool(quote["fields"] & records.QUOTE_HAS_EXCHANGE_TIME) == (exchange_ns > 0)
    assert quote["ts_last_trade_ns"] == seconds_ns(tick.get("last_trade_time"))
    assert quote["ts_received_ns"] == RECEIVED_NS
    assert bool(quote["fields"] & records.QUOTE_HAS_DEPTH) == ("depth" in tick)
    for side, prefix in (("buy", "bid"), ("sell", "ask")):
        levels = tick.get("depth", {}).get(side, [{"price": 0, "quantity": 0, "orders": 0}] * 5)
        for level, row in enumerate(levels):
            assert quote[f"{prefix}_paise"][level] == paise(row["price"])
            assert quote[f"{prefix}_quantity"][level] == small(row["quantity"])
            assert quote[f"{prefix}_orders"][level] == row["orders"]


def test_a_frame_of_every_kind_of_packet_equals_the_sdks(sdk_parse):
    draw = np.random.default_rng(3)
    for count in (0, 1, 7, 300):
        frame = mixed_frame(draw, TOKENS, count=count)
        decoded = KiteDecoder(EVERY).decode(frame, received_ns=RECEIVED_NS)
        ticks = sdk_parse(frame)
        assert len(decoded.quotes) == len(ticks) == count
        assert decoded.skipped == 0
        for quote, tick in zip(decoded.quotes, ticks, strict=True):
            assert_same(quote, tick)


def test_the_measured_frame_equals_the_sdks_reading(sdk_parse):
    frame, instruments = full_frame(50)
    quotes = KiteDecoder(instruments).decode(frame, received_ns=RECEIVED_NS).quotes
    for quote, tick in zip(quotes, sdk_parse(frame), strict=True):
        assert quote["price_paise"] == paise(tick["last_price"])
        assert quote["bid_paise"][4] == paise(tick["depth"]["buy"][4]["price"])
        assert quote["ask_orders"][0] == tick["depth"]["sell"][0]["orders"]


def test_each_kind_says_which_fields_it_carried():
    draw = np.random.default_rng(1)
    carried = {}
    for name, length in LENGTHS.items():
        body = bytearray(packet(257, length, draw))
        [quote] = KiteDecoder({257: 0}).decode(frame_of([bytes(body)]), received_ns=1).quotes
        carried[name] = int(quote["fields"])
    price, day = records.QUOTE_HAS_PRICE, records.QUOTE_HAS_DAY_PRICES | records.QUOTE_HAS_PREVIOUS_CLOSE
    traded = (
        price | day | records.QUOTE_HAS_LAST_QUANTITY | records.QUOTE_HAS_AVERAGE_PRICE | records.QUOTE_HAS_VOLUME
        | records.QUOTE_HAS_TOTAL_QUANTITIES
    )  # fmt: skip
    assert carried == {
        "ltp": price,
        "index quote": price | day,
        "index full": price | day | records.QUOTE_HAS_EXCHANGE_TIME,
        "quote": traded,
        "full": traded | records.QUOTE_HAS_OPEN_INTEREST | records.QUOTE_HAS_OPEN_INTEREST_RANGE
        | records.QUOTE_HAS_DEPTH | records.QUOTE_HAS_EXCHANGE_TIME | records.QUOTE_HAS_LAST_TRADE_TIME,
    }  # fmt: skip


def test_what_nobody_has_traded_has_no_price():
    frame = frame_of([struct.pack(">II", 257, 0), struct.pack(">II", 513, 5)])
    quotes = KiteDecoder({257: 4, 513: 5}).decode(frame, received_ns=9).quotes
    assert list(quotes["instrument"]) == [4, 5]
    assert list(ticks_of(quotes)["instrument"]) == [5]


def test_times_are_utc_whatever_the_zone_of_the_machine():
    body = bytearray(184)
    struct.pack_into(">II", body, 0, 257, 100)
    struct.pack_into(">I", body, 44, 1_795_580_999)
    struct.pack_into(">I", body, 60, 1_795_581_000)
    [quote] = KiteDecoder({257: 0}).decode(frame_of([bytes(body)]), received_ns=5).quotes
    assert quote["ts_event_ns"] == 1_795_581_000 * 10**9
    assert quote["ts_last_trade_ns"] == 1_795_580_999 * 10**9


def test_unknown_lengths_and_strangers_are_skipped_and_counted():
    known, stranger = struct.pack(">II", 257, 7), struct.pack(">II", 9_999_937, 7)
    currency = struct.pack(">II", 257 + 2, 7)
    frame = frame_of([b"", known, b"x" * 20, stranger, currency, b"y" * 500, known])
    decoded = KiteDecoder({257: 3}).decode(frame, received_ns=1)
    assert list(decoded.quotes["instrument"]) == [3, 3]
    assert decoded.skipped == 5


def test_a_heartbeat_and_an_empty_frame_are_nothing():
    decoder = KiteDecoder(EVERY)
    for frame in (b"", b"\x00", b"\xff", b"\x00\x00"):
        decoded = decoder.decode(frame, received_ns=1)
        assert (len(decoded.quotes), decoded.skipped, decoded.events) == (0, 0, ())


def test_a_frame_cut_at_any_byte_gives_the_whole_packets_before_the_cut():
    draw = np.random.default_rng(5)
    lengths = [8, 184, 28, 44, 32, 184]
    bodies = [packet(TOKENS[number], length, draw) for number, length in enumerate(lengths)]
    frame = frame_of(bodies)
    whole = KiteDecoder(EVERY).decode(frame, received_ns=1).quotes
    ends = np.cumsum([2, *(2 + length for length in lengths)])[1:]
    for cut in range(len(frame)):
        decoded = KiteDecoder(EVERY).decode(frame[:cut], received_ns=1)
        count = int((ends <= cut).sum())
        assert len(decoded.quotes) == count
        assert decoded.quotes.tobytes() == whole[:count].tobytes()
        assert decoded.skipped == (len(lengths) - count if cut >= 2 else 0)


@given(st.binary(max_size=600))
def test_any_bytes_are_a_frame(frame):
    decoded = KiteDecoder(EVERY).decode(frame, received_ns=1)
    announced = int.from_bytes(frame[:2], "big") if len(frame) > 1 else 0
    if announced <= 3_000:
        assert decoded.skipped + len(decoded.quotes) == announced
    else:  # no frame has so many: what is lost of it counts as one
        assert 1 <= decoded.skipped + len(decoded.quotes) <= len(frame)


@pytest.mark.parametrize("announced", [3_001, 65_535])
def test_a_number_of_packets_that_cannot_be_is_no_number_of_lost_ones(announced):
    frame = struct.pack(">HHII", announced, 8, 257, 7)
    for decoded in (
        KiteDecoder({257: 3}).decode(frame, received_ns=1),
        KiteDecoder({257: 3}).decode_all([frame[:1], frame], received_ns=1),
    ):
        assert (decoded.quotes["instrument"].tolist(), decoded.skipped) == ([3], 1)


def test_a_share_has_no_open_interest_and_a_new_contract_has_none_yet():
    draw = np.random.default_rng(1)
    said = {}
    for token in (40 * 256 + 1, 40 * 256 + 2, 40 * 256 + 4, 40 * 256 + 5):
        body = bytearray(packet(token, 184, draw))
        struct.pack_into(">III", body, 48, 0, 0, 0)
        [quote] = KiteDecoder({token: 0}).decode(frame_of([bytes(body)]), received_ns=1).quotes
        interest = records.QUOTE_HAS_OPEN_INTEREST | records.QUOTE_HAS_OPEN_INTEREST_RANGE
        said[token & 0xFF] = int(quote["fields"]) & interest == interest
    assert said == {1: False, 2: True, 4: False, 5: True}


@given(st.lists(st.one_of(st.binary(max_size=60), st.integers(0, 2**32), st.just('{"type":"message","data":"x"}'))))
def test_a_turn_of_frames_equals_its_frames_one_by_one(parts):
    frames = [mixed_frame(np.random.default_rng(p), TOKENS, count=p % 4) if isinstance(p, int) else p for p in parts]
    decoder = KiteDecoder(EVERY)
    together = decoder.decode_all(frames, received_ns=3)
    single = [decoder.decode(frame, received_ns=3) for frame in frames]
    assert together.quotes.tobytes() == b"".join(one.quotes.tobytes() for one in single)
    assert together.skipped == sum(one.skipped for one in single)
    assert together.events == tuple(event for one in single for event in one.events)


def test_mutated_frames_never_raise():
    seen = fuzz_frames(20_000, seed=11)
    assert seen["frames"] == 20_000
    assert seen["quotes"] > 20_000
    assert seen["skipped"] > 20_000


@settings(max_examples=30)
@given(st.dictionaries(st.sampled_from(TOKENS), st.integers(0, 2**31 - 1), max_size=len(TOKENS)))
def test_every_subscribed_token_finds_its_instrument_and_no_other_does(instruments):
    frame = frame_of([struct.pack(">II", token, 1) for token in TOKENS])
    decoded = KiteDecoder(instruments).decode(frame, received_ns=1)
    assert list(decoded.quotes["instrument"]) == [instruments[token] for token in TOKENS if token in instruments]
    assert decoded.skipped == len(TOKENS) - len(instruments)


def test_nine_thousand_subscriptions_are_told_apart():
    tokens = [number * 256 + 2 for number in range(35_000, 44_000)]
    frame = frame_of([struct.pack(">II", token, 1) for token in tokens])
    quotes = KiteDecoder({token: token % 9_001 for token in tokens}).decode(frame, received_ns=1).quotes
    assert list(quotes["instrument"]) == [token % 9_001 for token in tokens]


@pytest.mark.parametrize("token", [0, -1, 2**32, 5 * 256 + 3, 5 * 256 + 7, 5 * 256 + 12])
def test_tokens_whose_prices_are_not_paise_cannot_be_followed(token):
    with pytest.raises(InvalidInput, match="instrument_token"):
        KiteDecoder({token: 1})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"type":"error","data":"no such token"}', "error: no such token"),
        ('{"type":"message","data":"markets close early"}', "markets close early"),
    ],
)
def test_words_of_the_broker_are_events(text, expected):
    [event] = KiteDecoder().decode(text, received_ns=1).events
    assert (event.kind, event.text) == (FeedEventKind.NOTICE, expected)


@given(st.one_of(st.text(max_size=200), st.just("[" * 100_000), st.just('{"type":{}}'), st.just('{"type":"order"}')))
def test_other_text_is_nothing(text):
    assert KiteDecoder().decode(text, received_ns=1).events == ()


def test_the_measurement_gives_its_figures():
    figures = measure_parse(seconds_per_figure=0.001)
    assert figures["200 packets a frame"]["packets"] == 200
    assert all(value > 0 for figure in figures.values() for value in figure.values())


@pytest.mark.shared_data
@pytest.mark.skipif(not (SHARED / "mocks").is_dir(), reason="the brokers' own samples are not beside this checkout")
def test_the_brokers_own_packets_equal_the_sdks_reading(sdk_parse):
    bodies = [base64.b64decode(path.read_text()) for path in sorted((SHARED / "mocks").glob("*.packet"))]
    stored = SHARED / "frames" / "frames.json"
    frames = [frame_of([body]) for body in bodies]
    if stored.is_file():
        frames += [base64.b64decode(text) for text in _texts(json.loads(stored.read_text()))]
    if not frames:
        pytest.skip("no packets among the samples here")
    for frame in frames:
        ticks = [tick for tick in sdk_parse(frame) if tick["instrument_token"] & 0xFF in (1, 2, 4, 5, 9)]
        tokens = {tick["instrument_token"]: number for number, tick in enumerate(ticks)}
        quotes = KiteDecoder(tokens).decode(frame, received_ns=RECEIVED_NS).quotes
        for quote, tick in zip(quotes, ticks, strict=True):
            assert quote["price_paise"] == paise(tick["last_price"])
            assert quote["volume_cumulative"] == tick.get("volume_traded", 0)


def _texts(value):
    """Every text of a nested structure that is base64 of a frame."""
    if isinstance(value, dict):
        return [text for part in value.values() for text in _texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in _texts(part)]
    try:
        return [value] if isinstance(value, str) and base64.b64decode(value, validate=True) else []
    except ValueError:
        return []
