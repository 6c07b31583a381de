"""Stop and exit are both lost: a stop under a tag of its own covers the position until it is certain what became of the
exit."""

from pathlib import Path

import pytest
from testkit.drill import drilled, killed_before, late, play_plan, trade, violated, written_plan

from services.cli.drill.exchange.faults import Mishap, NetworkFault
from services.cli.drill.running.plan import PlannedEvent
from services.cli.drill.running.play import DrillResult

__all__ = ["drilled"]
LOST_STOP = Mishap("(STOP", NetworkFault.NEVER_ARRIVES)


@pytest.mark.parametrize("seconds", [5.0, 8.3, 10.1])
def test_a_position_is_covered_within_five_seconds_of_its_brokers_return_though_stop_and_exit_were_lost(
    drilled: Path, seconds: float
) -> None:
    lost = 0
    for seed in (4, 8, 11, 13):
        away = PlannedEvent("broker away", 1.05 + seed / 200, seconds=seconds)
        result = play_plan(
            written_plan(trade(name=("share", "call", "future")[seed % 3]), events=(away,), seed=seed), drilled
        )
        assert violated(result) == []
        lines = [(float(line[6:15]), line) for line in result.story.text().splitlines()]
        back = next(at for at, line in lines if "is back" in line)
        unknown = " ".join(line for at, line in lines if at <= back)
        lost += "ORDER_UNKNOWN STOP" in unknown and "ORDER_UNKNOWN EXIT" in unknown
        assert next(at for at, line in lines if at >= back and "place SELL" in line and "arrives" in line) < back + 5.0
    assert lost > 0, "in some of them the entry had filled"


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


REFUSED_STOP = Mishap("(STOP", NetworkFault.THROTTLED)
LOST_EXIT = Mishap("(EXIT", NetworkFault.NEVER_ARRIVES)


def bare_seconds(result: DrillResult) -> float:
    """The longest of those that are told apart."""
    return max((one.seconds for one in result.known), default=0.0)


def test_an_exit_that_was_said_to_leave_as_its_process_was_killed_is_covered_by_the_next_life(drilled: Path) -> None:
    for seed in range(3):
        plan = written_plan(
            trade(), mishaps=(REFUSED_STOP,), strikes=(killed_before("(EXIT"),), restart_seconds=(0.5, 0.5), seed=seed
        )  # fmt: skip
        result = play_plan(plan, drilled)
        assert violated(result) == []
        assert result.kills == 1
        assert bare_seconds(result) < 6.5, "of which nobody was there for half a second"


def test_a_cover_that_is_refused_is_followed_by_another(drilled: Path) -> None:
    again = Mishap("(STOP", NetworkFault.THROTTLED, 2)
    for seed in range(3):
        result = play_plan(written_plan(trade(), mishaps=(REFUSED_STOP, again, LOST_EXIT), seed=seed), drilled)
        assert violated(result) == []
        assert result.story.text().count("ORDER_REJECTED STOP") == 2
        assert bare_seconds(result) < 6.5


@pytest.mark.parametrize("is_long", [True, False])
@pytest.mark.parametrize("name", ["future", "put"])
def test_a_cover_lies_beyond_a_market_that_has_passed_the_positions_stop(
    drilled: Path, name: str, *, is_long: bool
) -> None:
    jump = 0.01 * (1 if is_long == (name == "put") else -1)
    plan = written_plan(
        trade(name=name, is_long=is_long, stop_share=0.003), mishaps=(LOST_STOP, LOST_EXIT),
        events=(PlannedEvent("shock", 1.5, share=jump),),
    )  # fmt: skip
    result = play_plan(plan, drilled)
    assert violated(result) == []
    assert "must be" not in result.story.text(), "none is refused for its trigger"
    assert "commits STOP_PLACED" in result.story.text()
    assert bare_seconds(result) < 6.5


def test_an_exit_that_hangs_is_covered_once_it_has_had_its_time(drilled: Path) -> None:
    for seconds in (9.0, 18.0):
        result = play_plan(written_plan(trade(), mishaps=(REFUSED_STOP, late("(EXIT", seconds=seconds))), drilled)
        assert violated(result) == []
        assert bare_seconds(result) < 5.0
