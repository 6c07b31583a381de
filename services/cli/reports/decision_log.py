"""One number for everything a run decided and what came of it.

SHA-256 over canonical JSON lines: every decision (HOLD too), every verdict of risk, every fill, every trade's result.

Invariants (property-tested): the order in which rows are read does not matter; any change of a row changes the hash;
nothing that differs from run to run (session, event and order ids) is in a line.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any

Line = tuple[int, str]


def log_line(kind: str, row: Sequence[Any]) -> Line:
    """A row as (event time, canonical JSON). `row` begins with its event time in nanoseconds."""
    text = json.dumps([row[0], kind, *row[1:]], separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return int(row[0]), text


def decision_log_hash(rows_by_kind: Mapping[str, Iterable[Sequence[Any]]], *, ascending: Collection[str] = ()) -> str:
    """Hexadecimal. Lines are ordered by event time, then by their text, which begins with the kind.

    Rows of a kind in `ascending` come by their event time and are not kept: there may be millions of them. Raises
    ValueError where they do not.
    """
    kinds = [
        _lines(kind, rows) if kind in ascending else iter(sorted(_lines(kind, rows)))
        for kind, rows in rows_by_kind.items()
    ]
    digest = hashlib.sha256()
    before_ns: int | None = None
    for ts_ns, lines in groupby(merge(*kinds, key=itemgetter(0)), key=itemgetter(0)):
        if before_ns is not None and ts_ns < before_ns:
            raise ValueError(f"the decision log's rows are not ascending: {ts_ns} after {before_ns}")
        before_ns = ts_ns
        for _, text in sorted(lines):
            digest.update(text.encode())
            digest.update(b"\n")
    return digest.hexdigest()


def _lines(kind: str, rows: Iterable[Sequence[Any]]) -> Iterator[Line]:
    return (log_line(kind, row) for row in rows)
