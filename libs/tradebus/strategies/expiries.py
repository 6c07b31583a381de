"""Which expiry a role means, by the dates that its contracts have.

    NEAREST, NEXT            the first and the second of the contracts that are known and live
    MONTHLY, NEXT_MONTHLY    of the month's futures; where none is known, the contracts' last in the week in which the
                             calendar has the monthly one: the exchange moves expiries within their week

Invariants (property-tested): what is found is the expiry of a contract that lives, and MONTHLY and NEXT_MONTHLY never
mean a weekly one; what cannot be had is refused with the choice that can whose date is nearest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta

from tradebus.calendar import monthly_expiry
from tradebus.contracts.instruments import Instrument
from tradebus.kernel.errors import InvalidInput
from tradebus.strategies.needs import NEAREST, NEXT, NEXT_MONTHLY, Call, Expiry, Future, Put

_WEEK = timedelta(weeks=1)


def find_expiry(
    role: Future | Call | Put, living: Iterable[date], family: Sequence[Instrument], *, day: date, asked: str
) -> date:
    """The expiry `role` means of those that contracts have and that do not lie before `day` (date.min: any day), at
    least one. `family` are all instruments of the underlying. Raises InvalidInput, beginning with `asked`, with the
    nearest that there is."""
    known = sorted(set(living))
    months = _Months(family, known[0] if day == date.min else day)
    wanted = _date_of(role.expiry, known, months)
    if wanted in known:
        return wanted
    dates = {choice: _date_of(choice, known, months) for choice in Expiry}
    there = {choice: found for choice, found in dates.items() if found in known}
    near = min(there, key=lambda choice: abs((there[choice] - (wanted or known[-1])).days))
    shown = ", ".join(map(str, known[:5]))
    why = f"no second one is known beside {shown}" if wanted is None else f"{wanted} is not among those known: {shown}"
    raise InvalidInput(
        f"{asked}: {why}; the nearest there is: {replace(role, expiry=near).name}, which expires on {there[near]}"
    )


class _Months:
    """The monthly expiries from a day on."""

    def __init__(self, family: Sequence[Instrument], day: date) -> None:
        dated = [(one.kind, one.expiry) for one in family if one.expiry is not None]
        self._futures = sorted(expiry for kind, expiry in dated if kind == "FUTURE")
        self._options = sorted(expiry for kind, expiry in dated if kind == "OPTION")
        self._underlying, self._day = family[0].underlying, day

    def expiry(self, place: int) -> date:
        """The `place`-th, from 0, that has not passed. Raises InvalidInput where the calendar has no rule for it."""
        first = self._day.replace(day=1)
        while True:
            expiry = self._of(first)
            if expiry >= self._day:
                if not place:
                    return expiry
                place -= 1
            first = (first + timedelta(days=31)).replace(day=1)

    def _of(self, first: date) -> date:
        futures = [expiry for expiry in self._futures if expiry.replace(day=1) == first]
        if futures:
            return futures[-1]
        ruled = monthly_expiry(self._underlying, year=first.year, month=first.month)
        monday = ruled - timedelta(days=ruled.weekday())
        options = [expiry for expiry in self._options if monday <= expiry < monday + _WEEK]
        return options[-1] if options else ruled


def _date_of(choice: Expiry, known: Sequence[date], months: _Months) -> date | None:
    """None where fewer are known."""
    if choice in (NEAREST, NEXT):
        return next(iter(known[choice is NEXT :]), None)
    return months.expiry(int(choice is NEXT_MONTHLY))
