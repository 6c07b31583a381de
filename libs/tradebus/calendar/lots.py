"""The calendar's general rules of contract terms: lot size, freeze quantity, price tick (SPEC 4).

A lot size belongs to a contract, not to a day: while the exchange changes it, near contracts keep the old one.
`lot_size` answers for the front-month future, which is exact for it, and an approximation for far months, quarterly
options and weeklies in a month of change. Where a broker's instrument master is at hand its lot, tick and freeze win:
`terms.contract_of` does that.
"""

from datetime import date

from tradebus.calendar.expiries import front_month_expiry
from tradebus.calendar.rows import Market, MarketClass, TickBand
from tradebus.calendar.rules import begun, current, in_force
from tradebus.kernel.errors import InvalidInput, nearest

_CONTRACT_KINDS = ("FUTURE", "OPTION", "INDEX")


def market_of(underlying: str) -> Market:
    """Whether contracts on the underlying are index or stock derivatives."""
    return Market.INDEX if underlying in current().indices else Market.STOCK


def class_of_share(symbol: str) -> MarketClass:
    """The class of a share: those that have futures and options keep hours of their own since 2026-08-03. Where a
    broker's master is at hand it says which have."""
    return MarketClass.EQUITY_FNO if symbol in current().stocks_with_contracts else MarketClass.EQUITY


def lot_size(underlying: str, day: date, *, kind: str | None = None) -> int:
    """Units per lot of the underlying's front-month future on `day`; 1 for a stock.

    `kind` is the instrument's (EQUITY, INDEX, FUTURE, OPTION). Raises InvalidInput for a future or option on an
    underlying whose lots are not listed (the broker's instrument master has them) and for dates before it was listed.
    """
    rules = current().lot_size.get(underlying)
    if rules is None:
        if kind in _CONTRACT_KINDS:
            raise InvalidInput(
                f"underlying: no lot size is listed for {underlying!r}; take it from the broker's instrument master"
                f"{nearest(underlying, current().lot_size)}"
            )
        return 1
    if kind == "EQUITY":
        return 1
    contract_month = front_month_expiry(underlying, day).replace(day=1)
    return in_force(rules, contract_month, what=f"lot size of {underlying}").lot_size


def freeze_quantity_of(underlying: str, day: date) -> int | None:
    """The largest quantity of one order in the underlying's contracts, in units; None where none is listed."""
    rules = current().freeze_quantity.get(underlying)
    return in_force(rules, day, what=f"freeze quantity of {underlying}").quantity if rules else None


def tick_size_paise(*, kind: str, underlying: str, day: date, price_paise: int | None = None) -> int:
    """The price step of an instrument. A stock's and its contracts' depend on their price since 2024-06-10, an index
    future's on the level of the index since 2025-04-15.

    Raises InvalidInput where the price is needed and missing.
    """
    for band in _bands(kind, underlying, day):
        if band.below_paise is None:
            return band.tick_size_paise
        if price_paise is None:
            raise InvalidInput(f"price_paise: the tick size of {underlying} on {day} depends on its price")
        if price_paise < band.below_paise:
            return band.tick_size_paise
    raise AssertionError("the last band has no upper end")


def _bands(kind: str, underlying: str, day: date) -> tuple[TickBand, ...]:
    book, market, what = current(), market_of(underlying), f"tick size of {underlying}"
    if kind == "OPTION":
        return in_force(book.option_ticks[market], day, what=what).bands
    if kind in ("FUTURE", "INDEX") and market is Market.INDEX:
        every = book.index_future_ticks
        own = begun(every.get(underlying, ()), day)
        return (own or in_force(every["*"], day, what=what)).bands
    return in_force(book.tables.stock_ticks, day, what=what).bands
