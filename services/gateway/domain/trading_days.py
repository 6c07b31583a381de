"""The days of a schedule: of a START (`data.schedule`), and of a row of the desk's file of schedules."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from services.gateway.domain.problems import Problems, kind_of
from tradebus.calendar import days_to_expiry, is_regular_day, left_out
from tradebus.contracts.sessions import EntryDay, TradingDays
from tradebus.kernel.errors import InvalidInput, nearest

FIELDS = ("days", "expiry_days_only", "days_to_expiry", "from", "to")
_NAMES = tuple(day.value for day in EntryDay)
_DISTANCE_MAX = 60
_LOOKED_AT_DAYS = 100  # a schedule that leaves none of so many days in was not meant


def read_start_schedule(
    value: Any, underlyings: Iterable[str], *, market_day: date | None, problems: Problems
) -> TradingDays | None:
    """`data.schedule`, checked against the days that are to come. None where absent, and after a problem."""
    if value is None:
        return None
    at, before = "data.schedule", len(problems.errors)
    if not isinstance(value, dict) or not value:
        said = "an empty object" if value == {} else kind_of(value)
        problems.add(at, f"must be an object with one or more of {', '.join(FIELDS)}, not {said}")
        return None
    problems.unknown_keys(at, value, FIELDS)
    found = read_trading_days(value, at, problems)
    if len(problems.errors) > before:
        return None
    if found.last_day is not None and market_day is not None and found.last_day < market_day.isoformat():
        problems.add(f"{at}.to", f"is over: it is {market_day}")
        return None
    return found if _leaves_some(found, underlyings, at, market_day, problems) else None


def read_trading_days(row: Mapping[str, Any], at: str, problems: Problems) -> TradingDays:
    """The fields of `FIELDS` in an object, after adding to `problems`."""
    only, distances = row.get("expiry_days_only"), row.get("days_to_expiry")
    if only is not None and not isinstance(only, bool):
        problems.add(f"{at}.expiry_days_only", f"must be true or false, not {kind_of(only)}")
    if only is True and distances is not None:
        problems.add(f"{at}.days_to_expiry", "is said by expiry_days_only already, which is [0]: give one of the two")
    first, last = _date(row, "from", at, problems), _date(row, "to", at, problems)
    if first is not None and last is not None and last < first:
        problems.add(f"{at}.to", f"{last} is before from, {first}")
    return TradingDays(
        days=_days(row.get("days"), f"{at}.days", problems),
        expiry_days_only=True if only is True else None,
        days_to_expiry=_distances(distances, f"{at}.days_to_expiry", problems),
        first_day=None if first is None else first.isoformat(),
        last_day=None if last is None else last.isoformat(),
    )


def _leaves_some(
    found: TradingDays, underlyings: Iterable[str], at: str, market_day: date | None, problems: Problems
) -> bool:
    first = None if found.first_day is None else date.fromisoformat(found.first_day)
    begin = max((day for day in (first, market_day) if day is not None), default=None)
    if begin is None:
        return True  # nobody knows yet what day it is
    days = [begin + timedelta(days=later) for later in range(_LOOKED_AT_DAYS)]
    for underlying in dict.fromkeys(underlyings):
        try:
            days_to_expiry(underlying, begin)
            if any(is_regular_day(day) and left_out(found, day, underlying=underlying) is None for day in days):
                return True
        except InvalidInput as error:
            if found.expiry_distances is not None:
                problems.add(at, f"{underlying} has no expiry to count to: {error}")
                return False
            return True
    problems.add(at, f"leaves no day of trading of the {_LOOKED_AT_DAYS} from {begin} on")
    return False


def _days(value: Any, at: str, problems: Problems) -> tuple[EntryDay, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value:
        problems.add(at, f"must be a list of {', '.join(_NAMES)}; leave it out for all of them")
        return None
    for day in value:
        if day not in _NAMES:
            hint = nearest(day, _NAMES) if isinstance(day, str) else ""
            problems.add(at, f"holds what is no day{hint or ': write ' + ', '.join(_NAMES)}")
    return tuple(EntryDay(name) for name in _NAMES if name in value)


def _distances(value: Any, at: str, problems: Problems) -> tuple[int, ...] | None:
    if value is None:
        return None
    good = isinstance(value, list) and value and all(
        isinstance(one, int) and not isinstance(one, bool) and 0 <= one <= _DISTANCE_MAX for one in value
    )  # fmt: skip
    if not good:
        problems.add(at, f"must be a list of days of trading to the expiry, 0 to {_DISTANCE_MAX}; 0 is the expiry day")
        return None
    return tuple(sorted(set(value)))


def _date(row: Mapping[str, Any], field: str, at: str, problems: Problems) -> date | None:
    value = row.get(field)
    if value is None:
        return None
    try:
        if isinstance(value, str) and len(value) == len("2026-12-01"):
            return date.fromisoformat(value)
    except ValueError:
        pass  # said below, as for whatever else is no date
    problems.add(f"{at}.{field}", "must be a date such as 2026-12-01")
    return None
