"""The book of a sweep: what of it is done, in a folder of its own, so that an unfinished one goes on where it stopped.

    state folder/sweeps/NAME/  sweep.json (what was asked, of which file, by which build)   00000.npz … (parts)

A part is written whole or not at all. What was done by another build, or of another file under the same name, is never
mixed with what is done now.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.cli.sweeping.inputs import SweepInput, SweepRequest
from tradebus.engine.bulk.sweep import Swept
from tradebus.kernel.errors import InvalidInput

SETS_PER_PART: Final = 64
_ABOUT = "sweep.json"


class SweepBook:
    """Of one request on one input. `parts` are ranges of its points."""

    def __init__(self, state_dir: Path, request: SweepRequest, given: SweepInput) -> None:
        name = hashlib.sha256(request.asked.encode()).hexdigest()[:12]
        self.folder = state_dir / "sweeps" / f"{request.strategy}-{name}"
        self._request, self._given = request, given
        count = len(request.points)
        self.parts = [
            range(first, min(first + SETS_PER_PART, count)) for first in range(0, count, SETS_PER_PART)
        ]  # fmt: skip

    def begin(self, *, afresh: bool) -> list[int]:
        """The numbers of the parts that are not done. Raises InvalidInput for an unfinished sweep of another build or
        file, unless it is to begin `afresh`."""
        known = _about(self.folder)
        same = known is not None and (known["file"], known["build"]) == (self._given.file_digest, self._given.build)
        done = [number for number in range(len(self.parts)) if self._path(number).exists()]
        if known is not None and not same and not afresh and 0 < len(done) < len(self.parts):
            other = "another file of this name" if known["file"] != self._given.file_digest else "another build"
            raise InvalidInput(
                f"this sweep was begun on {other} ({len(done)} of {len(self.parts)} parts are done, by "
                f"{known['build']}): results of two are not mixed; give --afresh to begin anew"
            )
        if afresh or not same:
            for number in done:
                self._path(number).unlink()
            done = []
        self.folder.mkdir(parents=True, exist_ok=True)
        about = {
            "file": self._given.file_digest, "build": self._given.build, "strategy": self._request.strategy,
            "points": list(self._request.points), "sets_per_part": SETS_PER_PART,
        }  # fmt: skip
        _write(self.folder / _ABOUT, json.dumps(about).encode())
        return [number for number in range(len(self.parts)) if number not in done]

    def keep(self, number: int, swept: Swept) -> None:
        """Writes a part."""
        path = self._path(number)
        being = path.with_suffix(".part.npz")
        np.savez_compressed(being, figures=swept.figures, daily_paise=swept.daily_paise)
        os.replace(being, path)

    def read(self) -> Swept:
        """All parts; every one must be done."""
        figures, daily = [], []
        for number in range(len(self.parts)):
            with np.load(self._path(number), allow_pickle=False) as part:
                figures.append(part["figures"])
                daily.append(part["daily_paise"])
        return Swept(np.concatenate(figures), np.concatenate(daily))

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:05d}.npz"


def trials_on(state_dir: Path, given: SweepInput) -> int:
    """How many different sets of parameters have been tried on this file's content, in all sweeps together."""
    tried: set[str] = set()
    for about, folder in _all(state_dir):
        if about["file"] != given.file_digest:
            continue
        size = int(about.get("sets_per_part", SETS_PER_PART))
        for path in folder.glob("[0-9][0-9][0-9][0-9][0-9].npz"):
            first = int(path.stem) * size
            points: Sequence[dict[str, Any]] = about["points"][first : first + size]
            tried |= {json.dumps([about["strategy"], point], sort_keys=True) for point in points}
    return len(tried)


def _all(state_dir: Path) -> Iterator[tuple[dict[str, Any], Path]]:
    for folder in sorted((state_dir / "sweeps").glob("*")):
        about = _about(folder)
        if about is not None:
            yield about, folder


def _about(folder: Path) -> dict[str, Any] | None:
    """None where there is no such sweep. Raises InvalidInput where its file is damaged."""
    try:
        found = json.loads((folder / _ABOUT).read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InvalidInput(f"{folder / _ABOUT} is damaged: remove that folder, and sweep again") from error
    if not isinstance(found, dict) or not {"file", "build", "strategy", "points"} <= found.keys():
        raise InvalidInput(f"{folder / _ABOUT} is damaged: remove that folder, and sweep again")
    return found


def _write(path: Path, content: bytes) -> None:
    being = path.with_suffix(".part")
    being.write_bytes(content)
    os.replace(being, path)
