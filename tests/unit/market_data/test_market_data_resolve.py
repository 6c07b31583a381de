"""Names to a broker's instruments."""

from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.fake_broker import MASTER, listing, weeklies

from services.market_data.feeds.live.book import book_symbols
from services.market_data.feeds.live.resolve import BrokerMaster
from tradebus.contracts.instrument_key import InstrumentKey, Right, Segment
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_to_ns

LISTINGS = BrokerMaster(MASTER)
DAY = date(2026, 11, 25)
TEN = ist_to_ns(DAY, time(10))


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


WEEKLIES = weeklies()
NAME = "NIFTY-Dec2026-26550-CE"


def at(day: date, hour: int = 10, minute: int = 0) -> int:
    return ist_to_ns(day, time(hour, minute))


def test_contracts_of_one_name_are_as_many_instruments_as_keys() -> None:
    keys = [str(one.key) for one in WEEKLIES]
    found = BrokerMaster(WEEKLIES).resolve(keys, now_ns=TEN)
    assert [one.listing for one in found] == WEEKLIES
    assert [one.symbol for one in found] == keys
    assert len({one.listing.token for one in found}) == len(keys)


def test_a_name_of_several_contracts_is_refused_with_the_keys_it_could_mean() -> None:
    with pytest.raises(InvalidInput, match=r"means 5 instruments.*NFO:NIFTY:2026-12-01:26550:CE, NFO:NIFTY:2026-12-08"):
        BrokerMaster(WEEKLIES).resolve([NAME], now_ns=TEN)
    with pytest.raises(InvalidInput, match=r"means 3 instruments.*write the one you want, NFO:NIFTY:2026-12-15"):
        BrokerMaster(WEEKLIES).resolve([NAME], now_ns=at(date(2026, 12, 9)))


@pytest.mark.parametrize("name", [NAME, "NFO:NIFTY:2026-12-29:26550:CE"])
def test_an_expired_contract_is_found_by_no_name_and_no_key(name: str) -> None:
    master = BrokerMaster(WEEKLIES)
    [last] = master.resolve([name], now_ns=at(date(2026, 12, 29)))
    assert (str(last.listing.key), last.symbol) == ("NFO:NIFTY:2026-12-29:26550:CE",) * 2
    for now_ns in (at(date(2026, 12, 29), 15, 45), at(date(2026, 12, 30)), at(date(2027, 3, 1))):
        with pytest.raises(InvalidInput, match="NFO:NIFTY:2026-12-29:26550:CE expired on 2026-12-29"):
            master.resolve([name], now_ns=now_ns)


def test_an_expired_contract_that_is_listed_no_more_is_said_to_have_expired() -> None:
    with pytest.raises(InvalidInput, match="expired on 2026-11-23"):
        LISTINGS.resolve(["NFO:NIFTY:2026-11-23:26000:CE"], now_ns=TEN)
    with pytest.raises(InvalidInput, match="not in the broker's instrument master"):
        LISTINGS.resolve(["NFO:NIFTY:2026-12-29:26000:CE"], now_ns=TEN)


def test_a_symbol_that_is_one_contracts_today_names_none_where_others_repeat() -> None:
    other = listing(InstrumentKey(Segment.NFO, "NIFTY", date(2026, 12, 29), 2_700_000, Right.CALL), "ONE-OF-A-KIND", 7)
    [found] = BrokerMaster([*WEEKLIES, other]).resolve(["ONE-OF-A-KIND"], now_ns=TEN)
    assert (found.symbol, found.aliases[0]) == ("NFO:NIFTY:2026-12-29:27000:CE", "ONE-OF-A-KIND")


def test_a_share_that_lists_at_two_exchanges_is_two_instruments() -> None:
    bse = listing(InstrumentKey(Segment.BSE, "RELIANCE"), "RELIANCE", 128_083_204)
    both = BrokerMaster([bse, *MASTER]).resolve(["BSE:RELIANCE", "RELIANCE", "NSE:RELIANCE"], now_ns=TEN)
    assert [(one.symbol, one.listing.token) for one in both] == [("BSE:RELIANCE", "128083204"), ("RELIANCE", "738561")]
    assert "RELIANCE.NS" not in both[0].aliases


def test_an_index_of_bse_means_its_future_there() -> None:
    future = listing(InstrumentKey(Segment.BFO, "SENSEX", date(2026, 11, 26)), "SENSEX26NOVFUT", 9, lot=20)
    [found] = BrokerMaster([*MASTER, future]).resolve(["SENSEX"], now_ns=TEN)
    assert (found.symbol, found.kind, found.market_class) == ("SENSEX26NOVFUT", "FUTURE", "derivative")


def registered(number: int, symbol: str, key: str | None, kind="OPTION") -> Instrument:
    return Instrument(
        instrument_id=number, symbol=symbol, kind=kind, market_class="derivative", underlying="NIFTY",
        tick_size_paise=5, instrument_key=key,
    )  # fmt: skip


def test_the_book_tells_instruments_apart_by_their_keys() -> None:
    first, second, third = BrokerMaster(WEEKLIES).resolve([str(one.key) for one in WEEKLIES[:3]], now_ns=TEN)
    key = str(first.listing.key)
    known = InstrumentMaster(
        [
            registered(0, "NIFTY26D0126550CE", key),  # as another broker calls it
            registered(1, NAME, "NFO:NIFTY:2025-12-30:26550:CE"),
        ]
    )
    assert book_symbols([first, second, third], known) == ["NIFTY26D0126550CE", second.symbol, third.symbol]


@pytest.mark.parametrize(
    ("held", "kind", "expected"),
    [("NFO:NIFTY:2025-11-25:FUT", "FUTURE", "NFO:NIFTY:2026-11-30:FUT"), (None, "EQUITY", "NFO:NIFTY:2026-11-30:FUT"),
     (None, "FUTURE", "NIFTY26NOVFUT"), ("NFO:NIFTY:2026-11-30:FUT", "FUTURE", "NIFTY26NOVFUT")],
)  # fmt: skip
def test_a_symbol_that_is_another_instruments_in_the_book_names_no_second_one(held, kind, expected) -> None:
    known = InstrumentMaster([registered(0, "NIFTY26NOVFUT", held, kind)])
    assert book_symbols(LISTINGS.resolve(["NIFTY"], now_ns=TEN), known) == [expected]


_keys = st.builds(
    InstrumentKey, st.sampled_from([Segment.NFO, Segment.BFO]), st.sampled_from(["NIFTY", "SENSEX"]),
    st.dates(date(2026, 11, 20), date(2026, 12, 31)), st.sampled_from([2_600_000, 2_605_000]), st.sampled_from(Right),
)  # fmt: skip


@given(st.lists(st.tuples(_keys, st.sampled_from(["A", "B", "a", "C"])), unique_by=lambda pair: pair[0], max_size=12))
def test_what_differs_in_its_key_differs_in_its_symbol_and_no_name_means_two(rows: list) -> None:
    master = [listing(key, symbol, number) for number, (key, symbol) in enumerate(rows, start=1)]
    listings = BrokerMaster(master)
    alive = [one for one in master if one.key.expiry is not None and one.key.expiry > DAY]
    found = listings.resolve([str(one.key) for one in alive], now_ns=TEN)
    assert [one.listing for one in found] == alive
    assert len({one.symbol.upper() for one in found}) == len(alive)
    for name in ("A", "B", "C"):
        meant = [one for one in alive if one.symbol.upper() == name]
        if len(meant) == 1 and not any(one.key.expiry == DAY for one in master):
            assert listings.resolve([name], now_ns=TEN)[0].listing == meant[0]
        elif len(meant) != 1 and not any(one.key.expiry == DAY for one in master):
            with pytest.raises(InvalidInput):
                listings.resolve([name], now_ns=TEN)


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
