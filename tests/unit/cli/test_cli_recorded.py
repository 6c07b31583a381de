"""Runs that were made are recorded with their inputs, found again, compared and asked why."""

import csv
import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from testkit.histories import write_history
from typer.testing import CliRunner

from services.cli.main import app
from services.cli.recorded.folder import JOURNALS, JOURNALS_KEPT, RecordedRuns
from tradebus.kernel.errors import InvalidInput

DAYS = [date(2024, 1, 1), date(2024, 1, 2)]


class Desk:
    """The command with a state folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.state, self.folder = folder / "state", folder
        self.history = write_history(folder / "bars.csv", ("BANKNIFTY",), DAYS, seed=5)

    def says(self, *words: str) -> str:
        found = CliRunner().invoke(
            app, words, env={"TRADEBUS_STATE_DIR": str(self.state), "COLUMNS": "200"}, catch_exceptions=True
        )
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return found.stdout

    def json(self, *words: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.says(*words, "--json").splitlines()[-1])
        return told

    def backtest(self, *words: str) -> dict[str, Any]:
        return self.json(
            "backtest", "--history", str(self.history), "--strategy", "orb", "--capital", "3000000", *words
        )


def test_a_run_is_found_again_with_what_went_into_it_and_says_why(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    made = desk.backtest("--report", str(tmp_path / "first.html"))
    assert made["recorded"] == 1
    assert made["trades"] > 0
    [line] = desk.json("runs", "--strategy", "orb", "--symbol", "banknifty")["runs"]
    assert (line["run"], line["decision_log_hash"]) == (1, made["decision_log_hash"])
    assert desk.json("runs", "--strategy", "ema_20_50")["runs"] == []
    assert "orb on BANKNIFTY" in desk.says("runs")

    facts = desk.json("report", "1")
    digest = hashlib.sha256(desk.history.read_bytes()).hexdigest()
    assert facts["inputs"]["history"]["digest"] == f"sha256:{digest}"
    assert facts["inputs"]["sessions"][0]["capital_paise"] == 300_000_000
    assert facts["figures"] == {key: value for key, value in made.items() if key != "recorded"}
    desk.says("report", "last", "--page", str(tmp_path / "again.html"), "--trades", str(tmp_path / "trades.csv"))
    assert (tmp_path / "again.html").read_text() == (tmp_path / "first.html").read_text()
    with (tmp_path / "trades.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == made["trades"]

    why = desk.json("why", "banknifty", "2024-01-01T09:20")
    [decision] = why["decisions"]
    assert (decision["strategy"], decision["action"]) == ("orb", "HOLD")
    assert decision["reason"]
    [trade, *_] = (one for one in desk.says("why", "BANKNIFTY", entry_of(desk)).splitlines() if "held:" in one)
    assert "orb" in trade


def entry_of(desk: Desk) -> str:
    """When the first run opened its first trade, as a person writes it."""
    with (desk.folder / "trades.csv").open(newline="") as file:
        opened = next(csv.DictReader(file))["opened_utc"]
    return opened.replace("Z", "+00:00")


def test_two_runs_are_compared_by_inputs_first(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    runs = [desk.backtest(), desk.backtest(), desk.backtest("--seed", "9", "--param", "reward_multiple=4")]
    assert [one["recorded"] for one in runs] == [1, 2, 3]
    same = desk.json("compare", "1", "2")
    assert (same["inputs_differ"], same["same_decisions"], same["trades_differ"]) == ({}, True, 0)
    assert same["trades_alike"] == runs[0]["trades"]
    other = desk.json("compare", "1", "last")
    assert set(other["inputs_differ"]) == {
        "seed", "sessions[0].paper.seed", "sessions[0].strategies[0].parameters.reward_multiple",
    }  # fmt: skip
    assert other["figures"]["net_pnl"] == [runs[0]["net_pnl"], runs[2]["net_pnl"]]
    page = tmp_path / "both.html"
    said = desk.says("compare", "1", "3", "--page", str(page))
    assert said.index("reward_multiple") < said.index("net_pnl")
    assert page.read_text().count("<polyline") == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("report", "9"), "run 9: there is none; the newest is 1"),
        (("report", "../1"), "write its number"),
        (("why", "NIFTY", "2024-01-01T09:20"), "did you mean 'BANKNIFTY'"),
        (("why", "BANKNIFTY", "noon"), "TIME 'noon'"),
        (("why", "BANKNIFTY", "09:20"), "run 1 has 2 days"),
        (("why", "BANKNIFTY", "2024-03-01T09:20"), "did not trade 2024-03-01"),
    ],
)
def test_what_cannot_be_found_is_named(desk_with_a_run: Desk, words: tuple[str, ...], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        desk_with_a_run.says(*words)


@pytest.fixture(scope="module")
def desk_with_a_run(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    assert desk.backtest()["recorded"] == 1
    return desk


def test_without_runs_it_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no run is recorded"):
        RecordedRuns(tmp_path).find("last")


def test_numbers_are_given_once_and_large_journals_of_old_runs_go(tmp_path: Path) -> None:
    runs = RecordedRuns(tmp_path)
    for number in range(1, JOURNALS_KEPT + 3):
        partial = runs.begin()
        for name in JOURNALS:
            (partial / name).write_text("x")
        assert runs.finish(partial, {"inputs": {}, "figures": {}}).number == number
    (tmp_path / "recorded" / "999").mkdir()  # of a run that a kill cut short
    found = list(runs.all())
    assert [one.number for one in found] == list(range(JOURNALS_KEPT + 2, 0, -1))
    kept = [one.number for one in found if (one.folder / JOURNALS[0]).exists()]
    assert min(kept) == 3
