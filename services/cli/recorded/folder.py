"""Where runs are recorded: a folder each, by number, in the state folder. No server is needed to write or to read.

    <state>/recorded/7/  run.json           what it was, its inputs with their digests, its figures
                         report.json        its report, without trades
                         trades.parquet     every trade, money in paise, instants in nanoseconds (UTC)
                         decisions.parquet  every decision, HOLD too, with its reason
                         verdicts.parquet   what risk answered, in words

A run is written beside and moved to its number when it is whole: whoever lists sees all of it or nothing. Decisions and
verdicts, which are large, are kept for the newest runs only.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.ids import RandomIds

FOLDER: Final = "recorded"
RUN_FILE: Final = "run.json"
JOURNALS: Final = ("decisions.parquet", "verdicts.parquet")
JOURNALS_KEPT: Final = 50


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """One run; `facts` is the content of its run.json."""

    number: int
    folder: Path
    facts: dict[str, Any]

    @property
    def inputs(self) -> dict[str, Any]:
        return dict(self.facts["inputs"])

    @property
    def figures(self) -> dict[str, Any]:
        return dict(self.facts["figures"])


class RecordedRuns:
    """Those of one state folder."""

    def __init__(self, state_dir: Path) -> None:
        self._root = state_dir / FOLDER

    def begin(self) -> Path:
        """An empty folder to write a run into. Raises InvalidInput where there can be none."""
        partial = self._root / f".partial-{RandomIds().new_id()}"
        try:
            partial.mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise InvalidInput(f"{partial}: cannot be made: {error.strerror or error}") from error
        return partial

    def finish(self, partial: Path, facts: dict[str, Any]) -> RecordedRun:
        """Gives a run its number: the next that nobody has."""
        number = max(self._numbers(), default=0)
        while True:
            number += 1
            told = {"run": number, **facts}
            text = json.dumps(told, indent=1, ensure_ascii=False, default=str, allow_nan=False)
            (partial / RUN_FILE).write_text(text + "\n", encoding="utf-8")
            target = self._root / str(number)
            try:
                target.mkdir(mode=0o700)  # only one of two that end at once has it
            except FileExistsError:
                continue
            os.replace(partial, target)
            self._prune()
            return RecordedRun(number, target, told)

    def discard(self, partial: Path) -> None:
        """Removes what could not be finished."""
        shutil.rmtree(partial, ignore_errors=True)

    def all(self) -> Iterator[RecordedRun]:
        """The newest first. A folder that is none of ours, or has lost its run.json, is passed over."""
        for number in sorted(self._numbers(), reverse=True):
            found = self._read(number)
            if found is not None:
                yield found

    def find(self, text: str) -> RecordedRun:
        """By its number, or `last`. Raises InvalidInput where there is none."""
        numbers = sorted(self._numbers())
        if not numbers:
            raise InvalidInput(f"no run is recorded in {self._root}: `tradebus backtest` records one")
        if text == "last":
            number = numbers[-1]
        elif text.isascii() and text.isdecimal() and len(text) < 12:
            number = int(text)
        else:
            raise InvalidInput(f"run {text!r}: write its number, as `tradebus runs` lists it, or last")
        found = self._read(number)
        if found is None:
            raise InvalidInput(f"run {number}: there is none; the newest is {numbers[-1]}: see `tradebus runs`")
        return found

    def _numbers(self) -> list[int]:
        if not self._root.is_dir():
            return []
        names = (entry.name for entry in self._root.iterdir())
        return [int(name) for name in names if name.isascii() and name.isdecimal() and len(name) < 12]

    def _read(self, number: int) -> RecordedRun | None:
        folder = self._root / str(number)
        try:
            facts = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
            if not isinstance(facts["inputs"], dict) or not isinstance(facts["figures"], dict):
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return RecordedRun(number, folder, facts)

    def _prune(self) -> None:
        for number in sorted(self._numbers(), reverse=True)[JOURNALS_KEPT:]:
            for name in JOURNALS:
                (self._root / str(number) / name).unlink(missing_ok=True)
