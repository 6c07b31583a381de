"""The drill: a seed gives the same run everywhere, and whatever the seeds of today do to execution, its book holds."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from testkit.drill import drilled, late, play_plan, trade, violated, written_plan
from typer.testing import CliRunner

from services.cli.drill.command import keep_record, today
from services.cli.drill.running.invariants import Invariant
from services.cli.drill.running.people import FLATTENED, KILLED
from services.cli.drill.running.plan import MORNING, PlannedEvent, plan_of
from services.cli.drill.seeds import DrillTotals, play_piece, play_seed, seed_of_day
from services.cli.main import app
from services.execution.sessions import ExecutionSessions
from services.execution.trades.commanded import CommandedExits
from tradebus.preflight.build import build_name
from tradebus.preflight.drill_record import read_drill

__all__ = ["drilled"]
_SEEDS_OF_TODAY = 40


def test_the_same_seed_gives_the_same_run_whatever_ran_before_it(drilled: Path) -> None:
    first = {seed: play_seed(seed, state_dir=drilled).digest for seed in (3, 9, 15)}
    again = {seed: play_seed(seed, state_dir=drilled).digest for seed in (15, 9, 3)}
    assert again == first
    assert len(set(first.values())) == 3


def test_a_seed_gives_the_same_run_in_another_process_with_other_hashes() -> None:
    def traced(hash_seed: str) -> str:
        command = [sys.executable, "-m", "services.cli.main", "drill", "--seed", "9", "--runs", "1", "--trace"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return run.stdout

    one, other = traced("1"), traced("2")
    assert "seed 9: trace " in one
    assert one == other


def test_every_invariant_holds_in_a_fresh_window_of_seeds() -> None:
    first = seed_of_day(today())
    verdicts, _ = play_piece(range(first, first + _SEEDS_OF_TODAY))
    failing = {one.seed: one.violations for one in verdicts if one.violations}
    assert failing == {}, f"tradebus drill --seed {min(failing)} --runs 1 --trace"
    assert sum(one.orders for one in verdicts) > _SEEDS_OF_TODAY, "they traded"
    assert sum(one.kills for one in verdicts) > 0
    assert sum(sum(one.faults.values()) for one in verdicts) > 0


def test_days_have_windows_of_their_own() -> None:
    assert seed_of_day(date(2026, 12, 1)) - seed_of_day(date(2026, 11, 30)) == 1_000_000
    assert plan_of(1) != plan_of(2)


def test_some_runs_are_at_an_auction_and_have_its_time_to_end() -> None:
    plans = [plan_of(seed) for seed in range(400)]
    hours = {plan.start.hour: plan for plan in plans}
    assert set(hours) == {9, 15}
    assert hours[15].end_seconds > 20 * 60
    assert sum(plan.start.time() != MORNING for plan in plans) < 30


def test_a_run_without_faults_ends_flat_with_a_stop_behind_every_entry(drilled: Path) -> None:
    result = play_plan(written_plan(trade(0), trade(1, name="call", at=2.0, exit_after=3.0)), drilled)
    assert violated(result) == []
    assert result.known == ()
    assert (result.orders, result.positions) == (4, 2), "the stop is the exit"
    story = result.story.text()
    assert "09:16:01" in story
    assert " IST  " in story
    assert "s1 is STOPPED" in story


@pytest.mark.parametrize("kind", [FLATTENED, KILLED])
def test_what_people_command_is_carried_out_counted_and_judged(
    drilled: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    plan = written_plan(trade(0), trade(1, name="call", at=8.0), events=(PlannedEvent(kind, 4.0),))
    result = play_plan(plan, drilled)
    assert violated(result) == []
    assert result.faults == {kind: 1}
    entries_later = 0 if kind == KILLED else 1
    assert (result.orders, result.positions) == (2 + 2 * entries_later, 2)

    async def unheard(*_: object) -> None:
        """The command is lost on everybody, the book's word of it included."""

    monkeypatch.setattr(CommandedExits, "kill", unheard)
    monkeypatch.setattr(CommandedExits, "obey", unheard)
    monkeypatch.setattr(ExecutionSessions, "killed", property(lambda _: False, lambda _, __: None), raising=False)
    found = {one.invariant for one in play_plan(plan, drilled).violations}
    assert found == {Invariant.DISOBEYED}


def test_a_position_that_somebody_sells_by_hand_is_sold_no_second_time_and_settled(drilled: Path) -> None:
    plan = written_plan(trade(0), events=(PlannedEvent("sold by hand", 6.0),))
    result = play_plan(plan, drilled)
    assert violated(result) == []
    assert result.faults == {"sold by hand": 1}
    assert result.orders == 3, "the entry, its stop, and the one by hand"
    story = result.story.text()
    assert "somebody settles" in story
    assert "RECONCILE_MISMATCH" in story


def test_a_flatten_that_is_heard_late_closes_what_it_meant(drilled: Path) -> None:
    stands_still = PlannedEvent("stopped", 5.0, seconds=28.0, number=1)
    plan = written_plan(trade(0), events=(stands_still, PlannedEvent(FLATTENED, 8.0)))
    result = play_plan(plan, drilled)
    assert violated(result) == []
    assert "POSITION_CLOSED INFY flatten" in result.story.text()


def test_a_delayed_request_is_told_and_counted(drilled: Path) -> None:
    result = play_plan(written_plan(trade(), mishaps=(late("(ENTRY", seconds=3.0),)), drilled)
    assert violated(result) == []
    assert result.faults == {"delay": 1}
    assert "(ENTRY, tb" in result.story.text()


def test_the_command_prints_a_line_for_every_invariant_figures_for_machines_and_keeps_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEBUS_STATE_DIR", str(tmp_path))
    run = CliRunner().invoke(app, ["--silent", "drill", "--seed", "1", "--runs", "4", "--jobs", "1", "--json"])
    assert run.exit_code == 0, run.output
    figures = json.loads(run.stdout.splitlines()[-1])
    assert figures["passed"] is True
    assert figures["runs"] == 4
    assert set(figures["violations"].values()) == {0}
    assert "duplicate orders" in figures["violations"]
    assert figures["runs_per_cpu_second"] > 0
    record = read_drill(tmp_path)
    assert record is not None
    assert (record.version, record.runs, record.seed, record.passed) == (build_name(), 4, 1, True)


def test_a_short_drill_takes_nothing_from_a_longer_one_unless_it_finds_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEBUS_STATE_DIR", str(tmp_path))
    keep_record(DrillTotals(runs=1_000), first=7)
    keep_record(DrillTotals(runs=10), first=90)
    record = read_drill(tmp_path)
    assert record is not None
    assert (record.runs, record.seed, record.passed) == (1_000, 7, True)
    keep_record(DrillTotals(runs=10, failing={93: ("orders", "two"), 95: ("orders", "two")}), first=90)
    record = read_drill(tmp_path)
    assert record is not None
    assert (record.runs, record.seed, record.passed) == (10, 93, False)
    keep_record(DrillTotals(runs=5), first=1)
    record = read_drill(tmp_path)
    assert record is not None
    assert record.passed


def test_a_record_that_cannot_be_read_is_replaced_by_the_drill_that_preflight_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEBUS_STATE_DIR", str(tmp_path))
    (tmp_path / "drill.json").write_text("{")
    keep_record(DrillTotals(runs=10), first=90)
    record = read_drill(tmp_path)
    assert record is not None
    assert (record.runs, record.passed) == (10, True)


def test_many_runs_are_not_traced(capsys: pytest.CaptureFixture[str]) -> None:
    run = CliRunner().invoke(app, ["drill", "--runs", "6", "--trace"])
    assert run.exit_code != 0
    assert "--trace" in str(run.exception)
