"""No limit of size is ever exceeded, whatever limits there are; what is approved is whole lots, of all legs alike."""

from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from testkit.risk import INDEX, OTHER, STOCK, entry, situation, spec

from tradebus.contracts.sessions import ScopeLimits, Sizing, SizingMode, StrategySpec
from tradebus.contracts.signals import Side
from tradebus.risk.rules.size.held_margin import held_margin_paise
from tradebus.risk.state import RiskState
from tradebus.risk.step import on_signal
from tradebus.risk.verdicts import VerdictKind

INDEX_LOT = 15
amounts = st.none() | st.integers(1, 10**10)
lots = st.none() | st.integers(1, 400)
shares = st.none() | st.floats(0.01, 1).map(lambda value: round(value, 2))
leverages = st.none() | st.floats(0.1, 10).map(lambda value: round(value, 2))
LIMITS = st.fixed_dictionaries(
    {
        "risk_per_trade_pct": st.floats(0.01, 100).map(lambda value: round(value, 3)),
        "max_leverage": st.floats(0.1, 10).map(lambda value: round(value, 2)),
        "max_exposure_pct": st.floats(0.01, 1).map(lambda value: round(value, 2)),
        "max_exposure_paise": amounts,
        "max_margin_paise": amounts,
        "max_lots_per_trade": lots,
        "max_concurrent_trades": st.just(50),
    }
)
SIZINGS = st.sampled_from(
    [
        Sizing(), Sizing(mode=SizingMode.FIXED_LOTS, lots=37), Sizing(mode=SizingMode.CAPITAL_PCT, capital_pct=70.0),
        Sizing(mode=SizingMode.FIXED_RUPEES, amount_paise=900_000_000, by_score=True),
    ]
)  # fmt: skip
ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["orb", "ema"]), st.sampled_from([STOCK, OTHER, INDEX]), st.integers(1_000, 5_000_000),
        st.integers(1, 900), st.floats(0, 1),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@given(
    limits=LIMITS, sizing=SIZINGS, entries=ENTRIES, capital=st.integers(1, 10**11), budget=amounts, own_most=amounts,
    own_lots=lots, own_share=shares, own_leverage=leverages,
)  # fmt: skip
def test_no_sequence_of_entries_exceeds_a_limit(
    limits: dict[str, Any], sizing: Sizing, entries: list[tuple[Any, ...]], capital: int, budget: int | None,
    own_most: int | None, own_lots: int | None, own_share: float | None, own_leverage: float | None,
) -> None:  # fmt: skip
    own = ScopeLimits(
        max_exposure_paise=own_most, max_lots_per_trade=own_lots, max_exposure_pct=own_share, max_leverage=own_leverage
    )
    now = situation(
        spec(
            capital_paise=capital, sizing=sizing, daily_max_loss_pct=None, **limits,
            strategies=[StrategySpec(name="orb", limits=own, budget_paise=budget), StrategySpec(name="ema")],
        )
    )  # fmt: skip
    state, leverage = RiskState(), Fraction(str(limits["max_leverage"]))
    for number, (strategy, instrument, price, permille, confidence) in enumerate(entries):
        price = price // 5 * 5
        signal = entry(
            f"p{number}", strategy=strategy, instrument=instrument, price_paise=price, confidence=confidence,
            stop_paise=max(5, price - max(5, price * permille // 5_000 * 5)),
        )  # fmt: skip
        step = on_signal(state, signal, now)
        state, verdict = step.state, step.verdicts[-1]
        if verdict.approval is None:
            continue
        holding, lot = verdict.approval.holding, INDEX_LOT if instrument is INDEX else 1
        assert holding.quantity > 0
        assert holding.quantity % lot == verdict.approval.quantity_requested % lot == 0
        assert (verdict.kind is VerdictKind.REDUCE) is (holding.quantity < verdict.approval.quantity_requested)
        assert holding.exposure_paise <= capital * leverage
        for most in (limits["max_lots_per_trade"], own_lots if strategy == "orb" else None):
            assert most is None or holding.quantity <= most * lot
        if sizing.mode is SizingMode.RISK_PER_TRADE:
            risked = holding.quantity * abs(holding.price_paise - verdict.approval.stop_paise)
            assert risked <= capital * Fraction(str(limits["risk_per_trade_pct"])) / 100
    live = state.live()
    tied, margin = sum(one.exposure_paise for one in live), held_margin_paise(live)
    assert tied <= capital * leverage * Fraction(str(limits["max_exposure_pct"]))
    assert limits["max_exposure_paise"] is None or tied <= limits["max_exposure_paise"]
    assert margin <= min(capital, limits["max_margin_paise"] or capital)
    of_orb = sum(one.exposure_paise for one in live if one.strategy == "orb")
    assert own_most is None or of_orb <= own_most
    assert budget is None or of_orb <= budget * leverage
    own_capital = capital if budget is None else budget
    most = own_capital * (leverage if own_leverage is None else Fraction(str(own_leverage)))
    assert own_leverage is None or of_orb <= most
    assert own_share is None or of_orb <= most * Fraction(str(own_share))


@given(st.integers(1, 10**9), st.integers(1, 400))
def test_a_refusal_says_what_the_limit_leaves_and_what_the_least_takes(capital: int, most: int) -> None:
    now = situation(spec(capital_paise=capital, max_lots_per_trade=most, max_leverage=50.0, max_exposure_pct=1.0))
    signal = entry(instrument=INDEX, price_paise=4_800_000, stop_paise=4_799_900)
    verdict = on_signal(RiskState(), signal, now).verdicts[-1]
    if verdict.kind is not VerdictKind.BLOCK:
        return
    rule = verdict.detail.split(" ")[0]
    assert verdict.rule == "below_one_lot"
    assert verdict.detail.startswith(f"{rule} leaves less than one lot of {INDEX_LOT}: {rule} ")
    assert "15 take ₹" in verdict.detail or f"the least is {INDEX_LOT}" in verdict.detail


def test_a_short_positions_size_obeys_the_same_limits() -> None:
    short = entry(side=Side.SHORT, price_paise=50_000, stop_paise=50_500)
    verdict = on_signal(RiskState(), short, situation(max_exposure_paise=1_000_000)).verdicts[-1]
    assert verdict.approval is not None
    assert (verdict.rule, verdict.approval.holding.quantity) == ("max_exposure_paise", 20)
