"""Symbols, positions, settings, parameters and answers."""

import json
from datetime import date, time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from testkit.feeds import settings_for

from services.market_data.feeds.position import Streams, position_of
from services.market_data.http.parameters import day, instant_ns
from services.market_data.http.wire import candles_json, quote_json
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.records import CANDLE
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import plain_rupees
from tradebus.kernel.time import ist_to_ns
from tradebus.symbols.descriptions import canonical, describe, known_symbols, require_known

NIFTY = Instrument(
    instrument_id=3, symbol="NIFTY", kind="INDEX", market_class="derivative", underlying="NIFTY", tick_size_paise=5
)


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("nifty", "NIFTY"), ("NIFTY50", "NIFTY"), ("Nifty  50", "NIFTY"), ("^NSEI", "NIFTY"),
        ("^NSEBANK", "BANKNIFTY"), ("Bank Nifty", "BANKNIFTY"), ("RELIANCE.NS", "RELIANCE"), (" tcs ", "TCS"),
    ],
)  # fmt: skip
def test_alias_leads_to_its_symbol(name: str, symbol: str) -> None:
    assert canonical(name) == symbol
    assert describe(name) == describe(symbol)


@given(st.text(max_size=20))
def test_canonical_is_idempotent(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name)


@pytest.mark.parametrize(
    ("symbol", "kind", "market_class", "underlying"),
    [
        ("BANKNIFTY", "INDEX", "derivative", "BANKNIFTY"),
        ("BANKNIFTY_F1", "FUTURE", "derivative", "BANKNIFTY"),
        ("NIFTY26OCTFUT", "FUTURE", "derivative", "NIFTY"),
        ("M&M26OCTFUT", "FUTURE", "derivative", "M&M"),
        ("BAJAJ-AUTO", "EQUITY", "equity_fno", "BAJAJ-AUTO"),
    ],
)
def test_kind_and_session_follow_from_the_symbol(symbol: str, kind: str, market_class: str, underlying: str) -> None:
    found = describe(symbol)
    assert (found.kind, found.market_class, found.underlying) == (kind, market_class, underlying)


def test_every_alias_is_its_own_and_leads_home() -> None:
    aliases = [alias for symbol in known_symbols() for alias in describe(symbol).aliases]
    assert len(set(aliases)) == len(aliases)
    assert not set(aliases) & set(known_symbols())
    assert all(alias in describe(canonical(alias)).aliases for alias in aliases)


def test_unknown_symbol_is_named_with_the_nearest() -> None:
    assert require_known(["nifty 50", "NIFTY", "tcs"]) == ("NIFTY", "TCS")
    with pytest.raises(InvalidInput, match=r"'RELIANCEE' is unknown \(did you mean 'RELIANCE'\?\)"):
        require_known(["RELIANCEE"])
    with pytest.raises(InvalidInput, match="is not a trading symbol"):
        describe("NIFTY; DROP")


OPEN_NS = ist_to_ns(date(2024, 1, 2), time(9, 15))


def test_empty_streams_are_filled_from_the_beginning_of_time() -> None:
    position = position_of(Streams(0, ended=False), held_identity=None, identity="a", first_open_ns=OPEN_NS)
    assert (position.start_ns, position.fresh, position.finished) == (0, True, False)


@given(st.integers(1, 10**19 // 2), st.booleans())
def test_same_feed_goes_on_exactly_where_the_streams_end(end_ns: int, ended: bool) -> None:
    position = position_of(Streams(end_ns, ended=ended), held_identity="a", identity="a", first_open_ns=OPEN_NS)
    assert (position.start_ns, position.fresh, position.finished) == (end_ns, False, ended)


@given(st.integers(1, 2 * OPEN_NS), st.booleans(), st.sampled_from([None, "b"]))
def test_another_feed_follows_in_time_or_is_refused(end_ns: int, ended: bool, held: str | None) -> None:
    streams = Streams(end_ns, ended=ended)
    if end_ns > OPEN_NS:
        with pytest.raises(InvalidInput, match="TRADEBUS_NAMESPACE"):
            position_of(streams, held_identity=held, identity="a", first_open_ns=OPEN_NS)
    else:
        position = position_of(streams, held_identity=held, identity="a", first_open_ns=OPEN_NS)
        assert (position.start_ns, position.fresh, position.finished) == (end_ns, True, False)


@pytest.mark.parametrize(
    ("given_settings", "says"),
    [
        ({"feed": "history"}, "needs TRADEBUS_HISTORY"),
        ({"from_date": "2024-01-02", "to_date": "2024-01-01"}, "is before TRADEBUS_FROM"),
        ({"speed": "fast"}, "speed"),
        ({"speed": 0}, "speed"),
        ({"slice_seconds": 7}, "must divide 60"),
        ({"feed": "telepathy"}, "feed"),
        ({"from_date": "tomorrow"}, "from_date"),
        ({"ticks_per_minute": 3}, "ticks_per_minute"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given_settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        settings_for(**given_settings)


def test_settings_take_lists_and_speeds_as_the_environment_writes_them() -> None:
    settings = settings_for(symbols="NIFTY, TCS,", speed="60", from_date="2024-01-02", history="")
    assert settings.symbols == ("NIFTY", "TCS")
    assert settings.speed == 60.0
    assert settings_for(speed="max").speed == "max"
    assert settings.history is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-02", ist_to_ns(date(2024, 1, 2), time(0))),
        ("2024-01-02T09:15", OPEN_NS),
        ("2024-01-02 09:15:00", OPEN_NS),
        ("2024-01-02T03:45:00Z", OPEN_NS),
        ("2024-01-02T09:15:00+05:30", OPEN_NS),
        ("2024-01-02T09:15:00 05:30", OPEN_NS),
        (str(OPEN_NS // 10**9), OPEN_NS),
    ],
)
def test_instants_are_read_in_every_usual_spelling(text: str, expected: int) -> None:
    assert instant_ns(text, name="from") == expected


def test_date_at_the_end_of_a_range_includes_its_day() -> None:
    assert instant_ns("2024-01-02", name="to", ends_day=True) == ist_to_ns(date(2024, 1, 3), time(0))


@given(st.text(max_size=30))
def test_text_is_an_instant_of_our_time_or_a_named_error(text: str) -> None:
    try:
        ts_ns = instant_ns(text, name="from")
    except InvalidInput:
        with pytest.raises(InvalidInput, match=r"^from: "):
            instant_ns(text, name="from")
    else:
        assert ist_to_ns(date(1990, 1, 1), time(0)) <= ts_ns <= ist_to_ns(date(2100, 1, 1), time(0))


@pytest.mark.parametrize("text", ["", "1e9", "31-01-2024", "2024-13-01", "9" * 25, "1969-01-01", "٢٠٢٤٠١٠٢٠"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="from: "):
        instant_ns(text, name="from")


def test_expiry_is_a_date_or_absent() -> None:
    assert day(None, name="expiry") is None
    assert day("2024-01-25", name="expiry") == date(2024, 1, 25)
    with pytest.raises(InvalidInput, match="expiry: 'soon' is not a date"):
        day("soon", name="expiry")


@given(st.integers(0, 10**13))
def test_rupees_are_exact(paise: int) -> None:
    whole, _, rest = plain_rupees(paise).partition(".")
    assert len(rest) == 2
    assert int(whole) * 100 + int(rest) == paise


@given(st.lists(st.integers(1, 10**10), max_size=5), st.sampled_from([60, 300]))
def test_candles_are_valid_json_with_exact_prices(prices: list[int], timeframe: int) -> None:
    rows = np.zeros(len(prices), CANDLE)
    rows["ts_open_ns"] = OPEN_NS + np.arange(len(prices)) * timeframe * 10**9
    for name in ("open_paise", "high_paise", "low_paise", "close_paise"):
        rows[name] = prices
    rows["volume"], rows["open_interest"] = 7, 9
    found = json.loads(candles_json(NIFTY, timeframe, rows), parse_float=str)
    assert (found["symbol"], found["instrument_id"], found["timeframe_seconds"]) == ("NIFTY", 3, timeframe)
    assert [candle["close"] for candle in found["candles"]] == [plain_rupees(price) for price in prices]
    assert [candle["ts_epoch_seconds"] for candle in found["candles"]] == (rows["ts_open_ns"] // 10**9).tolist()
    if prices:
        assert found["candles"][0]["ts_utc"] == "2024-01-02T03:45:00Z"
        assert (found["candles"][0]["volume"], found["candles"][0]["open_interest"]) == (7, 9)


def test_quote_without_a_book_has_no_bid_and_ask() -> None:
    body = quote_json(
        NIFTY, ts_ns=OPEN_NS + 1_500_000, price_paise=2_170_005, bid_paise=0, ask_paise=2_170_010, volume=0,
        open_interest=0, source="tick",
    )  # fmt: skip
    found = json.loads(body, parse_float=str)
    assert (found["price"], found["bid"], found["ask"]) == ("21700.05", None, "21700.10")
    assert found["ts_utc"] == "2024-01-02T03:45:00.001500Z"
    assert found["ts_epoch_seconds"].endswith(".001500")
