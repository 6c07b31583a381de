"""Which symbols the feeds know, and what kind of instrument each of them is.

Invariants (property-tested): `canonical` is idempotent and ignores case and outer spaces; every alias leads to a
canonical symbol; `describe` gives the same instrument for a symbol and for each of its aliases; a name that means no
share is read as what it means or refused with the reason, never taken for a share.

Index history is traded as the index's front-month future, priced by the index: kind INDEX, the derivative segment's
session, the index itself as the underlying whose dated lot applies.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from tradebus.calendar import MarketClass, class_of_share, lot_size, tick_of
from tradebus.contracts.instrument_key import InstrumentKey, Right
from tradebus.contracts.instruments import Instrument, InstrumentKind
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.symbols.contract_names import contract_of_name

INDICES = ("NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "NIFTYNXT50", "SENSEX")
_ALIASES = {
    "NIFTY": ("NIFTY50", "NIFTY 50", "NIFTY-50", "NIFTY_50", "^NSEI", "NSEI"),
    "BANKNIFTY": ("BANK NIFTY", "BANK-NIFTY", "NIFTY BANK", "NIFTYBANK", "NIFTY_BANK", "^NSEBANK", "NSEBANK"),
    "FINNIFTY": ("FIN NIFTY", "NIFTY FIN SERVICE", "NIFTY_FIN_SERVICE", "NIFTYFINSERVICE"),
    "MIDCPNIFTY": ("NIFTY MID SELECT", "NIFTY_MID_SELECT", "NIFTYMIDSELECT", "NIFTY MIDCAP SELECT"),
    "NIFTYNXT50": ("NIFTY NEXT 50", "NIFTY_NEXT_50", "NIFTYNEXT50", "NIFTYJR", "NIFTY JUNIOR"),
    "SENSEX": ("BSE SENSEX", "^BSESN", "BSESN"),
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
# NIFTY_F1: the front month, one contract after the other.
_FRONT_MONTH = re.compile(r"^(?P<underlying>[A-Z0-9&-]*?[A-Z][A-Z0-9&-]*?)(?:_F1|-I)$")
_WELL_FORMED = re.compile(r"^[A-Z0-9][A-Z0-9&_-]{0,39}$")
# Values that are watched, never traded; funds that follow them are shares (NIFTYBEES, NIFTYETF).
_VALUE = re.compile(
    r"^(?:NIFTY|CNX|(?:INDIA[_-]?)?VIX$|SENSEX|BANKEX|S&P|SNX|BSE[_-]?\d|(?:BANK|FIN|MIDCP|MIDCAP|GIFT|SGX)[_-]?NIFTY"
    r"|(?:MID|SMALL|LARGE|MICRO|MULTI|FLEXI)[_-]?CAP[_-]?\d*$)"
)
_FUND = re.compile(r"BEES|ETF|NIFTY1$|^NIFTYQLITY$")
# What trades in other segments of the exchanges.
_FOREIGN = re.compile(r"^(?:USD|EUR|GBP|JPY)INR|^(?:CRUDEOIL|NATURALGAS)(?:M|MINI)?$")
# What vendors append to a share's or an index' own name.
_ADDED = re.compile(r"(?<=[A-Z0-9])(?:\.NS|[ _-](?:EQ|SPOT|INDEX))+$")


@dataclass(frozen=True, slots=True)
class Description:
    """What an instrument is, before it has an id. A dated contract has an expiry and a key, an option all of it."""

    symbol: str
    kind: InstrumentKind
    market_class: str
    underlying: str
    aliases: tuple[str, ...]
    expiry: date | None = None
    strike_paise: int | None = None
    right: Right | None = None
    key: InstrumentKey | None = None


def canonical(name: str) -> str:
    """The canonical symbol of a name or alias; an unknown name comes back in upper case."""
    plain = _ADDED.sub("", " ".join(name.upper().split()))
    return _BY_ALIAS.get(plain, plain)


def aliases_of(symbol: str) -> tuple[str, ...]:
    """The other names of a canonical symbol."""
    return _ALIASES.get(symbol, ())


def describe(name: str) -> Description:
    """Kind, session class, underlying and contract of a symbol. Raises InvalidInput for what cannot be a symbol at all,
    and for what is neither a share nor anything that can be traded by its history."""
    symbol = canonical(name)
    if symbol in INDICES:
        return Description(symbol, "INDEX", MarketClass.DERIVATIVE, symbol, _ALIASES[symbol])
    front = _FRONT_MONTH.match(symbol)
    if front:
        return Description(symbol, "FUTURE", MarketClass.DERIVATIVE, canonical(front["underlying"]), ())
    contract = contract_of_name(symbol)
    if contract is not None:
        return Description(
            symbol, "OPTION" if contract.is_option else "FUTURE", MarketClass.DERIVATIVE, contract.name, (),
            contract.expiry, contract.strike_paise, contract.right, contract,
        )  # fmt: skip
    if not _WELL_FORMED.match(symbol):
        raise InvalidInput(f"symbol: {name!r} is not a trading symbol; write it as the exchange does, such as RELIANCE")
    if _VALUE.match(symbol) and not _FUND.search(symbol):
        raise InvalidInput(
            f"symbol: {name!r} is an index without contracts here; those that are traded as their future are "
            f"{', '.join(INDICES)}"
        )
    if _FOREIGN.match(symbol):
        raise InvalidInput(f"symbol: {name!r} is a currency pair or a commodity: only shares, indices and their "
                           "contracts are traded here")  # fmt: skip
    return Description(symbol, "EQUITY", class_of_share(symbol), symbol, (f"{symbol}.NS",))


def require_terms(item: Description, *, first: date, last: date) -> None:
    """Raises InvalidInput where the instrument cannot be traded from `first` to `last`: its contract has expired by
    then, or its lot is known nowhere."""
    if item.expiry is not None and last > item.expiry:
        raise InvalidInput(f"{item.symbol} expired on {item.expiry}, and this reaches to {last}")
    if item.kind != "EQUITY":
        what = f"{item.symbol} is traded as {'an option' if item.kind == 'OPTION' else 'a future'} on {item.underlying}"
        for day in (first, last) if item.expiry is None else (item.expiry,):
            try:
                lot_size(item.underlying, day, kind=item.kind)
            except InvalidInput as error:
                raise InvalidInput(f"{what}: {error}") from None


def instrument_of(item: Description, instrument_id: int) -> Instrument:
    """The instrument that a description becomes under an id. Raises InvalidInput where a contract's lot is known
    nowhere."""
    lot = None if item.expiry is None else lot_size(item.underlying, item.expiry, kind=item.kind)
    return Instrument(
        instrument_id=instrument_id, symbol=item.symbol, kind=item.kind, market_class=item.market_class,
        exchange="NSE" if item.key is None else item.key.segment.value,
        underlying=item.underlying, expiry=item.expiry, strike_paise=item.strike_paise,
        right=item.right, lot_size=lot, instrument_key=None if item.key is None else str(item.key),
    )  # fmt: skip


def tick_on(item: Description, day: date, *, price_paise: int) -> int:
    """The price step, in paise, of a description on a day on which it trades near that price."""
    return tick_of(instrument_of(item, 0), day, price_paise=price_paise)


def known_symbols() -> tuple[str, ...]:
    """The symbols known without asking a file."""
    return INDICES + EQUITIES


def require_known(names: Iterable[str], *, also: Sequence[str] = ()) -> tuple[str, ...]:
    """The canonical symbols of `names`, each once, in order. Raises InvalidInput for one that is neither built in, nor
    a share with futures and options, nor in `also`; with the nearest that is."""
    valid = {*known_symbols(), *also}
    found: list[str] = []
    for name in names:
        symbol = canonical(name)
        is_built_in = symbol in valid or class_of_share(symbol) is MarketClass.EQUITY_FNO
        if not is_built_in and describe(name).kind == "EQUITY":
            hint = nearest(symbol, sorted(valid))
            raise InvalidInput(f"symbol: {name!r} is unknown{hint}; a file about another one needs a column 'symbol'")
        if symbol not in found:
            found.append(symbol)
    return tuple(found)
