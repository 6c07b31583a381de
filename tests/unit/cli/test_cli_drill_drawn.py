"""What a plan may draw beside one bought lot: the short side, slices above the freeze quantity, sets of legs, stops
that trail. Each is played alone, and seeds draw each of them.
"""

from pathlib import Path

import pytest
from testkit.drill import drilled, play_plan, trade, violated, written_plan

from services.cli.drill.exchange.faults import Mishap, NetworkFault
from services.cli.drill.running.invariants import SEVERAL
from services.cli.drill.running.plan import PlannedEvent, plan_of
from tradebus.contracts.sessions import Trailing

__all__ = ["drilled"]


def test_seeds_draw_all_of_it() -> None:
    plans = [plan_of(seed) for seed in range(200)]
    trades = [one for plan in plans for one in plan.trades]
    assert {one.is_long for one in trades} == {True, False}
    assert max(one.lots for one in trades if one.name != "share") > 28
    assert any(plan.trailing for plan in plans)
    legs = [one for one in trades if one.set_name is not None]
    assert {one.name for one in legs} == {"call", "put"}
    for plan in plans:
        numbers = [one.number for one in plan.trades]
        assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("name", ["share", "future", "call"])
def test_a_short_position_has_its_stop_above_and_is_bought_back(drilled: Path, name: str) -> None:
    result = play_plan(written_plan(trade(name=name, is_long=False, exit_after=3.0)), drilled)
    assert violated(result) == []
    assert (result.orders, result.positions) == (2, 1), "the stop is the exit"
    story = result.story.text()
    assert "place SELL" in story.partition("(ENTRY")[0]
    assert "place BUY" in story.partition("(ENTRY")[2].partition("(STOP")[0]


def test_a_short_position_that_stands_bare_is_seen(drilled: Path) -> None:
    lost = tuple(Mishap("(STOP", NetworkFault.NEVER_ARRIVES, number) for number in range(1, 9))
    lost += tuple(Mishap("(EXIT", NetworkFault.NEVER_ARRIVES, number) for number in range(1, 9))
    result = play_plan(written_plan(trade(is_long=False), mishaps=lost), drilled)
    assert [one.why for one in result.known] == [SEVERAL]
    assert result.known[0].seconds > 5.0


def test_a_short_position_that_somebody_buys_back_by_hand_is_settled(drilled: Path) -> None:
    plan = written_plan(trade(is_long=False), events=(PlannedEvent("sold by hand", 6.0),))
    result = play_plan(plan, drilled)
    assert violated(result) == []
    assert result.orders == 3, "the entry, its stop, and the one by hand"
    assert "somebody settles" in result.story.text()


def test_what_is_above_the_freeze_quantity_goes_in_and_out_in_slices(drilled: Path) -> None:
    result = play_plan(written_plan(trade(name="future", lots=40)), drilled)
    assert violated(result) == []
    story = result.story.text()
    assert story.count("(ENTRY, tb") == 2
    assert result.positions == 1


def test_legs_of_a_set_are_trades_of_one_group_and_all_end_flat(drilled: Path) -> None:
    legs = [trade(n, name=name, is_long=False, set_name="legs") for n, name in enumerate(("call", "put"))]
    result = play_plan(written_plan(*legs), drilled)
    assert violated(result) == []
    assert result.positions == 2


def test_a_stop_that_trails_is_moved_as_the_market_goes_its_way(drilled: Path) -> None:
    rise = PlannedEvent("shock", 6.0, share=0.01)

    def moves(trailing: dict[str, Trailing]) -> int:
        result = play_plan(written_plan(trade(name="future"), events=(rise,), trailing=trailing), drilled)
        assert violated(result) == []
        return result.story.text().partition("the market moves")[2].count("STOP_MOVED")

    assert moves({"s1": Trailing(distance_r=0.5)}) > moves({})
