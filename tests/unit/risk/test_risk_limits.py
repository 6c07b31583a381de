"""Limits of the session beyond its profit, and those of a strategy and a symbol alone."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from testkit.risk import (
    DAY,
    INDEX,
    OTHER,
    SECOND,
    STOCK,
    at,
    closed,
    entry,
    every_second,
    opened,
    situation,
    spec,
)

from tradebus.contracts.instruments import Instrument
from tradebus.contracts.sessions import RiskLimits, ScopeLimits, Sizing, SizingMode, StrategySpec
from tradebus.contracts.signals import Side
from tradebus.risk.state import RiskState
from tradebus.risk.step import RiskStep, on_fact, on_signal, on_ticks
from tradebus.risk.terms import Situation, tightest_loss
from tradebus.risk.verdicts import Verdict, VerdictKind
from tradebus.trading.facts import EntrySignal

MILLISECOND = SECOND // 1000


def ask(signal: EntrySignal, now: Situation, state: RiskState | None = None) -> Verdict:
    return on_signal(state or RiskState(), signal, now).verdicts[-1]


def after(*signals: EntrySignal, now: Situation) -> RiskState:
    """The state after these entries, all of which pass."""
    state = RiskState()
    for signal in signals:
        step = on_signal(state, signal, now)
        assert step.verdicts[-1].approval is not None, step.verdicts[-1]
        state = step.state
    return state


def with_strategy(name: str = "orb", **fields: Any) -> Situation:
    """A session whose strategy `name` has fields of its own; "ema" runs beside it."""
    others = [StrategySpec(name=one) for one in ("orb", "ema") if one != name]
    return situation(spec(strategies=[StrategySpec(name=name, **fields), *others]))


def quantity_of(verdict: Verdict) -> int:
    assert verdict.approval is not None, verdict
    return verdict.approval.holding.quantity


@pytest.mark.parametrize(
    ("limits", "rule", "paise"),
    [
        # R is 1 % of the capital: ₹10,000.
        ({"daily_max_loss_pct": None, "daily_max_loss_r": 3.0}, "daily_max_loss_r", 3_000_000),
        ({"daily_max_loss_pct": 2.0, "daily_max_loss_r": 3.0}, "daily_max_loss_pct", 2_000_000),
        ({"daily_max_loss_pct": None, "daily_max_loss_r": 1.5, "risk_per_trade_pct": 0.5}, "daily_max_loss_r", 750_000),
        ({"daily_max_loss_pct": None, "daily_max_loss_r": 0.000001}, "daily_max_loss_r", 1),
    ],
)
def test_the_days_loss_may_be_given_in_r(limits: dict[str, Any], rule: str, paise: int) -> None:
    found = tightest_loss(RiskLimits(**limits), capital_paise=100_000_000)
    assert found is not None
    assert (found.rule, found.limit_paise) == (rule, paise)


def test_a_loss_in_r_halts_on_the_tick_that_reaches_it() -> None:
    now = situation(daily_max_loss_pct=None, daily_max_loss_r=1.0)  # ₹10,000
    state = on_fact(after(entry("p1"), now=now), opened("p1", quantity=1_000), now).state
    start = at("10:01")
    step = on_ticks(state, every_second(start, STOCK, [49_500, 49_001, 49_000]), now, end_ns=start + 3 * SECOND)
    halt, leave = step.verdicts
    assert (halt.kind, halt.rule, halt.ts_event_ns) == (VerdictKind.HALT, "daily_max_loss_r", start + 2 * SECOND)
    assert (leave.kind, leave.pos_id) == (VerdictKind.EXIT, "p1")


def test_a_position_is_an_instrument_whoever_trades_it() -> None:
    now = situation(max_positions=1, max_concurrent_trades=5)
    state = after(entry("p1"), now=now)
    assert ask(entry("p2", strategy="ema"), now, state).rule != "max_positions"
    refused = ask(entry("p2", instrument=OTHER), now, state)
    assert (refused.rule, refused.detail) == ("max_positions", "1 instruments are held, 2 with this; limit 1")


def test_entries_keep_their_distance_in_time() -> None:
    now = situation(order_min_interval_ms=1_500)
    state = after(entry("p1", ts_ns=at("10:00")), now=now)
    soon = ask(entry("p2", instrument=OTHER, ts_ns=at("10:00") + 1_499 * MILLISECOND), now, state)
    assert (soon.rule, soon.detail) == (
        "order_min_interval_ms", "1499 ms after the entry of 10:00:00; limit 1500 ms",
    )  # fmt: skip
    assert ask(entry("p2", instrument=OTHER, ts_ns=at("10:00") + 1_500 * MILLISECOND), now, state).approval


def test_entries_of_a_minute_are_counted_over_any_sixty_seconds() -> None:
    now = situation(max_orders_per_minute=2, max_concurrent_trades=9)
    state = after(entry("p1", ts_ns=at("10:00:30")), entry("p2", instrument=OTHER, ts_ns=at("10:00:50")), now=now)

    def third(clock: str) -> Verdict:
        return ask(entry("p3", strategy="ema", ts_ns=at(clock)), now, state)

    assert third("10:01:29").rule == "max_orders_per_minute"
    assert third("10:01:29").detail == "2 of 2 entries of the last 60 s are made: again at 10:01:30"
    assert third("10:01:30").rule != "max_orders_per_minute"


def test_a_symbol_that_lost_its_limit_is_closed_and_stays_out_for_the_day_while_others_go_on() -> None:
    now = situation(symbol_max_loss_paise=50_000)
    state = after(entry("p1"), entry("p2", instrument=OTHER), now=now)
    state = on_fact(state, opened("p1", quantity=100), now).state
    state = on_fact(state, opened("p2", quantity=100, instrument=OTHER), now).state
    start = at("10:01")
    step = on_ticks(state, every_second(start, STOCK, [49_501]), now, end_ns=start + SECOND)
    assert step.verdicts == ()
    step = on_ticks(step.state, every_second(start + SECOND, STOCK, [49_500]), now, end_ns=start + 2 * SECOND)
    assert [(one.kind, one.rule, one.pos_id) for one in step.verdicts] == [(VerdictKind.EXIT, "symbol_max_loss", "p1")]
    assert step.state.halted_rule is None
    # Its close came out better than the limit: out for the day all the same.
    state = on_fact(step.state, closed("p1", net_pnl_paise=-40_000, ts_ns=at("10:02")), now).state
    again = ask(entry("p3", ts_ns=at("10:10")), now, state)
    assert (again.rule, again.detail) == ("symbol_max_loss", "symbol SBIN is halted for the day by symbol_max_loss")
    assert ask(entry("p3", instrument=INDEX, ts_ns=at("10:10")), now, state).rule != "symbol_max_loss"
    tomorrow = entry("p3", ts_ns=at("10:00", date(2024, 1, 11)))
    assert ask(tomorrow, now, state).rule != "symbol_max_loss"


def test_a_close_alone_halts_the_symbol() -> None:
    now = situation(symbol_max_loss_paise=50_000)
    state = on_fact(after(entry("p1"), now=now), opened("p1"), now).state
    state = on_fact(state, closed("p1", net_pnl_paise=-50_000), now).state
    assert state.halted_parts == {"symbol SBIN": "symbol_max_loss"}


def test_a_strategy_that_lost_its_limit_is_closed_alone() -> None:
    now = with_strategy(limits=ScopeLimits(daily_max_loss_paise=50_000))
    state = after(entry("p1"), entry("p2", instrument=OTHER, strategy="ema"), now=now)
    state = on_fact(state, opened("p1", quantity=100), now).state
    state = on_fact(state, opened("p2", quantity=100, instrument=OTHER, strategy="ema"), now).state
    start = at("10:01")
    step = on_ticks(state, every_second(start, STOCK, [49_400]), now, end_ns=start + SECOND)
    assert [(one.kind, one.rule, one.pos_id) for one in step.verdicts] == [(VerdictKind.EXIT, "daily_max_loss", "p1")]
    refused = ask(entry("p3", instrument=INDEX, ts_ns=at("10:02")), now, step.state)
    assert (refused.rule, refused.detail) == ("daily_max_loss", "strategy orb is halted for the day by daily_max_loss")


def test_an_entry_in_flight_of_a_halted_strategy_is_left_as_soon_as_it_opens() -> None:
    now = with_strategy(limits=ScopeLimits(consecutive_losses_limit=1))
    state = on_fact(after(entry("p1"), entry("p2", instrument=OTHER), now=now), opened("p1"), now).state
    state = on_fact(state, closed("p1", net_pnl_paise=-1), now).state
    step = on_fact(state, opened("p2", instrument=OTHER, ts_ns=at("10:21")), now)
    assert [(one.kind, one.rule) for one in step.verdicts] == [(VerdictKind.EXIT, "consecutive_losses_limit")]


def test_a_strategys_streak_is_its_own() -> None:
    now = with_strategy(limits=ScopeLimits(consecutive_losses_limit=2))
    state = RiskState()
    for number, (strategy, net) in enumerate((("orb", -1), ("ema", -1), ("ema", -1), ("orb", 5), ("orb", -1))):
        instrument, pos_id = (STOCK, OTHER)[number % 2], f"p{number}"
        for fact in (
            opened(pos_id, strategy=strategy, instrument=instrument, ts_ns=at("10:00") + number * 2 * SECOND),
            closed(
                pos_id, strategy=strategy, instrument=instrument, net_pnl_paise=net,
                ts_ns=at("10:00") + (number * 2 + 1) * SECOND,
            ),
        ):  # fmt: skip
            state = on_fact(state, fact, now).state
    assert state.halted_parts == {}
    assert state.strategies["orb"].consecutive_losses == 1
    assert state.strategies["ema"].consecutive_losses == 2


@pytest.mark.parametrize(
    ("limits", "rule"),
    [
        ({"max_concurrent_trades": 1}, "max_concurrent_trades"),
        ({"max_positions": 1}, "max_positions"),
        ({"order_min_interval_ms": 60_000}, "order_min_interval_ms"),
        ({"max_orders_per_minute": 1}, "max_orders_per_minute"),
    ],
)
def test_a_strategys_limits_count_its_own_trades(limits: dict[str, int], rule: str) -> None:
    now = with_strategy(limits=ScopeLimits(**limits))
    state = after(entry("p1"), now=now)
    refused = ask(entry("p2", instrument=OTHER), now, state)
    assert refused.rule == rule
    assert refused.detail.startswith("strategy orb: ")
    assert ask(entry("p2", instrument=OTHER, strategy="ema"), now, state).approval


def test_a_strategys_trades_of_a_symbol_and_its_cooldown_are_its_own() -> None:
    now = with_strategy(limits=ScopeLimits(max_trades_per_symbol_per_day=1, cooldown_seconds=600))
    state = after(entry("p1"), now=now)
    for fact in (opened("p1"), closed("p1", ts_ns=at("10:01"))):
        state = on_fact(state, fact, now).state
    assert ask(entry("p2", ts_ns=at("11:00")), now, state).rule == "max_trades_per_symbol_per_day"
    assert ask(entry("p2", ts_ns=at("10:02"), strategy="ema"), now, state).approval
    cooling = with_strategy(limits=ScopeLimits(cooldown_seconds=600))
    assert ask(entry("p2", ts_ns=at("10:02")), cooling, state).detail == (
        "strategy orb: last trade in SBIN at 10:01:00; limit 600 s: again at 10:11:00"
    )


def test_an_amount_bounds_what_all_positions_tie_up() -> None:
    now = situation(max_exposure_paise=60_000_000)
    state = after(entry("p1", stop_paise=49_000), now=now)  # 1,000 by risk: 50,000,000 paise
    cut = ask(entry("p2", instrument=OTHER, stop_paise=49_000), now, state)
    assert (cut.kind, cut.rule, quantity_of(cut)) == (VerdictKind.REDUCE, "max_exposure_paise", 200)
    assert cut.detail == "200 of 1000: max_exposure_paise leaves ₹1,00,000.00, 1 take ₹500.00"


def test_a_budget_is_what_a_strategy_is_sized_from_and_may_tie_up() -> None:
    now = with_strategy(budget_paise=10_000_000)
    # 1 % of ₹1 lakh over ₹5 a unit.
    first = ask(entry("p1", stop_paise=49_500), now)
    assert (first.kind, quantity_of(first)) == (VerdictKind.ALLOW, 200)
    state = after(entry("p1", stop_paise=49_700), now=now)  # 333: 16,650,000 of the 20,000,000 at leverage 2
    cut = ask(entry("p2", instrument=OTHER, stop_paise=49_500), now, state)
    assert (cut.rule, quantity_of(cut)) == ("strategy_budget", 67)
    assert ask(entry("p2", instrument=OTHER, stop_paise=49_500, strategy="ema"), now, state).kind is VerdictKind.ALLOW


def test_a_strategys_sizing_stands_in_place_of_the_sessions() -> None:
    lots = Sizing(mode=SizingMode.FIXED_LOTS, lots=7)
    now = situation(
        spec(sizing=lots, strategies=[
            StrategySpec(name="orb"),
            StrategySpec(name="ema", sizing=Sizing(mode=SizingMode.FIXED_RUPEES, amount_paise=1_000_000)),
        ])
    )  # fmt: skip
    assert quantity_of(ask(entry("p1"), now)) == 7
    assert quantity_of(ask(entry("p1", strategy="ema"), now)) == 20


def test_by_score_takes_the_signals_confidence() -> None:
    now = situation(spec(sizing=Sizing(mode=SizingMode.FIXED_LOTS, lots=10, by_score=True)))
    assert quantity_of(ask(entry("p1", confidence=0.35), now)) == 3
    refused = ask(entry("p1", confidence=0.05), now)
    assert refused.rule == "below_one_lot"
    assert "10 lots are asked for, by its confidence of 0.05" in refused.detail


def test_of_equity_counts_what_was_won_and_lost_also_on_days_before() -> None:
    now = situation(spec(sizing=Sizing(of_equity=True), daily_max_loss_pct=None))
    state = RiskState(day=DAY, realised={"p0": -40_000_000})
    assert quantity_of(ask(entry("p1", stop_paise=49_000), now, state)) == 600
    tomorrow = date(2024, 1, 11)
    assert quantity_of(ask(entry("p1", stop_paise=49_000, ts_ns=at("10:00", tomorrow)), now, state)) == 600
    gone = ask(entry("p1"), now, RiskState(day=DAY, realised={"p0": -100_000_000}))
    assert gone.rule == "capital_gone"


CALL = Instrument(
    instrument_id=9, symbol="NIFTY24JAN21700CE", kind="OPTION", market_class="derivative", underlying="NIFTY",
    tick_size_paise=5, expiry=date(2024, 1, 25), strike_paise=2_170_000, right="CE", lot_size=50,
)  # fmt: skip


def test_an_option_that_is_sold_needs_margin_of_the_underlying_and_not_of_its_premium() -> None:
    now = replace(situation(), instruments={9: CALL})
    sold = entry("p1", instrument=CALL, side=Side.SHORT, price_paise=10_000, stop_paise=10_400)
    # ₹10 lakh over 15 % of 21,700 a unit: 307 units, six lots of fifty.
    cut = ask(sold, now)
    assert (cut.kind, cut.rule, quantity_of(cut)) == (VerdictKind.REDUCE, "margin", 300)
    refused = ask(replace(sold, pos_id="p2", strategy="ema", event_id="e2"), now, after(sold, now=now))
    assert (refused.rule, refused.detail) == (
        "below_one_lot",
        "margin leaves less than one lot of 50: margin leaves ₹23,500.00, 50 take ₹1,62,750.00: ₹1,39,250.00 more",
    )


def test_margin_may_be_bound_by_an_amount() -> None:
    now = situation(max_margin_paise=1_000_000)
    cut = ask(entry("p1"), now)  # a fifth of ₹500 a unit
    assert (cut.rule, quantity_of(cut)) == ("max_margin_paise", 100)


def step_of(state: RiskState, signal: EntrySignal, now: Situation) -> RiskStep:
    return on_signal(state, signal, now)


def test_a_new_day_forgets_the_parts_and_carries_the_profit() -> None:
    state = RiskState(day=DAY, realised={"a": -5, "b": 3}, halted_parts={"symbol SBIN": "symbol_max_loss"})
    later = step_of(state, entry(ts_ns=at("10:00", date(2024, 1, 11))), situation()).state
    assert (later.carried_paise, later.realised, later.halted_parts) == (-2, {}, {})
