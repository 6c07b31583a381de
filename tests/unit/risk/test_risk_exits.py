"""Getting out, and what execution's reports do to the state."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from testkit.risk import (
    OTHER,
    SECOND,
    at,
    cancelled,
    closed,
    command,
    entry,
    exit_signal,
    fill,
    opened,
    rejected,
    situation,
    ticks,
)

from tradebus.contracts.orders import OrderRole, Transaction
from tradebus.risk.commands import CommandKind
from tradebus.risk.exits import next_due_ns
from tradebus.risk.reports import concerns_risk
from tradebus.risk.state import RiskState
from tradebus.risk.step import RiskStep, on_command, on_fact, on_over, on_signal, on_ticks, on_time
from tradebus.risk.terms import Situation
from tradebus.risk.verdicts import Cause, VerdictKind

NOTHING = ticks()


# Commands are written by the wall clock, which is years ahead of a history run.
WRITTEN_NS = at("10:00", date(2026, 1, 5))


def pending(now: Situation | None = None) -> RiskState:
    return on_signal(RiskState(), entry("p1"), now or situation()).state


def open_position(now: Situation | None = None, *, quantity: int = 100) -> RiskState:
    return on_fact(pending(now), opened("p1", quantity=quantity), now or situation()).state


def summary(step: RiskStep) -> list[tuple[str, str, str | None]]:
    return [(verdict.kind.value, verdict.rule, verdict.pos_id) for verdict in step.verdicts]


@pytest.mark.parametrize("state", [pending(), open_position()], ids=["pending", "open"])
@pytest.mark.parametrize(
    "hindrance",
    [{}, {"paused": True}, {"stopping": True}, {"halted_rule": "daily_max_loss"}],
    ids=["running", "paused", "stopping", "halted"],
)
@pytest.mark.parametrize("killed", [False, True])
def test_an_exit_signal_is_approved_whatever_the_session_is(
    state: RiskState, hindrance: dict[str, Any], killed: bool
) -> None:
    step = on_signal(replace(state, **hindrance), exit_signal(), situation(killed=killed, data_ns=at("16:00")))
    assert summary(step) == [("EXIT", "exit_signal", "p1")]
    assert step.verdicts[0].detail == "target near"


def test_an_exit_of_what_is_not_there_is_ignored() -> None:
    assert summary(on_signal(RiskState(), exit_signal(), situation())) == [("IGNORED", "no_position", "p1")]
    gone = on_fact(open_position(), closed("p1"), situation()).state
    assert summary(on_signal(gone, exit_signal(), situation())) == [("IGNORED", "no_position", "p1")]


def test_a_second_exit_is_ignored_while_the_first_is_out() -> None:
    state = on_signal(open_position(), exit_signal(), situation()).state
    step = on_signal(state, exit_signal(ts_ns=at("10:11")), situation())
    assert summary(step) == [("IGNORED", "already_closing", "p1")]
    assert step.state == state


@pytest.mark.parametrize("end", [rejected("p1", role=OrderRole.EXIT), cancelled("p1", role=OrderRole.EXIT)])
def test_an_exit_that_came_to_nothing_may_be_asked_for_again(end: Any) -> None:
    state = on_signal(open_position(), exit_signal(), situation()).state
    state = on_fact(state, end, situation()).state
    assert summary(on_signal(state, exit_signal(ts_ns=at("10:12")), situation())) == [("EXIT", "exit_signal", "p1")]


def test_the_end_of_a_stop_order_does_not_concern_risk() -> None:
    assert not concerns_risk(cancelled("p1", role=OrderRole.STOP))
    assert not concerns_risk(rejected("p1", role=OrderRole.STOP))
    assert concerns_risk(cancelled("p1", role=OrderRole.ENTRY))


def test_an_exit_that_overtook_its_entry_is_said_again_when_the_entry_opens() -> None:
    state = on_signal(pending(), exit_signal(ts_ns=at("10:00:00")), situation()).state
    step = on_fact(state, opened("p1"), situation())
    assert summary(step) == [("EXIT", "exit_signal", "p1")]
    again = on_fact(step.state, opened("p1", quantity=150, ts_ns=at("10:00:02")), situation())
    assert again.verdicts == ()


@pytest.mark.parametrize(
    ("kind", "rule"),
    [(CommandKind.STOP, "stop_trading"), (CommandKind.FLATTEN, "flatten"), (CommandKind.KILL, "kill_switch")],
)
def test_stop_flatten_and_kill_close_what_is_open_and_what_opens_later(kind: CommandKind, rule: str) -> None:
    now = situation(data_ns=at("10:05") - 1)
    both = on_signal(open_position(now), entry("p2", instrument=OTHER, ts_ns=at("10:05")), now).state
    step = on_command(both, command(kind, ts_ns=WRITTEN_NS), now)
    assert summary(step) == [("EXIT", rule, "p1")]
    assert step.verdicts[0].ts_event_ns == at("10:05")  # event time, not the command's
    assert step.verdicts[0].trace_id == "command"
    late = on_fact(step.state, opened("p2", instrument=OTHER, ts_ns=at("10:05:01")), now)
    assert summary(late) == [("EXIT", rule, "p2")]


def test_after_a_flatten_the_session_goes_on() -> None:
    state = on_command(pending(), command(CommandKind.FLATTEN, ts_ns=WRITTEN_NS), situation()).state
    state = on_fact(state, cancelled("p1"), situation()).state
    assert on_signal(state, entry("p2", ts_ns=at("10:30")), situation()).verdicts[0].kind is VerdictKind.ALLOW


def test_a_position_that_nobody_here_approved_is_taken_as_a_fact() -> None:
    step = on_fact(RiskState(), opened("stranger"), situation())
    assert step.verdicts == ()
    assert step.state.holdings["stranger"].open
    assert step.state.trades == {"SBIN": 1}


@pytest.mark.parametrize(
    ("hindrance", "killed", "rule"),
    [
        ({"stopping": True}, False, "stop_trading"),
        ({"halted_rule": "daily_max_loss", "day": date(2024, 1, 10)}, False, "daily_max_loss"),
        ({}, True, "kill_switch"),
    ],
)
def test_a_position_that_opens_when_none_may_be_is_closed_at_once(
    hindrance: dict[str, Any], killed: bool, rule: str
) -> None:
    step = on_fact(replace(RiskState(), **hindrance), opened("p1"), situation(killed=killed))
    assert summary(step) == [("EXIT", rule, "p1")]


def test_in_a_paced_run_what_reports_lead_to_takes_effect_at_the_slices_end() -> None:
    now = situation(paced=True)
    halted = replace(pending(now), halted_rule="daily_max_loss")
    step = on_fact(halted, opened("p1", ts_ns=at("10:00:10")), now)
    assert step.verdicts == ()
    step = on_ticks(step.state, NOTHING, now, end_ns=at("10:01"))
    assert summary(step) == [("EXIT", "daily_max_loss", "p1")]
    assert step.verdicts[0].ts_event_ns == at("10:01")


def test_the_hard_end_closes_every_position_once() -> None:
    now = situation(hard_trading_end="15:00")
    state = open_position(now)
    before = on_ticks(state, NOTHING, now, end_ns=at("15:00") - 1)
    assert before.verdicts == ()
    step = on_ticks(before.state, NOTHING, now, end_ns=at("15:00"))
    assert summary(step) == [("EXIT", "hard_trading_end", "p1")]
    assert step.verdicts[0].ts_event_ns == at("15:00")
    assert on_ticks(step.state, NOTHING, now, end_ns=at("15:01")).verdicts == ()


def test_the_hard_end_comes_by_the_clock_where_no_data_comes() -> None:
    now = situation(hard_trading_end="15:00")
    state = open_position(now)
    assert next_due_ns(state) == at("15:00")
    assert on_time(state, now_ns=at("15:00") - 1) == RiskStep(state)
    step = on_time(state, now_ns=at("15:00"))
    assert summary(step) == [("EXIT", "hard_trading_end", "p1")]
    assert step.verdicts[0].ts_event_ns == at("15:00")
    assert next_due_ns(step.state) is None
    assert on_time(step.state, now_ns=at("15:01")).verdicts == ()
    assert on_ticks(step.state, NOTHING, now, end_ns=at("15:02")).verdicts == ()


def test_without_a_hard_end_of_its_own_the_session_takes_the_markets_square_off() -> None:
    state = open_position()
    assert on_ticks(state, NOTHING, situation(), end_ns=at("15:00")).verdicts == ()
    assert summary(on_ticks(state, NOTHING, situation(), end_ns=at("15:30"))) == [("EXIT", "hard_trading_end", "p1")]


def test_a_position_that_opens_after_the_hard_end_is_closed_with_the_next_slice() -> None:
    now = situation(hard_trading_end="15:00")
    state = on_fact(pending(now), opened("p1", ts_ns=at("15:00:01")), now).state
    assert summary(on_ticks(state, NOTHING, now, end_ns=at("15:00:02"))) == [("EXIT", "hard_trading_end", "p1")]


def test_a_position_of_yesterday_is_closed_with_the_first_slice_of_the_day() -> None:
    state = open_position()
    step = on_ticks(state, NOTHING, situation(), end_ns=at("09:16", date(2024, 1, 11)))
    assert summary(step) == [("EXIT", "hard_trading_end", "p1")]


def test_a_session_that_is_over_closes_what_is_there_nevertheless() -> None:
    step = on_over(open_position(), Cause(at("11:00"), "e", "t"))
    assert summary(step) == [("EXIT", "stop_trading", "p1")]


def test_losses_in_a_row_halt_once_and_close_the_rest() -> None:
    now = situation(consecutive_losses_limit=2)
    state = on_fact(open_position(now), opened("p2", instrument=OTHER), now).state
    state = on_fact(state, opened("p3", instrument=OTHER, strategy="ema"), now).state
    first = on_fact(state, closed("p1", net_pnl_paise=-10), now)
    assert first.verdicts == ()
    second = on_fact(first.state, closed("p2", net_pnl_paise=-10, instrument=OTHER), now)
    assert summary(second) == [("HALT", "consecutive_losses_limit", None), ("EXIT", "consecutive_losses_limit", "p3")]
    third = on_fact(second.state, closed("p3", net_pnl_paise=-10, instrument=OTHER), now)
    assert third.verdicts == ()


def test_a_win_ends_a_streak_and_a_scratch_does_not() -> None:
    state, now = RiskState(), situation(consecutive_losses_limit=2)
    for number, (pnl, streak) in enumerate([(-1, 1), (5, 0), (-1, 1), (0, 1), (-1, 2)]):
        state = on_fact(state, closed(f"p{number}", net_pnl_paise=pnl), now).state
        assert state.consecutive_losses == streak


def test_a_close_that_is_reported_again_counts_once_with_its_last_figure() -> None:
    now = situation()
    state = on_fact(open_position(), closed("p1", net_pnl_paise=-100), now).state
    # The entry's remainder filled after all: the trade opens again and its next close reports the whole of it.
    state = on_fact(state, opened("p1", ts_ns=at("10:20:05"), quantity=150), now).state
    assert state.realised == {}
    state = on_fact(state, closed("p1", net_pnl_paise=-130, ts_ns=at("10:21")), now).state
    assert state.realised == {"p1": -130}


def test_a_loss_realised_by_the_last_open_position_halts_at_its_close() -> None:
    now = situation(daily_max_loss_paise=5_000)
    step = on_fact(open_position(now), closed("p1", net_pnl_paise=-5_000), now)
    assert summary(step) == [("HALT", "daily_max_loss", None)]
    assert step.verdicts[0].ts_event_ns == at("10:20")


def test_fills_and_the_report_of_the_opening_count_once_in_either_order() -> None:
    now, first = situation(), fill("p1", quantity=40, price_paise=50_000)
    rest = fill("p1", quantity=60, price_paise=50_100, number=2, last=True, ts_ns=at("10:00:02"))
    for facts in ((first, opened("p1", quantity=40), rest), (opened("p1", quantity=40), first, rest)):
        state = pending()
        for fact in facts:
            state = on_fact(state, fact, now).state
        holding = state.holdings["p1"]
        assert (holding.entry_quantity, holding.entry_value_paise) == (100, 40 * 50_000 + 60 * 50_100)


def test_partial_exits_are_counted_and_taken_back_where_too_much_was_sold() -> None:
    state, now = open_position(quantity=100), situation()
    sell = {"role": OrderRole.EXIT, "transaction": Transaction.SELL}
    for fact in (
        fill("p1", quantity=60, price_paise=50_200, **sell),
        fill("p1", quantity=60, price_paise=50_300, **{**sell, "role": OrderRole.STOP}),
        fill("p1", quantity=20, price_paise=50_400, number=2, role=OrderRole.EXIT, transaction=Transaction.BUY),
    ):
        state = on_fact(state, fact, now).state
    holding = state.holdings["p1"]
    assert holding.exit_quantity == 100
    assert holding.pnl_paise(1) == holding.pnl_paise(99_999) == 60 * 50_200 + 60 * 50_300 - 20 * 50_400 - 100 * 50_000


def test_an_entry_that_ends_in_part_keeps_only_what_it_filled() -> None:
    state, now = pending(), situation()
    asked = state.holdings["p1"].quantity
    assert state.holdings["p1"].exposure_paise == asked * 50_000
    for fact in (fill("p1", quantity=40, price_paise=50_000), opened("p1", quantity=40)):
        state = on_fact(state, fact, now).state
    assert state.holdings["p1"].exposure_paise == asked * 50_000  # the rest may still fill
    state = on_fact(state, cancelled("p1", filled_quantity=40), now).state
    assert state.holdings["p1"].exposure_paise == 40 * 50_000


def test_an_entry_cancelled_with_fills_nobody_reported_yet_keeps_its_reservation() -> None:
    state = on_fact(pending(), cancelled("p1", filled_quantity=40), situation()).state
    assert state.holdings["p1"].quantity == 40
    assert on_fact(state, opened("p1", quantity=40), situation()).state.holdings["p1"].open


def test_a_new_day_forgets_the_counts_and_the_halt_and_keeps_positions() -> None:
    state = replace(open_position(), halted_rule="daily_max_loss", consecutive_losses=3, realised={"p0": -7})
    state = on_fact(state, closed("p9", ts_ns=at("09:20", date(2024, 1, 11)), net_pnl_paise=-1), situation()).state
    assert (state.halted_rule, state.consecutive_losses, dict(state.realised)) == (None, 1, {"p9": -1})
    assert state.trades == {}
    assert set(state.holdings) == {"p1"}
    earlier = on_fact(state, closed("p8", ts_ns=at("15:00"), net_pnl_paise=-1), situation()).state
    assert earlier.day == date(2024, 1, 11)


def test_a_fact_without_a_pos_id_is_a_defect() -> None:
    with pytest.raises(ValueError, match="pos_id"):
        on_fact(RiskState(), replace(opened(), pos_id=None), situation())


def test_a_report_of_an_unknown_trade_changes_nothing() -> None:
    state = RiskState(day=date(2024, 1, 10))
    for fact in (fill("px", quantity=1, price_paise=1), cancelled("px"), rejected("px")):
        assert on_fact(state, fact, situation()).state is state


def test_the_cooldown_stamp_of_an_opening_is_its_own_instant() -> None:
    state = on_fact(pending(), opened("p1", ts_ns=at("10:00") + 7 * SECOND), situation()).state
    assert state.last_trade_ns == {"SBIN": at("10:00:07")}
