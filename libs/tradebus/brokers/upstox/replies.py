"""Reading what Upstox sent. Every function raises Unreadable, naming the field, for what is missing or of another type.

Upstox's JSON has rupees as numbers (a float's shortest text is the amount it stands for), quantities as whole numbers
that may be written 65.0, and Indian wall-clock times in several spellings.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from tradebus.kernel.money import PAISE_PER_RUPEE, RUPEES_MAX, round_half_up
from tradebus.kernel.time import IST, datetime_to_ns

Row = Mapping[str, Any]
QUANTITY_MAX = 2**53
_ISO = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,6})?([+-]\d\d:?\d\d|Z)?")
_WORDED = re.compile(r"(\d\d)-([A-Z][a-z]{2})-(\d{4}) (\d\d:\d\d:\d\d)")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Unreadable(ValueError):
    """A reply, or a row of it, that is not what Upstox documents."""


def rows_of(data: object, *, what: str) -> list[Row]:
    """A list of objects."""
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise Unreadable(f"{what}: {kind(data)} is no list of objects")
    return data


def row_of(data: object, *, what: str) -> Row:
    """An object."""
    if not isinstance(data, dict):
        raise Unreadable(f"{what}: {kind(data)} is no object")
    return data


def text(row: Row, *names: str) -> str:
    """A text that is not empty, under the first of the names that has one."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            return value
    raise Unreadable(f"{names[0]}: {kind(row.get(names[0]))} is no text")


def optional_text(row: Row, name: str) -> str:
    """A text; "" for null, nothing or another type."""
    value = row.get(name)
    return value if isinstance(value, str) else ""


def whole(row: Row, name: str) -> int:
    """A whole number, also where it is written 65.0."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable(f"{name}: {kind(value)} is no whole number")
    if not -QUANTITY_MAX <= value <= QUANTITY_MAX or value != int(value):  # also not a number at all
        raise Unreadable(f"{name}: {value!r:.30} is no whole number")
    return int(value)


def paise(row: Row, name: str) -> int:
    """Rupees to paise, halves away from zero: averages and sums have more than two decimals."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable(f"{name}: {kind(value)} is no amount in rupees")
    return paise_of(str(value), name=name)


def paise_of(value: str, *, name: str) -> int:
    """An amount in rupees, written out, to paise."""
    try:
        rupees = Decimal(value)
    except (InvalidOperation, ValueError):
        raise Unreadable(f"{name}: {value[:30]!r} is no amount in rupees") from None
    if not rupees.is_finite() or rupees.copy_abs() > RUPEES_MAX:
        raise Unreadable(f"{name}: {value[:30]!r} is no amount in rupees")
    return round_half_up(rupees * PAISE_PER_RUPEE)


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
    if not isinstance(value, str):
        raise Unreadable(f"{name}: {kind(value)} is no time")
    worded = _WORDED.fullmatch(value)
    if worded is not None and worded[2] in _MONTHS:
        value = f"{worded[3]}-{_MONTHS.index(worded[2]) + 1:02d}-{worded[1]} {worded[4]}"
    if not _ISO.fullmatch(value):
        raise Unreadable(f"{name}: {value!r:.30} is no time")
    try:
        moment = datetime.fromisoformat(value)
        return datetime_to_ns(moment if moment.tzinfo is not None else moment.replace(tzinfo=IST))
    except (ValueError, OverflowError):
        raise Unreadable(f"{name}: {value!r:.30} is no time") from None


def kind(value: object) -> str:
    """What a value is, for an error text."""
    return "nothing" if value is None else f"{type(value).__name__} {value!r:.30}"
