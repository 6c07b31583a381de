"""How far a session is from its limits, and limits set while it runs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.risk import OTHER, SECOND, STOCK, at, closed, entry, every_second, opened, situation, spec

from services.risk.adapters.codec import decode, encode
from tradebus.contracts.sessions import RiskLimits, ScopeLimits, StrategySpec
from tradebus.risk.rules.headroom import Headroom, headroom
from tradebus.risk.rules.widening import changed_fields, widens
from tradebus.risk.state import RiskState
from tradebus.risk.step import on_fact, on_limits, on_signal, on_ticks
from tradebus.risk.terms import SharedLimits, Situation
from tradebus.risk.verdicts import Cause, VerdictKind

CAUSE = Cause(at("10:05"), "c", "t")


def rooms(state: RiskState, now: Situation, at_ns: int = at("10:00")) -> dict[tuple[str, str], Headroom]:
    return {(one.scope, one.limit): one for one in headroom(state, now.terms, now_ns=at_ns)}


def figures(state: RiskState, now: Situation) -> dict[tuple[str, str], tuple[int, int]]:
    return {key: (one.used, one.most) for key, one in rooms(state, now).items()}


def test_every_limit_that_is_set_is_told_and_no_other() -> None:
    own = ScopeLimits(daily_max_loss_paise=9_000, max_positions=4)
    now = situation(
        spec(
            strategies=[StrategySpec(name="orb", limits=own, budget_paise=50_000_000)], daily_max_loss_paise=20_000,
            symbol_max_loss_paise=8_000, max_orders_per_minute=5, max_positions=2, max_lots_per_trade=100,
        )
    )  # fmt: skip
    state = on_signal(RiskState(), entry("p1"), now).state
    state = on_fact(state, opened("p1", quantity=100), now).state
    start = at("10:01")
    state = on_ticks(state, every_second(start, STOCK, [49_950]), now, end_ns=start + SECOND).state
    assert figures(state, now) == {
        ("", "daily_max_loss"): (5_000, 20_000),
        ("", "max_exposure_pct"): (5_000_000, 160_000_000),
        ("", "margin"): (1_000_000, 100_000_000),
        ("strategy orb", "strategy_budget"): (5_000_000, 100_000_000),
        ("", "consecutive_losses_limit"): (0, 4),
        ("", "max_concurrent_trades"): (1, 3),
        ("", "max_positions"): (1, 2),
        ("", "max_trades_per_symbol_per_day"): (1, 5),
        ("", "max_orders_per_minute"): (1, 5),
        ("", "symbol_max_loss"): (5_000, 8_000),
        ("strategy orb", "max_positions"): (1, 4),
        ("strategy orb", "daily_max_loss"): (5_000, 9_000),
    }
    state = on_fact(state, closed("p1", net_pnl_paise=-20_000), now).state
    lost = rooms(state, now, at("10:30"))
    assert (lost["", "daily_max_loss"].left, lost["", "daily_max_loss"].share) == (0, 1.0)
    assert lost["", "consecutive_losses_limit"].used == 1
    assert lost["", "max_orders_per_minute"].used == 0
    won = figures(replace(state, realised={"p1": 4_000}), now)
    assert won["", "daily_max_loss"] == (0, 20_000)


def test_what_is_measured_by_a_capital_is_told_of_a_strategy_and_of_what_sessions_share() -> None:
    own = ScopeLimits(daily_max_loss_r=2.0, max_exposure_pct=0.5)
    orb = StrategySpec(name="orb", limits=own, budget_paise=50_000_000)
    now = situation(spec(strategies=[orb]))
    state = on_signal(RiskState(), entry("p1"), now).state
    state = on_fact(state, opened("p1", quantity=100), now).state
    start = at("10:01")
    state = on_ticks(state, every_second(start, STOCK, [49_950]), now, end_ns=start + SECOND).state
    shared = SharedLimits(
        "all", ScopeLimits(daily_max_loss_pct=1.0, max_leverage=0.5, max_exposure_pct=0.1), (), now.terms.means
    )
    told = headroom(state, now.terms, now_ns=at("10:02"), shared=[shared])
    found = {(one.scope, one.limit): (one.used, one.most) for one in told if one.scope}
    tied_paise = sum(one.exposure_paise for one in state.live())
    assert found == {
        ("strategy orb", "strategy_budget"): (tied_paise, 100_000_000),
        ("strategy orb", "daily_max_loss_r"): (5_000, 1_000_000),
        ("strategy orb", "max_exposure_pct"): (tied_paise, 50_000_000),
        ("all", "daily_max_loss_pct"): (5_000, 1_000_000),
        ("all", "max_leverage"): (tied_paise, 50_000_000),
        ("all", "max_exposure_pct"): (tied_paise, 5_000_000),
    }


@given(
    st.fixed_dictionaries(
        {
            "max_concurrent_trades": st.integers(1, 3), "max_orders_per_minute": st.none() | st.integers(1, 3),
            "max_exposure_paise": st.integers(1, 80_000_000),
            "max_margin_paise": st.none() | st.integers(1, 20_000_000),
        }
    ),
    st.integers(0, 4),
)  # fmt: skip
def test_where_there_is_no_room_nothing_more_gets_in(limits: dict[str, Any], before: int) -> None:
    now = situation(spec(**limits))
    state = RiskState()
    for number in range(before):
        signal = entry(f"p{number}", strategy=f"s{number}", instrument=(STOCK, OTHER)[number % 2])
        state = on_signal(state, signal, now).state
    full = [one for one in rooms(state, now).values() if one.left == 0 and one.limit in (*limits, "margin")]
    verdict = on_signal(state, entry("last", strategy="last", instrument=OTHER), now).verdicts[-1]
    if full:
        assert verdict.kind is VerdictKind.BLOCK


def set_to(
    state: RiskState, now: Situation, limits: RiskLimits, own: Mapping[str, ScopeLimits] | None = None,
    *, set_ns: int = 5,
) -> RiskState:  # fmt: skip
    return on_limits(state, limits, own or {}, now, CAUSE, set_ns=set_ns).state


def test_limits_that_were_set_are_kept_and_older_ones_change_nothing() -> None:
    now = situation()
    state = set_to(RiskState(), now, RiskLimits(daily_max_loss_pct=None), {"orb": ScopeLimits(max_positions=2)})
    assert decode(encode(state)) == state
    assert state.limits == RiskLimits(daily_max_loss_pct=None)
    assert set_to(state, now, RiskLimits(), set_ns=4) is state
    assert set_to(state, now, RiskLimits(), set_ns=6).limits == RiskLimits()


@pytest.mark.parametrize(
    ("limits", "own", "rule"),
    [
        (RiskLimits(daily_max_loss_paise=5_000), {}, "daily_max_loss"),
        (RiskLimits(symbol_max_loss_paise=5_000), {}, "symbol_max_loss"),
        (RiskLimits(), {"orb": ScopeLimits(daily_max_loss_paise=5_000)}, "daily_max_loss"),
    ],
)
def test_what_reaches_the_new_limit_already_is_closed_at_once(
    limits: RiskLimits, own: dict[str, ScopeLimits], rule: str
) -> None:
    now = situation()
    state = on_fact(on_signal(RiskState(), entry("p1"), now).state, opened("p1", quantity=100), now).state
    state = on_ticks(state, every_second(at("10:01"), STOCK, [49_950]), now, end_ns=at("10:02")).state
    step = on_limits(state, limits, own, now, CAUSE, set_ns=5)
    leaving = [one for one in step.verdicts if one.kind is VerdictKind.EXIT]
    assert [(one.pos_id, one.rule, one.cause_id) for one in leaving] == [("p1", rule, "c")]
    assert on_limits(state, RiskLimits(), {}, now, CAUSE, set_ns=5).verdicts == ()


@pytest.mark.parametrize(
    ("name", "before", "after", "wider"),
    [
        ("max_leverage", 2.0, 2.5, True),
        ("max_leverage", 2.0, 1.5, False),
        ("daily_max_loss_paise", None, 5, False),
        ("daily_max_loss_paise", 5, None, True),
        ("cooldown_seconds", 300, 299, True),
        ("cooldown_seconds", 300, 301, False),
        ("order_min_interval_ms", None, 5, False),
        ("order_min_interval_ms", 5, None, True),
        ("safe_trading_start", "09:30", "09:20", True),
        ("safe_trading_start", "09:30", "09:40", False),
        ("safe_trading_end", "14:30", "14:40", True),
        ("safe_trading_end", "14:30", "14:20", False),
        ("safe_trading_end", None, "10:00", True),
        ("safe_trading_start", "10:00", None, True),
    ],
)
def test_what_is_wider(name: str, before: object, after: object, wider: bool) -> None:
    assert widens(name, before, after) is wider


def test_only_what_differs_is_a_change() -> None:
    after = RiskLimits(max_leverage=1.0, max_positions=2)
    assert changed_fields(RiskLimits(), after) == ["max_leverage", "max_positions"]
    assert changed_fields(ScopeLimits(), ScopeLimits()) == []
