"""The whole table: every limit of SPEC 9 at every holder is kept, or refused by name with the reason."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from testkit.risk import OTHER, SECOND, at, closed, entry, opened, situation, spec

from tradebus.contracts.sessions import RiskLimits, ScopeLimits, SessionSpec, StrategySpec
from tradebus.contracts.signals import Side
from tradebus.risk.published import published
from tradebus.risk.rules.holders import SHARED, LimitHolder, limits_held_by, why_not_held
from tradebus.risk.state import RiskState
from tradebus.risk.step import on_fact, on_signal
from tradebus.risk.terms import LastTraded, SharedLimits, Situation
from tradebus.risk.verdicts import Verdict, VerdictKind
from tradebus.trading.facts import EntryApproved

NOW = at("10:30")
_NAMES = {LimitHolder.USER: "user user-1", LimitHolder.ACCOUNT: "account paper", LimitHolder.ALL: "all"}
_WIDE: dict[str, Any] = {
    "daily_max_loss_pct": None, "consecutive_losses_limit": None, "max_concurrent_trades": 20, "max_leverage": 10.0,
    "max_trades_per_symbol_per_day": 99, "max_exposure_pct": 1.0,
}  # fmt: skip


class Market:
    """The last price of everything: ₹500, a moment ago."""

    def __init__(self, price_paise: int = 50_000, age_seconds: int = 1) -> None:
        self.tick = LastTraded(NOW - age_seconds * SECOND, price_paise, price_paise, price_paise)

    def of(self, instrument: int) -> LastTraded:
        return self.tick


def nothing() -> RiskState:
    return RiskState()


def lost() -> RiskState:
    """A trade of the strategy's in the same symbol lost ₹200."""
    state = on_fact(RiskState(), opened("p0"), wide()).state
    return on_fact(state, closed("p0", net_pnl_paise=-20_000), wide()).state


def held() -> RiskState:
    """The strategy has another position on its way, of ten seconds ago."""
    signal = entry("p0", instrument=OTHER, ts_ns=NOW - 10 * SECOND, stop_paise=40_000)
    return on_signal(RiskState(), signal, wide()).state


@dataclass(frozen=True)
class Case:
    """A limit that decides, and the entry it decides: it blocks, it leaves a size smaller, or `told` says what the
    approval says by it."""

    value: Any
    before: Callable[[], RiskState] = nothing
    market: Market = field(default_factory=Market)
    rule: str = ""
    cuts: bool = False
    told: Callable[[EntryApproved], Any] | None = None


CASES: Mapping[str, Case] = {
    "daily_max_loss_paise": Case(10_000, lost, rule="daily_max_loss"),
    "daily_max_loss_pct": Case(0.01, lost),
    "daily_max_loss_r": Case(0.01, lost),
    "symbol_max_loss_paise": Case(10_000, lost, rule="symbol_max_loss"),
    "consecutive_losses_limit": Case(1, lost),
    "max_trades_per_symbol_per_day": Case(1, lost),
    "cooldown_seconds": Case(3_600, lost),
    "max_concurrent_trades": Case(1, held),
    "max_positions": Case(1, held),
    "order_min_interval_ms": Case(60_000, held),
    "max_orders_per_minute": Case(1, held),
    "max_slippage_bps": Case(1.0, market=Market(50_100)),
    "max_price_distance_pct": Case(1.0, market=Market(48_000)),
    "max_data_age_seconds": Case(5, market=Market(age_seconds=6)),
    "safe_trading_start": Case("11:00"),
    "safe_trading_end": Case("10:00"),
    "hard_trading_end": Case("10:15"),
    "max_exposure_paise": Case(30_000_000, cuts=True),
    "max_exposure_pct": Case(0.05, cuts=True),
    "max_leverage": Case(0.5, cuts=True),
    "max_margin_paise": Case(3_000_000, cuts=True),
    "max_lots_per_trade": Case(7, cuts=True),
    "risk_per_trade_pct": Case(0.5, told=lambda one: one.quantity * 500 <= 500_000),
    "max_slippage_pct": Case(0.2, told=lambda one: one.max_slippage_pct == 0.2),
    "order_timeout_seconds": Case(7, told=lambda one: one.order_timeout_seconds == 7),
}
TABLE = [(name, holder) for name in RiskLimits.model_fields for holder in LimitHolder]
HELD = [(name, holder) for name, holder in TABLE if why_not_held(name, holder) is None]


def wide(of: SessionSpec | None = None) -> Situation:
    return situation(of or spec(**_WIDE), data_ns=NOW)


def under(limits: dict[str, Any], holder: LimitHolder) -> Situation:
    """The limits, set there and nowhere else."""
    if holder is LimitHolder.SESSION:
        return wide(spec(**{**_WIDE, **limits}))
    if holder is LimitHolder.STRATEGY:
        return wide(spec(strategies=[StrategySpec(name="orb", limits=ScopeLimits(**limits))], **_WIDE))
    now = wide()
    return replace(now, shared=(SharedLimits(_NAMES[holder], ScopeLimits(**limits), (), now.terms.means),))


def judged(case: Case, now: Situation, **signal: Any) -> Verdict:
    asked = entry("p1", ts_ns=NOW, stop_paise=49_500, **signal)
    return on_signal(case.before(), asked, replace(now, last_ticks=case.market)).verdicts[-1]


def approved(verdict: Verdict, now: Situation) -> EntryApproved:
    fact = published(verdict, session_id="session-1", user_id="user-1", limits=now.terms.limits)
    assert isinstance(fact, EntryApproved), verdict
    return fact


def test_the_table_is_whole() -> None:
    assert set(CASES) == set(RiskLimits.model_fields)
    assert set(ScopeLimits.model_fields) < set(RiskLimits.model_fields)
    for holder in LimitHolder:
        assert {name for name, at_holder in HELD if at_holder is holder} == set(limits_held_by(holder))


@pytest.mark.parametrize(("name", "holder"), HELD)
def test_every_limit_decides_where_it_is_held(name: str, holder: LimitHolder) -> None:
    case, now = CASES[name], under({name: CASES[name].value}, holder)
    verdict, rule = judged(case, now), case.rule or name
    if case.told is not None:
        assert case.told(approved(verdict, now))
        assert not case.told(approved(judged(case, wide()), wide()))
        return
    assert (verdict.kind, verdict.rule) == (VerdictKind.REDUCE if case.cuts else VerdictKind.BLOCK, rule)
    if holder is not LimitHolder.SESSION:
        whose = _NAMES.get(holder, "strategy orb")
        assert whose in verdict.detail
    assert judged(case, wide()).kind is VerdictKind.ALLOW, "without it the same entry is let in"


@pytest.mark.parametrize(("name", "holder"), [one for one in HELD if one[1] is LimitHolder.STRATEGY])
def test_a_strategys_limit_is_nothing_to_another_strategy(name: str, holder: LimitHolder) -> None:
    case, now = CASES[name], under({name: CASES[name].value}, holder)
    verdict = judged(case, now, strategy="ema")
    assert verdict.kind is VerdictKind.ALLOW
    if case.told is not None:
        assert not case.told(approved(verdict, now))


@pytest.mark.parametrize(("name", "holder"), [one for one in TABLE if one not in HELD])
def test_what_means_nothing_somewhere_has_a_reason(name: str, holder: LimitHolder) -> None:
    reason = why_not_held(name, holder)
    assert reason is not None
    assert "session's" in reason


def test_of_several_that_say_a_time_or_a_price_the_narrowest_holds() -> None:
    now = under({"max_slippage_pct": 0.3, "safe_trading_start": "09:20"}, LimitHolder.STRATEGY)
    shared = SharedLimits("all", ScopeLimits(max_slippage_pct=0.1, safe_trading_end="10:45"), ())
    both = replace(now, shared=(shared,))
    assert approved(judged(Case(None), both), both).max_slippage_pct == 0.1
    late = on_signal(nothing(), entry("p1", ts_ns=at("10:45")), replace(both, data_ns=at("10:45"))).verdicts[-1]
    assert (late.rule, late.detail) == ("safe_trading_end", "all: 10:45:00 is not before 10:45")
    wider = under({"max_slippage_pct": 3.0, "hard_trading_end": "15:29"}, LimitHolder.ALL)
    assert approved(judged(Case(None), wider), wider).max_slippage_pct == RiskLimits().max_slippage_pct


@pytest.mark.parametrize(("own", "end"), [("11:00", "11:00"), ("15:29", "15:15"), (None, "15:15")])
def test_a_strategys_hard_end_closes_its_positions_and_only_earlier_than_the_sessions(
    own: str | None, end: str
) -> None:
    limits = {} if own is None else {"hard_trading_end": own}
    now = under(limits, LimitHolder.STRATEGY)
    state = on_fact(RiskState(), opened("p1"), now).state
    state = on_fact(state, opened("p2", strategy="ema", instrument=OTHER, side=Side.SHORT), now).state
    assert state.holdings["p1"].hard_end_ns == at(end)
    assert state.holdings["p2"].hard_end_ns == at("15:15")


@pytest.mark.parametrize("holder", SHARED)
def test_a_share_of_what_sessions_have_together_counts_what_the_others_hold(holder: LimitHolder) -> None:
    now = wide()
    other = on_signal(RiskState(), entry("x", ts_ns=NOW, session_id="session-2", stop_paise=49_500), wide()).state
    tied_paise = sum(one.exposure_paise for one in other.live())
    means = now.terms.means + now.terms.means
    for limits, most in (
        ({"max_exposure_pct": 0.06}, means.leveraged_paise * 6 // 100),
        ({"max_leverage": 0.6}, means.capital_paise * 6 // 10),
    ):
        shared = SharedLimits(_NAMES[holder], ScopeLimits(**limits), (other,), means)
        verdict = judged(Case(None), replace(now, shared=(shared,)))
        assert verdict.kind is VerdictKind.REDUCE
        assert verdict.approval is not None
        assert verdict.approval.holding.exposure_paise <= most - tied_paise
        assert verdict.approval.holding.exposure_paise + STOCK_PAISE > most - tied_paise


STOCK_PAISE = 50_000
