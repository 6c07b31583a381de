"""Feed messages: every kind of packet equals what the official SDK makes of it, and nothing breaks the decoder."""

import struct
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.fuzz_dhan import (
    INDIAN_SECONDS,
    SIZES,
    WORDS,
    fuzz_frames,
    header,
    levels,
    listed,
    mixed_message,
    packet,
    unknown_packet,
)

from tradebus.brokers.dhan import DhanDecoder
from tradebus.brokers.dhan.measure import full_packets, measure_parse, sdk_parser
from tradebus.brokers.feed import FeedEventKind
from tradebus.contracts import records
from tradebus.contracts.records import ticks_of
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import IST_OFFSET_SECONDS

RECEIVED_NS = 1_795_600_000_123_456_789
KNOWN = {number * 16 + segment: listed(number, segment) for number in range(1, 30) for segment in WORDS}
DATA_CODES = [code for code in SIZES if code not in (7, 50)]


@pytest.fixture(scope="module")
def sdk():
    return sdk_parser()


def decode(message, known=KNOWN):
    return DhanDecoder(known).decode(message, received_ns=RECEIVED_NS)


def drawn(seed=1):
    return np.random.default_rng(seed)


def paise(text):
    return round(float(text) * 100)


def clock(ns):
    """As the SDK shows a last trade's time: Indian wall-clock time."""
    return datetime.fromtimestamp(ns // 10**9 + IST_OFFSET_SECONDS, UTC).strftime("%H:%M:%S")


def assert_same(quote, theirs):
    """Every number the SDK gives is the one we give, in our units."""
    assert quote["instrument"] == theirs["security_id"] * 16 + theirs["exchange_segment"]
    prices = {"LTP": "price", "avg_price": "average_price", "open": "open", "high": "high", "low": "low",
              "close": "previous_close", "prev_close": "previous_close"}  # fmt: skip
    for name, ours in prices.items():
        if name in theirs:
            assert quote[f"{ours}_paise"] == paise(theirs[name]), name
    is_index = theirs["exchange_segment"] == 0
    counts = {"LTQ": "last_quantity", "volume": "volume_cumulative", "total_sell_quantity": "total_sell_quantity",
              "total_buy_quantity": "total_buy_quantity", "oi_day_high": "open_interest_high",
              "oi_day_low": "open_interest_low"}  # fmt: skip
    for name, ours in counts.items():
        if name in theirs:
            assert quote[ours] == (0 if is_index else theirs[name]), name
    if "OI" in theirs:
        assert quote["open_interest"] == (0 if is_index and "LTP" in theirs else theirs["OI"])
    if "LTT" in theirs:
        assert clock(quote["ts_last_trade_ns"]) == theirs["LTT"]
        assert quote["ts_event_ns"] == quote["ts_last_trade_ns"]
    for number, level in enumerate(theirs.get("depth", ())):
        for side in ("bid", "ask"):
            assert quote[f"{side}_paise"][number] == paise(level[f"{side}_price"])
            assert quote[f"{side}_quantity"][number] == level[f"{side}_quantity"]
            assert quote[f"{side}_orders"][number] == level[f"{side}_orders"]


@pytest.mark.parametrize("segment", WORDS)
@pytest.mark.parametrize("code", DATA_CODES)
def test_every_packet_of_data_says_what_the_sdk_says(sdk, code, segment):
    for seed in range(20):
        body = packet(code, segment, 1 + seed % 29, drawn(seed))
        decoded = decode(body)
        assert len(decoded.quotes) == 1
        assert decoded.skipped == 0
        assert_same(decoded.quotes[0], sdk(body))


def test_stacked_packets_are_all_read_where_the_sdk_reads_the_first(sdk):
    made = [packet(8, 2, number, drawn(number)) for number in range(1, 30)]
    decoded = decode(b"".join(made))
    assert [quote["instrument"] for quote in decoded.quotes] == [number * 16 + 2 for number in range(1, 30)]
    for quote, body in zip(decoded.quotes, made, strict=True):
        assert_same(quote, sdk(body))
    assert sdk(b"".join(made))["security_id"] == 1


def test_several_messages_are_read_in_one_step_and_a_cut_one_spoils_no_other():
    whole, cut = packet(8, 2, 1, drawn()), packet(8, 2, 2, drawn())[:100]
    decoded = DhanDecoder(KNOWN).decode_all([whole, cut, b"", whole], received_ns=RECEIVED_NS)
    assert decoded.quotes["instrument"].tolist() == [18, 18]
    assert decoded.skipped == 1


def test_packets_come_in_the_order_they_were_sent_whatever_their_kind():
    codes = [2, 8, 5, 4, 6, 3]
    body = b"".join(packet(code, 2, number, drawn(number)) for number, code in enumerate(codes, 1))
    assert decode(body).quotes["instrument"].tolist() == [number * 16 + 2 for number in range(1, 7)]


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        (2, records.QUOTE_HAS_PRICE | records.QUOTE_HAS_EXCHANGE_TIME | records.QUOTE_HAS_LAST_TRADE_TIME),
        (3, records.QUOTE_HAS_PRICE | records.QUOTE_HAS_DEPTH),
        (5, records.QUOTE_HAS_OPEN_INTEREST),
        (6, records.QUOTE_HAS_PREVIOUS_CLOSE),
        (8, 4095),
        (
            4,
            4095 & ~records.QUOTE_HAS_DEPTH & ~records.QUOTE_HAS_OPEN_INTEREST & ~records.QUOTE_HAS_OPEN_INTEREST_RANGE,
        ),
    ],
)
def test_the_bits_say_what_a_packet_carried(code, fields):
    assert decode(packet(code, 1, 3, drawn())).quotes[0]["fields"] == fields


def test_an_index_carries_no_volume_quantities_or_open_interest():
    quote = decode(packet(8, 0, 3, drawn())).quotes[0]
    absent = (
        records.QUOTE_HAS_VOLUME
        | records.QUOTE_HAS_TOTAL_QUANTITIES
        | records.QUOTE_HAS_OPEN_INTEREST
        | records.QUOTE_HAS_OPEN_INTEREST_RANGE
        | records.QUOTE_HAS_LAST_QUANTITY
    )
    assert quote["fields"] & absent == 0
    assert quote["volume_cumulative"] == 0
    assert quote["fields"] & records.QUOTE_HAS_PRICE


@pytest.mark.parametrize(("segment", "said"), [(1, False), (2, True), (4, False), (8, True)])
def test_a_share_has_no_open_interest_and_a_new_contract_has_none_yet(segment, said):
    body = bytearray(packet(8, segment, 3, drawn()))
    body[34:46] = bytes(12)
    interest = records.QUOTE_HAS_OPEN_INTEREST | records.QUOTE_HAS_OPEN_INTEREST_RANGE
    assert decode(bytes(body)).quotes[0]["fields"] & interest == (interest if said else 0)


def ticker(price, seconds, *, security_id=1, segment=2):
    return header(2, segment, security_id) + struct.pack("<fI", price, seconds)


def test_the_last_trades_time_is_indian_wall_clock_time_read_as_utc():
    quote = decode(ticker(100, INDIAN_SECONDS)).quotes[0]
    assert quote["ts_event_ns"] == (INDIAN_SECONDS - 19_800) * 10**9


@pytest.mark.parametrize("seconds", [0, 1, 315_532_800, 315_532_800 + 19_800])
def test_without_a_trade_the_time_is_that_of_receipt(seconds):
    quote = decode(ticker(100, seconds)).quotes[0]
    assert quote["ts_event_ns"] == RECEIVED_NS
    assert quote["ts_last_trade_ns"] == 0
    assert quote["fields"] == records.QUOTE_HAS_PRICE


def test_a_price_of_nothing_is_no_price_and_makes_no_tick():
    quotes = decode(ticker(0, INDIAN_SECONDS)).quotes
    assert len(quotes) == 1
    assert not quotes[0]["fields"] & records.QUOTE_HAS_PRICE
    assert len(ticks_of(quotes)) == 0


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -1.0, 1e30])
@pytest.mark.parametrize("code", [2, 3, 4, 6, 8])
def test_a_price_that_is_none_spoils_its_packet_and_no_other(code, price):
    body = bytearray(packet(code, 2, 1, drawn()))
    body[8:12] = struct.pack("<f", price)
    decoded = decode(bytes(body) + packet(2, 2, 2, drawn()))
    assert decoded.quotes["instrument"].tolist() == [34]
    assert decoded.skipped == 1


def test_a_depth_price_that_is_none_spoils_its_packet():
    body = bytearray(packet(8, 2, 1, drawn()))
    body[158:162] = struct.pack("<f", float("nan"))
    assert len(decode(bytes(body)).quotes) == 0


@given(st.integers(1, 13_107_199))
def test_every_paisa_below_131072_rupees_survives_the_wire(price_paise):
    assert decode(ticker(price_paise / 100, INDIAN_SECONDS)).quotes[0]["price_paise"] == price_paise


@given(st.integers(131_072_00 // 5, 999_999_00 // 5), st.sampled_from([5, 10, 20, 100, 500]))
def test_every_tick_above_it_does(ticks, tick_paise):
    price_paise = ticks * 5 // tick_paise * tick_paise
    known = {1: listed(1, 2, tick_paise=tick_paise)}
    got = decode(ticker(price_paise / 100, INDIAN_SECONDS), known).quotes[0]["price_paise"]
    assert got % tick_paise == 0
    assert got == price_paise or (tick_paise == 5 and price_paise > 524_288_00)  # there f32 is coarser than the tick


def test_quantities_beyond_32_signed_bits_stay_positive():
    body = bytearray(packet(8, 2, 1, drawn()))
    body[62:66] = b"\xff\xff\xff\xff"
    body[22:26] = b"\xff\xff\xff\xff"
    quote = decode(bytes(body)).quotes[0]
    assert quote["bid_quantity"][0] == 2**31 - 1
    assert quote["volume_cumulative"] == 2**32 - 1


def test_what_nobody_subscribed_is_skipped_and_counted():
    body = packet(8, 2, 1, drawn()) + packet(8, 1, 99, drawn()) + packet(2, 5, 1, drawn()) + packet(2, 2, 2, drawn())
    decoded = decode(body)
    assert decoded.quotes["instrument"].tolist() == [18, 34]
    assert decoded.skipped == 2


def test_instruments_come_and_go():
    decoder = DhanDecoder()
    body = packet(2, 2, 1, drawn())
    assert decoder.decode(body, received_ns=1).skipped == 1
    decoder.add({7: listed(1)})
    assert decoder.decode(body, received_ns=1).quotes["instrument"].tolist() == [7]
    decoder.remove([7, 8])
    assert decoder.decode(body, received_ns=1).skipped == 1


def test_one_name_on_the_feed_belongs_to_one_instrument():
    decoder = DhanDecoder({7: listed(1)})
    with pytest.raises(InvalidInput, match="instrument 7"):
        decoder.add({8: listed(1)})
    with pytest.raises(InvalidInput, match="instrument 9"):
        decoder.add({9: listed(2), 10: listed(2)})
    decoder.add({7: listed(2), 8: listed(1)})
    assert decode_with(decoder, packet(2, 2, 1, drawn())) == [8]


def decode_with(decoder, message):
    return decoder.decode(message, received_ns=1).quotes["instrument"].tolist()


def test_unknown_codes_are_skipped_by_their_length():
    body = packet(2, 2, 1, drawn()) + unknown_packet(drawn()) + packet(2, 2, 2, drawn())
    decoded = decode(body)
    assert decoded.quotes["instrument"].tolist() == [18, 34]
    assert decoded.skipped == 1


@pytest.mark.parametrize("length", [0, 1, 7, 8, 154, 163, 500, 65_535])
@pytest.mark.parametrize("place", ["alone", "first", "last"])
def test_a_length_that_lies_is_outvoted_by_code_and_message(length, place):
    liar = header(8, 2, 1, length=length) + packet(8, 2, 1, drawn())[8:]
    other = packet(4, 2, 2, drawn())
    body = {"alone": liar, "first": liar + other, "last": other + liar}[place]
    expected = {"alone": [18], "first": [18, 34], "last": [34, 18]}[place]
    decoded = decode(body)
    assert decoded.quotes["instrument"].tolist() == expected
    assert decoded.skipped == 0


def test_a_longer_edition_of_a_packet_is_read_and_its_tail_passed_over():
    longer = header(2, 2, 1, length=20) + packet(2, 2, 1, drawn())[8:] + b"more"
    assert decode(longer + packet(2, 2, 2, drawn())).quotes["instrument"].tolist() == [18, 34]


def test_a_code_that_lies_gives_nothing_and_the_next_packet_is_found():
    liar = bytearray(packet(2, 2, 1, drawn()))
    liar[0] = 8
    rest = packet(4, 2, 2, drawn()) + packet(8, 2, 3, drawn())
    decoded = decode(bytes(liar) + rest)
    assert decoded.quotes["instrument"].tolist() == [34, 50]
    assert decoded.skipped == 1


def test_a_message_cut_at_every_byte_gives_what_is_whole():
    codes = [2, 8, 5, 4, 7, 6, 3, 50]
    made = [packet(code, 2, number, drawn(number)) for number, code in enumerate(codes, 1)]
    body = b"".join(made)
    whole = decode(body)
    assert (len(whole.quotes), len(whole.events), whole.skipped) == (6, 2, 0)
    for cut in range(len(body)):
        decoded = decode(body[:cut])
        lengths = np.cumsum([len(each) for each in made])
        assert len(decoded.quotes) + len(decoded.events) == int((lengths <= cut).sum())
        assert (decoded.quotes == whole.quotes[: len(decoded.quotes)]).all()
        assert decoded.skipped == (0 if cut in (0, *lengths) else 1)


@pytest.mark.parametrize(
    ("reason", "kind", "words"),
    [
        (805, FeedEventKind.DISCONNECTED, "more connections"),
        (806, FeedEventKind.REFUSED, "data API"),
        (807, FeedEventKind.REFUSED, "expired"),
        (808, FeedEventKind.REFUSED, "log in"),
        (809, FeedEventKind.REFUSED, "log in"),
        (810, FeedEventKind.REFUSED, "client id"),
        (999, FeedEventKind.DISCONNECTED, "unknown"),
    ],
)
def test_a_disconnection_says_why_and_whether_it_is_for_good(reason, kind, words):
    (event,) = decode(header(50, 0, 0) + struct.pack("<H", reason)).events
    assert event.kind is kind
    assert words in event.text
    assert str(reason) in event.text


def test_a_market_status_names_its_segment():
    (event,) = decode(header(7, 2, 0)).events
    assert event.kind is FeedEventKind.MARKET_STATUS
    assert "NSE_FNO" in event.text


def test_a_flood_of_events_is_counted_not_kept():
    decoded = decode(header(7, 1, 0) * 1_000)
    assert len(decoded.events) + decoded.skipped == 1_000
    assert len(decoded.events) < 100


@pytest.mark.parametrize("body", [b"", b"\x00", b"\xff" * 1_000, bytes(1_000), b"<html>no</html>" * 10])
def test_what_is_no_message_gives_nothing(body):
    assert len(decode(body).quotes) == 0


def test_what_the_feed_cannot_name_is_refused_by_name():
    odd = listed(1)
    with pytest.raises(InvalidInput, match="security id"):
        DhanDecoder({1: type(odd)(odd.key, "NSE_EQ|1", "NSE_EQ", "INFY", 1, 5)})
    with pytest.raises(InvalidInput, match="MCX_COMM"):
        DhanDecoder({1: type(odd)(odd.key, "1", "MCX_COMM", "GOLD", 1, 5)})


@settings(max_examples=300)
@given(st.binary(max_size=600), st.integers(0, 2**32 - 1))
def test_no_bytes_make_the_decoder_raise(body, seed):
    draw = drawn(seed)
    known = [(2, 1), (1, 2), (0, 3)]
    decode(body)
    decode(mixed_message(draw, known, count=3) + body + mixed_message(draw, known, count=3))


def test_twenty_thousand_mutated_messages_break_nothing():
    seen = fuzz_frames(20_000)
    assert seen["frames"] == 20_000
    assert seen["quotes"] > 10_000
    assert seen["events"] > 0


def test_the_measurement_measures_what_the_sdk_reads_too(sdk):
    made, known = full_packets(5)
    decoded = DhanDecoder(known).decode(b"".join(made), received_ns=1)
    for quote, body in zip(decoded.quotes, made, strict=True):
        theirs = sdk(body)
        assert quote["price_paise"] == paise(theirs["LTP"])
        assert quote["ask_paise"][4] == paise(theirs["depth"][4]["ask_price"])
    figures = measure_parse(seconds_per_figure=0.01)
    assert all(row["ours_to_sdk"] > 0 and row["floor_per_second"] > 0 for row in figures.values())


def test_levels_are_best_first():
    body = header(3, 2, 1) + struct.pack("<f", 100.0) + levels(100.0, drawn())
    quote = decode(body).quotes[0]
    assert quote["bid_paise"].tolist() == [10_000, 9_995, 9_990, 9_985, 9_980]
    assert quote["ask_paise"].tolist() == [10_000, 10_005, 10_010, 10_015, 10_020]
