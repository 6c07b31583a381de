"""Stop and exit are both lost: a stop under a tag of its own covers the position until it is certain what became of the
exit."""

from pathlib import Path

import pytest
from testkit.drill import drilled, late, play_plan, trade, violated, written_plan

from services.cli.drill.exchange.faults import Mishap, NetworkFault
from services.cli.drill.running.plan import PlannedEvent

__all__ = ["drilled"]
LOST_STOP = Mishap("(STOP", NetworkFault.NEVER_ARRIVES)


def test_a_position_is_covered_once_its_broker_is_back_though_stop_and_exit_were_lost_while_it_was_away(
    drilled: Path,
) -> None:
    covered = 0
    for seed in range(6):
        plan = written_plan(trade(), events=(PlannedEvent("broker away", 1.12 + seed / 50, seconds=8.3),), seed=seed)
        result = play_plan(plan, drilled)
        assert violated(result) == []
        covered += result.story.text().count("STOP_PLACED") > 0
    assert covered > 0, "in some of them the entry had filled"


@pytest.mark.parametrize("name", ["share", "call"])
def test_the_cover_is_the_next_exit_where_the_lost_one_never_arrives(drilled: Path, name: str) -> None:
    plan = written_plan(trade(name=name), mishaps=(LOST_STOP, Mishap("(EXIT", NetworkFault.NEVER_ARRIVES)))
    result = play_plan(plan, drilled)
    assert violated(result) == []
    story = result.story.text()
    assert story.count("STOP_PLACED") == 1, "and no other, while the exit has no answer"
    assert "POSITION_CLOSED" in story.partition("STOP_PLACED")[2]
    assert "change order" in story, "no second exit was sent"


@pytest.mark.parametrize("seconds", [13.0, 16.0, 19.0])
def test_the_cover_is_cancelled_where_the_exit_arrives_late(drilled: Path, seconds: float) -> None:
    for seed in range(3):
        plan = written_plan(trade(), mishaps=(LOST_STOP, late("(EXIT", seconds=seconds)), seed=seed)
        result = play_plan(plan, drilled)
        assert violated(result) == []
        assert "POSITION_CLOSED" in result.story.text()


def test_a_stop_that_arrives_late_beside_the_cover_is_one_too_many(drilled: Path) -> None:
    for seed in range(3):
        lost = Mishap("(EXIT", NetworkFault.NEVER_ARRIVES)
        plan = written_plan(trade(), mishaps=(late("(STOP", seconds=17.0), lost), seed=seed)
        result = play_plan(plan, drilled)
        assert violated(result) == []
