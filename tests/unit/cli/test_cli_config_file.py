"""`--config`: a file of options is the same as the flags, and what is wrong in it is named."""

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from testkit.histories import write_history
from typer.testing import CliRunner

from services.cli.main import app
from tradebus.kernel.errors import InvalidInput

CONFIG = """
history = "{history}"
symbol = ["BANKNIFTY"]
from = 2024-01-01
strategy_file = []
strategy = "orb"
user = ["asha", "ravi"]
capital = 3000000
seed = 7
json = true

[param]
reward_multiple = 3

[limit]
max_concurrent_trades = 2
ravi.daily_max_loss = 2000
"""
FLAGS = (
    "--symbol BANKNIFTY --from 2024-01-01 --strategy orb --user asha --user ravi --capital 3000000 --seed 7 --json "
    "--param reward_multiple=3 --limit max_concurrent_trades=2 --limit ravi.daily_max_loss=2000"
)


def told(*words: str) -> dict[str, Any]:
    found = CliRunner().invoke(app, ["backtest", *words])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    figures: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return {name: value for name, value in figures.items() if name not in ("wall_seconds", "recorded")}


def test_a_file_is_the_same_as_the_flags_and_flags_win(tmp_path: Path) -> None:
    history = write_history(tmp_path / "bars.csv", ("BANKNIFTY",), [date(2024, 1, 1)], seed=5)
    config = tmp_path / "run.toml"
    config.write_text(CONFIG.format(history=history))
    by_flags = told("--history", str(history), *FLAGS.split())
    assert by_flags["decisions"] > 0
    assert told("--config", str(config)) == by_flags
    other = told("--config", str(config), "--seed", "8", "--param", "reward_multiple=2")
    assert (other["seed"], [one["user_id"] for one in other["sessions"]]) == (8, ["asha", "ravi"])


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('strategi = "orb"', "strategi: no such option (did you mean 'strategy'?)"),
        ("config = 'x'", "config: no such option"),
        ("json = 1", "json: write true or false"),
        ("seed = true", "seed: takes a value, not true"),
        ("seed = {a = 1}", "seed: write a text or a number"),
        ("strategy-file = []\nstrategy_file = []", "strategy_file: is given twice"),
        ("strategy = orb", "line 1, column 12"),
        ("limit = {a = nan}", "limit: a: cannot be used as a value"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, wrong: str) -> None:
    config = tmp_path / "run.toml"
    config.write_text(text)
    with pytest.raises(InvalidInput, match=re.escape(wrong)):
        told("--config", str(config))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.toml: cannot be read: No such file"):
        told("--config", str(tmp_path / "none.toml"))
