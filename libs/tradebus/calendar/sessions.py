"""When the market trades: sessions, their phases, trading days, holidays (SPEC 4).

Everything that depends on the time of day (square-off, entry guards, expected bar counts, staleness alarms, order
legality, backtests) reads this one clock. Sources of the rules are in their rows; dates before one raise InvalidInput.
What is about one contract asks `terms.session_of`: an expiring one may close before its class.

    pre_open ─► pre_open_limit ─► matching ─► CONTINUOUS ─► auction_reference ─► auction ─► auction_limit ─► matching
                                                                                  ─► post_close

Invariants, property-tested: windows ascend and do not overlap; open <= entry start < entry end < square-off < close;
phases ascend and none overlaps continuous trading; bars are aligned to the session's open; a day without a session is
never a trading day.

The index class is the value computed from cash stocks with F&O, so it follows their hours.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from tradebus.calendar.rows import HoursRow, Market, MarketClass, Phase, PhaseSpan
from tradebus.calendar.rules import RuleBook, begun, current, forgotten_on_install, in_force
from tradebus.contracts.orders import OrderType
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_to_ns

_MINUTE_NS = 60 * NANOSECONDS_PER_SECOND
_SEARCH_DAYS = 30  # longer than any closure of the exchange


@dataclass(frozen=True, slots=True)
class PhaseWindow:
    """A phase outside continuous trading, half-open, and the order types that are accepted in it."""

    phase: Phase
    start_ns: int
    end_ns: int
    order_types: frozenset[OrderType]


@dataclass(frozen=True, slots=True)
class TradingSession:
    """One day's trading of one market class or contract. Instants in nanoseconds since the epoch, ends exclusive."""

    day: date
    market_class: MarketClass
    label: str
    windows: tuple[tuple[int, int], ...]  # of continuous trading
    entry_start_ns: int
    entry_end_ns: int  # no new position from here on
    square_off_ns: int  # the default last moment to be flat
    phases: tuple[PhaseWindow, ...] = ()  # pre-open, closing auction and post-close, where there are any
    auction_band_pct: float | None = None  # of the closing auction's prices around its reference; None without one
    carries_limit_orders: bool = False  # what rests when continuous trading ends goes on in the auction

    @property
    def open_ns(self) -> int:
        return self.windows[0][0]

    @property
    def close_ns(self) -> int:
        """The end of continuous trading, exclusive."""
        return self.windows[-1][1]

    @property
    def brokers_square_off_ns(self) -> int:
        """When brokers close their clients' intraday positions themselves: ten minutes before the close of a full
        session, in proportion in a shorter one (support.zerodha.com: 15:20 and, of derivatives, 15:25;
        knowledge.dhan.co: 15:20; both of a close at 15:30)."""
        return self.square_off_ns + (self.close_ns - self.square_off_ns) // 3

    @property
    def end_ns(self) -> int:
        """The end of what orders are for: of the closing auction where there is one. The post-close comes after it."""
        return max([self.close_ns, *(one.end_ns for one in self.phases if one.phase is not Phase.POST_CLOSE)])

    @property
    def stops_cancelled_ns(self) -> int | None:
        """The instant at which the exchange itself cancels stops that have not triggered, None where it does not."""
        return self.close_ns if self.auction_band_pct is not None else None

    def contains(self, ts_ns: int) -> bool:
        """Whether the market trades continuously at the instant (false in the break of a two-window session)."""
        return any(start <= ts_ns < end for start, end in self.windows)

    def phase_at(self, ts_ns: int) -> Phase | None:
        """None before the first phase, after the last and in a break."""
        if self.contains(ts_ns):
            return Phase.CONTINUOUS
        window = self.window_at(ts_ns)
        return window.phase if window is not None else None

    def window_at(self, ts_ns: int) -> PhaseWindow | None:
        """The phase outside continuous trading that holds the instant."""
        return next((one for one in self.phases if one.start_ns <= ts_ns < one.end_ns), None)

    def expected_bars(self, timeframe_seconds: int) -> int:
        """How many bars, aligned to the open, have continuous trading in them. A day bar counts as one."""
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


@forgotten_on_install
@lru_cache(maxsize=16_384)
def session_for(
    day: date, market_class: str, *, expiring: Market | None = None, near_future: bool = False
) -> TradingSession | None:
    """The session of `day`, None where it is closed. Raises InvalidInput for an unknown class and before 2000.

    Of a contract (`terms.session_of` says which): `expiring` is the market of one whose last day it is, `near_future`
    whether it is a future that has a pre-open.
    """
    which, book = market_class_of(market_class), current()
    special = book.special_sessions.get(day)
    if special is None and not is_regular_day(day):
        return None
    rule = in_force(book.hours[which], day, what=f"trading hours of {which}")
    windows = _windows(book, day, rule, expiring)
    full_ns = ist_to_ns(day, rule.close) - ist_to_ns(day, rule.open)
    open_for_ns = min(full_ns, sum(end - start for start, end in windows))
    auction = begun(book.closing_auction.get(which, ()), day)
    if auction is not None and special is not None and special.windows and not auction.special_sessions:
        auction = None
    return TradingSession(
        day=day,
        market_class=which,
        label=special.label if special else "regular",
        windows=windows,
        entry_start_ns=windows[0][0],
        entry_end_ns=windows[-1][1] - _margin_ns(book.last_entry_minutes, open_for_ns, full_ns),
        square_off_ns=windows[-1][1] - _margin_ns(book.square_off_minutes, open_for_ns, full_ns),
        phases=(
            *_pre_open(book, day, which, windows[0][0], near_future=near_future),
            *_spans(auction.phases if auction else (), windows[-1][1]),
            *_post_close(book, day, which),
        ),
        auction_band_pct=auction.band_pct if auction else None,
        carries_limit_orders=auction is not None and auction.carries_limit_orders,
    )


def _windows(book: RuleBook, day: date, rule: HoursRow, expiring: Market | None) -> tuple[tuple[int, int], ...]:
    """Of continuous trading. A special session's are the cash market's: other classes close as much later as they do
    then, and an expiring contract that closes early does so with the cash market."""
    special = book.special_sessions.get(day)
    early = begun(book.expiring_hours.get(expiring, ()), day) if expiring is not None else None
    if special is None or not special.windows:
        close = rule.close if early is None else min(rule.close, early.close)
        return ((ist_to_ns(day, rule.open), ist_to_ns(day, close)),)
    *whole, (start, end) = ((ist_to_ns(day, start), ist_to_ns(day, end)) for start, end in special.windows)
    later_ns = rule.special_close_after_minutes * _MINUTE_NS if early is None else 0
    return (*whole, (start, end + later_ns))


def _pre_open(
    book: RuleBook, day: date, which: MarketClass, open_ns: int, *, near_future: bool
) -> tuple[PhaseWindow, ...]:
    rule = begun(book.pre_open.get(which, ()), day)
    special = book.special_sessions.get(day)
    if rule is None or (rule.futures_only and not near_future):
        return ()
    if special is not None and special.windows and not rule.special_sessions:
        return ()
    return _spans(rule.phases, open_ns)


def _post_close(book: RuleBook, day: date, which: MarketClass) -> tuple[PhaseWindow, ...]:
    rule, special = begun(book.post_close.get(which, ()), day), book.special_sessions.get(day)
    if rule is None or (special is not None and special.windows):
        return ()
    return (PhaseWindow(Phase.POST_CLOSE, ist_to_ns(day, rule.start), ist_to_ns(day, rule.end), frozenset()),)


def _spans(spans: tuple[PhaseSpan, ...], anchor_ns: int) -> tuple[PhaseWindow, ...]:
    return tuple(
        PhaseWindow(
            span.phase, anchor_ns + span.start_minute * _MINUTE_NS, anchor_ns + span.end_minute * _MINUTE_NS,
            span.order_types,
        )
        for span in spans
    )  # fmt: skip


def _margin_ns(minutes: int, open_for_ns: int, full_ns: int) -> int:
    """`minutes` of a full session, shrunk in proportion and rounded up to whole minutes."""
    return -(-minutes * open_for_ns // full_ns) * _MINUTE_NS


def stops_cancelled_ns(day: date, market_class: str) -> int | None:
    """The instant at which the exchange itself cancels untriggered stops, None where it does not that day."""
    session = session_for(day, market_class)
    return session.stops_cancelled_ns if session is not None else None


def is_regular_day(day: date) -> bool:
    """Whether the exchange holds an ordinary weekday session. Contracts expire only on such days."""
    return day.weekday() < 5 and day not in current().holidays


def is_settlement_day(day: date) -> bool:
    """Whether trades settle on the day: special sessions and clearing holidays trade and do not."""
    return is_regular_day(day) and day not in current().settlement_holidays


def settlement_day(day: date, *, after_days: int = 1) -> date:
    """When a trade of `day` settles: `after_days` settlement days later."""
    for _ in range(after_days):
        day += timedelta(days=1)
        while not is_settlement_day(day):
            day += timedelta(days=1)
    return day


def is_trading_day(day: date) -> bool:
    """Whether there is any session, special ones (Muhurat, week-end sessions) included."""
    return day in current().special_sessions or is_regular_day(day)


def holidays_known(year: int) -> bool:
    """Whether the year's holiday list is complete. Otherwise weekdays count as open, but for what is listed."""
    known = current().holidays_complete
    return known.first_year <= year <= known.last_year


def holiday_label(day: date) -> str | None:
    """Why the ordinary session of `day` does not take place, None where that is not known."""
    holiday = current().holidays.get(day)
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
    raise InvalidInput(f"no trading day within {_SEARCH_DAYS} days of {day}: the holiday list closes them all")
