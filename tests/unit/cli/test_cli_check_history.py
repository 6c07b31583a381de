"""`tradebus check-history`: what would be read, of several files, without a run."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.main import app, main

ROWS = "".join(f"2024-01-15 09:{minute}:00,100,101,99,100\n" for minute in (15, 16, 17))
HEADER = "ts,open,high,low,close\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "NIFTY.csv").write_text(HEADER + ROWS)
    (tmp_path / "RELIANCE.csv").write_text(HEADER + ROWS.replace("101", "1"))
    return tmp_path


def test_each_is_said_or_refused_and_none_stops_the_others(folder: Path) -> None:
    found = CliRunner().invoke(app, ["check-history", *(str(folder / name) for name in ("RELIANCE.csv", "NIFTY.csv"))])
    assert found.exit_code == 2
    refused, *sound = found.stdout.splitlines()
    assert refused.startswith(f"REFUSED: {folder / 'RELIANCE.csv'}: row 1 (RELIANCE 2024-01-15 09:15:00): high 1.00 is")
    assert sound[0].startswith(f"{folder / 'NIFTY.csv'}: 3 bars on 1 day, 2024-01-15 to 2024-01-15")
    assert "symbol = NIFTY (by the file's name; another: --symbol)" in sound[1]


def test_a_folder_is_one_history_and_symbols_pick_of_it(folder: Path) -> None:
    found = CliRunner().invoke(app, ["check-history", str(folder), "--symbol", "NIFTY", "--json"])
    assert found.exit_code == 0
    figures = json.loads(found.stdout)
    (only,) = figures["files"]
    assert (figures["can_be_run"], only["bars"], only["symbols"]) == (True, 3, ["NIFTY"])
    assert only["first"] == "2024-01-15T09:15:00+05:30"
    assert "files not used: 1 file of other instruments" in only["said"]
    assert CliRunner().invoke(app, ["check-history", str(folder), "--json"]).exit_code == 2


def test_a_mistake_in_an_option_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["tradebus", "check-history", str(folder / "NIFTY.csv"), "--timezone", "Mars"]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "--timezone 'Mars': no such time zone" in said
    assert "Traceback" not in said
