"""Which days a schedule leaves to enter on: weekdays, dates, and days to expiry by the calendar's dated rules.

Invariants, property-tested: a day that is left out has a reason; days to expiry count down by one with each day of
trading and are 0 on the expiry day; a schedule that says nothing leaves no day out.
"""

from datetime import date, timedelta
from functools import lru_cache

from tradebus.calendar.expiries import nearest_expiry
from tradebus.calendar.rules import forgotten_on_install
from tradebus.calendar.sessions import is_regular_day
from tradebus.contracts.sessions import EntryDay, TradingDays

_WEEKDAYS = tuple(EntryDay)


@forgotten_on_install
@lru_cache(maxsize=4_096)
def days_to_expiry(underlying: str, day: date) -> int:
    """Days of trading from `day` to the next option expiry of an underlying: 0 on the day itself. Raises InvalidInput
    where the underlying had none yet."""
    expiry = nearest_expiry(underlying, day)
    return sum(is_regular_day(day + timedelta(days=later)) for later in range(1, (expiry - day).days + 1))


def left_out(schedule: TradingDays, day: date, *, underlying: str) -> str | None:
    """Why nothing is entered on a day, for people; None where the schedule leaves it in. Raises InvalidInput as
    `days_to_expiry`."""
    if schedule.first_day is not None and day.isoformat() < schedule.first_day:
        return f"it begins on {schedule.first_day}"
    if schedule.last_day is not None and day.isoformat() > schedule.last_day:
        return f"its last day was {schedule.last_day}"
    if schedule.days is not None and (day.weekday() >= len(_WEEKDAYS) or _WEEKDAYS[day.weekday()] not in schedule.days):
        return f"{day:%a} is not one of {', '.join(schedule.days)}"
    wanted = schedule.expiry_distances
    if wanted is None:
        return None
    found = days_to_expiry(underlying, day)
    if found in wanted:
        return None
    said = " or ".join(str(one) for one in sorted(wanted))
    return f"{found} days of trading are left to the expiry of {underlying}, {said} are asked for"
