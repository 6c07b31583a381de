"""What is told of strategies' errors, and what of a log is one."""

import json
from datetime import date, time
from pathlib import Path

import pytest

from services.cli.reports.answers import count_answers
from services.cli.reports.told import files_of, raised_in, tell_errors
from tradebus.kernel.time import ist_to_ns

FIRST_NS = ist_to_ns(date(2024, 1, 1), time(9, 16))
TRACE = (
    'Traceback (most recent call last):\n  File "/home/me/mine.py", line 7, in on_candle\n    numpy.sum(1, 2)\n'
    '  File "/lib/numpy/core.py", line 9, in sum\ntradebus_user_strategy_0f.Mine: bad axis\n'
)


def logged(**fields: str) -> str:
    return json.dumps(
        {"event": "strategy raised", "session_id": "s", "strategy": "mine", "symbol": "X", "traceback": TRACE, **fields}
    )


def test_the_place_is_the_users_own_file_and_alike_errors_are_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    answers = count_answers([("mine", "HOLD", "strategy_error: x", 1_200, FIRST_NS), ("mine", "HOLD", "y", 5, 1)])
    assert tell_errors(answers, [("mine", TRACE)] * 2, files={"/home/me/mine.py"}) == ["mine"]
    assert capsys.readouterr().err.splitlines() == [
        "strategy 'mine' raised: Mine: bad axis (File \"/home/me/mine.py\", line 7, in on_candle): mend it there; "
        "it held instead",
        "strategy 'mine': answers that could not count and became HOLD: 1,200",
        "strategy 'mine': 1,200 times, first at 2024-01-01 09:16:00 IST: strategy_error: x",
        "strategy 'mine' FAILED: this run says little about it",
    ]


def test_an_error_of_no_file_of_the_users_names_where_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    tell_errors({}, [("orb", TRACE), ("odd", "ValueError: no place")], files=())
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert '(File "/lib/numpy/core.py", line 9, in sum)' in first
    assert second == "strategy 'odd' raised: ValueError: no place"


def test_of_a_log_the_first_error_of_each_session_and_symbol_counts(tmp_path: Path) -> None:
    log = tmp_path / "strategy.log"
    lines = [
        logged(), logged(traceback="again, after a restart"), logged(symbol="Y"), logged(event="strategy raised once"),
        "strategy raised, says a library", '{"event":"strategy raised"', '["strategy raised"]', "{}",
    ]  # fmt: skip
    log.write_bytes("\n".join(lines).encode() + b"\n\xff strategy raised\n")
    assert raised_in(log) == [("mine", TRACE), ("mine", TRACE)]


def test_a_log_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert raised_in(tmp_path / "strategy.log") == []
    assert "strategy.log: cannot be read for what strategies raised" in capsys.readouterr().err


def test_the_files_are_those_of_all_users() -> None:
    users = {"a": {"strategies": [{"name": "x", "path": "/x.py"}, {"name": "orb"}]}, "b": {"strategies": ["orb"]}}
    assert files_of(users) == {"/x.py"}
