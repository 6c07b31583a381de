"""Lots, freezes and ticks, by date."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.calendar import freeze_quantity_of, front_month_expiry, lot_size, tick_size_paise
from tradebus.calendar.rules import current, in_force
from tradebus.kernel.errors import InvalidInput

names = st.sampled_from(["NIFTY", "BANKNIFTY", "FINNIFTY"])
days = st.dates(min_value=date(2021, 1, 11), max_value=date(2030, 12, 31))


@pytest.mark.parametrize(
    ("underlying", "day", "lot"),
    [
        ("NIFTY", "2014-10-30", 50),
        ("NIFTY", "2014-10-31", 25),
        ("NIFTY", "2015-10-30", 75),
        ("NIFTY", "2021-06-24", 75),
        ("NIFTY", "2021-06-25", 50),
        ("NIFTY", "2024-04-25", 50),
        ("NIFTY", "2024-04-26", 25),
        ("NIFTY", "2025-01-30", 25),  # the January contract was listed before the change
        ("NIFTY", "2025-01-31", 75),
        ("NIFTY", "2025-12-30", 75),
        ("NIFTY", "2026-01-01", 65),
        ("BANKNIFTY", "2018-10-25", 40),
        ("BANKNIFTY", "2018-10-26", 20),
        ("BANKNIFTY", "2020-06-26", 25),
        ("BANKNIFTY", "2023-06-28", 25),
        ("BANKNIFTY", "2023-06-30", 15),
        ("BANKNIFTY", "2025-02-03", 30),
        ("BANKNIFTY", "2025-07-01", 35),
        ("BANKNIFTY", "2026-08-18", 30),
        ("FINNIFTY", "2024-01-02", 40),
        ("FINNIFTY", "2024-07-01", 25),
        ("FINNIFTY", "2025-06-02", 65),
        ("FINNIFTY", "2026-08-18", 60),
        ("RELIANCE", "2026-08-18", 1),
    ],
)
def test_the_lot_of_the_front_month_future(underlying: str, day: str, lot: int) -> None:
    assert lot_size(underlying, date.fromisoformat(day)) == lot


@given(names, days)
def test_the_lot_is_the_same_while_the_contract_is(underlying: str, day: date) -> None:
    assert lot_size(underlying, day) == lot_size(underlying, front_month_expiry(underlying, day))


def test_a_future_whose_lot_is_not_listed_is_refused_not_guessed() -> None:
    with pytest.raises(InvalidInput, match="no lot size is listed for 'RELIANCE'"):
        lot_size("RELIANCE", date(2026, 8, 18), kind="FUTURE")
    with pytest.raises(InvalidInput, match="did you mean 'BANKNIFTY'"):
        lot_size("BANKNIFT", date(2026, 8, 18), kind="INDEX")
    assert lot_size("RELIANCE", date(2026, 8, 18), kind="EQUITY") == 1
    assert lot_size("NIFTY", date(2026, 8, 18), kind="OPTION") == 65


def test_a_lot_before_the_contract_existed_is_refused() -> None:
    with pytest.raises(InvalidInput, match="FINNIFTY: no rule is known for"):
        lot_size("FINNIFTY", date(2015, 1, 1))


@pytest.mark.parametrize(
    ("underlying", "day", "quantity"),
    [
        ("NIFTY", "2015-01-01", 2800),
        ("NIFTY", "2026-08-18", 1800),
        ("BANKNIFTY", "2024-01-01", 900),
        ("BANKNIFTY", "2026-08-18", 600),
        ("FINNIFTY", "2026-07-31", 1200),
        ("FINNIFTY", "2026-08-18", 1800),
        ("RELIANCE", "2026-08-18", None),
    ],
)
def test_the_freeze_quantity(underlying: str, day: str, quantity: int | None) -> None:
    assert freeze_quantity_of(underlying, date.fromisoformat(day)) == quantity


@given(names, days)
def test_a_single_lot_is_never_frozen(underlying: str, day: date) -> None:
    freeze = freeze_quantity_of(underlying, day)
    assert freeze is not None
    assert lot_size(underlying, day) <= freeze


@pytest.mark.parametrize(
    ("kind", "underlying", "day", "price", "tick"),
    [
        ("FUTURE", "NIFTY", "2025-04-14", None, 5),
        ("FUTURE", "MIDCPNIFTY", "2026-08-18", 1_375_000, 5),
        ("FUTURE", "NIFTY", "2026-08-18", 2_595_000, 10),
        ("FUTURE", "NIFTY", "2026-08-18", 3_000_000, 20),
        ("INDEX", "BANKNIFTY", "2026-08-18", 5_840_000, 20),
        ("FUTURE", "SENSEX", "2026-08-18", 8_470_000, 5),
        ("OPTION", "BANKNIFTY", "2026-08-18", None, 5),
        ("OPTION", "RELIANCE", "2025-04-14", None, 5),
        ("OPTION", "SAIL", "2026-08-18", 13_000, 1),
        ("OPTION", "RELIANCE", "2026-08-18", 140_000, 5),
        ("EQUITY", "SAIL", "2024-06-07", None, 5),
        ("EQUITY", "SAIL", "2024-06-10", 24_999, 1),
        ("EQUITY", "SAIL", "2024-06-10", 25_000, 5),
        ("EQUITY", "TCS", "2026-08-18", 350_000, 10),
        ("FUTURE", "TCS", "2026-08-18", 500_000, 50),
        ("EQUITY", "MRF", "2026-08-18", 12_000_000, 500),
    ],
)
def test_the_price_tick(kind: str, underlying: str, day: str, price: int | None, tick: int) -> None:
    found = tick_size_paise(kind=kind, underlying=underlying, day=date.fromisoformat(day), price_paise=price)
    assert found == tick


def test_a_tick_that_depends_on_the_price_asks_for_it() -> None:
    with pytest.raises(InvalidInput, match="price_paise: the tick size of TCS on 2026-08-18 depends on its price"):
        tick_size_paise(kind="EQUITY", underlying="TCS", day=date(2026, 8, 18))


@given(st.dates(min_value=date(2000, 1, 1), max_value=date(2030, 12, 31)))
def test_the_rule_in_force_is_the_last_that_has_begun(day: date) -> None:
    rules = current().tables.stock_ticks
    chosen = in_force(rules, day, what="ticks")
    assert chosen.first <= day
    assert not [rule for rule in rules if chosen.first < rule.first <= day]
