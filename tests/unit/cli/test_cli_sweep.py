"""Sweeps: equal to single runs and to backtest, refused where they should be, and gone on with where they stopped."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from testkit.histories import write_history
from typer.testing import CliRunner

from services.cli.main import app
from services.cli.sweeping.book import SweepBook, trials_on
from services.cli.sweeping.inputs import SweepInput, SweepRequest
from tradebus.engine.bulk.grid import chosen_points, parse_grid
from tradebus.engine.bulk.sweep import FIGURES, Swept
from tradebus.kernel.errors import InvalidInput

DAYS = (date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3), date(2024, 1, 4))


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return write_history(tmp_path_factory.mktemp("sweep") / "bars.csv", ("BANKNIFTY",), DAYS, seed=9)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRADEBUS_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def told(*arguments: str) -> dict[str, Any]:
    found = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert found.exit_code == 0
    answer: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return answer


def swept(path: Path, *more: str) -> dict[str, Any]:
    grid = ("--param", "fast=3:5:1", "--param", "slow=13,21", "--param", "stop_pct=0.3")
    return told("sweep", "--history", str(path), "--strategy", "ema_cross", *grid, "--capital", "100000000", *more)


def test_every_set_is_what_backtest_makes_of_it_alone(path, tmp_path):
    found = swept(path, "--top", "6", "--table", str(tmp_path / "all.parquet"), "--report", str(tmp_path / "map.html"))
    assert found["sets"] == len(found["best"]) == 6
    assert found["honesty"]["trials"] == 6
    by_sharpe = max(found["best"], key=lambda row: row["sharpe"])
    assert found["honesty"]["parameters"].items() <= by_sharpe.items()
    assert pq.read_table(tmp_path / "all.parquet").num_rows == 6
    page = (tmp_path / "map.html").read_text()
    assert page.count('<td class="cell" style') == 6
    for one in (found["best"][0], found["best"][-1]):
        alone = told(
            "backtest", "--fills", "touch", "--history", str(path), "--strategy", "ema_cross", "--capital", "100000000",
            *(text for name in ("fast", "slow", "stop_pct") for text in ("--param", f"{name}={one[name]}")),
            "--limit", "max_lots_per_trade=1", "--limit", "daily_max_loss_pct=null",
        )  # fmt: skip
        assert one["trades"] == alone["trades"] > 5
        assert one["net_paise"] == alone["net_pnl_paise"]
        assert one["charges_paise"] == alone["charges_paise"]
        assert one["winners"] == alone["winners"]


def test_what_is_done_is_not_done_again_and_counts_for_good(path, state):
    first, again = swept(path), swept(path)
    assert again["best"] == first["best"]
    assert again["bar_sets_per_second"] == 0 < first["bar_sets_per_second"]
    other = told(
        "sweep", "--history", str(path), "--strategy", "ema_cross", "--param", "fast=3", "--param", "slow=40",
        "--monte-carlo", "20",
    )  # fmt: skip
    assert other["honesty"]["trials"] == 7
    assert set(other["resampled"]) == {"other orders", "10% missed"}


def test_walkforward_judges_on_later_days(path):
    found = told(
        "walkforward", "--history", str(path), "--strategy", "ema_cross", "--param", "fast=3:4", "--param", "slow=13",
        "--folds", "1", "--embargo", "0",
    )  # fmt: skip
    [fold] = found["folds"]
    assert (fold["train_to"], fold["test_from"]) == ("2024-01-02", "2024-01-03")
    assert found["out_of_sample_paise"] == fold["outside_paise"]


def request(path: Path, sets: int) -> SweepRequest:
    points = [{"fast": number + 1} for number in range(sets)]
    return SweepRequest(path, (), None, None, "ema_cross", {}, 1, points)


def part(book: SweepBook, number: int) -> Swept:
    count = len(book.parts[number])
    return Swept(np.full((count, len(FIGURES)), number), np.full((count, 3), number))


def test_an_unfinished_sweep_goes_on_and_only_on_the_same_build_and_file(path, tmp_path):
    given = SweepInput("file", "build 1")
    book = SweepBook(tmp_path, request(path, 150), given)
    assert book.begin(afresh=False) == [0, 1, 2]
    book.keep(1, part(book, 1))
    assert SweepBook(tmp_path, request(path, 150), given).begin(afresh=False) == [0, 2]
    assert trials_on(tmp_path, given) == len(book.parts[1])
    for other, said in (
        (SweepInput("file", "build 2"), "another build"),
        (SweepInput("else", "build 1"), "another file"),
    ):
        with pytest.raises(InvalidInput, match=said):
            SweepBook(tmp_path, request(path, 150), other).begin(afresh=False)
    assert SweepBook(tmp_path, request(path, 150), SweepInput("file", "build 2")).begin(afresh=True) == [0, 1, 2]
    for number in range(3):
        book.keep(number, part(book, number))
    assert book.read().daily_paise.shape == (150, 3)


@pytest.mark.parametrize(
    ("texts", "points"),
    [
        (["a=1:3"], [{"a": 1}, {"a": 2}, {"a": 3}]),
        (["a=0.1:0.3:0.1"], [{"a": 0.1}, {"a": 0.2}, {"a": 0.3}]),
        (["a=1,null", "b=true"], [{"a": 1, "b": True}, {"a": None, "b": True}]),
        (["a=5:9:2,9,20"], [{"a": 5}, {"a": 7}, {"a": 9}, {"a": 20}]),
    ],
)
def test_a_grid_is_read_as_it_is_written(texts, points):
    assert chosen_points(parse_grid(texts), sample=None, seed=1) == points


def test_ten_million_points_are_drawn_from_or_refused():
    grid = parse_grid(["a=1:10000", "b=1:1000"])
    with pytest.raises(InvalidInput, match=r"10,000,000 points.*--sample"):
        chosen_points(grid, sample=None, seed=1)
    drawn = chosen_points(grid, sample=300, seed=1)
    assert len({(one["a"], one["b"]) for one in drawn}) == 300
    assert drawn == chosen_points(grid, sample=300, seed=1) != chosen_points(grid, sample=300, seed=2)


@pytest.mark.parametrize("text", ["a", "=1", "a=", "a=1:x", "a=5:1", "a=1:2:0", "a=1:9:1:1", "a=[1]", "a=1:1e12:1"])
def test_what_is_no_grid_is_refused_by_its_text(text):
    with pytest.raises(InvalidInput, match="--param"):
        parse_grid([text])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--strategy", "emacross", "--param", "fast=3"], "did you mean 'ema_cross'"),
        (["--strategy", "ema_cross"], "--param"),
        (["--strategy", "ema_cross", "--param", "fast=3:50", "--param", "slow=21"], "fast must be below slow"),
        (["--strategy", "ema_cross", "--param", "fats=3"], "fats"),
        (["--strategy", "ema_cross", "--param", "fast=3", "--limit", "daily_max_loss_pct=2"], "daily_max_loss_pct"),
        (["--strategy", "ema_cross", "--param", "fast=3", "--table", "x.txt"], "x.txt"),
    ],
)
def test_a_bad_sweep_is_one_line(path, arguments, said):
    found = CliRunner().invoke(app, ["sweep", "--history", str(path), *arguments])
    assert isinstance(found.exception, InvalidInput)
    assert said in str(found.exception)
