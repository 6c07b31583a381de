"""The session hours of an instrument's day, looked up once per day."""

from typing import NamedTuple

from tradebus.calendar import session_for
from tradebus.kernel.time import ist_date, ist_midnight_ns


class Hours(NamedTuple):
    open_ns: int
    close_ns: int


class SessionHours:
    """Hours of one market class. Property: `of(t)` is the dated calendar's answer for the Indian day of `t`."""

    def __init__(self, market_class: str) -> None:
        self._market_class = market_class
        self._days: dict[int, Hours | None] = {}

    def of(self, ts_ns: int) -> Hours | None:
        """None on a day without a session."""
        midnight_ns = ist_midnight_ns(ts_ns)
        try:
            return self._days[midnight_ns]
        except KeyError:
            session = session_for(ist_date(ts_ns), self._market_class)
            hours = Hours(session.open_ns, session.close_ns) if session is not None else None
            self._days[midnight_ns] = hours
            return hours
