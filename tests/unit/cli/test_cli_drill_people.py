"""What must be so after a FLATTEN or a KILL, and that each can be found not to be; and what the drills draw of them."""

from dataclasses import replace
from pathlib import Path

import pytest
from testkit.contracts import contract
from testkit.drill import drilled, play_plan, trade, violated, written_plan
from testkit.trades import MORNING, SECOND, approval

from services.cli.drill.real.plan import NAMES, round_of
from services.cli.drill.running.people import disobeyed
from services.cli.drill.running.plan import POSITION, SYMBOL, WHOLE, PlannedEvent, plan_of
from tradebus.contracts.signals import Side
from tradebus.execution.opening import open_trade
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Trade
from tradebus.trading.exit_reasons import FLATTEN, KILL_SWITCH
from tradebus.trading.states import TradeState

__all__ = ["drilled"]


def held(side: Side = Side.LONG) -> Trade:
    made = open_trade(approval(side), TradeStep(), contract=contract(), owner="o")
    return replace(made, state=TradeState.POSITION_OPEN, entry_quantity=25)


def found(one: Trade, *, killed_ns: int = 0, flattened: bool = False, spared: bool = False) -> list[str]:
    mine = {one.pos_id}
    violations = disobeyed(
        {one.pos_id: one}, killed_ns=killed_ns, flattened=mine if flattened else (), spared=mine if spared else ()
    )
    return [violation.text.rpartition(one.pos_id)[2].strip() for violation in violations]


@pytest.mark.parametrize("side", list(Side))
def test_what_is_held_as_before_is_found_after_a_flatten_that_meant_it_and_after_a_kill(side: Side) -> None:
    one = held(side)
    assert found(one) == []
    assert found(one, flattened=True) == [f"of {one.session_id} is held as before"]
    assert found(one, killed_ns=one.created_ns + SECOND) == [f"of {one.session_id} is held as before"]
    leaving = replace(one, exit_reason=KILL_SWITCH)
    assert found(leaving, flattened=True, killed_ns=one.created_ns + SECOND) == []


def test_what_a_flatten_closed_and_did_not_mean_is_found_and_an_entry_after_a_kill() -> None:
    one = replace(held(), exit_reason=FLATTEN)
    assert found(one, flattened=True) == []
    assert found(one, spared=True) == ["was closed by a FLATTEN of another"]
    assert found(one, killed_ns=MORNING - 10 * SECOND) == ["was entered after the kill switch"]
    assert found(one, killed_ns=one.created_ns - SECOND) == [], "nobody had heard of it yet"


@pytest.mark.parametrize(("scope", "closed"), [(WHOLE, 3), (SYMBOL, 2), (POSITION, 1)])
def test_a_flatten_closes_of_its_session_what_it_means(drilled: Path, scope: str, closed: int) -> None:
    event = PlannedEvent("session flattened", 5.0, scope=scope)
    result = play_plan(written_plan(trade(0), trade(1, name="call"), trade(2), events=(event,)), drilled)
    assert violated(result) == []
    assert result.story.text().count(" flatten\n") == closed


def test_both_drills_draw_every_scope_and_the_real_one_both_sides_options_and_kills() -> None:
    events = [event for seed in range(400) for event in plan_of(seed).events if event.kind == "session flattened"]
    assert {event.scope for event in events} == {WHOLE, SYMBOL, POSITION}
    rounds = [round_of(range(first, first + 10)) for first in range(1, 200, 10)]
    runs = [run for one in rounds for run in one.runs]
    assert {run.flatten.scope for run in runs if run.flatten is not None} == {WHOLE, SYMBOL, POSITION}
    assert {(one.name, one.is_long) for run in runs for one in run.trades} == {
        (name, is_long) for name in NAMES for is_long in (True, False)
    }
    assert {one.kill_seconds > 0 for one in rounds} == {True, False}
