"""How the exchange and Dhan write a contract's name.

    NIFTY26DECFUT   NIFTY26DEC26000CE (monthly)   NIFTY26D0126000CE (weekly: year, month 1-9 O N D, day)
    NIFTY-Dec2026-FUT   NIFTY-Dec2026-26000-CE (Dhan)

The last expiry of a month has the monthly form even where it moved to another day.
"""

from datetime import date

from tradebus.calendar import monthly_expiry
from tradebus.contracts.instrument_key import InstrumentKey

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKLY_MONTHS = "123456789OND"


def is_monthly(name: str, expiry: date) -> bool:
    """Whether `expiry` is the monthly contract's."""
    return monthly_expiry(name, year=expiry.year, month=expiry.month) == expiry


def strike_text(strike_paise: int) -> str:
    """A strike as symbols show it: 26000, 262.5."""
    return f"{strike_paise / 100:.2f}".rstrip("0").rstrip(".")


def symbol_of(key: InstrumentKey) -> str:
    """The exchange's symbol of a derivative. Stocks and indices have theirs in the table."""
    if key.expiry is None:
        return key.name
    year, month = f"{key.expiry:%y}", key.expiry.month
    if key.right is None or key.strike_paise is None:
        return f"{key.name}{year}{_MONTHS[month - 1]}FUT"
    when = _MONTHS[month - 1]
    if not is_monthly(key.name, key.expiry):
        when = f"{_WEEKLY_MONTHS[month - 1]}{key.expiry.day:02d}"
    return f"{key.name}{year}{when}{strike_text(key.strike_paise)}{key.right}"


def dhan_symbol_of(key: InstrumentKey) -> str:
    """Dhan's trading symbol. Its weeklies of one month share a name: only their ids differ."""
    if key.expiry is None:
        return key.name
    when = f"{_MONTHS[key.expiry.month - 1].capitalize()}{key.expiry.year}"
    if key.right is None or key.strike_paise is None:
        return f"{key.name}-{when}-FUT"
    return f"{key.name}-{when}-{strike_text(key.strike_paise)}-{key.right}"
