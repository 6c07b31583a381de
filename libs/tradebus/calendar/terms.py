"""One contract's dated terms: what sessions, order rules, sizing and charges read of an instrument.

`contract_of` puts an instrument's own row (the broker's master of a day) over the calendar's general rules:

    lot        belongs to the contract: the master's, whatever its day; the dated rule where no master said one
    freeze     revised monthly: the master's from its day on, the dated rule before it, the master's where no rule is
    tick       the master's; where no master said one the dated rule, measured from a price near the contract's

Invariants, property-tested: the day's master always wins over the rule; an expired contract has no session; an
expiring one never trades longer than its class.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Protocol

from tradebus.calendar.expiries import front_month_expiry
from tradebus.calendar.lots import freeze_quantity_of, lot_size, market_of, tick_size_paise
from tradebus.calendar.rows import Market, MarketClass
from tradebus.calendar.rules import begun, current, forgotten_on_install
from tradebus.calendar.sessions import TradingSession, is_trading_day, session_for
from tradebus.contracts.instrument_key import Right
from tradebus.contracts.instruments import Instrument
from tradebus.kernel.errors import InvalidInput

_FUTURES = ("FUTURE", "INDEX")  # an INDEX of the derivative class is index history, traded as its front-month future


class Listed(Protocol):
    """What the market's clock needs to know: an Instrument, a Contract."""

    @property
    def kind(self) -> str: ...

    @property
    def market_class(self) -> str: ...

    @property
    def underlying(self) -> str: ...

    @property
    def expiry(self) -> date | None: ...


@dataclass(frozen=True, slots=True)
class Contract:
    """The terms of one instrument on one day. Money in paise, quantities in units; `freeze_quantity` is None where
    neither a master nor a rule says one."""

    symbol: str
    kind: str
    market_class: str
    underlying: str
    lot_size: int
    tick_size_paise: int
    freeze_quantity: int | None = None
    expiry: date | None = None
    strike_paise: int | None = None
    right: Right | None = None

    @property
    def is_option(self) -> bool:
        return self.kind == "OPTION"


def contract_of(instrument: Instrument, day: date, *, price_paise: int | None = None) -> Contract:
    """The terms on `day`. `price_paise` is one that the contract trades near: where no master said the tick, a stock's
    and an index future's depend on it.

    Raises InvalidInput where a future's or option's lot is known nowhere, and where the tick needs a price and has
    none."""
    lot = instrument.lot_size
    if lot is None:  # it belongs to the contract: the rule of the month in which that ends
        lot = lot_size(instrument.underlying, instrument.expiry or day, kind=instrument.kind)
    return Contract(
        symbol=instrument.symbol,
        kind=instrument.kind,
        market_class=instrument.market_class,
        underlying=instrument.underlying,
        lot_size=lot,
        tick_size_paise=tick_of(instrument, day, price_paise=price_paise),
        freeze_quantity=_freeze(instrument, day),
        expiry=instrument.expiry,
        strike_paise=instrument.strike_paise,
        right=instrument.right,
    )


def tick_of(instrument: Instrument, day: date, *, price_paise: int | None = None) -> int:
    """Its price step on `day` in paise, as `contract_of` has it. An option's follows the price of what it is on, and
    its strike is near that."""
    if instrument.tick_size_paise is not None:
        return instrument.tick_size_paise
    near = instrument.strike_paise if instrument.kind == "OPTION" else price_paise
    return tick_size_paise(kind=instrument.kind, underlying=instrument.underlying, day=day, price_paise=near)


def _freeze(instrument: Instrument, day: date) -> int | None:
    own = instrument.freeze_quantity
    if own is not None and (instrument.terms_on is None or instrument.terms_on <= day):
        return own
    if instrument.market_class != MarketClass.DERIVATIVE:
        return own
    try:
        ruled = freeze_quantity_of(instrument.underlying, day)
    except InvalidInput:  # before the rules of the underlying begin
        ruled = None
    return ruled if ruled is not None else own


def session_of(contract: Listed, day: date) -> TradingSession | None:
    """The session of the contract on `day`; None where it does not trade: the market is closed, or it has expired.
    Raises InvalidInput for an unknown class and before 2000."""
    return _session(day, contract.kind, contract.market_class, contract.underlying, contract.expiry)


@forgotten_on_install
@lru_cache(maxsize=65_536)
def _session(day: date, kind: str, market_class: str, underlying: str, expiry: date | None) -> TradingSession | None:
    if market_class != MarketClass.DERIVATIVE:
        return session_for(day, market_class)
    if expiry is not None and expiry < day:
        return None
    market = market_of(underlying)
    last_day = expiry
    if expiry is None and kind in _FUTURES:  # a front month, one contract after the other
        last_day = front_month_expiry(underlying, day)
    return session_for(
        day,
        market_class,
        expiring=market if last_day == day else None,
        near_future=kind in _FUTURES and _has_pre_open(underlying, last_day, day),
    )


def _has_pre_open(underlying: str, expiry: date | None, day: date) -> bool:
    """Of a future: the current month's has one, and the next month's in the last days of the current one's life."""
    rule = begun(current().pre_open.get(MarketClass.DERIVATIVE, ()), day)
    if rule is None or expiry is None:
        return False
    front = front_month_expiry(underlying, day)
    if _month(expiry) <= _month(front):
        return True
    next_month = front_month_expiry(underlying, front + timedelta(days=1))
    left = sum(is_trading_day(day + timedelta(days=days)) for days in range((front - day).days + 1))
    return _month(expiry) <= _month(next_month) and left <= rule.next_month_from_days


def _month(expiry: date) -> tuple[int, int]:
    """A master may list another day than the rules: the month says which contract it is."""
    return expiry.year, expiry.month


def range_reset_ns(contract: Listed, day: date) -> int | None:
    """The instant at which the exchange sets a future's operating range anew and cancels the orders outside it; None
    where it does not."""
    if contract.kind not in _FUTURES or contract.market_class != MarketClass.DERIVATIVE:
        return None
    stocks = session_for(day, MarketClass.EQUITY_FNO)
    if stocks is None or range_reset_pct(market_of(contract.underlying), day) is None:
        return None
    return stocks.stops_cancelled_ns


def range_reset_pct(market: Market, day: date) -> float | None:
    """How far from the price the operating range of the market's futures reaches that is set anew on `day`, in percent;
    None where none is."""
    rule = begun(current().range_resets.get(market, ()), day)
    return None if rule is None else rule.percent
