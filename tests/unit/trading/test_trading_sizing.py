"""What a trade is asked for: never more than its mode says, never negative, and growing with the capital."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.contracts.sessions import Sizing, SizingMode
from tradebus.kernel.errors import InvalidInput
from tradebus.trading.size.sizing import SizeWish, leveraged_paise, millionths, units_wanted

PLAIN: dict[str, Any] = {
    "sizing": Sizing(), "capital_paise": 100_000_000, "price_paise": 10_000, "risk_paise": 100,
    "atr_paise": 0, "step": 1,
    "lots_per_step": 1, "risk_per_trade_pct": 1.0, "max_leverage": 2.0, "confidence": 0.5,
}  # fmt: skip


def units(**changed: Any) -> int:
    return units_wanted(SizeWish(**{**PLAIN, **changed})).units


def by(mode: str, **figures: Any) -> Sizing:
    return Sizing(mode=SizingMode(mode), **figures)


SIZINGS = st.sampled_from(
    [
        by("risk_per_trade"), by("fixed_lots", lots=3), by("fixed_rupees", amount_paise=5_000_000),
        by("capital_pct", capital_pct=12.5), by("capital_per_ticker", amount_paise=2_500_000),
        by("atr", atr_multiple=1.5),
    ]
).flatmap(lambda one: st.booleans().map(lambda score: one.model_copy(update={"by_score": score})))  # fmt: skip
WISHES = st.fixed_dictionaries(
    {
        "sizing": SIZINGS,
        "capital_paise": st.integers(-1_000_000, 10**12),
        "price_paise": st.integers(1, 10**7),
        "risk_paise": st.integers(1, 10**7),
        "atr_paise": st.integers(1, 10**7),
        "step": st.integers(1, 500),
        "lots_per_step": st.integers(1, 4),
        "risk_per_trade_pct": st.floats(0.01, 100).map(lambda value: round(value, 3)),
        "max_leverage": st.floats(0.1, 10).map(lambda value: round(value, 2)),
        "confidence": st.floats(0, 1).map(lambda value: round(value, 4)),
    }
)


@given(WISHES)
def test_no_mode_asks_for_more_than_it_says(wish: dict[str, Any]) -> None:
    sizing, capital, wanted = wish["sizing"], max(0, wish["capital_paise"]), units(**wish)
    leverage = Fraction(str(wish["max_leverage"]))
    most = {
        "risk_per_trade": capital * Fraction(str(wish["risk_per_trade_pct"])) / 100 / wish["risk_paise"],
        "fixed_lots": Fraction(3 * wish["step"], wish["lots_per_step"]),
        "fixed_rupees": Fraction(5_000_000, wish["price_paise"]),
        "capital_pct": capital * Fraction("12.5") / 100 / wish["price_paise"],
        "capital_per_ticker": 2_500_000 * leverage / wish["price_paise"],
        "atr": capital * Fraction(str(wish["risk_per_trade_pct"])) / 100 / (wish["atr_paise"] * Fraction(3, 2)),
    }[sizing.mode]
    if sizing.by_score:
        most *= Fraction(str(wish["confidence"]))
    assert 0 <= wanted <= most


@given(WISHES, st.integers(0, 10**11))
def test_more_capital_never_gives_less(wish: dict[str, Any], more: int) -> None:
    assert units(**{**wish, "capital_paise": wish["capital_paise"] + more}) >= units(**wish)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, 10_000),  # 1 % of ₹10 lakh over ₹1 a unit
        ({"sizing": by("fixed_lots", lots=4), "step": 75}, 300),
        ({"sizing": by("fixed_lots", lots=4), "step": 1, "lots_per_step": 3}, 1),  # of a group, whole units
        ({"sizing": by("fixed_rupees", amount_paise=1_005_000)}, 100),
        ({"sizing": by("capital_pct", capital_pct=10.0)}, 1_000),
        ({"sizing": by("capital_per_ticker", amount_paise=1_000_000)}, 200),
        ({"sizing": by("fixed_lots", lots=4, by_score=True), "step": 75}, 150),
        ({"sizing": Sizing(by_score=True), "confidence": 0.0}, 0),
        ({"sizing": by("atr", atr_multiple=2.0), "atr_paise": 125}, 4_000),  # 1 % of ₹10 lakh over ₹2.50 a unit
        ({"sizing": by("atr", atr_multiple=1.5), "atr_paise": 333}, 2_000),  # 499.5 paise a unit are 500
    ],
)
def test_each_mode_by_its_figures(changes: dict[str, Any], wanted: int) -> None:
    assert units(**changes) == wanted


@pytest.mark.parametrize(
    ("mode", "needs"),
    [
        ("fixed_lots", "lots"),
        ("fixed_rupees", "amount"),
        ("capital_pct", "capital_pct"),
        ("capital_per_ticker", "amount"),
        ("atr", "atr_multiple"),
    ],
)
def test_a_mode_without_its_figure_is_refused_by_name(mode: str, needs: str) -> None:
    with pytest.raises(InvalidInput, match=f"mode {mode} needs {needs}"):
        units(sizing=by(mode))


@pytest.mark.parametrize("name", ["price_paise", "risk_paise", "step", "lots_per_step"])
def test_what_is_not_positive_is_an_error(name: str) -> None:
    with pytest.raises(InvalidInput):
        units(**{name: 0})


def test_without_a_range_nothing_is_sized_by_it() -> None:
    with pytest.raises(InvalidInput, match="daily range"):
        units(sizing=by("atr", atr_multiple=2.0), atr_paise=0)


def test_fractions_are_cut_to_millionths() -> None:
    assert millionths(0.1) == 100_000
    assert millionths(0.0000019) == 1
    assert leveraged_paise(1_000, 2.0, 0.8) == 1_600
    assert leveraged_paise(-1_000, 2.0) == 0
