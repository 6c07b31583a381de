"""Runs of the drill that are written out: who trades what, and what befalls which request."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from services.cli.drill.exchange.faults import Mishap, NetworkFault
from services.cli.drill.exchange.market import DAY
from services.cli.drill.running.plan import EXECUTION, DrillPlan, PlannedTrade
from services.cli.drill.running.play import DrillResult
from services.cli.drill.seeds import drill_place, play_seed
from services.cli.drill.simulation.points import ASKING, Strike
from tradebus.kernel.time import IST

MORNING = datetime(DAY.year, DAY.month, DAY.day, 9, 16, tzinfo=IST)


@pytest.fixture
def drilled() -> Iterator[Path]:
    """The state folder of runs in this process."""
    with drill_place() as folder:
        yield folder


def trade(number: int = 0, *, session: str = "s1", name: str = "share", at: float = 1.0, **more: Any) -> PlannedTrade:
    """One that is left when its session stops, with a stop that is not reached; `at` is in seconds of the run."""
    given = {"lots": 1, "is_long": True, "exit_after": None, "stop_share": 0.02, **more}
    return PlannedTrade(number=number, session=session, name=name, at_seconds=at, **given)


def written_plan(*trades: PlannedTrade, seed: int = 7, **more: Any) -> DrillPlan:
    """Nothing goes wrong but what `more` says."""
    sessions = more.pop("sessions", {one.session: "kite" for one in trades})
    given: dict[str, Any] = {"strikes": (), "events": (), "rates": {}, "stream_rates": {}, **more}
    return DrillPlan(seed, MORNING, sessions, trades, **given)


def killed_before(words: str, *, number: int = 1, process: str = EXECUTION) -> Strike:
    """As the request that has these words is about to leave."""
    return Strike(process, ASKING, number, words=words)


def late(words: str, *, seconds: float, number: int = 1) -> Mishap:
    """The request that has these words is so long on its way there."""
    return Mishap(words, NetworkFault.DELAY, number, seconds)


def play_plan(plan: DrillPlan, folder: Path) -> DrillResult:
    return play_seed(plan.seed, state_dir=folder, plan=plan)


def violated(result: DrillResult) -> list[str]:
    """Every violation in words, for the message of an assertion."""
    return [f"{one.invariant}: {one.text}" for one in result.violations]
