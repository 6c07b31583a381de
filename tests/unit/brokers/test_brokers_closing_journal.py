"""The journal of exits that are sent past execution, and its lock."""

import subprocess
import sys
from pathlib import Path

import pytest

from tradebus.brokers.closing_journal import FOLDER, ClosingJournal, SentExit
from tradebus.kernel.errors import InvalidInput

SENT = SentExit("tb1", "NFO", "501", "SELL", 65, 1)
_HOLDS_IT = """
import sys
from pathlib import Path
from tradebus.brokers.closing_journal import ClosingJournal
print(ClosingJournal(Path(sys.argv[1]), broker="kite", login="mine").take(), flush=True)
sys.stdin.read()
"""


def journal(folder: Path) -> ClosingJournal:
    return ClosingJournal(folder, broker="kite", login="mine")


def test_what_was_written_is_read_whatever_else_is_in_the_file(tmp_path: Path) -> None:
    assert journal(tmp_path).read() == []
    writing = journal(tmp_path)
    assert writing.take()
    writing.write(SENT)
    path = tmp_path / FOLDER / "kite:mine"
    with path.open("a") as file:
        file.write('{"tag": 1}\nnonsense\n[]\n')
    writing.write(SENT)
    with path.open("a") as file:
        file.write('{"tag": "half of')
    assert journal(tmp_path).read() == [SENT, SENT]


def test_one_holds_it_at_a_time_and_a_process_that_dies_lets_it_go(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", _HOLDS_IT, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        mine = journal(tmp_path)
        assert mine.is_taken
        assert not mine.take()
    finally:
        other.kill()
        other.communicate()
    assert not mine.is_taken
    assert mine.take()
    assert mine.is_taken
    mine.release()
    assert not mine.is_taken


def test_nothing_is_written_that_is_not_held(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not taken"):
        journal(tmp_path).write(SENT)


def test_looking_makes_nothing(tmp_path: Path) -> None:
    assert not journal(tmp_path).is_taken
    assert list(tmp_path.iterdir()) == []
