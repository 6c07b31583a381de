"""Reading JSON that a broker sent. What is missing or of another type raises Unreadable, naming the field.

Rupees are numbers (a float's shortest text is the amount it stands for), quantities whole numbers that may be written
65.0, times Indian wall-clock text.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from re import Pattern
from typing import Any

from tradebus.kernel.money import PAISE_PER_RUPEE, RUPEES_MAX, round_half_up
from tradebus.kernel.time import IST, datetime_to_ns

Row = Mapping[str, Any]
QUANTITY_MAX = 2**53


class Unreadable(ValueError):
    """A reply, or a row of it, that is not what the broker documents."""


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


def moment_in(value: object, *, name: str, layout: Pattern[str]) -> int:
    """ISO time in the broker's `layout` as UTC nanoseconds. A time without a zone is Indian."""
    if not isinstance(value, str) or not layout.fullmatch(value):
        raise Unreadable(f"{name}: {value!r:.30} is no time")
    try:
        moment = datetime.fromisoformat(value)
        return datetime_to_ns(moment if moment.tzinfo is not None else moment.replace(tzinfo=IST))
    except (ValueError, OverflowError):
        raise Unreadable(f"{name}: {value!r:.30} is no time") from None


def kind(value: object) -> str:
    """What a value is, for an error text."""
    return "nothing" if value is None else f"{type(value).__name__} {value!r:.30}"
