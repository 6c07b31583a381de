"""A file's name says its instrument only where every word of it is understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.symbols.descriptions import EQUITIES, INDICES
from tradebus.symbols.file_names import symbols_in_file_name


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BANKNIFTY_1min_2012-2024", "BANKNIFTY"),
        ("NIFTY 50_minute", "NIFTY"),
        ("nifty50_spot_1s_2022-08_2022-10", "NIFTY"),
        ("NIFTY NEXT 50 2024", "NIFTYNXT50"),
        ("RELIANCE-EQ", "RELIANCE"),
        ("RELIANCE.NS", "RELIANCE"),
        ("NSE_RELIANCE, 1", "RELIANCE"),
        ("BAJAJ_AUTO_01JAN2024 (2)", "BAJAJ-AUTO"),
        ("M&M", "M&M"),
        ("FEDERALBNK_intraday", "FEDERALBNK"),
        ("NIFTY26JUN24000CE", "NIFTY26JUN24000CE"),
        ("NFO_NIFTY26JUN24000CE_2026-06-01", "NIFTY26JUN24000CE"),
        ("BHEL24JAN192.5CE", "BHEL24JAN192.5CE"),
        ("NIFTY26DECFUT", "NIFTY26DECFUT"),
        ("BANKNIFTY_F1_2021", "BANKNIFTY_F1"),
        ("NIFTY-I", "NIFTY-I"),
    ],
)
def test_a_name_that_is_understood_whole_says_one_instrument(name: str, symbol: str) -> None:
    assert symbols_in_file_name(name) == (symbol,)


@pytest.mark.parametrize(
    "name",
    [
        "NIFTY IT", "NIFTY_II", "NIFTY-FUT-1min", "NIFTY 26 JUN 24000 CE", "NIFTY_100_2024", "NIFTY 50 EQL WGT",
        "NIFTYBEES", "SENSEX50", "NIFTY options", "NIFTY26XXX24000CE", "INDIA VIX", "2024-01-15", "01APR2024", "data",
        "", "bars (1)", "MAY", "1min", "XNIFTY26JUN24000CE",
    ],
)  # fmt: skip
def test_a_name_with_a_word_that_may_mean_another_instrument_says_none(name: str) -> None:
    assert symbols_in_file_name(name) == ()


def test_a_name_of_two_instruments_says_both() -> None:
    assert symbols_in_file_name("NIFTY_BANKNIFTY_1min") == ("NIFTY", "BANKNIFTY")


@given(
    st.sampled_from([*INDICES, *EQUITIES]), st.sampled_from(["{}", "{}_1min", "nse {} 2024-01-15", "{}_minute_data"])
)
def test_every_built_in_symbol_is_found_between_words_of_data(symbol: str, form: str) -> None:
    assert symbols_in_file_name(form.format(symbol.lower())) == (symbol,)


@given(st.text(max_size=30))
def test_no_name_is_too_strange_to_be_looked_at(name: str) -> None:
    assert len(symbols_in_file_name(name)) >= 0
