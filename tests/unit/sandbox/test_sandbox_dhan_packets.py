"""Dhan's packets, byte by byte, and what a connection picks out of a batch."""

import struct
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.sandbox.faces.dhan import packets
from services.sandbox.faces.dhan.feed_connection import Batch, FeedSubscriber, StreamMode
from services.sandbox.ports import BrokerName, SandboxInstrument, Token
from tradebus.contracts.instrument_key import InstrumentKey
from tradebus.contracts.records import QUOTE, QUOTE_HAS_OPEN_INTEREST, Records

BASE = SandboxInstrument(0, InstrumentKey.parse("NSE:INFY"), "INFY", "INFY", 1594, 0, "", "", 1, 5, 0, "equity_fno")
FUTURE = replace(BASE, index=1, key=InstrumentKey.parse("NFO:NIFTY:2026-12-29:FUT"), exchange_token=35_001)
INDEX = replace(BASE, index=2, key=InstrumentKey.parse("INDEX:NIFTY"), exchange_token=13)
LISTED = (BASE, FUTURE, INDEX)
DIRECTORY = packets.FeedCodes(LISTED)
ENCODER = packets.Encoder(DIRECTORY)
# 10:00:00 of 25 November 2026 in India, in UTC; Dhan's epoch is 19,800 s more.
TEN_NS, TEN_IST = 1_795_581_000 * 10**9, 1_795_581_000 + 19_800


def _quotes(*instruments: int, **given_: object) -> Records:
    quotes = np.zeros(len(instruments), QUOTE)
    quotes["instrument"] = instruments
    for name, value in given_.items():
        quotes[name] = value
    return quotes


def _connection(listed: int = len(LISTED)) -> FeedSubscriber:
    return FeedSubscriber(Token("t", BrokerName.DHAN, "1", 0), listed)


def test_a_ticker_packet_byte_by_byte() -> None:
    quotes = _quotes(1, price_paise=2_634_210, ts_last_trade_ns=TEN_NS)
    assert ENCODER.ticker(quotes).tobytes() == struct.pack("<BHBIfI", 2, 16, 2, 35_001, 26_342.1, TEN_IST)


def test_a_quote_packet_byte_by_byte() -> None:
    quotes = _quotes(
        0, price_paise=150_005, last_quantity=7, ts_last_trade_ns=TEN_NS, average_price_paise=149_900,
        volume_cumulative=99, total_sell_quantity=5, total_buy_quantity=6, open_paise=1, previous_close_paise=2,
        high_paise=3, low_paise=4,
    )  # fmt: skip
    expected = struct.pack(
        "<BHBIfHIfIIIffff", 4, 50, 1, 1594, 1500.05, 7, TEN_IST, 1499.0, 99, 5, 6, 0.01, 0.02, 0.03, 0.04
    )
    assert ENCODER.quote(quotes).tobytes() == expected


def test_a_full_packet_byte_by_byte() -> None:
    quotes = _quotes(1, price_paise=100, open_interest=11, open_interest_high=12, open_interest_low=10)
    quotes["bid_paise"], quotes["ask_paise"] = [[95, 90, 85, 80, 75]], [[105, 110, 115, 120, 125]]
    quotes["bid_quantity"], quotes["ask_quantity"] = [[1, 2, 3, 4, 5]], [[6, 7, 8, 9, 10]]
    quotes["bid_orders"], quotes["ask_orders"] = [[1, 1, 1, 1, 1]], [[2, 2, 2, 2, 2]]
    body = ENCODER.full(quotes).tobytes()
    head = struct.pack("<BHBIfHIfIIIIIIffff", 8, 162, 2, 35_001, 1.0, 0, 0, 0.0, 0, 0, 0, 11, 12, 10, 0, 0, 0, 0)
    levels = [(1, 6, 1, 2, 0.95, 1.05), (2, 7, 1, 2, 0.9, 1.1), (3, 8, 1, 2, 0.85, 1.15), (4, 9, 1, 2, 0.8, 1.2),
              (5, 10, 1, 2, 0.75, 1.25)]  # fmt: skip
    assert body == head + b"".join(struct.pack("<IIHHff", *level) for level in levels)


def test_the_small_packets_byte_by_byte() -> None:
    quotes = _quotes(2, previous_close_paise=2_650_000, open_interest=8)
    assert ENCODER.previous_close(quotes).tobytes() == struct.pack("<BHBIfI", 6, 16, 0, 13, 26_500.0, 8)
    assert ENCODER.open_interest(quotes).tobytes() == struct.pack("<BHBII", 5, 12, 0, 13, 8)
    assert packets.market_status(2) == struct.pack("<BHBI", 7, 8, 2, 0)
    assert packets.disconnect(807) == struct.pack("<BHBIH", 50, 10, 0, 0, 807)


def test_a_last_quantity_beyond_its_sixteen_bits_is_the_largest_they_hold() -> None:
    assert ENCODER.quote(_quotes(0, last_quantity=70_000))["ltq"].tolist() == [65_535]


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=20))
def test_numbers_too_large_for_their_field_are_the_largest_it_holds(values: list[int]) -> None:
    quotes = _quotes(*([0] * len(values)))
    quotes["volume_cumulative"] = values
    assert ENCODER.quote(quotes)["volume"].tolist() == [min(value, 2**32 - 1) for value in values]


def test_a_connection_gets_the_rows_it_wants_in_each_mode() -> None:
    connection = _connection()
    assert connection.add([BASE, FUTURE], StreamMode.TICKER)
    assert connection.add([INDEX], StreamMode.FULL)
    connection.offer(Batch(_quotes(0, 1, 2), ENCODER, DIRECTORY))
    taken = connection.take()
    assert [(body[0], int.from_bytes(body[4:8], "little")) for body in taken] == [(2, 1594), (2, 35_001), (8, 13)]
    connection.remove([BASE], StreamMode.TICKER)
    connection.offer(Batch(_quotes(0, 2), ENCODER, DIRECTORY))
    assert [body[0] for body in connection.take()] == [8]


def test_open_interest_is_told_in_quote_mode_only_when_it_changed_and_only_for_contracts() -> None:
    connection = _connection()
    connection.add([BASE, FUTURE], StreamMode.QUOTE)
    told = []
    for interest in (100, 100, 101):
        quotes = _quotes(0, 1, open_interest=interest, fields=QUOTE_HAS_OPEN_INTEREST)
        connection.offer(Batch(quotes, ENCODER, DIRECTORY))
        told.append([body[0] for body in connection.take()])
    assert told == [[4, 4, 5], [4, 4], [4, 4, 5]]


def test_the_five_thousand_and_first_instrument_is_refused_and_changes_nothing() -> None:
    many = [replace(BASE, index=place) for place in range(5_001)]
    connection = _connection(5_001)
    assert connection.add(many[:5_000], StreamMode.QUOTE)
    assert connection.add(many[:5_000], StreamMode.FULL)  # the same ones in another mode are no more of them
    assert not connection.add(many[5_000:], StreamMode.TICKER)
    assert np.count_nonzero(connection.modes) == 5_000


def test_a_connection_that_must_end_says_why_after_what_waits_and_only_once() -> None:
    connection = _connection()
    connection.add([BASE], StreamMode.TICKER)
    connection.offer(Batch(_quotes(0), ENCODER, DIRECTORY))
    connection.end(805)
    connection.end(807)
    assert [body[0] for body in connection.take()] == [2, 50]
    assert connection.ended


def test_subscriptions_follow_their_instruments_to_another_listing() -> None:
    connection = _connection()
    connection.add([FUTURE], StreamMode.FULL)
    connection.moved(np.array([2, -1, 1, 0]), 4)  # the future stands third in the new one
    assert connection.modes.tolist() == [0, 0, int(StreamMode.FULL), 0]
