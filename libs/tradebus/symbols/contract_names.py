"""Contracts by the names that brokers, exchanges and vendors give them.

    NIFTY26JUN24000CE, NIFTY26DECFUT     year and month: the month's last expiry
    NIFTY2690124350CE                    year, month (1 to 9, O, N, D) and day
    NIFTY25JUL2424050CE, NIFTY25JUL24FUT day, month and year
    NFO:NIFTY:2026-06-30:24000:CE        an instrument key

Invariants (property-tested): what is read is a contract that the calendar knows to expire on that day, and its key
reads as itself; a name that looks like a contract's is read or refused with the reason, and never anything else's.
"""

import re
from collections.abc import Iterator
from datetime import date

from tradebus.calendar import Market, market_of, monthly_expiry, weekly_expiry
from tradebus.contracts.instrument_key import InstrumentKey, Right, Segment
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import rupees_to_paise

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTH, _OPTION = f"(?P<month>{'|'.join(_MONTHS)})", r"(?P<strike>[1-9]\d*(?:\.\d+)?)(?P<right>CE|PE)"
_WHAT = rf"(?:FUT|{_OPTION})"
_BY_MONTH = re.compile(rf"(?P<year>\d\d){_MONTH}{_WHAT}")
_BY_DATE = re.compile(rf"(?P<day>\d\d){_MONTH}(?P<year>\d\d){_WHAT}")
_BY_NUMBERS = re.compile(rf"(?P<year>\d\d)(?P<number>[1-9OND])(?P<day>\d\d){_OPTION}")
_NUMBERS, _YEAR_MAX = "123456789OND", 39
# No share's symbol has a month right behind a digit, ends in FUT, or in CE or PE behind a digit.
_LOOKS_DATED = re.compile(rf"\d(?:{'|'.join(_MONTHS)})|FUT|\d(?:CE|PE)$|(?:_F|-)\d+$|-I{{2,3}}$")
_UNDERLYING = re.compile(r"[A-Z0-9&-]*[A-Z][A-Z0-9&-]*")
_BSE_INDICES = frozenset({"SENSEX", "BANKEX", "SENSEX50"})
# Strikes that can be, in rupees: they tell a year from the first digits of a strike.
_INDEX_STRIKES, _SHARE_STRIKES = (1_000, 500_000), (1, 500_000)
_WRITE = "write NIFTY26JUN24000CE, NIFTY26JUNFUT or the key, NFO:NIFTY:2026-06-30:24000:CE"


def contract_of_name(symbol: str) -> InstrumentKey | None:
    """The contract that a symbol (canonical) names, None where it is no contract's name. Raises InvalidInput with the
    reason for one that looks like it and cannot be read, or reads in two ways."""
    if ":" in symbol:
        key = InstrumentKey.parse(symbol)
        return key if key.is_derivative else None
    if not _LOOKS_DATED.search(symbol):
        return None
    readings, reasons = [], []
    for name, parts in _cut(symbol):
        try:
            readings.append(_read(name, parts))
        except InvalidInput as error:
            reasons.append((market_of(name) is Market.INDEX, str(error)))
    found = sorted(set(readings))
    if len(found) > 1:
        keys = " or ".join(str(key) for key in found)
        raise InvalidInput(f"symbol: {symbol!r} reads as {keys}: write the key of the one it is")
    if not found:
        likeliest = [text for of_index, text in reasons if of_index] or [text for _, text in reasons]
        reason = likeliest[-1] if likeliest else "no such form is known"
        raise InvalidInput(f"symbol: {symbol!r} looks like a future or an option, and is none: {reason}; {_WRITE}")
    return found[0]


def _cut(symbol: str) -> Iterator[tuple[str, dict[str, str | None]]]:
    """Every way to part a symbol into an underlying and a form of the rest."""
    for at in range(1, len(symbol)):
        name, rest = symbol[:at], symbol[at:]
        if not _UNDERLYING.fullmatch(name):
            continue
        for form in (_BY_MONTH, _BY_DATE, _BY_NUMBERS):
            parts = form.fullmatch(rest)
            if parts is not None and int(parts["year"]) <= _YEAR_MAX:
                yield name, parts.groupdict()


def _read(name: str, parts: dict[str, str | None]) -> InstrumentKey:
    """Raises InvalidInput where the calendar has no such expiry, or no such strike can be."""
    year = 2000 + int(parts["year"] or 0)
    number = parts.get("number")
    month = _NUMBERS.index(number) + 1 if number else _MONTHS.index(parts["month"] or "") + 1
    expiry = monthly_expiry(name, year=year, month=month)
    if parts.get("day"):
        written = _date(year, month, int(parts["day"] or 0))
        monthly = None if number else expiry  # what has no weeklies has no name by numbers either
        if written not in (monthly, weekly_expiry(name, written)):
            raise InvalidInput(f"nothing on {name} expires on {written}; its month's last expiry is {expiry}")
        expiry = written
    segment = Segment.BFO if name in _BSE_INDICES else Segment.NFO
    if parts["strike"] is None or parts["right"] is None:
        return InstrumentKey(segment, name, expiry)
    strike_paise = rupees_to_paise(parts["strike"], name="strike")
    lowest, highest = _INDEX_STRIKES if market_of(name) is Market.INDEX else _SHARE_STRIKES
    if not lowest * 100 <= strike_paise <= highest * 100:
        raise InvalidInput(f"{parts['strike']} is no strike of {name}")
    return InstrumentKey(segment, name, expiry, strike_paise, Right(parts["right"]))


def _date(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise InvalidInput(f"day {day} of {_MONTHS[month - 1]} {year} is no day") from None
