"""Fields of Dhan's JSON, read strictly: what is missing or of another type is Malformed and names the field.

The `*_or_none` readers are for what decides an order's fate: None means that it was not said, never 0.
"""

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from tradebus.brokers.dhan.words import BROKER
from tradebus.brokers.errors import Malformed
from tradebus.kernel.money import round_half_up
from tradebus.kernel.time import ist_to_ns

Row = Mapping[str, object]
_WHOLE_MAX = 2**53
_RUPEES_MAX = 1e12
_TIME_FORMATS = ("%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f")


def rows_of(what: str, body: object) -> Iterator[Row]:
    """The rows of a list; an empty answer is an empty list. Raises Malformed."""
    if body in (None, "", [], {}):
        return
    if not isinstance(body, list):
        raise Malformed(BROKER, f"{what}: a list was expected, a {type(body).__name__} came")
    for number, row in enumerate(body):
        if not isinstance(row, Mapping):
            raise Malformed(BROKER, f"{what}: row {number} is no object")
        yield row


def mapping_of(what: str, body: object) -> Row:
    """An object. Raises Malformed."""
    if not isinstance(body, Mapping):
        raise Malformed(BROKER, f"{what}: an object was expected, a {type(body).__name__} came")
    return body


def text_or_none(value: object) -> str | None:
    """Text, or a number's digits; None for anything else, also for an empty text."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _WHOLE_MAX:
        return str(value)
    return None


def whole_or_none(value: object) -> int | None:
    """A whole number of either sign, as a number or as its digits."""
    if isinstance(value, str):
        digits = value.strip()
        if not digits.lstrip("-").isascii() or not digits.lstrip("-").isdigit() or len(digits) > 16:
            return None
        value = int(digits) if digits.count("-") <= 1 else None
    if isinstance(value, float) and math.isfinite(value) and value.is_integer() and abs(value) <= _WHOLE_MAX:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _WHOLE_MAX:
        return value
    return None


def paise_or_none(value: object) -> int | None:
    """Rupees to the nearest paisa."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_RUPEES_MAX <= value <= _RUPEES_MAX:
        return None
    return round_half_up(Decimal(repr(value)) * 100)


def number_or_none(value: object) -> float | None:
    """Any finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e15 <= value <= 1e15:
        return None
    return float(value)


def whole(what: str, row: Row, name: str) -> int:
    """Raises Malformed."""
    number = whole_or_none(row.get(name))
    if number is None:
        raise _odd(what, row, name, "a whole number")
    return number


def paise(what: str, row: Row, name: str) -> int:
    """Raises Malformed."""
    amount = paise_or_none(row.get(name))
    if amount is None:
        raise _odd(what, row, name, "an amount in rupees")
    return amount


def text(what: str, row: Row, name: str) -> str:
    """Raises Malformed."""
    value = text_or_none(row.get(name))
    if value is None:
        raise _odd(what, row, name, "a text")
    return value


def instant_ns_or_none(value: object) -> int | None:
    """Dhan writes Indian wall-clock time bare; years before 2000 are its word for "never"."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    for layout in _TIME_FORMATS:
        try:
            moment = datetime.strptime(value.strip(), layout)  # noqa: DTZ007 - the zone is added below
        except ValueError:
            continue
        return ist_to_ns(moment.date(), moment.time()) if moment.year >= 2000 else None
    return None


def _odd(what: str, row: Row, name: str, expected: str) -> Malformed:
    shown = repr(row[name])[:40] if name in row else "nothing"
    return Malformed(BROKER, f"{what}: {name} is {shown}, {expected} was expected")
