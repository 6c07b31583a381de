"""The deep books: the best five levels of both sides, equal to what the official SDK reads, and nothing breaks it."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.fuzz_dhan import listed, mutated

from tradebus.brokers.dhan import DhanDepthDecoder
from tradebus.brokers.feed import FeedEventKind
from tradebus.contracts.records import QUOTE_HAS_DEPTH
from tradebus.kernel.rng import seed_for

BID, ASK = 41, 51


def side(code, security_id=1, *, best=100.0, levels=20, segment=2, length=None, price=None):
    step = -0.05 if code == BID else 0.05
    rows = [(best + step * level, 75 * (level + 1), level + 1) for level in range(levels)]
    if price is not None:
        rows[2] = (price, 1, 1)
    body = b"".join(struct.pack("<dII", *row) for row in rows)
    return (
        struct.pack("<hBBiI", 12 + len(body) if length is None else length, code, segment, security_id, levels) + body
    )


def decoder(*security_ids):
    return DhanDepthDecoder({each * 10: listed(each) for each in security_ids or (1, 2)})


def decode(body, using=None):
    return (using or decoder()).decode(body, received_ns=7)


def test_both_sides_make_a_record_of_the_best_five():
    (quote,) = decode(side(BID) + side(ASK, best=100.05)).quotes
    assert quote["instrument"] == 10
    assert quote["fields"] == QUOTE_HAS_DEPTH
    assert quote["bid_paise"].tolist() == [10_000, 9_995, 9_990, 9_985, 9_980]
    assert quote["ask_paise"].tolist() == [10_005, 10_010, 10_015, 10_020, 10_025]
    assert quote["bid_quantity"].tolist() == [75, 150, 225, 300, 375]
    assert quote["ask_orders"].tolist() == [1, 2, 3, 4, 5]
    assert (quote["ts_event_ns"], quote["ts_received_ns"]) == (7, 7)


def test_one_side_waits_for_the_other_and_is_forgotten_with_its_connection():
    using = decoder()
    assert len(decode(side(BID), using).quotes) == 0
    assert len(decode(side(ASK), using).quotes) == 1
    assert len(decode(side(BID, best=99.0), using).quotes) == 1
    using.forget()
    assert len(decode(side(BID), using).quotes) == 0


def test_stacked_books_come_one_record_each():
    body = side(BID, 1) + side(ASK, 1) + side(BID, 2) + side(ASK, 2) + side(BID, 1, best=99.0)
    quotes = decode(body).quotes
    assert quotes["instrument"].tolist() == [10, 20]
    assert quotes[0]["bid_paise"][0] == 9_900


def test_two_hundred_levels_are_read_as_twenty_are():
    (quote,) = decode(side(BID, levels=200, best=500.0) + side(ASK, levels=200)).quotes
    assert quote["bid_paise"][4] == 49_980


@pytest.mark.parametrize(
    "odd",
    [side(BID, 9), side(BID, segment=5), side(44), side(BID, levels=4), side(BID, price=float("nan")),
     side(BID, price=-1.0), side(BID, price=1e300)],
)  # fmt: skip
def test_a_packet_that_cannot_be_used_is_counted_and_spoils_no_other(odd):
    decoded = decode(odd + side(BID) + side(ASK))
    assert len(decoded.quotes) == 1
    assert decoded.skipped == 1


@pytest.mark.parametrize("length", [-1, 0, 11, 333, 32_767])
def test_a_length_that_lies_ends_its_message(length):
    decoded = decode(side(BID, length=length) + side(ASK))
    assert len(decoded.quotes) == 0
    assert decoded.skipped >= 1


def test_a_disconnection_says_why():
    (event,) = decode(struct.pack("<hBBiI", 12, 50, 0, 0, 807)).events
    assert event.kind is FeedEventKind.REFUSED


def test_a_message_cut_at_every_byte_gives_what_is_whole():
    body = side(BID) + side(ASK)
    for cut in range(len(body)):
        decoded = decode(body[:cut])
        assert len(decoded.quotes) == 0
        assert decoded.skipped == (0 if cut in (0, len(body) // 2) else 1)


@given(st.binary(max_size=400))
def test_no_bytes_make_it_raise(noise):
    decode(noise)
    decode(side(BID) + noise + side(ASK))


def test_mutated_messages_break_nothing():
    draw, using = np.random.default_rng(seed_for(1, "dhan depth")), decoder()
    body = side(BID) + side(ASK, 2) + side(ASK) + side(BID, 2)
    for _ in range(3_000):
        quotes = decode(mutated(draw, body), using).quotes
        assert np.isin(quotes["instrument"], [10, 20]).all()
        assert (quotes["bid_paise"] >= 0).all()


def test_it_reads_what_the_official_sdk_reads():
    from dhanhq import DhanContext, FullDepth

    sdk = FullDepth(DhanContext("1", "token"), [], 20)
    sdk.loop.close()
    body = side(BID)
    theirs = sdk.process_20_depth_data_body(body, is_bid=True)
    quote = decode(body + side(ASK)).quotes[0]
    for number, level in enumerate(theirs["depth"][:5]):
        assert quote["bid_paise"][number] == round(float(level["price"]) * 100)
        assert quote["bid_quantity"][number] == level["quantity"]
        assert quote["bid_orders"][number] == level["orders"]
