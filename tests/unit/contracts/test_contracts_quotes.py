import numpy as np

from tradebus.contracts.records import (
    QUOTE,
    QUOTE_HAS_DEPTH,
    QUOTE_HAS_OPEN_INTEREST,
    QUOTE_HAS_PRICE,
    TICK,
    ticks_of,
)


def test_ticks_are_the_quotes_with_a_price_in_their_order():
    quotes = np.zeros(3, QUOTE)
    quotes["fields"] = [QUOTE_HAS_PRICE | QUOTE_HAS_DEPTH, QUOTE_HAS_OPEN_INTEREST, QUOTE_HAS_PRICE]
    quotes["instrument"] = [7, 8, 9]
    quotes["price_paise"] = [100, 0, 300]
    quotes["ts_event_ns"] = [1, 2, 3]
    quotes["volume_cumulative"] = [10, 20, 30]
    quotes["bid_paise"][0] = [99, 98, 97, 96, 95]
    quotes["ask_paise"][0] = [101, 102, 103, 104, 105]
    ticks = ticks_of(quotes)
    assert ticks.dtype == TICK
    assert ticks["instrument"].tolist() == [7, 9]
    assert ticks["price_paise"].tolist() == [100, 300]
    assert ticks["volume_cumulative"].tolist() == [10, 30]
    assert (ticks["bid_paise"].tolist(), ticks["ask_paise"].tolist()) == ([99, 0], [101, 0])


def test_no_quotes_make_no_ticks():
    assert len(ticks_of(np.zeros(0, QUOTE))) == 0


def test_a_quote_record_is_aligned_so_that_arrays_of_it_are_fast():
    assert QUOTE.itemsize % 8 == 0
    assert all(offset % field.alignment == 0 for field, offset in (value[:2] for value in QUOTE.fields.values()))
