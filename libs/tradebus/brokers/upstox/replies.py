"""Reading what only Upstox writes. What it has in common with other brokers' JSON: `common.rows`.

Times are Indian wall-clock time in several spellings, and decide about nothing where another is there.
"""

import re

from tradebus.brokers.common.replies.rows import Row, Unreadable, kind, moment_in

_ISO = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,6})?([+-]\d\d:?\d\d|Z)?")
_WORDED = re.compile(r"(\d\d)-([A-Z][a-z]{2})-(\d{4}) (\d\d:\d\d:\d\d)")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def optional_text(row: Row, name: str) -> str:
    """A text; "" for null, nothing or another type."""
    value = row.get(name)
    return value if isinstance(value, str) else ""


def fraction(row: Row, name: str) -> float | None:
    """A finite number; None for null or nothing."""
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise Unreadable(f"{name}: {kind(value)} is no number")
    return float(value)


def moment_ns(row: Row, name: str) -> int | None:
    """An instant; None for null, nothing or what is no time. A time without a zone is Indian."""
    value = row.get(name)
    try:
        return moment_of(value, name=name)
    except Unreadable:
        return None


def moment_of(value: object, *, name: str) -> int:
    """`2026-11-25 10:00:00`, with T and a zone, or `25-Nov-2026 10:00:00`, as UTC nanoseconds."""
    worded = _WORDED.fullmatch(value) if isinstance(value, str) else None
    if worded is not None and worded[2] in _MONTHS:
        value = f"{worded[3]}-{_MONTHS.index(worded[2]) + 1:02d}-{worded[1]} {worded[4]}"
    return moment_in(value, name=name, layout=_ISO)
