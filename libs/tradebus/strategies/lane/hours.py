"""The session hours of an instrument's day, looked up once per day."""

from typing import NamedTuple

from tradebus.calendar import Listed, session_of
from tradebus.kernel.time import NANOSECONDS_PER_DAY, ist_date, ist_midnight_ns


class Hours(NamedTuple):
    open_ns: int
    close_ns: int


class SessionHours:
    """Hours of one instrument. Property: `of(t)` is the dated calendar's answer for the Indian day of `t`."""

    def __init__(self, contract: Listed) -> None:
        self._contract = contract
        self._days: dict[int, Hours | None] = {}
        self._today: tuple[int, int, Hours | None] = (0, 0, None)  # the day asked for last: [start, end), hours

    def of(self, ts_ns: int) -> Hours | None:
        """None on a day without a session."""
        start_ns, end_ns, hours = self._today
        if start_ns <= ts_ns < end_ns:
            return hours
        midnight_ns = ist_midnight_ns(ts_ns)
        if midnight_ns not in self._days:
            session = session_of(self._contract, ist_date(ts_ns))
            self._days[midnight_ns] = Hours(session.open_ns, session.close_ns) if session is not None else None
        hours = self._days[midnight_ns]
        self._today = (midnight_ns, midnight_ns + NANOSECONDS_PER_DAY, hours)
        return hours
