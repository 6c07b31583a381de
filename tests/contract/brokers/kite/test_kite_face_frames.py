"""What the face encodes, the official ticker's parser and ours read back as the same numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.kite_ticks import MODES, official_ticks, same

from services.sandbox.faces.kite import frames
from tradebus.brokers.kite import KiteDecoder
from tradebus.contracts.records import DEPTH_LEVELS, QUOTE, Records

TOKENS = np.array([408065, 738561, 256265, 260105, 12345 * 256 + 2, 54321 * 256 + 2], np.uint32)
INDEXES = (2, 3)
SECONDS = st.integers(1_600_000_000, 2_000_000_000)
PAISE, COUNT = st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)


@st.composite
def quote_batches(draw: st.DrawFn) -> Records:
    quotes = np.zeros(draw(st.integers(1, 12)), QUOTE)
    for quote in quotes:
        quote["instrument"] = draw(st.integers(0, len(TOKENS) - 1))
        for name in ("price_paise", "average_price_paise", "open_paise", "high_paise", "low_paise"):
            quote[name] = draw(PAISE)
        quote["previous_close_paise"] = draw(PAISE)
        for name in ("volume_cumulative", "open_interest", "open_interest_high", "total_buy_quantity", "last_quantity"):
            quote[name] = draw(COUNT)
        quote["total_sell_quantity"], quote["open_interest_low"] = draw(COUNT), draw(COUNT)
        quote["ts_event_ns"], quote["ts_last_trade_ns"] = draw(SECONDS) * 10**9 + 5, draw(SECONDS) * 10**9 + 7
        for side in ("bid", "ask"):
            quote[f"{side}_paise"] = draw(st.lists(PAISE, min_size=DEPTH_LEVELS, max_size=DEPTH_LEVELS))
            quote[f"{side}_quantity"] = draw(st.lists(COUNT, min_size=DEPTH_LEVELS, max_size=DEPTH_LEVELS))
            orders = st.integers(0, 2**16 - 1)
            quote[f"{side}_orders"] = draw(st.lists(orders, min_size=DEPTH_LEVELS, max_size=DEPTH_LEVELS))
    return quotes


@given(quotes=quote_batches(), modes=st.lists(st.integers(0, 3), min_size=len(TOKENS), max_size=len(TOKENS)))
def test_the_official_parser_reads_back_what_was_encoded(quotes: Records, modes: list[int]) -> None:
    chosen = np.array(modes, np.uint8)
    frame = frames.encode(quotes, chosen, TOKENS)
    wanted = [quote for quote in quotes if chosen[quote["instrument"]]]
    if not wanted:
        assert frame == b""
        return
    ticks = official_ticks(frame)
    assert len(ticks) == len(wanted)
    for quote in wanted:
        mine = [tick for tick in ticks if _matches(tick, quote, int(chosen[quote["instrument"]]))]
        assert mine, "a packet is missing or differs"


def _matches(tick: dict, quote: np.void, mode: int) -> bool:
    index = int(quote["instrument"]) in INDEXES
    named = (tick["instrument_token"], tick["mode"], tick["tradable"])
    return named == (TOKENS[quote["instrument"]], MODES[mode], not index) and same(tick, quote)


@given(quotes=quote_batches())
def test_our_decoder_reads_back_every_field_of_full_mode(quotes: Records) -> None:
    chosen = np.full(len(TOKENS), frames.FULL, np.uint8)
    decoder = KiteDecoder({int(token): number for number, token in enumerate(TOKENS)})
    decoded = decoder.decode(frames.encode(quotes, chosen, TOKENS), received_ns=1)
    assert decoded.skipped == 0
    tradable = ~np.isin(quotes["instrument"], INDEXES)
    expected = np.concatenate((quotes[tradable], quotes[~tradable]))
    assert decoded.quotes["instrument"].tolist() == expected["instrument"].tolist()
    for name in ("price_paise", "open_paise", "high_paise", "low_paise", "previous_close_paise"):
        assert decoded.quotes[name].tolist() == expected[name].tolist(), name
    split = int(tradable.sum())
    for name in ("last_quantity", "volume_cumulative", "open_interest", "open_interest_high", "open_interest_low",
                 "total_buy_quantity", "total_sell_quantity", "bid_paise", "ask_paise", "bid_quantity",
                 "ask_quantity", "bid_orders", "ask_orders", "average_price_paise"):  # fmt: skip
        assert decoded.quotes[name][:split].tolist() == expected[name][:split].tolist(), name
    assert (decoded.quotes["ts_event_ns"] // 10**9).tolist() == (expected["ts_event_ns"] // 10**9).tolist()


@given(quotes=quote_batches(), modes=st.lists(st.integers(0, 3), min_size=len(TOKENS), max_size=len(TOKENS)))
def test_a_frame_is_exactly_as_long_as_its_counts_say(quotes: Records, modes: list[int]) -> None:
    frame = frames.encode(quotes, np.array(modes, np.uint8), TOKENS)
    if not frame:
        return
    at, packets = 2, int.from_bytes(frame[:2], "big")
    for _ in range(packets):
        at += 2 + int.from_bytes(frame[at : at + 2], "big")
    assert at == len(frame)


@pytest.mark.parametrize(
    ("field", "layout_max"),
    [("price_paise", 2**31 - 1), ("volume_cumulative", 2**32 - 1), ("total_buy_quantity", 2**32 - 1)],
)
def test_a_value_too_large_for_its_field_is_the_largest_that_fits(field: str, layout_max: int) -> None:
    quotes = np.zeros(1, QUOTE)
    quotes[field] = 2**40
    tick = official_ticks(frames.encode(quotes, np.full(len(TOKENS), frames.FULL, np.uint8), TOKENS))[0]
    named = {"price_paise": tick["last_price"] * 100, "volume_cumulative": tick["volume_traded"]}
    assert round(named.get(field, tick["total_buy_quantity"])) == layout_max
