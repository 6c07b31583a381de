"""Contract terms: lot size, freeze quantity, price tick (SPEC 4).

A lot size belongs to a contract, not to a day: while the exchange changes it, near contracts keep the old one.
`lot_size` answers for the front-month future, which is exact for it, and an approximation for far months, quarterly
options and weeklies in a month of change. Where a broker's instrument master is at hand, its lot and tick win.
"""

from datetime import date

from tradebus.calendar.expiries import front_month_expiry
from tradebus.calendar.rules import CONTRACTS, in_force
from tradebus.kernel.errors import InvalidInput, nearest

_CONTRACT_KINDS = ("FUTURE", "OPTION", "INDEX")


def lot_size(underlying: str, day: date, *, kind: str | None = None) -> int:
    """Units per lot of the underlying's front-month future on `day`; 1 for a stock.

    `kind` is the instrument's (EQUITY, INDEX, FUTURE, OPTION). Raises InvalidInput for a future or option on an
    underlying whose lots are not listed (the broker's instrument master has them) and for dates before it was listed.
    """
    rules = CONTRACTS.lot_size.get(underlying)
    if rules is None:
        if kind in _CONTRACT_KINDS:
            known = CONTRACTS.lot_size
            raise InvalidInput(
                f"underlying: no lot size is listed for {underlying!r}; take it from the broker's instrument master"
                f"{nearest(underlying, known)}"
            )
        return 1
    if kind == "EQUITY":
        return 1
    contract_month = front_month_expiry(underlying, day).replace(day=1)
    return in_force(rules, contract_month, what=f"lot size of {underlying}").lot_size


def freeze_quantity(underlying: str, day: date) -> int | None:
    """The largest quantity of one order in the underlying's contracts, in units; None where none is listed."""
    rules = CONTRACTS.freeze_quantity.get(underlying)
    return in_force(rules, day, what=f"freeze quantity of {underlying}").quantity if rules else None


def tick_size_paise(*, kind: str, underlying: str, day: date, price_paise: int | None = None) -> int:
    """The price step of an instrument. A stock's and its future's depend on its price since 2024-06-10.

    Raises InvalidInput where the price is needed and missing.
    """
    if kind == "OPTION":
        return CONTRACTS.option_tick_paise
    index_rules = CONTRACTS.index_future_tick_paise.get(underlying)
    if index_rules is not None and kind in ("FUTURE", "INDEX"):
        return in_force(index_rules, day, what=f"tick size of {underlying}").tick_size_paise
    bands = in_force(CONTRACTS.stock_tick_bands, day, what=f"tick size of {underlying}").bands
    for band in bands:
        if band.below_paise is None:
            return band.tick_size_paise
        if price_paise is None:
            raise InvalidInput(f"price_paise: the tick size of {underlying} on {day} depends on its price")
        if price_paise < band.below_paise:
            return band.tick_size_paise
    raise AssertionError("the last band has no upper end")
