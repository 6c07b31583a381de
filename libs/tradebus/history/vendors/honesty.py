"""What a history says that no market did, found before anything is traded.

Refused, since it makes every row wrong and one option mends it: times read in the wrong zone, bars stamped at their end
read as their start. Named and traded all the same, since it makes some rows wrong, or the market may have done it: a
move within a day that no exchange lets happen, a jump over night like that of a split, days without a row, a hole in a
day.
"""

from collections.abc import Iterator
from datetime import date

import numpy as np

from tradebus.calendar import holidays_known, is_regular_day
from tradebus.history.columns import MINUTE_NS, Columns, Floats, Mask
from tradebus.history.hours import Ints, date_of_day, day_numbers, days_held, sessions_of
from tradebus.history.vendors.reading import FileReading
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import IST_OFFSET_NS, ist_datetime
from tradebus.symbols.descriptions import describe

# An index halts at 20 %, a share's band is 20 % wide: what moves further between two rows of a day is no price. An
# option may do so. Over night 28 % is the smallest step a usual split or bonus makes (3 for 2 makes 33 %).
MOVE_RATIO_MAX = 1.4
SPLIT_RATIO_MIN = 1.28
_LINES_MAX = 10
HOLE_NS = 5 * MINUTE_NS
_SPLITS = ((3, 2), (2, 1), (5, 2), (3, 1), (4, 1), (5, 1), (10, 1), (20, 1))
_SPLIT_TOLERANCE = 0.06  # of a day's own movement beside the split


def require_right_times(columns: Columns, inside: Mask, reading: FileReading, *, source: str) -> None:
    """Raises InvalidInput where other times than those read would make a trading day of the rows. `inside`: whether
    each row lies in a session; where all do, there is nothing to look for."""
    if inside.all():
        return
    for code, name in enumerate(columns.names):
        mine = np.flatnonzero(columns.symbol == code)
        ts_ns, outside_ns = columns.ts_ns[mine], columns.ts_ns[mine[~inside[mine]]]
        if not reading.timezone and len(outside_ns) * 2 > len(ts_ns):
            _require_zone(ts_ns, len(ts_ns) - len(outside_ns), name, is_ticks=columns.is_ticks, source=source)
        if not reading.stamps and not columns.is_ticks and len(outside_ns):
            _require_starts(ts_ns, outside_ns, name, source=source)


def _require_zone(ts_ns: Ints, inside: int, name: str, *, is_ticks: bool, source: str) -> None:
    later_ns = ts_ns + IST_OFFSET_NS
    sessions = sessions_of(days_held(day_numbers(later_ns)).tolist(), describe(name))
    as_utc = int(sessions.contains(later_ns, length_ns=1 if is_ticks else MINUTE_NS).sum())
    if as_utc > inside * 2:
        raise InvalidInput(
            f"{source}: only {inside:,} of {len(ts_ns):,} rows of {name} lie in a trading session, and {as_utc:,} "
            "would if their times were 5:30 hours later, as times of UTC read as Indian time are: say --timezone UTC "
            "(or IST if they are Indian time)"
        )


def _require_starts(ts_ns: Ints, outside_ns: Ints, name: str, *, source: str) -> None:
    """A day of ends has no bar at the open and one at the close, which is outside."""
    sessions = sessions_of(days_held(day_numbers(outside_ns)).tolist(), describe(name)).by_day.values()
    opens = np.asarray([session.open_ns for session in sessions], np.int64)
    closes = np.asarray([session.close_ns for session in sessions], np.int64)
    at = np.searchsorted(ts_ns, opens)  # they ascend
    begins = (at < len(ts_ns)) & (ts_ns[np.minimum(at, len(ts_ns) - 1)] == opens)
    of_ends = int((np.isin(closes, outside_ns) & ~begins).sum())
    days = 1 + np.count_nonzero(np.diff(day_numbers(ts_ns)))
    if of_ends * 2 > days:
        raise InvalidInput(
            f"{source}: on {of_ends:,} of {days:,} days {name} has no bar at the open and one at the close, as bars "
            "stamped at their end have: say --stamps end (or start if they are starts)"
        )


def doubts_of(columns: Columns) -> tuple[str, ...]:
    """Lines about what no market did; `columns` hold rows in session only."""
    lines: list[str] = []
    for name, mine in _of_each(columns):
        if describe(name).kind != "OPTION":
            moved = _impossible(mine)
            lines.extend(_moves(name, mine, moved))
            lines.extend(_splits(name, mine, days_held(day_numbers(mine.ts_ns[moved]))))
            lines.extend(_missing_days(name, mine))
        lines.extend(_holes(name, mine))
    if len(lines) > _LINES_MAX:
        more = f"{len(lines) - _LINES_MAX:,} more such lines: name symbols with --symbol to see theirs"
        lines[_LINES_MAX:] = [more]
    return tuple(lines)


def _impossible(mine: Columns) -> Ints:
    """The indices of rows that moved within their day as no exchange lets a price do."""
    first, last = _ends(mine)
    since = np.ones(len(mine))
    since[1:] = np.where(np.diff(day_numbers(mine.ts_ns)) == 0, first[1:] / last[:-1], 1.0)
    inside = last / first
    bad = (np.maximum(since, inside) > MOVE_RATIO_MAX) | (np.minimum(since, inside) < 1 / MOVE_RATIO_MAX)
    return np.flatnonzero(bad)


def _moves(name: str, mine: Columns, moved: Ints) -> Iterator[str]:
    if len(moved):
        at = int(moved[0])
        first, last = _ends(mine)
        before = last[at - 1] if at and not np.diff(day_numbers(mine.ts_ns[at - 1 : at + 1])).any() else first[at]
        when = ist_datetime(int(mine.ts_ns[at])).strftime("%Y-%m-%d %H:%M:%S")
        more = f"; {len(moved) - 1:,} more such row{'s' if len(moved) > 2 else ''}" if len(moved) > 1 else ""
        yield (
            f"{name} moves {last[at] / before - 1:+,.0%} in {mine.place(at)} ({when} IST){more}: no exchange lets a "
            "price do so, and what trades over it is no result: correct the rows, or leave the day out"
        )


def _splits(name: str, mine: Columns, doubted: Ints) -> Iterator[str]:
    """Jumps over night, but for those into and out of a day whose own prices are `doubted`."""
    first, last = _ends(mine)
    days = day_numbers(mine.ts_ns)
    over_night = (np.diff(days) > 0) & ~np.isin(days[1:], doubted) & ~np.isin(days[:-1], doubted)
    ratio = np.where(over_night, last[:-1] / first[1:], 1.0)
    bad = np.flatnonzero((ratio > SPLIT_RATIO_MIN) | (ratio < 1 / SPLIT_RATIO_MIN))
    if len(bad):
        at = int(bad[0])
        day = ist_datetime(int(mine.ts_ns[at + 1])).date()
        more = f" (and on {len(bad) - 1} more days)" if len(bad) > 1 else ""
        like = next((f"{n}:{m}" for n, m in _SPLITS if abs(ratio[at] * m / n - 1) < _SPLIT_TOLERANCE), "")
        what = f"like an unadjusted split or bonus of {like}" if like else "which may be a split or bonus"
        yield (
            f"{name} opens {first[at + 1] / last[at] - 1:+.0%} on {day}{more}, {what}: give adjusted prices, or end "
            "the run the day before with --to"
        )


def _holes(name: str, mine: Columns) -> Iterator[str]:
    length_ns = 0 if mine.is_ticks else MINUTE_NS
    ends = mine.ts_ns + length_ns
    missing_ns = mine.ts_ns[1:] - ends[:-1]
    sessions = sessions_of(days_held(day_numbers(mine.ts_ns)).tolist(), describe(name))
    # The pause of a day of two windows is no hole.
    hole = (missing_ns > HOLE_NS) & sessions.contains(ends[:-1], length_ns=1)
    hole &= np.diff(day_numbers(mine.ts_ns)) == 0
    where = np.flatnonzero(hole)
    if len(where):
        longest = int(where[missing_ns[where].argmax()])
        since = ist_datetime(int(ends[longest])).strftime("%Y-%m-%d %H:%M")
        count, minutes = len(where), int(missing_ns[where].sum()) // MINUTE_NS
        yield (
            f"{name} has {count:,} hole{'s' if count > 1 else ''} of more than 5 minutes inside a day, {minutes:,} "
            f"minutes in all, the longest of {int(missing_ns[longest]) // MINUTE_NS:,} from {since} IST: nothing "
            "trades or stops out in a hole; fill it, or leave such days out with --from and --to"
        )


def _missing_days(name: str, mine: Columns) -> Iterator[str]:
    """Ordinary trading days without a row, in years whose holidays are known. An option need not trade every day."""
    days = day_numbers(mine.ts_ns)
    gaps = np.flatnonzero(np.diff(days) > 1)
    missing = [
        [day for day in map(date_of_day, range(int(days[at]) + 1, int(days[at + 1]))) if _must_trade(day)]
        for at in gaps
    ]
    count = sum(map(len, missing))
    if count:
        longest = max(range(len(missing)), key=lambda gap: len(missing[gap]))
        first, last, at = missing[longest][0], missing[longest][-1], int(gaps[longest])
        span = f"the longest gap of {len(missing[longest]):,} from {first} to {last}"
        where = f", {span}" if first != last else f", {'the first ' if count > 1 else ''}{first}"
        files = [mine.origins[mine.origin[row]] for row in (at, at + 1)] if mine.origin is not None else []
        between = f" (between {' and '.join(files)})" if len(set(files)) > 1 else ""
        yield (
            f"{name} has no row on {count:,} trading day{'s' if count > 1 else ''} between its first and its last"
            f"{where}{between}: nothing trades then; add them if there are any"
        )


def _must_trade(day: date) -> bool:
    return holidays_known(day.year) and is_regular_day(day)


def _of_each(columns: Columns) -> Iterator[tuple[str, Columns]]:
    for code, name in enumerate(columns.names):
        mine = columns if len(columns.names) == 1 else columns.where(columns.symbol == code)
        if len(mine) > 1:
            yield name, mine


def _ends(columns: Columns) -> tuple[Floats, Floats]:
    """Each row's first and last price."""
    values = columns.values
    return (values["price"], values["price"]) if columns.is_ticks else (values["open"], values["close"])
