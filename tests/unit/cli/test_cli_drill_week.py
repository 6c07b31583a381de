"""The week: two evenings of it in CI, an expiry under the rules of 7 December; the whole is `tradebus drill --week`."""

import json
from collections.abc import Callable
from datetime import date, time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.drill import drilled
from typer.testing import CliRunner

from services.cli.drill.running.story import DrillStory
from services.cli.drill.seeds import seed_of_day
from services.cli.drill.week import command
from services.cli.drill.week.clock import WeekClock
from services.cli.drill.week.evening import Evening
from services.cli.drill.week.plan import WeekPlan, days_between, week_plan
from services.cli.drill.week.play import WeekResult, WeekRun
from services.cli.main import app
from tradebus.calendar import TradingSession
from tradebus.kernel.clock import WallClock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date
from tradebus.kernel.timers import SimulatedTimers

__all__ = ["drilled"]
_DAYS = (date(2026, 12, 7), date(2026, 12, 8))


def played(plan: WeekPlan, folder: Path) -> tuple[WeekResult, list[Evening]]:
    told: list[Evening] = []
    return WeekRun(plan, state_dir=folder, told=told.append).play(), told


def test_the_books_are_equal_on_both_evenings_and_nobody_is_needed(drilled: Path) -> None:
    seed = seed_of_day(ist_date(WallClock().now_ns()))
    result, told = played(week_plan(seed, days=_DAYS, users=6, begins=time(13, 50), nights=False), drilled)
    assert [text for one in told for text in one.violations] == [], f"tradebus drill --week --seed {seed}"
    assert result.problems == ()
    assert result.passed
    assert [one.day for one in told] == list(_DAYS)
    assert all(one.entries > 0 and one.fills >= 2 * one.entries and one.faults > 0 for one in told), "they traded"


def test_the_week_has_two_expiries_the_seventh_and_a_weekend() -> None:
    days = days_between(date(2026, 12, 1), date(2026, 12, 8))
    assert [one.day for one in days] == [1, 2, 3, 4, 7, 8]
    plan = week_plan(3)
    assert (plan.days, len(plan.users), {one.broker for one in plan.users}) == (days, 20, {"kite", "dhan", "upstox"})
    assert plan == week_plan(3) != week_plan(4)
    assert plan.awake in days[:3] or plan.awake == days[4]


def test_a_broker_who_closes_positions_when_we_do_is_found_the_same_evening(
    drilled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TradingSession, "brokers_square_off_ns", TradingSession.square_off_ns)
    result, told = played(week_plan(2, days=_DAYS[:1], users=4, begins=time(14, 0)), drilled)
    assert not result.passed
    assert any("is of nobody" in text for text in told[0].violations)
    assert any("are held at the broker" in text for text in told[0].violations)


class _PlayedElsewhere:
    """Comes to what it is told."""

    def __init__(self, plan: WeekPlan, *, state_dir: Path, told: Callable[[Evening], None]) -> None:
        self._plan, self._told = plan, told

    def play(self) -> WeekResult:
        good = Evening(_DAYS[0], orders=4, entries=2, fills=4, faults=1, requests=90)
        bad = Evening(_DAYS[1], violations=["u01: 50 of NIFTY26DECFUT are held at the broker"], known=1)
        bad.known_seconds_max = 7.25
        for one in (good, bad):
            self._told(one)
        return WeekResult(
            self._plan.seed, (good, bad), ("risk#2 ended",), {"429": 1}, 90, 3600.0, 5, "d1", DrillStory(int)
        )


def test_each_evening_has_its_line_and_one_that_fails_fails_the_week(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "WeekRun", _PlayedElsewhere)
    ran = CliRunner().invoke(app, ["drill", "--week", "--seed", "5"])
    assert ran.exit_code == 1
    lines = ran.stdout.splitlines()
    assert lines[1].split()[:4] == ["Mon", "07", "Dec", "4"]
    assert lines[1].endswith("books equal, nobody needed")
    assert lines[2].endswith("FAILED: 1 violations; 1 bare while several faults came together, at most 7.2 s")
    assert "FAILED  Tue 08 Dec: u01: 50 of NIFTY26DECFUT are held at the broker" in lines
    assert "FAILED  risk#2 ended" in lines
    assert lines[-1] == "to see it happen:  tradebus drill --week --seed 5 --trace"


def test_json_is_the_last_line_and_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "WeekRun", _PlayedElsewhere)
    ran = CliRunner().invoke(app, ["drill", "--week", "--seed", "5", "--json"])
    assert ran.exit_code == 1
    figures = json.loads(ran.stdout.splitlines()[-1])
    assert (figures["passed"], figures["seed"], [one["passed"] for one in figures["evenings"]]) == (
        False, 5, [True, False],
    )  # fmt: skip


def test_a_week_is_not_played_with_real_processes() -> None:
    ran = CliRunner().invoke(app, ["drill", "--week", "--real"])
    assert isinstance(ran.exception, InvalidInput)
    assert "two drills" in str(ran.exception)


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(1, 60)), max_size=20))
def test_the_market_never_goes_back_and_stands_while_its_speed_changes(steps: list[tuple[int, int]]) -> None:
    machine = SimulatedTimers(1_000)
    clock, before_ns = WeekClock(5_000, machine_ns=machine.now_ns, speed=45), 5_000
    for passes_ns, speed in steps:
        machine.advance(machine.now_ns() + passes_ns)
        assert clock.now_ns() == before_ns + passes_ns * clock.speed
        before_ns = clock.now_ns()
        clock.go_at(speed)
        assert clock.now_ns() == before_ns
        assert clock.setting() == f"{before_ns}@{machine.now_ns()}x{speed}"
