"""`tradebus backtest` with the fill models: what a file's bars and volumes lead to."""

import csv
import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from testkit.histories import write_history

from services.cli.runs.backtesting import BacktestRequest, run_backtest

DAYS = (date(2024, 1, 2), date(2024, 1, 3))


def run(request: BacktestRequest, capsys: pytest.CaptureFixture[str], **paper: Any) -> tuple[dict[str, Any], str]:
    users = {name: {**data, "paper": paper} for name, data in request.users.items()}
    run_backtest(replace(request, users=users))
    said = capsys.readouterr()
    figures: dict[str, Any] = json.loads(said.out.splitlines()[-1])
    return figures, said.err


def test_without_trades_nothing_fills_and_a_file_without_volumes_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_history(tmp_path / "bars.csv", ("RELIANCE",), DAYS, seed=5)
    rows = list(csv.DictReader(path.open(newline="")))
    request = BacktestRequest(
        history=path, stored=None, symbols=(), from_date=None, to_date=None, seed=1, trades=None, json=True,
        users={"asha": {"strategies": ["orb"], "capital": 2_000_000}},
    )  # fmt: skip

    def write(volume_of: Any) -> None:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows({**row, "volume": volume_of(row)} for row in rows)

    def is_first_hour(row: dict[str, str]) -> bool:
        return row["ts"][11:16] < "10:15"

    traded, said = run(request, capsys)
    assert traded["trades"] > 0
    assert "no volume" not in said
    write(lambda row: row["volume"] if is_first_hour(row) and row["ts"][:10] == "2024-01-02" else 0)
    still, _ = run(request, capsys)
    touched, _ = run(request, capsys, fills="touch")
    assert still["trades"] <= 1 < touched["trades"]
    write(lambda row: 0)
    unknown, said = run(request, capsys)
    assert "no volume of RELIANCE: fills are not limited by what traded" in said
    assert unknown["trades"] > 1
