"""Sizing never exceeds a limit, keeps whole lots, and grows with capital."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.kernel.errors import InvalidInput
from tradebus.trading.sizing import Sized, millionths, position_size

PLAIN: dict[str, Any] = {
    "capital_paise": 100_000_000,  # ₹10 lakh
    "price_paise": 10_000,
    "stop_paise": 9_900,
    "lot_size": 1,
    "risk_per_trade_pct": 1.0,
    "max_leverage": 2.0,
    "max_exposure_pct": 0.8,
}


def size(**changed: Any) -> Sized:
    return position_size(**{**PLAIN, **changed})


requests = st.fixed_dictionaries(
    {
        "capital_paise": st.integers(-1_000_000, 10**12),
        "price_paise": st.integers(1, 10**7),
        "stop_paise": st.integers(1, 10**7),
        "lot_size": st.integers(1, 500),
        "risk_per_trade_pct": st.floats(0.01, 100).map(lambda value: round(value, 3)),
        "max_leverage": st.floats(0.1, 10).map(lambda value: round(value, 2)),
        "max_exposure_pct": st.floats(0.01, 1).map(lambda value: round(value, 2)),
        "open_exposure_paise": st.integers(0, 10**11),
        "capital_per_ticker_paise": st.none() | st.integers(0, 10**11),
        "max_lots_per_trade": st.none() | st.integers(0, 50),
    }
)


@given(requests)
def test_no_limit_is_exceeded(request: dict[str, Any]) -> None:
    sized = position_size(**request)
    capital = max(0, request["capital_paise"])
    leverage = Fraction(str(request["max_leverage"]))
    value = sized.quantity * request["price_paise"]
    risk = sized.quantity * abs(request["price_paise"] - request["stop_paise"])
    assert risk <= capital * Fraction(str(request["risk_per_trade_pct"])) / 100
    assert value <= capital * leverage
    if sized.quantity:
        share = Fraction(str(request["max_exposure_pct"]))
        assert value + request["open_exposure_paise"] <= capital * leverage * share
    if request["capital_per_ticker_paise"] is not None:
        assert value <= request["capital_per_ticker_paise"] * leverage
    if request["max_lots_per_trade"] is not None:
        assert sized.quantity <= request["max_lots_per_trade"] * request["lot_size"]


@given(requests)
def test_only_whole_lots_are_taken(request: dict[str, Any]) -> None:
    sized = position_size(**request)
    assert sized.quantity % request["lot_size"] == sized.requested % request["lot_size"] == 0
    assert 0 <= sized.quantity <= sized.requested


@given(requests)
def test_the_named_limit_alone_gives_the_same_size(request: dict[str, Any]) -> None:
    sized = position_size(**request)
    loose: dict[str, dict[str, Any]] = {
        "risk_per_trade_pct": {"risk_per_trade_pct": 10.0**12},
        "max_leverage": {"max_leverage": 10.0**12},
        "max_exposure_pct": {"max_exposure_pct": 10.0**12},
        "capital_per_ticker": {"capital_per_ticker_paise": None},
        "max_lots_per_trade": {"max_lots_per_trade": None},
    }
    # Leverage is a factor of two other limits, so it can only be loosened where it is not part of the one named.
    kept = {sized.rule, "stop_distance"} | (
        {"max_leverage"} if sized.rule in ("max_exposure_pct", "capital_per_ticker") else set()
    )
    for name, change in loose.items():
        if name not in kept:
            request = {**request, **change}
    assert position_size(**request).quantity == sized.quantity


@given(requests, st.integers(0, 10**11))
def test_more_capital_never_gives_less(request: dict[str, Any], more: int) -> None:
    richer = {**request, "capital_paise": request["capital_paise"] + more}
    assert position_size(**richer).quantity >= position_size(**request).quantity


def test_risk_per_trade_decides_when_nothing_is_tighter() -> None:
    # 1 % of ₹10 lakh is ₹10,000; ₹1 a unit at risk.
    assert size() == Sized(10_000, "risk_per_trade_pct", 10_000)
    assert not size().reduced


def test_the_limit_that_cut_is_named() -> None:
    assert size(stop_paise=9_990) == Sized(16_000, "max_exposure_pct", 100_000)
    assert size(stop_paise=9_990, max_exposure_pct=1.0) == Sized(20_000, "max_leverage", 100_000)
    assert size(max_lots_per_trade=2, lot_size=75) == Sized(150, "max_lots_per_trade", 9_975)
    assert size(capital_per_ticker_paise=1_000_000) == Sized(200, "capital_per_ticker", 10_000)
    assert size(open_exposure_paise=160_000_000).quantity == 0
    assert size(open_exposure_paise=160_000_000).reduced


def test_below_one_lot_there_is_no_trade_and_the_rule_is_named() -> None:
    assert size(lot_size=20_000) == Sized(0, "risk_per_trade_pct", 0)


def test_a_stop_at_the_price_gives_no_trade() -> None:
    assert size(stop_paise=10_000) == Sized(0, "stop_distance", 0)


def test_a_lost_capital_gives_no_trade() -> None:
    assert size(capital_paise=-5).quantity == 0


def test_fractions_are_cut_by_their_decimal_spelling() -> None:
    assert [millionths(value) for value in (0.1, 0.8, 2.0, 1e-7)] == [100_000, 800_000, 2_000_000, 0]


@pytest.mark.parametrize("bad", [{"price_paise": 0}, {"lot_size": 0}, {"stop_paise": -1}, {"max_leverage": -0.1}])
def test_nonsense_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="sizing"):
        size(**bad)
