"""Instants as callers write them.

Invariant (property-tested): a text that is accepted means one instant, for every caller; a naive time is Indian.
"""

import re
from datetime import date, datetime, time, timedelta

from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import IST, NANOSECONDS_PER_SECOND, datetime_to_ns, ist_to_ns

# The plus sign of an offset, where it was not escaped, arrives as a space.
_LOST_PLUS = re.compile(r"(:\d\d(?:\.\d+)?) (\d\d:?\d\d)$")
_FIRST_DAY, _LAST_DAY = date(1990, 1, 1), date(2100, 1, 1)


def instant_ns(text: str, *, name: str, ends_day: bool = False) -> int:
    """The instant of an ISO date, an ISO time (Indian unless it says its offset) or whole epoch seconds.

    A date means its beginning, with `ends_day` its end. Raises InvalidInput naming the parameter.
    """
    plain = text.strip()
    try:
        if plain.isascii() and plain.isdigit() and len(plain) > 8:
            ts_ns = int(plain) * NANOSECONDS_PER_SECOND
        elif len(plain) <= 10:
            day = date.fromisoformat(plain) + timedelta(days=1 if ends_day else 0)
            ts_ns = ist_to_ns(day, time(0))
        else:
            moment = datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", plain))
            ts_ns = datetime_to_ns(moment if moment.tzinfo else moment.replace(tzinfo=IST))
    except (ValueError, OverflowError):
        ts_ns = -1
    if not ist_to_ns(_FIRST_DAY, time(0)) <= ts_ns <= ist_to_ns(_LAST_DAY, time(0)):
        raise InvalidInput(
            f"{name}: {text!r} is no time between 1990 and 2100: write 2024-01-31, 2024-01-31T09:15:00 or epoch seconds"
        )
    return ts_ns


def day(text: str | None, *, name: str) -> date | None:
    """An ISO date, None where absent. Raises InvalidInput naming the parameter."""
    if not text:
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInput(f"{name}: {text!r} is not a date: write 2024-01-31") from None
