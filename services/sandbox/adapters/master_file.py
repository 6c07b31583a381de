"""A listing out of a broker's instrument master: Kite's or Upstox' CSV, plain or gzipped.

Contracts come from the file with their own tokens, lots and ticks; indices, and stocks the file does not list, from the
sandbox's table. An underlying that the table does not know either gets a price from the middle of its strikes.
"""

import gzip
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path

from services.sandbox.domain.instruments.directory import KITE_SEGMENTS, UPSTOX_SEGMENTS
from services.sandbox.domain.instruments.listing import Maker
from services.sandbox.domain.instruments.symbols import dhan_symbol_of
from services.sandbox.domain.instruments.underlyings import Equity, Index, underlyings
from services.sandbox.ports import SandboxInstrument
from tradebus.brokers.reference import ListedInstrument
from tradebus.calendar import MarketClass, freeze_quantity_of
from tradebus.calendar.rules import current
from tradebus.contracts.instrument_key import Segment
from tradebus.kernel.errors import InvalidInput

_FREEZE_LOTS = 40
_UNKNOWN_PRICE_RUPEES = 500.0
_FIRST_STOCK_TOKEN = 90_001


@dataclass(frozen=True, slots=True)
class Master:
    """What a file lists: contracts by underlying, the terms of every underlying, and how many rows were left out."""

    day: date
    contracts: Mapping[str, Sequence[ListedInstrument]]
    terms: Mapping[str, Index | Equity]
    left_out: int


def read_master(path: Path, day: date) -> Master:
    """Raises InvalidInput for what is no master. Rows of expired contracts and of what is neither an underlying's nor
    a contract's are left out."""
    rows, left_out = _rows(path)
    contracts: dict[str, list[ListedInstrument]] = defaultdict(list)
    stocks = {row.key.name: row for row in rows if row.key.segment is Segment.NSE}
    for row in rows:
        if row.key.expiry is not None and row.key.expiry >= day and row.lot_size > 0 and row.tick_size_paise > 0:
            contracts[row.key.name].append(row)
    if not contracts:
        raise InvalidInput(f"TRADEBUS_SANDBOX_MASTER: {path} lists no contract that has not expired on {day}")
    known = {one.name: one for one in underlyings().every}
    tokens = count(_FIRST_STOCK_TOKEN)
    terms: dict[str, Index | Equity] = {}
    for name in [*known, *sorted(contracts.keys() - known.keys())]:  # indices first, as in a generated listing
        terms[name] = known.get(name) or _unknown(name, contracts[name], stocks.get(name), next(tokens))
        strikes = _middle_strike_paise(contracts.get(name, ()))
        if strikes:
            terms[name] = terms[name].model_copy(update={"price_rupees": strikes / 100})
    return Master(day, contracts, terms, left_out)


def _rows(path: Path) -> tuple[list[ListedInstrument], int]:
    try:
        raw = path.read_bytes()
        body = gzip.decompress(raw) if path.name.lower().endswith(".gz") else raw
    except (OSError, EOFError, gzip.BadGzipFile) as error:
        raise InvalidInput(f"TRADEBUS_SANDBOX_MASTER: {path} cannot be read: {error}") from None
    header = body[:2000].split(b"\n", 1)[0]
    if b"instrument_key" in header:
        from tradebus.brokers.upstox.instruments import parse_instruments as parse
    elif b"instrument_token" in header:
        from tradebus.brokers.kite.instruments import parse_instruments as parse
    else:
        raise InvalidInput(f"TRADEBUS_SANDBOX_MASTER: {path} is neither Kite's nor Upstox' instrument CSV")
    return parse(body)


def _middle_strike_paise(rows: Sequence[ListedInstrument]) -> int:
    """Of the nearest expiry; 0 without an option."""
    options = [row.key for row in rows if row.key.strike_paise is not None and row.key.expiry is not None]
    if not options:
        return 0
    nearest = min(key.expiry for key in options if key.expiry is not None)
    strikes = sorted(key.strike_paise or 0 for key in options if key.expiry == nearest)
    return strikes[len(strikes) // 2]


def _unknown(name: str, rows: Sequence[ListedInstrument], stock: ListedInstrument | None, token: int) -> Equity:
    """Terms of a stock (or of an index that is treated as one) that the table does not know."""
    isin = stock.token.partition("|")[2] if stock is not None and "|" in stock.token else f"INE{token:07d}01"
    lot = min((row.lot_size for row in rows), default=0)
    return Equity(
        name=name, isin=isin, nse_token=token, bse_code=None, price_rupees=_UNKNOWN_PRICE_RUPEES,
        annual_volatility=0.30, market_correlation=0.5, lot_size=lot, strike_step_rupees=10.0,
    )  # fmt: skip


def listing_from(master: Master, *, instruments: int, price_paise: Mapping[str, int]) -> tuple[SandboxInstrument, ...]:
    """Every underlying, every future, and the options nearest the money until there are about `instruments`."""
    maker = Maker(master.day, price_paise)
    for terms in master.terms.values():
        if isinstance(terms, Index):
            maker.add_index(terms)
        else:
            maker.add_equity(terms)
    rows = [row for each in master.contracts.values() for row in each]
    for row in (row for row in rows if not row.key.is_option):
        maker.found.append(_instrument(row, len(maker.found), master))
    options = [row for row in rows if row.key.is_option]
    options.sort(key=lambda row: (_away(row, price_paise[row.key.name], master.terms[row.key.name]), row.key))
    for row in options[: max(0, instruments - len(maker.found))]:
        maker.found.append(_instrument(row, len(maker.found), master))
    return tuple(maker.found)


def _away(row: ListedInstrument, price_paise: int, terms: Index | Equity) -> float:
    """How far from the money; an index' options reach further out than a stock's."""
    assert row.key.strike_paise is not None
    away = abs(row.key.strike_paise / price_paise - 1.0)
    return away if isinstance(terms, Index) else 4.0 * away


def _instrument(row: ListedInstrument, index: int, master: Master) -> SandboxInstrument:
    key = row.key
    token = int(row.token.partition("|")[2]) if "|" in row.token else int(row.token) // 256
    freeze = row.freeze_quantity  # the master's own wins over the general rule
    if freeze is None and key.name in current().freeze_quantity:
        freeze = freeze_quantity_of(key.name, master.day)
    freeze = freeze or row.lot_size * _FREEZE_LOTS
    return SandboxInstrument(
        index=index, key=key, symbol=row.symbol, dhan_symbol=dhan_symbol_of(key), exchange_token=token,
        kite_token=token * 256 + KITE_SEGMENTS[key.segment], upstox_key=f"{UPSTOX_SEGMENTS[key.segment]}|{token}",
        isin="", lot_size=row.lot_size, tick_size_paise=row.tick_size_paise,
        freeze_quantity=max(freeze, row.lot_size), market_class=MarketClass.DERIVATIVE.value,
    )  # fmt: skip
