"""What the exchange lists on a day: indices, stocks, futures of three months, options around the money.

Invariants (property-tested): indexes are 0, 1, 2 … in order; no two instruments share a key, a Kite token, an Upstox
key or a token within a segment; every expiry is a settlement day not before the listing's day; every future and option
has its underlying in the list.

Order: indices, stocks, futures, then options ring by ring from the money outwards, so that a longer list begins with
the shorter one's contracts.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count

from services.sandbox.domain.instruments.directory import KITE_SEGMENTS, UPSTOX_SEGMENTS
from services.sandbox.domain.instruments.symbols import dhan_symbol_of, symbol_of
from services.sandbox.domain.instruments.underlyings import Equity, Index, underlyings
from services.sandbox.ports import SandboxInstrument
from tradebus.calendar import (
    MarketClass,
    freeze_quantity_of,
    front_month_expiry,
    lot_size,
    monthly_expiry,
    tick_size_paise,
    weekly_expiry,
)
from tradebus.calendar.rules import current
from tradebus.contracts.instrument_key import InstrumentKey, Right, Segment
from tradebus.kernel.errors import InvalidInput

_FIRST_TOKEN = {Segment.NFO: 35_001, Segment.BFO: 842_001}
_FUTURE_MONTHS = 3
_WEEKLIES = 5
# One strike for so many of the front contracts of the three busiest indices.
_BUSY, _FRONT_EXPIRIES = 0.8, 2
_FAR_RING, _SMALL_INDEX_RING, _STOCK_RING, _FAR_STOCK_RING = 3, 8, 16, 32
_RINGS_MAX = 400
_EQUITY_FREEZE_RUPEES = 500_000_000
_OPTION_FREEZE_LOTS = 40


@dataclass(frozen=True, slots=True)
class OptionSeries:
    """The options of one underlying and expiry."""

    name: str
    segment: Segment
    expiry: date
    step_paise: int
    money_paise: int
    every: int

    def strikes(self, ring: int) -> tuple[int, ...]:
        """The strikes `ring` steps away from the money; none where this chain is not due or they would not be
        positive."""
        if ring % self.every:
            return ()
        away = ring // self.every * self.step_paise
        found = (self.money_paise,) if away == 0 else (self.money_paise - away, self.money_paise + away)
        return tuple(strike for strike in found if strike > 0)


def generate_listing(day: date, *, instruments: int, price_paise: Mapping[str, int]) -> tuple[SandboxInstrument, ...]:
    """At least every index, stock and future; options until there are about `instruments`. `price_paise` says by
    underlying where the money is and which price ticks apply."""
    maker = Maker(day, price_paise)
    for index in underlyings().indices:
        maker.add_index(index)
    for equity in underlyings().equities:
        maker.add_equity(equity)
    names = [(one.name, Segment(one.derivatives)) for one in underlyings().indices if one.derivatives]
    names += [(one.name, Segment.NFO) for one in underlyings().equities if one.lot_size]
    names = [(name, segment) for name, segment in names if _has_rules(name, day)]
    for name, segment in names:
        for expiry in monthly_expiries(name, day, _FUTURE_MONTHS):
            maker.add(InstrumentKey(segment, name, expiry))
    chains = [chain for name, segment in names for chain in _chains(name, segment, day, price_paise[name])]
    for key in _option_keys(chains):
        if len(maker.found) >= instruments:
            break
        maker.add(key)
    return tuple(maker.found)


def monthly_expiries(name: str, day: date, months: int) -> list[date]:
    """The next monthly expiries, from the front month on."""
    found = [front_month_expiry(name, day)]
    while len(found) < months:
        following = (found[-1].replace(day=1) + timedelta(days=32)).replace(day=1)
        found.append(monthly_expiry(name, year=following.year, month=following.month))
    return found


def option_expiries(name: str, day: date) -> list[date]:
    """Weekly expiries of five weeks where the underlying has weeklies, and the next two or three monthly ones."""
    is_index = any(one.name == name for one in underlyings().indices)
    found = set(monthly_expiries(name, day, 3 if is_index else 2))
    for week in range(_WEEKLIES):
        expiry = weekly_expiry(name, day + timedelta(weeks=week))
        if expiry is not None and expiry >= day:
            found.add(expiry)
    return sorted(found)


def _has_rules(name: str, day: date) -> bool:
    """Whether the calendar knows the underlying's contracts on that day."""
    try:
        monthly_expiries(name, day, _FUTURE_MONTHS)
    except InvalidInput:
        return False
    return True


def _chains(name: str, segment: Segment, day: date, price: int) -> Iterator[OptionSeries]:
    terms = _terms(name)
    step = round(terms.strike_step_rupees * 100)
    money = (2 * price + step) // (2 * step) * step
    for place, expiry in enumerate(option_expiries(name, day)):
        yield OptionSeries(name, segment, expiry, step, money, _every(terms, place))


def _every(terms: Index | Equity, place: int) -> int:
    """How many rings lie between two strikes of the underlying's expiry number `place`."""
    if isinstance(terms, Equity):
        return _FAR_STOCK_RING if place else _STOCK_RING
    if terms.activity < _BUSY:
        return _SMALL_INDEX_RING
    return 1 if place < _FRONT_EXPIRIES else _FAR_RING


def _option_keys(chains: list[OptionSeries]) -> Iterator[InstrumentKey]:
    for ring in range(_RINGS_MAX):
        for chain in chains:
            for strike in chain.strikes(ring):
                for right in Right:
                    yield InstrumentKey(chain.segment, chain.name, chain.expiry, strike, right)


def _terms(name: str) -> Index | Equity:
    return next(one for one in underlyings().every if one.name == name)


def _dated(rule: Callable[[], int | None], *, otherwise: int) -> int:
    """The calendar's answer where it has a rule for the day, else the table's."""
    try:
        return rule() or otherwise
    except InvalidInput:
        return otherwise


class Maker:
    """Appends instruments to `found` in order."""

    def __init__(self, day: date, price_paise: Mapping[str, int]) -> None:
        self.day, self._price_paise = day, price_paise
        self.found: list[SandboxInstrument] = []
        self._tokens = {segment: count(first) for segment, first in _FIRST_TOKEN.items()}

    def _append(self, key: InstrumentKey, **terms: object) -> None:
        self.found.append(SandboxInstrument(index=len(self.found), key=key, **terms))  # type: ignore[arg-type]

    def add_index(self, index: Index) -> None:
        self._append(
            InstrumentKey(Segment.INDEX, index.name), symbol=index.kite_symbol, dhan_symbol=index.name,
            exchange_token=index.dhan_id, kite_token=index.kite_exchange_token * 256 + KITE_SEGMENTS[Segment.INDEX],
            upstox_key=f"{index.exchange}_INDEX|{index.upstox_name}", isin="", lot_size=1,
            tick_size_paise=1 if index.derivatives is None else 5, freeze_quantity=0,
            market_class=MarketClass.INDEX.value,
        )  # fmt: skip

    def add_equity(self, equity: Equity) -> None:
        price = self._price_paise[equity.name]
        tick = tick_size_paise(kind="EQUITY", underlying=equity.name, day=self.day, price_paise=price)
        market_class = MarketClass.EQUITY_FNO if equity.lot_size else MarketClass.EQUITY
        for segment, token in ((Segment.NSE, equity.nse_token), (Segment.BSE, equity.bse_code)):
            if token is not None:
                self._append(
                    InstrumentKey(segment, equity.name), symbol=equity.name, dhan_symbol=equity.name,
                    exchange_token=token, kite_token=token * 256 + KITE_SEGMENTS[segment],
                    upstox_key=f"{UPSTOX_SEGMENTS[segment]}|{equity.isin}", isin=equity.isin, lot_size=1,
                    tick_size_paise=tick, freeze_quantity=_EQUITY_FREEZE_RUPEES * 100 // price,
                    market_class=market_class.value,
                )  # fmt: skip

    def add(self, key: InstrumentKey) -> None:
        """A future or an option."""
        assert key.expiry is not None
        expiry, terms, token = key.expiry, _terms(key.name), next(self._tokens[key.segment])
        lot = _dated(lambda: _lot(key.name, expiry), otherwise=terms.lot_size)
        if isinstance(terms, Index):
            freeze = _dated(lambda: freeze_quantity_of(key.name, self.day), otherwise=terms.freeze_quantity)
        else:
            freeze = lot * _OPTION_FREEZE_LOTS
        self._append(
            key, symbol=symbol_of(key), dhan_symbol=dhan_symbol_of(key), exchange_token=token,
            kite_token=token * 256 + KITE_SEGMENTS[key.segment], upstox_key=f"{UPSTOX_SEGMENTS[key.segment]}|{token}",
            isin="", lot_size=lot, tick_size_paise=self._tick(key), freeze_quantity=freeze,
            market_class=MarketClass.DERIVATIVE.value,
        )  # fmt: skip

    def _tick(self, key: InstrumentKey) -> int:
        kind = "OPTION" if key.is_option else "FUTURE"
        price = self._price_paise[key.name]
        return tick_size_paise(kind=kind, underlying=key.name, day=self.day, price_paise=price)


def _lot(name: str, expiry: date) -> int | None:
    """A contract's lot is the one of the month it expires in; None for stocks, whose lots are in the table."""
    return lot_size(name, expiry, kind="FUTURE") if name in current().lot_size else None
