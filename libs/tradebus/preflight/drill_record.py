"""What the last drill came to: written by `tradebus drill`, read before live trading.

<state>/drill.json    {"version", "runs", "seed", "passed", "at"}
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tradebus.kernel.errors import InvalidInput

FILE = "drill.json"
RUNS_MIN = 1_000


@dataclass(frozen=True, slots=True)
class DrillRecord:
    """`version` is the build's (`build_name`), `seed` the first of the runs, or the one that failed; `at` is ISO 8601,
    IST."""

    version: str
    runs: int
    seed: int
    passed: bool
    at: str


def write_drill(state_dir: Path, record: DrillRecord) -> None:
    """In the place of the last one. Raises InvalidInput where it cannot be written."""
    path = state_dir / FILE
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(record)) + "\n")
        draft.replace(path)
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be written: {error.strerror}") from error


def read_drill(state_dir: Path) -> DrillRecord | None:
    """None where none was run here. Raises InvalidInput for a record that is none."""
    path = state_dir / FILE
    try:
        said = json.loads(path.read_text())
        record = DrillRecord(**said)
        kinds = {"version": str, "runs": int, "seed": int, "passed": bool, "at": str}
        if any(type(getattr(record, name)) is not kind for name, kind in kinds.items()):
            raise ValueError("a field is of another type")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise InvalidInput(f"{path}: cannot be read ({error}); run the drill again") from error
    return record
