"""A window of a history file, checked and cut to trading hours: all or nothing.

file ─► rows of the window ─► every rule (columns) ─► continuous trading only ─► LoadedHistory
     └► rows before it, as far as they are sound ─► warm-up
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from pathlib import Path

import numpy as np

from tradebus.history.columns import (
    MINUTE_NS,
    Columns,
    Mask,
    in_time_order,
    require_one_minute,
    require_sound,
    sound_suffix,
)
from tradebus.history.history_file import (
    FIRST_DAY,
    LAST_DAY,
    HistoryFile,
    ReadWindow,
    open_file,
    read,
)
from tradebus.history.hours import day_numbers, sessions_of
from tradebus.history.vendors.honesty import require_right_times
from tradebus.history.vendors.reading import FileReading
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date, ist_to_ns
from tradebus.symbols.descriptions import canonical, describe, require_terms

# Bars older than this say nothing about today's price level: a file with a gap of months warms nobody up.
_WARMUP_DAYS = 30


@dataclass(frozen=True, slots=True)
class LoadedHistory:
    """Sound rows inside continuous trading, in file order."""

    file: HistoryFile
    columns: Columns
    warmup: Columns
    dropped_outside_session: int
    warmup_dropped: int  # rows before the window that were left out as unsound
    strays: int = 0  # rows of the file at no time of a market, which are left out too
    first_stray: int = 0  # the row of the first of them


def load_history(
    path: Path,
    *,
    symbols: Sequence[str],
    from_date: date | None,
    to_date: date | None,
    warmup_minutes: int = 0,
    reading: FileReading | None = None,
) -> LoadedHistory:
    """The window [from_date, to_date] of `symbols` (empty: all that the file holds).

    `warmup_minutes` bounds the bars per symbol before the window, or the minutes that hold ticks. Raises InvalidInput
    in one line that names the file, and the row where there is one. `reading` overrules what would be recognised.
    """
    if from_date and to_date and to_date < from_date:
        raise InvalidInput(f"history: --to {to_date} is before --from {from_date}")
    file = open_file(path, reading)
    wanted = tuple(dict.fromkeys(canonical(symbol) for symbol in symbols))
    start_ns = ist_to_ns(max(from_date or FIRST_DAY, FIRST_DAY), time(0))
    end_ns = ist_to_ns(min(to_date or LAST_DAY, LAST_DAY) + timedelta(days=1), time(0))
    reach_ns = start_ns
    if from_date and warmup_minutes:
        reach_ns = ist_to_ns(max(from_date - timedelta(days=_WARMUP_DAYS), FIRST_DAY), time(0))
    window = read(file, symbols=wanted, from_ns=reach_ns, to_ns=end_ns)
    found = in_time_order(window.columns)
    inside = found.ts_ns >= start_ns
    columns = found.where(inside)
    _require_rows(window, columns, file, from_date=from_date, to_date=to_date)
    require_sound(columns, source=file.source)
    _require_terms(columns, file)
    if not columns.is_ticks:
        require_one_minute(columns, source=file.source)
    open_then = _is_in_session(columns)
    require_right_times(columns, open_then, reading or FileReading(), source=file.source)
    trading = columns.where(open_then)
    if not len(trading):
        raise InvalidInput(
            f"{file.source}: none of the {len(columns)} rows lies in a trading session: "
            "ts must be Indian time, a bar's start"
        )
    before = found.where(~inside)
    sound = sound_suffix(before)
    warmup = _newest(_tradable(sound), warmup_minutes)
    return LoadedHistory(
        file, trading, warmup, len(columns) - len(trading), len(before) - len(sound), window.strays, window.first_stray
    )


def in_session(columns: Columns) -> Columns:
    """The rows inside continuous trading of their symbol's market class."""
    return columns.where(_is_in_session(columns))


def _is_in_session(columns: Columns) -> Mask:
    keep = np.zeros(len(columns), bool)
    days = day_numbers(columns.ts_ns)
    for code, name in enumerate(columns.names):
        mine = columns.symbol == code
        sessions = sessions_of(np.unique(days[mine]).tolist(), describe(name))
        length_ns = 1 if columns.is_ticks else MINUTE_NS
        keep[mine] = sessions.contains(columns.ts_ns[mine], length_ns=length_ns)
    return keep


def _tradable(before: Columns) -> Columns:
    """The rows before the window that warm up: none where they reach back before the rules of what they are of."""
    try:
        return in_session(before)
    except InvalidInput:
        return before.where(np.zeros(len(before), bool))


def _require_terms(columns: Columns, file: HistoryFile) -> None:
    """Every symbol can be traded on the days it has rows of."""
    for code, name in enumerate(columns.names):
        ts_ns = columns.ts_ns[columns.symbol == code]
        try:
            require_terms(describe(name), first=ist_date(int(ts_ns.min())), last=ist_date(int(ts_ns.max())))
        except InvalidInput as error:
            raise InvalidInput(f"{file.source}: {error}") from None


def _newest(columns: Columns, count: int) -> Columns:
    """The rows of the last `count` minutes of each symbol that hold any: `count` bars, or the ticks of so many."""
    keep = np.zeros(len(columns), bool)
    if count and len(columns):
        minutes = columns.ts_ns // MINUTE_NS
        for code in range(len(columns.names)):
            mine = columns.symbol == code
            held = np.unique(minutes[mine])
            keep |= mine & (minutes >= (held[-count:][0] if len(held) else 0))
    return columns.where(keep)


def _require_rows(
    window: ReadWindow, columns: Columns, file: HistoryFile, *, from_date: date | None, to_date: date | None
) -> None:
    """Every symbol that was asked for has rows."""
    if not window.last_ns and window.strays:
        raise InvalidInput(
            f"{file.source}: row {window.first_stray}: its ts lies outside {FIRST_DAY.year} to {LAST_DAY.year}, as "
            "that of every other row: write times as 2024-01-31 09:15:00"
        )
    if not window.last_ns:
        raise InvalidInput(f"{file.source}: the file holds no row: give one with data")
    present = set(np.unique(columns.symbol).tolist())
    for code, name in enumerate(columns.names or ("it",)):
        if code not in present:
            start, end = from_date or "its beginning", to_date or "its end"
            raise InvalidInput(
                f"{file.source}: no row of {name} from {start} to {end}; the file reaches from "
                f"{ist_date(window.first_ns)} to {ist_date(window.last_ns)}: choose --from and --to inside that"
            )
