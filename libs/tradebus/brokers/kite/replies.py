"""Reading what Kite sent. Every function raises Unreadable, naming the field, for what is missing or of another type.

Kite's JSON has rupees as numbers (a float's shortest text is the amount it stands for), times as Indian wall-clock
text, and null where there is nothing.
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
_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([+-]\d\d:?\d\d|Z)?")


class Unreadable(ValueError):
    """A reply, or a row of it, that is not what Kite documents."""


def rows_of(data: object, *, what: str) -> list[Row]:
    """A list of objects."""
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise Unreadable(f"{what}: {_kind(data)} is no list of objects")
    return data


def row_of(data: object, *, what: str) -> Row:
    """An object."""
    if not isinstance(data, dict):
        raise Unreadable(f"{what}: {_kind(data)} is no object")
    return data


def text(row: Row, name: str) -> str:
    """A text that is not empty."""
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Unreadable(f"{name}: {_kind(value)} is no text")
    return value


def optional_text(row: Row, name: str) -> str:
    """A text; "" for null or nothing."""
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unreadable(f"{name}: {_kind(value)} is no text")
    return value


def identity(row: Row, name: str) -> str:
    """An id, which may be text or a number."""
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    return text(row, name)


def whole(row: Row, name: str) -> int:
    """A whole number, also where it is written 65.0."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable(f"{name}: {_kind(value)} is no whole number")
    if not -QUANTITY_MAX <= value <= QUANTITY_MAX or value != int(value):  # also not a number at all
        raise Unreadable(f"{name}: {value!r:.30} is no whole number")
    return int(value)


def paise(row: Row, name: str) -> int:
    """Rupees to paise, halves away from zero: averages and sums have more than two decimals."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable(f"{name}: {_kind(value)} is no amount in rupees")
    return paise_of(str(value), name=name)


def paise_of(value: str, *, name: str) -> int:
    """An amount in rupees, written out, to paise."""
    try:
        rupees = Decimal(value)
    except InvalidOperation:
        raise Unreadable(f"{name}: {value[:30]!r} is no amount in rupees") from None
    if not rupees.is_finite() or rupees.copy_abs() > RUPEES_MAX:
        raise Unreadable(f"{name}: {value[:30]!r} is no amount in rupees")
    return round_half_up(rupees * PAISE_PER_RUPEE)


def moment_ns(row: Row, name: str) -> int | None:
    """An instant, None for null, nothing or the empty text. A time without a zone is Indian."""
    value = row.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Unreadable(f"{name}: {_kind(value)} is no time")
    return moment_of(value, name=name)


def moment_of(value: object, *, name: str) -> int:
    """`2026-11-25 10:00:00` or with T and a zone, as UTC nanoseconds."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise Unreadable(f"{name}: {value!r:.30} is no time")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise Unreadable(f"{name}: {value!r} is no time") from None
    return datetime_to_ns(moment if moment.tzinfo is not None else moment.replace(tzinfo=IST))


def _kind(value: object) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {value!r:.30}"
