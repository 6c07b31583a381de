"""What the drill has found of execution, each written out as the run that shows it."""

from pathlib import Path

from testkit.drill import drilled, killed_before, late, play_plan, trade, violated, written_plan

from services.cli.drill.exchange.faults import Mishap, NetworkFault

__all__ = ["drilled"]


def test_an_exit_that_was_committed_and_never_left_is_sent_although_its_stop_appears_first(drilled: Path) -> None:
    plan = written_plan(
        trade(), mishaps=(late("(STOP", seconds=5.0),), strikes=(killed_before("(EXIT"),), restart_seconds=(1.5, 1.5)
    )
    result = play_plan(plan, drilled)
    assert violated(result) == []
    assert result.kills == 1


def test_a_stop_that_nobody_answers_is_left_within_five_seconds_of_the_fill(drilled: Path) -> None:
    for seed in (2, 3, 11):  # those in which it is seen, and left, at the latest of all looks
        plan = written_plan(trade(), mishaps=(Mishap("(STOP", NetworkFault.NEVER_ARRIVES),), seed=seed)
        result = play_plan(plan, drilled)
        assert violated(result) == []
        assert result.known == ()
