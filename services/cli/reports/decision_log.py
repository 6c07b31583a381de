"""One number for everything a run decided and what came of it.

SHA-256 over canonical JSON lines: every decision (HOLD too), every verdict of risk, every fill, every trade's result.

Invariants (property-tested): the order in which rows are read does not matter; any change of a row changes the hash;
nothing that differs from run to run (session, event and order ids) is in a line.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Line = tuple[int, str]


def log_line(kind: str, row: Sequence[Any]) -> Line:
    """A row as (event time, canonical JSON). `row` begins with its event time in nanoseconds."""
    text = json.dumps([row[0], kind, *row[1:]], separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return int(row[0]), text


def decision_log_hash(rows_by_kind: Mapping[str, Iterable[Sequence[Any]]]) -> str:
    """Hexadecimal. Lines are ordered by event time, then by their text, which begins with the kind."""
    lines = sorted(log_line(kind, row) for kind, rows in rows_by_kind.items() for row in rows)
    digest = hashlib.sha256()
    for _, text in lines:
        digest.update(text.encode())
        digest.update(b"\n")
    return digest.hexdigest()
