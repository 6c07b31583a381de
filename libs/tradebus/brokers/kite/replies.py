"""Reading what only Kite writes. What it has in common with other brokers' JSON: `common.rows`.

Null where there is nothing. Every function raises Unreadable, naming the field, for what is of another type.
"""

import re

from tradebus.brokers.common.replies.rows import Row, Unreadable, kind, moment_in, text

_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([+-]\d\d:?\d\d|Z)?")


def optional_text(row: Row, name: str) -> str:
    """A text; "" for null or nothing."""
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unreadable(f"{name}: {kind(value)} is no text")
    return value


def identity(row: Row, name: str) -> str:
    """An id, which may be text or a number."""
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    return text(row, name)


def moment_ns(row: Row, name: str) -> int | None:
    """An instant, None for null, nothing or the empty text. A time without a zone is Indian."""
    value = row.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Unreadable(f"{name}: {kind(value)} is no time")
    return moment_of(value, name=name)


def moment_of(value: object, *, name: str) -> int:
    """`2026-11-25 10:00:00` or with T and a zone, as UTC nanoseconds."""
    return moment_in(value, name=name, layout=_TIME)
