"""What a person should know about the rules before relying on them on a day: which are provisional, whose source has
not been looked at for too long, which holiday lists are missing. Health pages, `tradebus status` and preflight say it.

Invariant, property-tested: a rule that another has superseded by the day, or a day that is over, is never remarked on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from tradebus.calendar.rows import DayRow, RuleRow
from tradebus.calendar.rules import TABLES, RuleBook, current

_AHEAD = timedelta(days=60)  # rules that begin so soon are looked at too
_MAX_AGE_DAYS = 120
# Revised every month, or still open.
_MAX_AGE_DAYS_OF = {"freeze_quantity": 45, "index_future_ticks": 45}
_MAX_AGE_DAYS_PROVISIONAL = 30
_NAMED_MAX = 12  # of what one remark is about


class RemarkKind(StrEnum):
    PROVISIONAL = "provisional"  # it may still change, or one source alone says so
    STALE = "stale"  # nobody has looked at its source for too long
    MISSING = "missing"  # nothing is known


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """`about` names the rules ("hours of derivative from 2026-12-07"), `text` says all of it in one line."""

    kind: RemarkKind
    table: str
    about: str
    text: str


def review(day: date, book: RuleBook | None = None) -> list[Remark]:
    """The remarks on the rules that hold on `day` or begin within two months, those of one source together."""
    book = book or current()
    found: list[Remark] = []
    for table in TABLES:
        groups: dict[tuple[str, date, bool], list[RuleRow]] = {}
        for row in _concerned(book.tables.rows(table), day):
            groups.setdefault((row.source, row.last_checked, row.provisional), []).append(row)
        for (source, checked, provisional), rows in groups.items():
            about = _about(table, rows)
            where = f"{source}; last looked at on {checked}"
            if provisional:
                found.append(Remark(RemarkKind.PROVISIONAL, table, about, f"{about}: provisional ({where})"))
            limit = _MAX_AGE_DAYS_PROVISIONAL if provisional else _MAX_AGE_DAYS_OF.get(table, _MAX_AGE_DAYS)
            age = (day - checked).days
            if age > limit:
                text = f"{about}: not looked at for {age} days, {limit} at most ({where})"
                found.append(Remark(RemarkKind.STALE, table, about, text))
    for year in range(day.year, (day + _AHEAD).year + 1):
        known = book.holidays_complete
        if not known.first_year <= year <= known.last_year:
            about = f"holidays of {year}"
            text = f"{about}: the list is not complete, weekdays that are not in it count as open"
            found.append(Remark(RemarkKind.MISSING, "holidays", about, text))
    return sorted(found)


def _concerned(rows: Iterable[RuleRow], day: date) -> list[RuleRow]:
    """Of each key the rule in force and those that begin soon; of single days those that come soon."""
    last = day + _AHEAD
    kept: dict[object, list[RuleRow]] = {}
    for row in rows:
        if isinstance(row, DayRow):
            if day <= row.date <= last:
                kept.setdefault(row.key, []).append(row)
        elif row.begins <= day:
            kept[row.key] = [row]
        elif row.begins <= last:
            kept.setdefault(row.key, []).append(row)
    return [row for each in kept.values() for row in each]


def _about(table: str, rows: list[RuleRow]) -> str:
    name = table.replace("_", " ")
    keys = sorted({str(row.key) for row in rows if row.key is not None})
    days = sorted({row.begins for row in rows if row.begins > date.min})
    said = keys if len(keys) <= _NAMED_MAX else [*keys[:_NAMED_MAX], f"{len(keys) - _NAMED_MAX} more"]
    named = f" of {', '.join(said)}" if keys and not isinstance(rows[0], DayRow) else ""
    since = f" from {days[0]}" if len(days) == 1 else ""
    if isinstance(rows[0], DayRow):
        return f"{name} {', '.join(keys)}"
    return f"{name}{named}{since}"
