"""Which remarks on the market's rules a person has taken, in the state folder.

A provisional rule is taken once, for as long as the same is said of it. That nobody has looked at a source for too long
is taken for a month.
"""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from tradebus.calendar.review import Remark, RemarkKind
from tradebus.kernel.errors import InvalidInput

FILE = "accepted_market_rules.json"
_STALE_FOR = timedelta(days=30)


class AcceptedRules:
    """Reads the file each time."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE

    def left(self, remarks: Sequence[Remark], *, day: date) -> list[Remark]:
        """Those that nobody has taken. Raises InvalidInput for a file that cannot be read."""
        accepted = self._read()
        return [remark for remark in remarks if not _holds(remark, accepted.get(_key(remark)), day)]

    def accept(self, remarks: Sequence[Remark], *, day: date) -> None:
        """Raises InvalidInput where it cannot be kept."""
        rows = {key: on.isoformat() for key, on in self._read().items()}
        rows |= {_key(remark): day.isoformat() for remark in remarks}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._path.with_suffix(".draft")
            draft.write_text(json.dumps(rows, indent=1) + "\n")
            draft.replace(self._path)
        except OSError as error:
            raise InvalidInput(f"{self._path}: cannot be written: {error.strerror}") from error

    def _read(self) -> dict[str, date]:
        try:
            return {str(key): date.fromisoformat(on) for key, on in json.loads(self._path.read_text()).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise InvalidInput(f"{self._path}: cannot be read ({error}); remove it and accept again") from error


def _key(remark: Remark) -> str:
    return f"{remark.kind}: {remark.about}"


def _holds(remark: Remark, accepted_on: date | None, day: date) -> bool:
    if accepted_on is None or accepted_on > day:
        return False
    return remark.kind is not RemarkKind.STALE or day - accepted_on <= _STALE_FOR
