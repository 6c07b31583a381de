"""When contracts expire (SPEC 4).

A monthly contract expires on the last named weekday of its month, a weekly one on the named weekday of its week; where
the exchange is closed then, on the regular trading day before. The week of the monthly expiry has no weekly one.

These are the rules. Where a broker's instrument master is at hand, its expiry dates win: the exchange has moved whole
months at short notice. Invariants, property-tested: an expiry is a regular trading day, expiries of consecutive months
ascend, and the front month's expiry is never before the day asked about.
"""

from datetime import date, timedelta
from functools import lru_cache

from tradebus.calendar.rules import current, forgotten_on_install, in_force
from tradebus.calendar.sessions import is_regular_day


@forgotten_on_install
@lru_cache(maxsize=4096)
def monthly_expiry(underlying: str, *, year: int, month: int) -> date:
    """The expiry of the monthly contract. Raises InvalidInput where the underlying had none yet."""
    first = date(year, month, 1)
    rules = current().monthly_expiry.get(underlying) or current().monthly_expiry["*"]
    weekday = in_force(rules, first, what=f"monthly expiry of {underlying}").weekday
    last = _month_after(first) - timedelta(days=1)
    return _regular_day_at_or_before(last - timedelta(days=(last.weekday() - weekday) % 7))


@forgotten_on_install
@lru_cache(maxsize=4096)
def front_month_expiry(underlying: str, day: date) -> date:
    """The nearest monthly expiry that is not before `day`: on expiry day the contract is still the front month."""
    month = day.replace(day=1)
    expiry = monthly_expiry(underlying, year=month.year, month=month.month)
    if expiry >= day:
        return expiry
    month = _month_after(month)
    return monthly_expiry(underlying, year=month.year, month=month.month)


def weekly_expiry(underlying: str, day: date) -> date | None:
    """The expiry, weekly or monthly, of options of the week `day` is in; None where the underlying has no weeklies."""
    rules = current().weekly_expiry.get(underlying)
    monday = day - timedelta(days=day.weekday())
    if not rules or monday < rules[0].first:
        return None
    monthly = _monthly_expiry_in_week(underlying, monday)
    if monthly is not None:
        return monthly
    weekday = in_force(rules, monday, what=f"weekly expiry of {underlying}").weekday
    return None if weekday is None else _regular_day_at_or_before(monday + timedelta(days=int(weekday)))


def nearest_expiry(underlying: str, day: date) -> date:
    """The first option expiry that is not before `day`, weekly where there is one, else the front month."""
    front = front_month_expiry(underlying, day)
    for week in range(2):
        expiry = weekly_expiry(underlying, day + timedelta(weeks=week))
        if expiry is not None and day <= expiry <= front:
            return expiry
    return front


def _monthly_expiry_in_week(underlying: str, monday: date) -> date | None:
    """The monthly expiry that falls in the week of `monday`, None where none does."""
    for day in (monday, monday + timedelta(days=6)):
        expiry = monthly_expiry(underlying, year=day.year, month=day.month)
        if monday <= expiry < monday + timedelta(weeks=1):
            return expiry
    return None


def _regular_day_at_or_before(day: date) -> date:
    while not is_regular_day(day):
        day -= timedelta(days=1)
    return day


def _month_after(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)
