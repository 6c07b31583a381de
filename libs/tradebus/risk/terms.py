"""What is fixed while a session runs: its limits in the units the rules compare, and the day's trading hours.

Invariant, property-tested: a threshold never lets more be lost or bound than the limit says (money rounds down).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, time
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import Protocol

from tradebus.calendar import Listed, TradingSession, session_of
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.sessions import RiskLimits, ScopeLimits, SessionSpec, Sizing, SizingMode, TradingDays
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date, ist_to_ns
from tradebus.risk.state import RiskState
from tradebus.trading.size.sizing import leveraged_paise

MAX_SIGNAL_AGE_SECONDS = 60  # further from the market data than this, either way, a signal is refused
APPROVAL_VALID_SECONDS = 120  # later than this after the signal an approval is refused


@dataclass(frozen=True, slots=True)
class Loss:
    """A day's loss at which the session halts, and the rule that says so."""

    rule: str
    limit_paise: int


@dataclass(frozen=True, slots=True)
class Means:
    """What limits in per cent and in R are measured by, in paise. Of several sessions it is the sum of theirs."""

    capital_paise: int = 0
    one_r_paise: int = 0
    leveraged_paise: int = 0  # the capital, each session's times its own leverage

    def __add__(self, other: "Means") -> "Means":
        return Means(
            self.capital_paise + other.capital_paise, self.one_r_paise + other.one_r_paise,
            self.leveraged_paise + other.leveraged_paise,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SessionTerms:
    session_id: str
    user_id: str
    capital_paise: int
    limits: RiskLimits
    max_loss: Loss | None  # the tightest of the absolute limit, the percentage and the one in R
    max_signal_age_ns: int
    approval_valid_ns: int
    sizing: Sizing
    strategy_limits: Mapping[str, ScopeLimits]
    strategy_sizing: Mapping[str, Sizing]
    strategy_budgets_paise: Mapping[str, int]
    approval_ns: int | None = None  # so long an entry waits for a person; None: it waits for nobody
    schedule: TradingDays | None = None  # the days it enters on; None: any

    def with_limits(self, limits: RiskLimits, strategy_limits: Mapping[str, ScopeLimits]) -> "SessionTerms":
        """The same session under other limits."""
        return replace(
            self, limits=limits, strategy_limits=strategy_limits,
            max_loss=tightest_loss(limits, capital_paise=self.capital_paise),
        )  # fmt: skip

    def sizing_of(self, strategy: str, *, lots: int | None) -> Sizing:
        """How large a trade is asked for: `lots` where a person asks for a number of them; else the strategy's way,
        else the session's."""
        if lots is not None:
            return Sizing(mode=SizingMode.FIXED_LOTS, lots=lots)
        return self.strategy_sizing.get(strategy, self.sizing)

    @property
    def means(self) -> Means:
        return _means(self.capital_paise, self.limits.risk_per_trade_pct, self.limits.max_leverage)

    def means_of(self, strategy: str) -> Means:
        """A strategy's: its budget or else the whole capital, and its own R where its limits say one."""
        return _means(
            self.strategy_budgets_paise.get(strategy, self.capital_paise), self.risk_per_trade_pct(strategy),
            self.limits.max_leverage,
        )  # fmt: skip

    def risk_per_trade_pct(self, strategy: str) -> float:
        """What a trade of the strategy may risk: the session's, or its own where that is less."""
        own, whole = self.strategy_limits.get(strategy), self.limits.risk_per_trade_pct
        return whole if own is None or own.risk_per_trade_pct is None else min(whole, own.risk_per_trade_pct)

    @property
    def has_part_limits(self) -> bool:
        """Whether a part of the session can be halted alone: a strategy, a symbol."""
        return self.limits.symbol_max_loss_paise is not None or bool(self.strategy_limits)

    @classmethod
    def of(cls, spec: SessionSpec, *, max_signal_age_seconds: int, approval_valid_seconds: int) -> "SessionTerms":
        return cls(
            session_id=spec.session_id,
            user_id=spec.user_id,
            capital_paise=spec.capital_paise,
            limits=spec.limits,
            max_loss=tightest_loss(spec.limits, capital_paise=spec.capital_paise),
            max_signal_age_ns=max_signal_age_seconds * NANOSECONDS_PER_SECOND,
            approval_valid_ns=approval_valid_seconds * NANOSECONDS_PER_SECOND,
            sizing=spec.sizing or Sizing(),
            strategy_limits={one.name: one.limits for one in spec.strategies if one.limits is not None},
            strategy_sizing={one.name: one.sizing for one in spec.strategies if one.sizing is not None},
            strategy_budgets_paise={
                one.name: one.budget_paise for one in spec.strategies if one.budget_paise is not None
            },
            approval_ns=None if spec.approval_seconds is None else spec.approval_seconds * NANOSECONDS_PER_SECOND,
            schedule=spec.schedule,
        )


@dataclass(frozen=True, slots=True)
class EntryHours:
    """The instants of one day between which one session may trade one class of instruments."""

    entry_start_ns: int
    entry_end_ns: int  # exclusive
    hard_end_ns: int  # from here on every position is closed
    windows: tuple[tuple[int, int], ...]  # of continuous trading, half-open


@dataclass(frozen=True, slots=True)
class LastTraded:
    """What an instrument traded at last, in paise; bid and ask are 0 where unknown."""

    ts_ns: int
    price_paise: int
    bid_paise: int
    ask_paise: int


class LastTicks(Protocol):
    """The last tick of each instrument, of those that have gone by."""

    def of(self, instrument: int) -> LastTraded | None: ...


class DailyRanges(Protocol):
    """How far instruments move in a day (`tradebus.trading.size.daily_range`), by the candles stored before the day."""

    def atr_paise(self, instrument: int, *, ts_ns: int) -> int | None:
        """For the day of that instant; None where too little is stored."""


@dataclass(frozen=True, slots=True)
class SharedLimits:
    """Limits over several sessions: `name` is whose ("account kite", "all"), `others` the states of the other sessions
    they hold over, those included that ended this day. `means` is what all that run have, where a limit asks for it."""

    name: str
    limits: ScopeLimits
    others: tuple[RiskState, ...]
    means: Means = Means()


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision may depend on beside the session's state and the message."""

    terms: SessionTerms
    instruments: Mapping[int, Instrument]
    killed: bool
    data_ns: int  # the event time that market data has reached
    # Market data comes in slices that others wait for (docs/decisions/0001): what execution's reports of a slice lead
    # to takes effect at its end, because execution has promised to report nothing earlier any more.
    paced: bool
    # Instruments of which market data is missing: from the word of a gap to the word that it is filled.
    gaps: frozenset[int] = frozenset()
    shared: tuple[SharedLimits, ...] = ()
    last_ticks: LastTicks | None = None
    ranges: DailyRanges | None = None

    def atr_paise(self, instrument: int, *, ts_ns: int) -> int | None:
        """The instrument's daily range on the day of that instant; None where it is not known."""
        return None if self.ranges is None else self.ranges.atr_paise(instrument, ts_ns=ts_ns)

    def now_ns(self, otherwise_ns: int) -> int:
        """The event time of a decision that no market event caused: the first instant no data has been seen for."""
        return self.data_ns + 1 if self.data_ns else otherwise_ns


def hours_of(instrument: Listed, limits: RiskLimits, *, ts_ns: int) -> EntryHours | None:
    """The hours on the Indian date of `ts_ns`; None where the instrument does not trade all day.

    Raises InvalidInput for a class or a day the calendar does not know.
    """
    market = session_of(instrument, ist_date(ts_ns))
    if market is None:
        return None
    return _hours(market, limits.safe_trading_start, limits.safe_trading_end, limits.hard_trading_end)


def _hours(market: TradingSession, start: str | None, end: str | None, hard_end: str | None) -> EntryHours:
    day = market.day
    hard_end_ns = market.square_off_ns if hard_end is None else _at(day, hard_end)
    # A time at which nothing trades any more cannot be honoured, nor one at which the broker closes everything itself
    # and our exit would open a position: the market's own square-off comes first then.
    if hard_end_ns >= market.brokers_square_off_ns:
        hard_end_ns = market.square_off_ns
    return EntryHours(
        entry_start_ns=market.entry_start_ns if start is None else _at(day, start),
        entry_end_ns=market.entry_end_ns if end is None else _at(day, end),
        hard_end_ns=hard_end_ns,
        windows=market.windows,
    )


def narrowed_end(hours: EntryHours, own: ScopeLimits | None, *, ts_ns: int) -> int:
    """When a position must be closed at the latest, where limits beside the session's may say an earlier time."""
    if own is None or own.hard_trading_end is None:
        return hours.hard_end_ns
    return min(hours.hard_end_ns, clock_ns(own.hard_trading_end, ts_ns=ts_ns))


def clock_ns(clock_time: str, *, ts_ns: int) -> int:
    """The instant of an Indian time of day on the day of `ts_ns`."""
    return _at(ist_date(ts_ns), clock_time)


def _at(day: date, clock_time: str) -> int:
    return ist_to_ns(day, time.fromisoformat(clock_time))


def tightest_loss(
    limits: RiskLimits | ScopeLimits, *, capital_paise: int, one_r_paise: int | None = None
) -> Loss | None:
    """The first limit on the day's loss that is reached; None where there is none. One R is what a trade may risk; of a
    session it is said by its limits."""
    found = list[Loss]()
    if limits.daily_max_loss_paise is not None:
        found.append(Loss("daily_max_loss", limits.daily_max_loss_paise))
    if limits.daily_max_loss_pct is not None:
        found.append(Loss("daily_max_loss_pct", _share_paise(limits.daily_max_loss_pct, capital_paise=capital_paise)))
    if limits.daily_max_loss_r is not None and one_r_paise is not None:
        loss_paise = one_r_paise * Decimal(str(limits.daily_max_loss_r))
        found.append(Loss("daily_max_loss_r", max(1, int(loss_paise.to_integral_value(ROUND_FLOOR)))))
    elif limits.daily_max_loss_r is not None:
        one_r = Decimal(str(limits.risk_per_trade_pct)) * Decimal(str(limits.daily_max_loss_r))
        found.append(Loss("daily_max_loss_r", _share_paise(one_r, capital_paise=capital_paise)))
    return min(found, key=lambda loss: loss.limit_paise, default=None)


def _share_paise(percent: float | Decimal, *, capital_paise: int) -> int:
    share = Decimal(str(percent)) / 100
    return max(1, int((share * capital_paise).to_integral_value(ROUND_FLOOR)))


@lru_cache(maxsize=4_096)  # of what somebody has configured
def _means(capital_paise: int, risk_per_trade_pct: float, max_leverage: float) -> Means:
    one_r_paise = _share_paise(risk_per_trade_pct, capital_paise=capital_paise)
    return Means(capital_paise, one_r_paise, leveraged_paise(capital_paise, max_leverage))
