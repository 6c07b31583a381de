"""Each rule against one entry: what it lets pass, what it refuses, under which name."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from testkit.risk import (
    INDEX,
    OTHER,
    SECOND,
    at,
    cancelled,
    closed,
    command,
    entry,
    exit_signal,
    opened,
    rejected,
    situation,
)

from tradebus.contracts.instrument_key import Right
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.signals import Side
from tradebus.risk.commands import CommandKind
from tradebus.risk.rules.registry import ENTRY_RULES
from tradebus.risk.state import RiskState
from tradebus.risk.step import on_command, on_fact, on_signal
from tradebus.risk.terms import Situation
from tradebus.risk.verdicts import Verdict, VerdictKind
from tradebus.trading.facts import EntrySignal


def ask(signal: EntrySignal, now: Situation | None = None, state: RiskState | None = None) -> Verdict:
    """The last verdict: the one on the entry itself."""
    return on_signal(state or RiskState(), signal, now or situation()).verdicts[-1]


def holding(*signals: EntrySignal, now: Situation | None = None) -> RiskState:
    """The state after these entries, all of which pass."""
    state = RiskState()
    for signal in signals:
        step = on_signal(state, signal, now or situation())
        assert step.verdicts[-1].kind in (VerdictKind.ALLOW, VerdictKind.REDUCE), step.verdicts[-1]
        state = step.state
    return state


def test_an_entry_that_nothing_speaks_against_is_allowed_for_what_its_risk_asks() -> None:
    verdict = ask(entry(price_paise=50_000, stop_paise=40_000))
    # 1 % of 100,000,000 paise over 10,000 paise a unit.
    assert (verdict.kind, verdict.rule) == (VerdictKind.ALLOW, "all_passed")
    assert verdict.approval is not None
    assert verdict.approval.holding.quantity == verdict.approval.quantity_requested == 100
    assert verdict.approval.valid_until_ns == at("10:02")


def test_prices_of_an_approval_lie_on_the_tick() -> None:
    approval = ask(entry(price_paise=50_002, stop_paise=40_003, target_paise=60_004)).approval
    assert approval is not None
    assert (approval.holding.price_paise, approval.stop_paise, approval.target_paise) == (50_000, 40_005, 60_005)


def test_an_engaged_kill_switch_blocks() -> None:
    assert ask(entry(), situation(killed=True)).rule == "kill_switch"


def test_a_stopping_session_blocks() -> None:
    state = on_command(RiskState(), command(CommandKind.STOP, ts_ns=1), situation()).state
    assert ask(entry(), state=state).rule == "session_stopping"


def test_a_paused_session_blocks_until_it_is_resumed() -> None:
    paused = on_command(RiskState(), command(CommandKind.PAUSE, ts_ns=1), situation()).state
    assert ask(entry(), state=paused).rule == "session_paused"
    resumed = on_command(paused, command(CommandKind.RESUME, ts_ns=1), situation()).state
    assert ask(entry(), state=resumed).kind is VerdictKind.ALLOW


def test_a_halted_session_blocks_for_the_day_and_not_for_the_next() -> None:
    halted = RiskState(day=date(2024, 1, 10), halted_rule="daily_max_loss")
    verdict = ask(entry(), state=halted)
    assert (verdict.rule, verdict.detail) == ("session_halted", "halted for the day by daily_max_loss")
    assert ask(entry(ts_ns=at("10:00", date(2024, 1, 11))), state=halted).kind is VerdictKind.ALLOW


@pytest.mark.parametrize(
    ("data", "passes"), [("10:01:00", True), ("10:01:01", False), ("09:59", True), ("09:58", False)]
)
def test_a_signal_must_be_near_the_market_data(data: str, passes: bool) -> None:
    verdict = ask(entry(ts_ns=at("10:00")), situation(data_ns=at(data)))
    assert (verdict.kind is VerdictKind.ALLOW) is passes
    assert passes or verdict.rule == "stale_signal"


def test_a_signal_dated_years_ahead_does_not_move_the_day() -> None:
    state = RiskState(day=date(2024, 1, 10), consecutive_losses=2)
    step = on_signal(state, entry(ts_ns=at("10:00", date(2026, 1, 9))), situation(data_ns=at("10:00")))
    assert step.verdicts[-1].rule == "stale_signal"
    assert step.state == state


def test_a_gap_in_an_instruments_data_blocks_its_entries_alone() -> None:
    now = replace(situation(), gaps=frozenset({OTHER.instrument_id}))
    assert ask(entry("p1"), now).kind is VerdictKind.ALLOW
    assert (ask(entry("p2", instrument=OTHER), now).kind, ask(entry("p2", instrument=OTHER), now).rule) == (
        VerdictKind.BLOCK,
        "data_gap",
    )
    held = on_fact(holding(entry("p2", instrument=OTHER)), opened("p2", instrument=OTHER), now).state
    leave = on_signal(held, exit_signal("p2", instrument=OTHER), now).verdicts[-1]
    assert leave.kind is VerdictKind.EXIT  # getting out is never blocked


def test_before_any_market_data_no_signal_is_stale() -> None:
    assert ask(entry(), situation(data_ns=0)).kind is VerdictKind.ALLOW


@pytest.mark.parametrize("day", [date(2024, 1, 13), date(2024, 1, 26)])
def test_no_entry_on_a_week_end_or_holiday(day: date) -> None:
    assert ask(entry(ts_ns=at("10:00", day))).rule == "market_closed"


@pytest.mark.parametrize("clock", ["09:00", "15:30", "20:00"])
def test_no_entry_outside_continuous_trading(clock: str) -> None:
    assert ask(entry(ts_ns=at(clock))).rule == "market_closed"


def test_no_entry_in_the_break_of_a_session_of_two_parts() -> None:
    day = date(2024, 3, 2)  # a Saturday on which the exchanges tried out their second site
    assert ask(entry(ts_ns=at("10:30", day))).rule == "market_closed"


@pytest.mark.parametrize(
    ("clock", "rule"),
    [("09:29:59", "safe_trading_start"), ("09:30", None), ("14:29:59", None), ("14:30", "safe_trading_end")],
)
def test_the_sessions_own_time_guards(clock: str, rule: str | None) -> None:
    verdict = ask(entry(ts_ns=at(clock)), situation(safe_trading_start="09:30", safe_trading_end="14:30"))
    assert verdict.rule == (rule or "all_passed")


def test_the_markets_own_time_guard_holds_where_the_session_has_none() -> None:
    assert ask(entry(ts_ns=at("15:29"))).rule == "safe_trading_end"


def test_the_hard_end_blocks_even_where_entries_were_allowed_longer() -> None:
    late = situation(safe_trading_end="15:20", hard_trading_end="14:00")
    assert ask(entry(ts_ns=at("13:59:59")), late).kind is VerdictKind.ALLOW
    assert ask(entry(ts_ns=at("14:00")), late).rule == "hard_trading_end"


def test_a_hard_end_after_the_close_gives_way_to_the_markets_square_off() -> None:
    late = situation(safe_trading_end="15:29", hard_trading_end="15:30")
    assert ask(entry(ts_ns=at("15:28")), late).rule == "hard_trading_end"


@pytest.mark.parametrize(("hard_end", "rule"), [("15:19", "all_passed"), ("15:20", "hard_trading_end")])
def test_a_hard_end_when_the_broker_has_closed_everything_gives_way_to_the_markets_square_off(
    hard_end: str, rule: str
) -> None:
    late = situation(safe_trading_end="15:29", hard_trading_end=hard_end)
    assert ask(entry(ts_ns=at("15:16")), late).rule == rule


@pytest.mark.parametrize(
    ("side", "stop_paise", "passes"),
    [
        (Side.LONG, 49_000, True),
        (Side.LONG, 50_000, False),
        (Side.LONG, 51_000, False),
        (Side.SHORT, 51_000, True),
        (Side.SHORT, 50_000, False),
        (Side.SHORT, 49_000, False),
        (Side.LONG, 49_999, False),  # on the tick, it is the price
        (Side.LONG, 1, False),  # on the tick, it is zero
    ],
)
def test_the_stop_must_stand_where_the_position_loses(side: Side, stop_paise: int, passes: bool) -> None:
    verdict = ask(entry(side=side, price_paise=50_000, stop_paise=stop_paise))
    assert (verdict.rule != "invalid_stop") is passes


def test_a_target_on_the_losing_side_blocks() -> None:
    assert ask(entry(target_paise=49_900)).rule == "invalid_target"
    assert ask(entry(side=Side.SHORT, stop_paise=50_500, target_paise=49_900)).kind in (
        VerdictKind.ALLOW,
        VerdictKind.REDUCE,
    )


@pytest.mark.parametrize(
    ("limits", "rule"),
    [
        ({"daily_max_loss_paise": 50_000}, "daily_max_loss"),
        ({"daily_max_loss_paise": None, "daily_max_loss_pct": 0.05}, "daily_max_loss_pct"),
        ({"daily_max_loss_paise": 40_000, "daily_max_loss_pct": 0.05}, "daily_max_loss"),
        ({"daily_max_loss_paise": 60_000, "daily_max_loss_pct": 0.05}, "daily_max_loss_pct"),
    ],
)
def test_a_day_that_lost_its_limit_halts_at_the_next_entry(limits: dict[str, Any], rule: str) -> None:
    state = RiskState(day=date(2024, 1, 10), realised={"p0": -50_000})
    step = on_signal(state, entry(), situation(**limits))
    assert [(verdict.kind, verdict.rule) for verdict in step.verdicts] == [
        (VerdictKind.HALT, rule),
        (VerdictKind.BLOCK, rule),
    ]
    assert step.state.halted_rule == rule
    assert on_signal(replace(state, realised={"p0": -39_999}), entry(), situation(**limits)).state.halted_rule is None


def test_a_streak_of_losses_halts_at_the_next_entry() -> None:
    state = RiskState(day=date(2024, 1, 10), consecutive_losses=2)
    step = on_signal(state, entry(), situation(consecutive_losses_limit=2))
    assert [verdict.kind for verdict in step.verdicts] == [VerdictKind.HALT, VerdictKind.BLOCK]
    assert ask(entry(), situation(consecutive_losses_limit=3), state).kind is VerdictKind.ALLOW


def test_limits_that_are_not_set_do_not_apply() -> None:
    state = RiskState(day=date(2024, 1, 10), realised={"p0": -90_000_000}, consecutive_losses=99)
    free = situation(daily_max_loss_pct=None, consecutive_losses_limit=None)
    assert ask(entry(), free, state).kind is VerdictKind.ALLOW


def test_one_position_per_strategy_and_symbol_pending_ones_counted() -> None:
    state = holding(entry("p1"))
    assert ask(entry("p2"), state=state).rule == "duplicate_position"
    assert ask(entry("p2", instrument=OTHER), situation(max_exposure_pct=1.0), state).rule != "duplicate_position"


def test_no_opposite_position_in_a_symbol_by_another_strategy() -> None:
    state = holding(entry("p1"))
    against = entry("p2", strategy="ema", side=Side.SHORT, stop_paise=50_500)
    assert ask(against, state=state).rule == "opposite_position"
    assert ask(entry("p2", strategy="ema"), state=state).rule != "opposite_position"


def test_pending_entries_count_as_positions() -> None:
    state = holding(entry("p1"))
    verdict = ask(entry("p2", instrument=OTHER), situation(max_concurrent_trades=1), state)
    assert verdict.rule == "max_concurrent_trades"


def test_a_rejected_entry_frees_its_place() -> None:
    for end in (rejected("p1"), cancelled("p1")):
        state = on_fact(holding(entry("p1")), end, situation()).state
        assert state.holdings == {}
        assert state.trades == {}
        assert (
            ask(entry("p2"), situation(max_concurrent_trades=1, cooldown_seconds=600), state).kind is VerdictKind.ALLOW
        )


def test_trades_of_a_symbol_are_counted_over_the_day() -> None:
    once = situation(max_trades_per_symbol_per_day=1)
    state = holding(entry("p1"), now=once)
    for fact in (opened("p1"), closed("p1")):
        state = on_fact(state, fact, once).state
    assert ask(entry("p2", ts_ns=at("11:00")), once, state).rule == "max_trades_per_symbol_per_day"
    assert ask(entry("p2", ts_ns=at("11:00"), instrument=OTHER), once, state).kind is VerdictKind.ALLOW
    tomorrow = entry("p2", ts_ns=at("11:00", date(2024, 1, 11)))
    assert ask(tomorrow, once, state).kind is VerdictKind.ALLOW


def test_cooldown_runs_from_the_approval_the_opening_and_the_close() -> None:
    calm = situation(cooldown_seconds=60)
    approved_ns = at("10:00")
    state = holding(entry("p1", ts_ns=approved_ns), now=calm)
    second = entry("p2", strategy="ema", ts_ns=approved_ns + 59 * SECOND)
    assert ask(second, calm, state).rule == "cooldown_seconds"

    state = on_fact(state, opened("p1", ts_ns=approved_ns + 10 * SECOND), calm).state
    assert ask(entry("p2", strategy="ema", ts_ns=approved_ns + 69 * SECOND), calm, state).rule == "cooldown_seconds"
    assert ask(entry("p2", strategy="ema", ts_ns=approved_ns + 70 * SECOND), calm, state).rule != "cooldown_seconds"

    state = on_fact(state, closed("p1", ts_ns=at("10:20")), calm).state
    assert ask(entry("p2", ts_ns=at("10:20:59")), calm, state).rule == "cooldown_seconds"
    assert ask(entry("p2", ts_ns=at("10:20:59"), instrument=OTHER), calm, state).kind is VerdictKind.ALLOW
    assert ask(entry("p2", ts_ns=at("10:21")), calm, state).kind is VerdictKind.ALLOW


def test_an_instrument_nobody_registered_blocks() -> None:
    unknown = OTHER.model_copy(update={"instrument_id": 99})
    assert ask(entry(instrument=unknown)).rule == "unknown_instrument"


def test_a_contract_without_listed_lots_blocks_with_the_calendars_words() -> None:
    strange = OTHER.model_copy(update={"kind": "FUTURE", "market_class": "derivative"})
    now = replace(situation(), instruments={2: strange})
    verdict = ask(entry(instrument=strange), now)
    assert verdict.rule == "unknown_contract"
    assert "lot size" in verdict.detail


def test_a_size_that_a_limit_cuts_is_reduced_under_the_limits_name() -> None:
    # By risk 2,000 units; leverage 2 pays for 4,000; exposure 0.5 of it for 2,000; two lots of one for 2.
    cut = ask(entry(stop_paise=49_500), situation(max_lots_per_trade=2))
    assert (cut.kind, cut.rule) == (VerdictKind.REDUCE, "max_lots_per_trade")
    assert cut.approval is not None
    assert (cut.approval.holding.quantity, cut.approval.quantity_requested) == (2, 2000)


def test_exposure_of_positions_and_reservations_leaves_less_for_the_next() -> None:
    tight = situation(max_exposure_pct=0.5, max_leverage=1.0)  # 50,000,000 paise: 1,000 units
    state = holding(entry("p1", price_paise=50_000, stop_paise=48_750), now=tight)  # 800 units
    verdict = ask(entry("p2", instrument=OTHER, price_paise=50_000, stop_paise=48_750), tight, state)
    assert (verdict.kind, verdict.rule) == (VerdictKind.REDUCE, "max_exposure_pct")
    assert verdict.approval is not None
    assert verdict.approval.holding.quantity == 200


def test_less_than_one_lot_blocks() -> None:
    verdict = ask(entry(instrument=INDEX, price_paise=4_800_000, stop_paise=4_700_000))
    assert verdict.rule == "below_one_lot"
    assert "risk_per_trade_pct" in verdict.detail


def test_an_index_trades_in_whole_lots_of_its_day() -> None:
    verdict = ask(entry(instrument=INDEX, price_paise=4_800_000, stop_paise=4_792_000), situation(max_leverage=20.0))
    assert verdict.approval is not None
    assert verdict.approval.lot_size == 15
    assert verdict.approval.holding.quantity == 120  # 125 by risk, in lots of 15


def test_the_order_of_the_rules_is_the_documented_one() -> None:
    assert [rule.__name__ for rule in ENTRY_RULES] == [
        "kill_switch", "session_stopping", "session_halted", "session_paused", "part_halted", "stale_signal",
        "data_gap", "max_data_age_seconds", "atr_unknown", "market_closed", "off_schedule", "safe_trading_start",
        "safe_trading_end", "hard_trading_end", "invalid_stop", "invalid_target", "max_price_distance_pct",
        "max_slippage_bps", "capital_gone", "daily_max_loss", "consecutive_losses_limit", "symbol_max_loss",
        "duplicate_position", "opposite_position",
        "max_concurrent_trades", "max_positions", "max_trades_per_symbol_per_day", "cooldown_seconds",
        "order_min_interval_ms", "max_orders_per_minute",
    ]  # fmt: skip


def test_an_entry_without_a_pos_id_is_a_defect() -> None:
    with pytest.raises(ValueError, match="pos_id"):
        ask(replace(entry(), pos_id=None))


CALL = Instrument(
    instrument_id=9, symbol="NIFTY24JAN21700CE", kind="OPTION", market_class="derivative", underlying="NIFTY",
    tick_size_paise=5, expiry=date(2024, 1, 25), strike_paise=2_170_000, right=Right.CALL,
)  # fmt: skip


def listing(instrument: Instrument) -> Situation:
    return replace(situation(), instruments={instrument.instrument_id: instrument})


def test_ten_orders_of_what_the_exchange_takes_in_one_bound_an_entry() -> None:
    """100,000 units by the risk, 1,800 by the freeze quantity of 2024; the day's master says another."""
    signal = entry(instrument=CALL, price_paise=1_000, stop_paise=990)
    reduced = ask(signal, listing(CALL))
    assert (reduced.kind, reduced.rule, reduced.detail) == (
        VerdictKind.REDUCE, "freeze_quantity", "18000 of 100000: freeze_quantity leaves 18000, the least is 50",
    )  # fmt: skip
    masters = CALL.model_copy(update={"lot_size": 25, "freeze_quantity": 1_780, "terms_on": date(2024, 1, 10)})
    reduced = ask(signal, listing(masters))
    assert reduced.approval is not None
    assert (reduced.approval.holding.quantity, reduced.approval.lot_size) == (17_750, 25)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"expiry": date(2024, 1, 4)}, "contract_expired"),
        ({"kind": "INDEX", "market_class": "index", "expiry": None}, "not_tradable"),
    ],
)
def test_an_entry_that_the_exchange_would_refuse_is_blocked_by_its_rule(changes: dict[str, Any], rule: str) -> None:
    blocked = ask(
        entry(instrument=CALL, price_paise=10_000, stop_paise=9_900), listing(CALL.model_copy(update=changes))
    )
    assert (blocked.kind, blocked.rule) == (VerdictKind.BLOCK, rule)


def test_an_expiring_index_contract_takes_no_entries_by_its_own_close() -> None:
    """8 December 2026: the weekly of the day stops at 15:30, so entries end at 15:00; others trade to 15:45."""
    day = date(2026, 12, 8)
    for expiry, allowed in ((day, False), (date(2026, 12, 15), True)):
        listed = CALL.model_copy(update={"expiry": expiry})
        signal = entry(instrument=listed, price_paise=10_000, stop_paise=9_900, ts_ns=at("15:10", day))
        found = ask(signal, listing(listed))
        assert (found.kind in (VerdictKind.ALLOW, VerdictKind.REDUCE)) == allowed, found
