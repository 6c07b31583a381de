"""A contract's terms: what its own row says wins over the general rule, and its session is its own."""

from dataclasses import replace
from datetime import date, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.calendar import (
    Contract,
    ProposedOrder,
    contract_of,
    freeze_quantity_of,
    order_legal,
    range_reset_ns,
    session_for,
    session_of,
)
from tradebus.contracts.instrument_key import Right
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_to_ns

MASTER = date(2026, 11, 25)
days = st.dates(date(2012, 1, 1), date(2030, 12, 31))


def option(**terms: Any) -> Instrument:
    given_terms: dict[str, Any] = {
        "instrument_id": 1, "symbol": "NIFTY26D0826000CE", "kind": "OPTION", "market_class": "derivative",
        "underlying": "NIFTY", "tick_size_paise": 5, "expiry": date(2026, 12, 8), "strike_paise": 2_600_000,
        "right": Right.CALL, **terms,
    }  # fmt: skip
    return Instrument(**given_terms)


def future(underlying: str, expiry: date | None = None, kind: str = "FUTURE") -> Contract:
    return Contract(
        symbol=underlying, kind=kind, market_class="derivative", underlying=underlying, lot_size=1, tick_size_paise=5,
        expiry=expiry,
    )  # fmt: skip


def test_without_a_master_the_dated_rules_say_lot_and_freeze() -> None:
    found = contract_of(option(), MASTER)
    assert (found.lot_size, found.freeze_quantity) == (65, 1800)
    assert (found.expiry, found.strike_paise, found.right) == (date(2026, 12, 8), 2_600_000, Right.CALL)
    # The lot is that of the contract's own month, whatever the day.
    assert contract_of(option(expiry=date(2026, 1, 27)), date(2025, 12, 1)).lot_size == 65
    assert contract_of(option(expiry=date(2025, 12, 30)), date(2025, 12, 1)).lot_size == 75


def test_a_lot_that_is_known_nowhere_is_refused_and_the_masters_is_taken() -> None:
    with pytest.raises(InvalidInput, match="no lot size is listed for 'RELIANCE'"):
        contract_of(option(underlying="RELIANCE"), MASTER)
    found = contract_of(option(underlying="RELIANCE", lot_size=500, freeze_quantity=20_000, terms_on=MASTER), MASTER)
    assert (found.lot_size, found.freeze_quantity) == (500, 20_000)


@given(days, st.integers(1, 10_000), st.integers(1, 100_000))
def test_the_days_master_wins_over_the_general_rule(day: date, lot: int, freeze: int) -> None:
    listed = option(lot_size=lot, freeze_quantity=freeze, terms_on=MASTER)
    found = contract_of(listed, day)
    assert found.lot_size == lot
    assert found.freeze_quantity == (freeze if day >= MASTER else freeze_quantity_of("NIFTY", day))


def test_before_any_rule_the_masters_freeze_quantity_is_all_there_is() -> None:
    listed = option(underlying="FINNIFTY", lot_size=60, freeze_quantity=1_800, terms_on=MASTER)
    assert contract_of(listed, date(2015, 1, 1)).freeze_quantity == 1_800


@given(days, st.sampled_from(["NIFTY", "RELIANCE"]), st.sampled_from(["FUTURE", "OPTION"]), st.integers(-3, 40))
def test_a_contract_never_trades_longer_than_its_class_and_not_after_its_last_day(
    day: date, underlying: str, kind: str, ahead: int
) -> None:
    expiry = date.fromordinal(day.toordinal() + ahead)
    own = session_of(future(underlying, expiry, kind), day)
    whole = session_for(day, "derivative")
    if whole is None or ahead < 0:
        assert own is None
        return
    assert own is not None
    assert own.close_ns <= whole.close_ns
    assert own.open_ns == whole.open_ns
    if ahead > 0 or underlying == "RELIANCE":
        assert own.close_ns == whole.close_ns


def test_a_front_month_without_an_expiry_ends_with_the_month_that_it_stands_for() -> None:
    for kind in ("FUTURE", "INDEX"):
        closes = []
        for day in (date(2026, 12, 28), date(2026, 12, 29), date(2026, 12, 30)):
            session = session_of(future("NIFTY", kind=kind), day)
            assert session is not None
            closes.append(session.close_ns == ist_to_ns(day, time(15, 30)))
        assert closes == [False, True, False]


def test_the_exchange_sets_the_range_of_futures_anew_when_the_auction_begins() -> None:
    last = date(2026, 12, 29)
    for day, at in ((date(2026, 9, 4), None), (date(2026, 9, 7), time(15, 15)), (date(2026, 12, 7), time(15, 30))):
        found = range_reset_ns(future("NIFTY", last), day)
        assert found == (None if at is None else ist_to_ns(day, at))
    assert range_reset_ns(future("RELIANCE", last), date(2026, 8, 3)) == ist_to_ns(date(2026, 8, 3), time(15, 15))
    assert range_reset_ns(future("RELIANCE", last), date(2026, 7, 31)) is None
    assert range_reset_ns(future("NIFTY", last, kind="OPTION"), date(2026, 12, 7)) is None
    assert range_reset_ns(future("NIFTY", last), date(2026, 11, 24)) is None  # a holiday


def _share(symbol: str, **terms: Any) -> Instrument:
    given_terms: dict[str, Any] = {
        "instrument_id": 2, "symbol": symbol, "kind": "EQUITY", "market_class": "equity", "underlying": symbol, **terms,
    }  # fmt: skip
    return Instrument(**given_terms)


@pytest.mark.parametrize(
    ("instrument", "price_paise", "before", "now"),
    [
        (_share("BANKNIFTY", kind="INDEX", market_class="derivative"), 5_500_000, 5, 20),
        (_share("NIFTY", kind="INDEX", market_class="derivative"), 2_480_000, 5, 10),
        (_share("RELIANCE"), 139_000, 5, 10),
        (_share("MARUTI"), 1_600_000, 5, 100),
        (_share("YESBANK"), 6_000, 5, 1),
        (option(tick_size_paise=None), 6_000, 5, 5),
        (option(tick_size_paise=None, underlying="ITC", strike_paise=20_000, lot_size=1600), 900, 5, 1),
        (_share("RELIANCE", tick_size_paise=50), 139_000, 50, 50),  # a master's
    ],
)
def test_where_no_master_said_the_tick_the_dated_rule_does_and_other_prices_are_illegal(
    instrument: Instrument, price_paise: int, before: int, now: int
) -> None:
    for day, tick in ((date(2024, 1, 10), before), (MASTER, now)):
        contract = contract_of(instrument, day, price_paise=price_paise)
        assert contract.tick_size_paise == tick
        order = ProposedOrder(OrderRole.ENTRY, Transaction.BUY, OrderType.LIMIT, contract.lot_size, price_paise)
        assert order_legal(contract, order, ts_ns=ist_to_ns(day, time(10))).allowed
        if tick > 1:
            off = replace(order, price_paise=price_paise + tick - 1)
            assert order_legal(contract, off, ts_ns=ist_to_ns(day, time(10))).rule == "tick_size"


def test_a_tick_that_depends_on_the_price_is_not_guessed() -> None:
    with pytest.raises(InvalidInput, match="the tick size of RELIANCE on 2026-11-25 depends on its price"):
        contract_of(_share("RELIANCE"), MASTER)
