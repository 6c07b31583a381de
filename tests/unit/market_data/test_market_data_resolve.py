"""Names to a broker's instruments."""

from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.fake_broker import MASTER

from services.market_data.feeds.live.resolve import Listings
from tradebus.contracts.instrument_key import Segment
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_to_ns

LISTINGS = Listings(MASTER)
TEN = ist_to_ns(date(2026, 11, 25), time(10))


def symbols(*names: str, now_ns: int = TEN) -> list[str]:
    return [one.listing.symbol for one in LISTINGS.resolve(names, now_ns=now_ns)]


def test_an_index_means_its_front_month_future() -> None:
    assert symbols("NIFTY", "^NSEI") == ["NIFTY26NOVFUT"]
    one = LISTINGS.resolve(["nifty50"], now_ns=TEN)[0]
    assert (one.kind, one.market_class) == ("FUTURE", "derivative")
    assert {"NIFTY", "NIFTY50", "NFO:NIFTY:2026-11-30:FUT"} <= set(one.aliases)


def test_the_future_rolls_after_the_close_of_its_last_day() -> None:
    last = date(2026, 11, 30)
    assert symbols("NIFTY", now_ns=ist_to_ns(last, time(15, 39))) == ["NIFTY26NOVFUT"]
    assert symbols("NIFTY", now_ns=ist_to_ns(last, time(15, 40))) == ["NIFTY26DECFUT"]


def test_a_stock_is_the_stock_and_its_class_says_whether_it_has_derivatives() -> None:
    stock, small = LISTINGS.resolve(["RELIANCE.NS", "smallco"], now_ns=TEN)
    assert (stock.listing.symbol, stock.kind, stock.market_class) == ("RELIANCE", "EQUITY", "equity_fno")
    assert small.market_class == "equity"
    assert "RELIANCE.NS" in stock.aliases


def test_a_contract_is_found_by_symbol_and_by_key() -> None:
    assert symbols("NIFTY26NOV26000CE", "NFO:NIFTY:2026-11-30:26000:CE") == ["NIFTY26NOV26000CE"]
    assert LISTINGS.resolve(["NIFTY26NOV26000CE"], now_ns=TEN)[0].kind == "OPTION"


def test_an_index_itself_is_not_tradable() -> None:
    with pytest.raises(InvalidInput, match="an index is not traded; NIFTY means its current future"):
        symbols("INDEX:NIFTY")


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match=r"'RELIANSE' is not in the broker's instrument master \(did you mean"):
        symbols("RELIANSE")


@given(
    st.lists(st.sampled_from(["NIFTY", "NIFTY50", "RELIANCE", "SMALLCO", "NIFTY26DECFUT", "reliance.ns"]), min_size=1)
)
def test_every_name_finds_one_instrument_and_none_twice(names: list[str]) -> None:
    found = LISTINGS.resolve(names, now_ns=TEN)
    keys = [one.listing.key for one in found]
    assert len(keys) == len(set(keys)) <= len(names)
    assert all(key.segment is not Segment.INDEX for key in keys)
