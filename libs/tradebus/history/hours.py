"""Which rows of a feed lie in continuous trading, by the dated calendar.

Invariants (property-tested): a row is inside exactly if the session of its day and market class holds it (a bar: all of
its minute); a closed day holds nothing. A year whose holidays the calendar does not know counts weekdays as open.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from tradebus.calendar import Listed, TradingSession, session_of
from tradebus.kernel.time import IST_OFFSET_NS, NANOSECONDS_PER_DAY

Ints = npt.NDArray[np.int64]
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class TradingSessions:
    """The sessions of some days of one instrument, ascending; days without one are left out."""

    by_day: Mapping[int, TradingSession]  # day: days since 1970-01-01, Indian calendar

    def contains(self, ts_ns: Ints, *, length_ns: int) -> npt.NDArray[np.bool_]:
        """Shape [rows]: whether [ts, ts + length) lies inside one window of continuous trading."""
        windows = [window for session in self.by_day.values() for window in session.windows]
        if not windows:
            return np.zeros(len(ts_ns), bool)
        starts, ends = np.asarray(windows, np.int64).T
        at = starts.searchsorted(ts_ns, side="right") - 1
        return np.asarray((at >= 0) & (ts_ns + length_ns <= ends[at]), bool)

    def bounds(self, ts_ns: Ints) -> tuple[Ints, Ints]:
        """Shape [rows] each: open and close of the session of each row's day. Raises KeyError for a closed day."""
        days, index = np.unique(day_numbers(ts_ns), return_inverse=True)
        sessions = [self.by_day[int(day)] for day in days]
        opens = np.asarray([session.open_ns for session in sessions], np.int64)
        closes = np.asarray([session.close_ns for session in sessions], np.int64)
        return opens[index], closes[index]


def day_numbers(ts_ns: Ints) -> Ints:
    """Shape [rows]: the Indian calendar day of each instant, as days since 1970-01-01."""
    return (ts_ns + IST_OFFSET_NS) // NANOSECONDS_PER_DAY


def days_held(days: Ints) -> Ints:
    """Every day number once, ascending. Of rows in time order, runs of one day cost next to nothing."""
    return np.unique(days[np.diff(days, prepend=days[:1] - 1) != 0])


def date_of_day(number: int) -> date:
    """The date of a day number."""
    return _EPOCH + timedelta(days=number)


def sessions_of(days: Iterable[int], listed: Listed) -> TradingSessions:
    """The sessions of an instrument on these day numbers: none after its last day. Raises InvalidInput for days before
    any rule of the calendar."""
    found = ((day, session_of(listed, date_of_day(day))) for day in sorted(set(days)))
    return TradingSessions({day: session for day, session in found if session is not None})
