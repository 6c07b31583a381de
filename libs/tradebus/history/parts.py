"""One file's part of a history: read, held against every rule, cut to trading hours."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta

import numpy as np

from tradebus.history.columns import (
    MINUTE_NS,
    Columns,
    Mask,
    in_time_order,
    require_one_minute,
    require_sound,
)
from tradebus.history.history_file import FIRST_DAY, LAST_DAY, HistoryFile, ReadWindow, UnnamedInstrument, read
from tradebus.history.hours import day_numbers, days_held, sessions_of
from tradebus.history.sources import SourceFile, SourceFiles
from tradebus.history.vendors.honesty import require_right_times
from tradebus.history.vendors.reading import FileReading
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date, ist_to_ns
from tradebus.symbols.descriptions import describe, require_terms
from tradebus.symbols.file_names import symbols_in_file_name

# Bars older than this say nothing about today's price level: a file with a gap of months warms nobody up.
_WARMUP_DAYS = 30
_NAMED_MAX = 5  # instruments and layouts that are named


@dataclass(frozen=True, slots=True)
class WantedDays:
    """The days that are wanted, None where the file's own end is, and instants: of the first row that may warm up, of
    the window's beginning and of its end (exclusive)."""

    from_date: date | None
    to_date: date | None
    reach_ns: int
    start_ns: int
    end_ns: int

    @classmethod
    def of(cls, from_date: date | None, to_date: date | None, *, warms_up: bool) -> "WantedDays":
        """Raises InvalidInput where it ends before it begins."""
        if from_date and to_date and to_date < from_date:
            raise InvalidInput(f"history: --to {to_date} is before --from {from_date}")
        start_ns = ist_to_ns(max(from_date or FIRST_DAY, FIRST_DAY), time(0))
        end_ns = ist_to_ns(min(to_date or LAST_DAY, LAST_DAY) + timedelta(days=1), time(0))
        reach_ns = start_ns
        if from_date and warms_up:
            reach_ns = ist_to_ns(max(from_date - timedelta(days=_WARMUP_DAYS), FIRST_DAY), time(0))
        return cls(from_date, to_date, reach_ns, start_ns, end_ns)


@dataclass(frozen=True, slots=True)
class About:
    """Which instrument a file is of that does not say it itself, and in words how that is known ("": the trader says
    so, and nothing else)."""

    symbol: str
    known_by: str


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one file in time order: in the window and inside trading hours, and before the window as they are."""

    file: HistoryFile
    window: ReadWindow
    trading: Columns
    before: Columns
    dropped_outside_session: int
    about: About | None = None


def about_of(source: SourceFile, wanted: Sequence[str], *, is_one: bool) -> About:
    """Of a file without a column of symbols: what its name says, or the nearest folder's; what the trader says where it
    is one and no name says another, or where it `is_one` file. Raises UnnamedInstrument where nothing says it, and
    where a name says several."""
    named = next(filter(None, map(symbols_in_file_name, source.stems)), ())
    if len(wanted) == 1 and (is_one or len(named) != 1 or named == tuple(wanted)):
        other = f"as said, though its name says {named[0]}" if len(named) == 1 and named[0] != wanted[0] else ""
        return About(wanted[0], other)
    if len(named) == 1:
        return About(named[0], "by the file's name; another: --symbol")
    why = f"may mean {' or '.join(named)}" if named else "says no instrument that is known"
    raise UnnamedInstrument(f"{source}: it has no column 'symbol', and its name {why}: say one with --symbol")


def read_part(
    file: HistoryFile, *, symbols: Sequence[str], span: WantedDays, reading: FileReading, is_one_of_several: bool,
    about: About | None = None,
) -> Part:  # fmt: skip
    """Raises InvalidInput in one line that names the file, and the row where there is one."""
    window = read(
        file, symbols=symbols, from_ns=span.reach_ns, to_ns=span.end_ns, is_one_of_several=is_one_of_several
    )  # fmt: skip
    found = in_time_order(window.columns)
    inside = found.ts_ns >= span.start_ns
    columns = found.where(inside)
    if not is_one_of_several:
        require_rows([(file.source, window)], columns, span)
    require_sound(columns, source=file.source)
    _require_terms(columns, file)
    if not columns.is_ticks:
        require_one_minute(columns, source=file.source)
    open_then = is_in_session(columns)
    require_right_times(columns, open_then, reading, source=file.source)
    trading = columns.where(open_then)
    return Part(file, window, trading, found.where(~inside), len(columns) - len(trading), about)


def said_of(parts: Sequence[Part], sources: SourceFiles) -> tuple[str, ...]:
    """In lines for a person: what was taken for what, by files that are alike."""
    if sources.is_one:
        only = parts[0]
        about = only.about
        named = f", symbol = {about.symbol} ({about.known_by})" if about is not None and about.known_by else ""
        return (f"{only.file.said[0]}{named}", *only.file.said[1:])
    alike: dict[tuple[str, ...], list[Part]] = {}
    for part in parts:
        alike.setdefault(part.file.said, []).append(part)
    by_name = Counter(part.about.symbol for part in parts if part.about is not None)
    several = [f"{name} in {count:,}" for name, count in by_name.most_common(_NAMED_MAX)]
    more = [f"{len(by_name) - _NAMED_MAX:,} more instruments"] if len(by_name) > _NAMED_MAX else []
    named = f"; by their names, or as said: {', '.join([*several, *more])}" if by_name else ""
    lines = [f"files: {len(parts):,} read{named}"]
    for said, group in list(alike.items())[:_NAMED_MAX]:
        count = f"{len(group):,} files, as {group[0].file.of.short}" if len(group) > 1 else group[0].file.of.short
        lines.extend((f"in {count}: {said[0]}", *said[1:]))
    if len(alike) > _NAMED_MAX:
        lines.append(f"and {len(alike) - _NAMED_MAX:,} more layouts: name a file alone to see its own")
    return tuple(lines)


def is_in_session(columns: Columns) -> Mask:
    """Shape [rows]: whether a row lies inside continuous trading of its symbol's market class."""
    keep = np.zeros(len(columns), bool)
    days = day_numbers(columns.ts_ns)
    for code, name in enumerate(columns.names):
        mine = columns.symbol == code
        sessions = sessions_of(days_held(days[mine]).tolist(), describe(name))
        length_ns = 1 if columns.is_ticks else MINUTE_NS
        keep[mine] = sessions.contains(columns.ts_ns[mine], length_ns=length_ns)
    return keep


def require_rows(windows: Sequence[tuple[str, ReadWindow]], columns: Columns, span: WantedDays) -> None:
    """Every symbol that was asked for has rows in the window. `windows`: of each file by what to call it. Raises
    InvalidInput."""
    source = windows[0][0]
    reached = [window for _, window in windows if window.last_ns]
    stray = next(((name, window) for name, window in windows if window.strays), None)
    if not reached and stray:
        raise InvalidInput(
            f"{stray[0]}: row {stray[1].first_stray}: its ts lies outside {FIRST_DAY.year} to {LAST_DAY.year}, as "
            "that of every other row: write times as 2024-01-31 09:15:00"
        )
    if not reached:
        raise InvalidInput(f"{source}: the file holds no row: give one with data")
    present = set(np.unique(columns.symbol).tolist())
    for code, name in enumerate(columns.names or ("it",)):
        if code not in present:
            start, end = span.from_date or "its beginning", span.to_date or "its end"
            first, last = min(one.first_ns for one in reached), max(one.last_ns for one in reached)
            raise InvalidInput(
                f"{source}: no row of {name} from {start} to {end}; the file reaches from "
                f"{ist_date(first)} to {ist_date(last)}: choose --from and --to inside that"
            )


def _require_terms(columns: Columns, file: HistoryFile) -> None:
    """Every symbol can be traded on the days it has rows of."""
    for code, name in enumerate(columns.names):
        ts_ns = columns.ts_ns[columns.symbol == code]
        if not len(ts_ns):
            continue
        try:
            require_terms(describe(name), first=ist_date(int(ts_ns.min())), last=ist_date(int(ts_ns.max())))
        except InvalidInput as error:
            raise InvalidInput(f"{file.source}: {error}") from None
