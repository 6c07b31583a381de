"""Which symbols the feeds know, and what kind of instrument each of them is.

Invariants (property-tested): `canonical` is idempotent and ignores case and outer spaces; every alias leads to a
canonical symbol; `describe` gives the same instrument for a symbol and for each of its aliases.

Index history is traded as the index's front-month future, priced by the index: kind INDEX, the derivative segment's
session, the index itself as the underlying whose dated lot applies.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tradebus.contracts.instruments import Instrument, InstrumentKind
from tradebus.kernel.errors import InvalidInput, nearest

INDICES = ("NIFTY", "BANKNIFTY", "FINNIFTY")
TICK_SIZE_PAISE = 5
_ALIASES = {
    "NIFTY": ("NIFTY50", "NIFTY 50", "NIFTY-50", "NIFTY_50", "^NSEI", "NSEI"),
    "BANKNIFTY": ("BANK NIFTY", "BANK-NIFTY", "NIFTY BANK", "NIFTYBANK", "NIFTY_BANK", "^NSEBANK", "NSEBANK"),
    "FINNIFTY": ("FIN NIFTY", "NIFTY FIN SERVICE", "NIFTY_FIN_SERVICE", "NIFTYFINSERVICE"),
}
# Heavily traded stocks: the equities that a file without a symbol column may be about.
EQUITIES = (
    "ADANIENT", "ADANIPORTS", "APOLLOHOSP", "ASIANPAINT", "AXISBANK", "BAJAJ-AUTO", "BAJAJFINSV", "BAJFINANCE", "BEL",
    "BHARTIARTL", "CIPLA", "COALINDIA", "DRREDDY", "EICHERMOT", "ETERNAL", "GRASIM", "HCLTECH", "HDFCBANK", "HDFCLIFE",
    "HINDALCO", "HINDUNILVR", "ICICIBANK", "INDIGO", "INFY", "ITC", "JIOFIN", "JSWSTEEL", "KOTAKBANK", "LT", "M&M",
    "MARUTI", "MAXHEALTH", "NESTLEIND", "NTPC", "ONGC", "POWERGRID", "RELIANCE", "SBILIFE", "SBIN", "SHRIRAMFIN",
    "SUNPHARMA", "TATACONSUM", "TATASTEEL", "TCS", "TECHM", "TITAN", "TRENT", "ULTRACEMCO", "WIPRO",
)  # fmt: skip
_BY_ALIAS = {alias: symbol for symbol, aliases in _ALIASES.items() for alias in aliases}
# NIFTY_F1 (a continuous front month) and NIFTY26OCTFUT (one contract), of an index or of a stock.
_MONTHS = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_FUTURE = re.compile(rf"^(?P<underlying>[A-Z&-]+?)(?:_F1|-I|\d{{2}}(?:{_MONTHS})FUT)$")
_WELL_FORMED = re.compile(r"^[A-Z0-9][A-Z0-9&_-]{0,39}$")


@dataclass(frozen=True, slots=True)
class Description:
    """What an instrument is, before it has an id."""

    symbol: str
    kind: InstrumentKind
    market_class: str
    underlying: str
    aliases: tuple[str, ...]


def canonical(name: str) -> str:
    """The canonical symbol of a name or alias; an unknown name comes back in upper case."""
    plain = " ".join(name.upper().split()).removesuffix(".NS")
    return _BY_ALIAS.get(plain, plain)


def aliases_of(symbol: str) -> tuple[str, ...]:
    """The other names of a canonical symbol."""
    return _ALIASES.get(symbol, ())


def describe(name: str) -> Description:
    """Kind, session class and underlying of a symbol. Raises InvalidInput for what cannot be a symbol at all."""
    symbol = canonical(name)
    if not _WELL_FORMED.match(symbol):
        raise InvalidInput(f"symbol: {name!r} is not a trading symbol; write it as the exchange does, such as RELIANCE")
    if symbol in INDICES:
        return Description(symbol, "INDEX", "derivative", symbol, _ALIASES[symbol])
    future = _FUTURE.match(symbol)
    if future:
        return Description(symbol, "FUTURE", "derivative", canonical(future["underlying"]), ())
    return Description(symbol, "EQUITY", "equity_fno", symbol, (f"{symbol}.NS",))


def instrument_of(item: Description, instrument_id: int) -> Instrument:
    """The instrument that a description becomes under an id."""
    return Instrument(
        instrument_id=instrument_id, symbol=item.symbol, kind=item.kind, market_class=item.market_class,
        underlying=item.underlying, tick_size_paise=TICK_SIZE_PAISE,
    )  # fmt: skip


def known_symbols() -> tuple[str, ...]:
    """The symbols known without asking a file."""
    return INDICES + EQUITIES


def require_known(names: Iterable[str], *, also: Sequence[str] = ()) -> tuple[str, ...]:
    """The canonical symbols of `names`, each once, in order. Raises InvalidInput for one that is neither built in nor
    in `also`, with the nearest that is."""
    valid = {*known_symbols(), *also}
    found: list[str] = []
    for name in names:
        symbol = canonical(name)
        if symbol not in valid and not _FUTURE.match(symbol):
            hint = nearest(symbol, sorted(valid))
            raise InvalidInput(f"symbol: {name!r} is unknown{hint}; a file about another one needs a column 'symbol'")
        if symbol not in found:
            found.append(symbol)
    return tuple(found)
