"""When the market trades: sessions, trading days, holidays (SPEC 4).

Everything that depends on the time of day (square-off, entry guards, expected bar counts, staleness alarms, order
legality, backtests) reads this one clock. Sources of the rules are in `rules`; dates before a rule raise InvalidInput.

Invariants, property-tested: windows ascend and do not overlap; open <= entry start < entry end < square-off < close;
bars are aligned to the session's open; a day without a session is never a trading day.

From 2026-08-03 a cash stock with F&O stops continuous trading at 15:15 and F&O goes on to 15:40. The index class is
the value computed from such stocks, so it follows the cash market: its default times are then the earlier ones.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from tradebus.calendar.rules import HOLIDAYS, HOURS, SPECIAL_SESSIONS, HoursRule, MarketClass, in_force
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_to_ns

_MINUTE_NS = 60 * NANOSECONDS_PER_SECOND
_SEARCH_DAYS = 30  # longer than any closure of the exchange
_HOURS_BY_CLASS: dict[MarketClass, tuple[HoursRule, ...]] = {
    market_class: tuple(rule for rule in HOURS.hours if rule.market_class is market_class)
    for market_class in MarketClass
}


@dataclass(frozen=True, slots=True)
class TradingSession:
    """One day's continuous trading of one market class. Instants in nanoseconds since the epoch, ends exclusive."""

    day: date
    market_class: MarketClass
    label: str
    windows: tuple[tuple[int, int], ...]
    entry_start_ns: int
    entry_end_ns: int  # no new position from here on
    square_off_ns: int  # the default last moment to be flat

    @property
    def open_ns(self) -> int:
        return self.windows[0][0]

    @property
    def close_ns(self) -> int:
        """The end of continuous trading, exclusive."""
        return self.windows[-1][1]

    def contains(self, ts_ns: int) -> bool:
        """Whether the market trades continuously at the instant (false in the break of a two-window session)."""
        return any(start <= ts_ns < end for start, end in self.windows)

    def accepts_entries(self, ts_ns: int) -> bool:
        """Whether a new position may be opened at the instant by the default time guards."""
        return self.contains(ts_ns) and self.entry_start_ns <= ts_ns < self.entry_end_ns

    def expected_bars(self, timeframe_seconds: int) -> int:
        """How many bars, aligned to the open, have trading time in them. A day bar counts as one."""
        width_ns = timeframe_seconds * NANOSECONDS_PER_SECOND
        count, last = 0, -1
        for start, end in self.windows:
            first = max((start - self.open_ns) // width_ns, last + 1)
            last = (end - 1 - self.open_ns) // width_ns
            count += last - first + 1
        return count


def market_class_of(name: str) -> MarketClass:
    """The class by its name. Raises InvalidInput with the nearest valid one."""
    try:
        return MarketClass(name)
    except ValueError as error:
        valid = [item.value for item in MarketClass]
        raise InvalidInput(f"market_class: {name!r} is not one of {', '.join(valid)}{nearest(name, valid)}") from error


@lru_cache(maxsize=8192)
def session_for(day: date, market_class: str) -> TradingSession | None:
    """The session of `day`, None where it is closed. Raises InvalidInput for an unknown class and before 2000."""
    which = market_class_of(market_class)
    special = SPECIAL_SESSIONS.get(day)
    if special is None and not is_settlement_day(day):
        return None
    rule = in_force(_HOURS_BY_CLASS[which], day, what=f"trading hours of {which}")
    ordinary = ((rule.open, rule.close),)
    spans = special.windows if special and special.windows else ordinary
    windows = tuple((ist_to_ns(day, start), ist_to_ns(day, end)) for start, end in spans)
    full_ns = ist_to_ns(day, rule.close) - ist_to_ns(day, rule.open)
    open_for_ns = min(full_ns, sum(end - start for start, end in windows))
    return TradingSession(
        day=day,
        market_class=which,
        label=special.label if special else "regular",
        windows=windows,
        entry_start_ns=windows[0][0],
        entry_end_ns=windows[-1][1] - _margin_ns(HOURS.last_entry_minutes_before_close, open_for_ns, full_ns),
        square_off_ns=windows[-1][1] - _margin_ns(HOURS.square_off_minutes_before_close, open_for_ns, full_ns),
    )


def _margin_ns(minutes: int, open_for_ns: int, full_ns: int) -> int:
    """`minutes` of a full session, shrunk in proportion and rounded up to whole minutes."""
    return -(-minutes * open_for_ns // full_ns) * _MINUTE_NS


def is_settlement_day(day: date) -> bool:
    """Whether the exchange holds an ordinary weekday session. Contracts expire only on such days."""
    return day.weekday() < 5 and day not in HOLIDAYS


def is_trading_day(day: date) -> bool:
    """Whether there is any session, special ones (Muhurat, week-end sessions) included."""
    return day in SPECIAL_SESSIONS or is_settlement_day(day)


def holidays_known(year: int) -> bool:
    """Whether the year's holiday list is complete. Otherwise weekdays count as open, but for what is listed."""
    return HOURS.holidays_complete.first_year <= year <= HOURS.holidays_complete.last_year


def holiday_label(day: date) -> str | None:
    """Why the ordinary session of `day` does not take place, None where that is not known."""
    holiday = HOLIDAYS.get(day)
    return holiday.label if holiday else None


def next_trading_day(day: date) -> date:
    """The first trading day after `day`."""
    return _step(day, 1)


def previous_trading_day(day: date) -> date:
    """The last trading day before `day`."""
    return _step(day, -1)


def _step(day: date, days: int) -> date:
    for count in range(1, _SEARCH_DAYS + 1):
        candidate = day + timedelta(days=days * count)
        if is_trading_day(candidate):
            return candidate
    raise AssertionError(f"no trading day within {_SEARCH_DAYS} days of {day}")
