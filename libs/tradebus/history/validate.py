"""Judges a history file before anything is started."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from tradebus.history.columns import MINUTE_NS, Columns, minutes_held
from tradebus.history.history_file import FIRST_DAY, LAST_DAY
from tradebus.history.hours import day_numbers, days_held, sessions_of
from tradebus.history.loading import LoadedHistory, Watch, load_history
from tradebus.history.vendors.honesty import doubts_of
from tradebus.history.vendors.reading import FileReading
from tradebus.kernel.time import ist_datetime
from tradebus.symbols.descriptions import describe


@dataclass(frozen=True, slots=True)
class HistorySummary:
    """A window that can be run as it is. `rows` are one-minute bars, or ticks where `is_ticks`, inside trading
    sessions; `bars` the one-minute bars they are or make."""

    is_ticks: bool
    rows: int
    bars: int
    days: int
    dropped_outside_session: int
    strays: int  # rows of the file at no time of a market, left out; the first of them in row `first_stray`
    first_stray: int
    days_broken_off: int  # of some symbol, before its square-off
    first: str  # Indian time of the first and last row kept, ISO 8601
    last: str
    symbols: tuple[str, ...]
    without_volume: tuple[str, ...] = ()  # symbols of which no row has a volume; an index has none
    said: tuple[str, ...] = ()  # lines: what was taken for what, then what to doubt

    def __str__(self) -> str:
        """`375 bars on 1 day, 2024-01-02 to 2024-01-02; 5 rows outside trading sessions left out`."""
        days = f"{self.days:,} day{'s' if self.days != 1 else ''}, {self.first[:10]} to {self.last[:10]}"
        what = f"{self.rows:,} ticks in {self.bars:,} minutes" if self.is_ticks else f"{self.bars:,} bars"
        outside = self.dropped_outside_session
        left_out = (
            f"; {outside:,} row{'s' if outside != 1 else ''} outside trading sessions left out" if outside else ""
        )
        strays = (
            f"; {self.strays:,} row{'s' if self.strays != 1 else ''} with a ts outside {FIRST_DAY.year} to "
            f"{LAST_DAY.year} left out (the first: row {self.first_stray:,}): mend them, or remove them"
            if self.strays
            else ""
        )
        broken = self.days_broken_off
        closed = (
            f"; {broken:,} day{'s' if broken != 1 else ''} that break{'s' if broken == 1 else ''} off before the "
            "square-off: what is open then is closed at the last price"
            if broken
            else ""
        )
        return f"{what} on {days}{left_out}{strays}{closed}"


def check_history(
    path: str | Path,
    symbol: str | Sequence[str] | None,
    from_date: date | None,
    to_date: date | None,
    *,
    reading: FileReading | None = None,
    watch: Watch | None = None,
) -> HistorySummary:
    """Reads and checks the window [from_date, to_date] of one symbol, of several, or (None) of all in the file, folder
    or zip.

    Raises InvalidInput in one line naming the file, the row where there is one, and what to do.
    """
    symbols = (symbol,) if isinstance(symbol, str) else tuple(symbol or ())
    history = load_history(
        Path(path), symbols=symbols, from_date=from_date, to_date=to_date, reading=reading, watch=watch
    )
    return summary_of(history)


def summary_of(history: LoadedHistory) -> HistorySummary:
    """What was loaded, in figures."""
    ts_ns = history.columns.ts_ns
    return HistorySummary(
        is_ticks=history.columns.is_ticks,
        rows=len(ts_ns),
        bars=minutes_held(history.columns),
        days=len(days_held(day_numbers(ts_ns))),
        dropped_outside_session=history.dropped_outside_session,
        strays=history.strays,
        first_stray=history.first_stray,
        days_broken_off=_days_broken_off(history.columns),
        first=ist_datetime(int(ts_ns.min())).isoformat(),
        last=ist_datetime(int(ts_ns.max())).isoformat(),
        symbols=history.columns.names,
        without_volume=_without_volume(history.columns),
        said=(*history.said, *doubts_of(history.columns)),
    )


def _without_volume(columns: Columns) -> tuple[str, ...]:
    volumes = np.zeros(len(columns.names), np.int64)
    if "volume" in columns.values:
        np.maximum.at(volumes, columns.symbol, np.nan_to_num(columns.values["volume"]).astype(np.int64))
    return tuple(
        name for name, volume in zip(columns.names, volumes.tolist(), strict=True)
        if volume == 0 and describe(name).kind != "INDEX"
    )  # fmt: skip


def _days_broken_off(columns: Columns) -> int:
    """Days on which some symbol's rows end before its square-off."""
    broken: set[int] = set()
    for code, name in enumerate(columns.names):
        ts_ns = columns.ts_ns[columns.symbol == code]
        days = day_numbers(ts_ns)
        length_ns = 0 if columns.is_ticks else MINUTE_NS
        is_last = np.diff(days, append=days[-1:] + 1) != 0  # of its day
        sessions = sessions_of(days[is_last].tolist(), describe(name)).by_day
        for day, last_ns in zip(days[is_last].tolist(), ts_ns[is_last].tolist(), strict=True):
            if day in sessions and last_ns + length_ns <= sessions[day].square_off_ns:
                broken.add(day)
    return len(broken)
