"""From the names a person writes to the instruments of a broker's master.

An instrument is its key (exchange, underlying, expiry, strike, right). A broker's symbol is a name for it only where it
can mean nothing else: Dhan calls every weekly of a month alike, and a share lists at two exchanges under one symbol.

Invariants (property-tested): a name finds one instrument or is refused, with the keys it could mean or the nearest
name; instruments that differ in their key differ in their symbol here; an index' name finds the front-month future, the
smallest expiry that has not closed at the instant asked about; an expired contract is found by no name and no key; an
index itself is never found, because it cannot be traded.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

from tradebus.brokers.reference import ListedInstrument
from tradebus.calendar import MarketClass, session_of
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.instruments import InstrumentKind
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.kernel.time import ist_date
from tradebus.symbols.descriptions import aliases_of, canonical

_KEYS_SHOWN = 8


class ListedTerms(NamedTuple):
    """What the market's clock reads of an instrument (`tradebus.calendar.Listed`)."""

    kind: str
    market_class: str
    underlying: str
    expiry: date | None


@dataclass(frozen=True, slots=True)
class Resolved:
    """One instrument to follow, before it has an id. `symbol` names it and nothing else of the broker's master."""

    listing: ListedInstrument
    symbol: str
    kind: InstrumentKind
    market_class: MarketClass
    aliases: tuple[str, ...]


class BrokerMaster:
    """A broker's master, by key and by symbol."""

    def __init__(self, rows: Iterable[ListedInstrument]) -> None:
        self._by_key: dict[InstrumentKey, ListedInstrument] = {}
        self._by_symbol: dict[str, list[ListedInstrument]] = {}
        self._futures: dict[str, list[ListedInstrument]] = {}
        self._indices: dict[str, ListedInstrument] = {}
        self._derived: set[str] = set()
        for row in rows:
            key = row.key
            if self._by_key.setdefault(key, row) is not row:
                continue
            if key.segment is Segment.INDEX:
                self._indices[key.name] = row
                continue
            self._by_symbol.setdefault(row.symbol.upper(), []).append(row)
            if key.segment is Segment.NFO:
                self._derived.add(key.name)
            if key.is_derivative and not key.is_option:
                self._futures.setdefault(key.name, []).append(row)
        self._unnamed = self._without_names()

    def index(self, name: str) -> ListedInstrument | None:
        """The index of this name itself, which can be asked about and not traded."""
        return self._indices.get(name)

    def resolve(self, names: Sequence[str], *, now_ns: int) -> list[Resolved]:
        """Each instrument once, in the order of the names. Raises InvalidInput naming the first bad name."""
        found: dict[InstrumentKey, Resolved] = {}
        for name in names:
            resolved = self._resolved(name, now_ns=now_ns)
            held = found.get(resolved.listing.key)
            if held is not None:
                resolved = replace(held, aliases=tuple(dict.fromkeys((*held.aliases, *resolved.aliases))))
            found[resolved.listing.key] = resolved
        return list(found.values())

    def by_key(self, key: InstrumentKey) -> ListedInstrument | None:
        return self._by_key.get(key)

    def _without_names(self) -> frozenset[tuple[Segment, bool]]:
        """Segments, and options or not, in which symbols name nothing, because one of them stands for several keys.

        All of a kind or none: whether a symbol happens to be one contract's today says nothing of tomorrow's master.
        """
        counts = Counter((row.key.segment, row.key.is_option, row.symbol.upper()) for row in self._by_key.values())
        return frozenset((segment, option) for (segment, option, _), count in counts.items() if count > 1)

    def _symbol(self, listing: ListedInstrument) -> str:
        """The broker's symbol where it names, the key else. What lists at BSE may list at NSE tomorrow."""
        key = listing.key
        if key.segment is Segment.BSE or (key.segment, key.is_option) in self._unnamed:
            return str(key)
        shared = [row.key for row in self._by_symbol[listing.symbol.upper()] if row.key.segment is not Segment.BSE]
        return listing.symbol if key == min(shared, key=_precedence) else str(key)

    def _resolved(self, name: str, *, now_ns: int) -> Resolved:
        listing = self._listing(name, now_ns=now_ns)
        plain, symbol = canonical(name), self._symbol(listing)
        aliases = [plain, *aliases_of(plain), str(listing.key)]
        if listing.key.segment is Segment.NSE:
            aliases.append(f"{listing.key.name}.NS")
        return Resolved(
            listing, symbol, _kind(listing.key), self._market_class(listing.key),
            tuple(alias for alias in dict.fromkeys(aliases) if alias.upper() != symbol.upper()),
        )  # fmt: skip

    def _listing(self, name: str, *, now_ns: int) -> ListedInstrument:
        plain = canonical(name)
        meant = self._meant(plain, name, now_ns=now_ns)
        alive = [row for row in meant if not has_expired(row.key, now_ns=now_ns)]
        if meant and not alive:
            raise InvalidInput(f"symbol {name!r}: {_ended(max((row.key for row in meant), key=_last_day))}")
        if len(alive) > 1:
            keys = [str(row.key) for row in sorted(alive, key=lambda row: _last_day(row.key))]
            more = f" or {len(keys) - _KEYS_SHOWN} more" if len(keys) > _KEYS_SHOWN else ""
            raise InvalidInput(
                f"symbol {name!r} means {len(keys)} instruments at this broker: write the one you want, "
                f"{', '.join(keys[:_KEYS_SHOWN])}{more}"
            )
        found = alive[0] if alive else self._front_month(plain, now_ns=now_ns)
        if found is None:
            known = [*self._futures, *(key.name for key in self._by_key if key.segment is Segment.NSE)]
            raise InvalidInput(f"symbol {name!r} is not in the broker's instrument master{nearest(plain, known)}")
        return found

    def _meant(self, plain: str, name: str, *, now_ns: int) -> list[ListedInstrument]:
        """All that a key, a share's symbol or a broker's symbol can mean, expired contracts too."""
        if ":" in plain:
            key = InstrumentKey.parse(plain)
            if key.segment is Segment.INDEX:
                raise InvalidInput(f"symbol {name!r}: an index is not traded; {key.name} means its current future")
            listed = self._by_key.get(key)
            if listed is None and has_expired(key, now_ns=now_ns):
                raise InvalidInput(f"symbol {name!r}: {_ended(key)}")
            return [] if listed is None else [listed]
        share = self._by_key.get(InstrumentKey(Segment.NSE, plain))
        return [share] if share is not None else self._by_symbol.get(plain, [])

    def _front_month(self, name: str, *, now_ns: int) -> ListedInstrument | None:
        alive = [row for row in self._futures.get(name, ()) if not has_expired(row.key, now_ns=now_ns)]
        return min(alive, key=lambda row: (row.key.segment is not Segment.NFO, str(row.key.expiry)), default=None)

    def _market_class(self, key: InstrumentKey) -> MarketClass:
        if key.is_derivative:
            return MarketClass.DERIVATIVE
        return MarketClass.EQUITY_FNO if key.name in self._derived else MarketClass.EQUITY


def has_expired(key: InstrumentKey, *, now_ns: int) -> bool:
    """Whether the contract trades no more: after its last day, and on it from its own close on."""
    today = ist_date(now_ns)
    if key.expiry is None or key.expiry > today:
        return False
    session = session_of(ListedTerms(_kind(key), MarketClass.DERIVATIVE, key.name, key.expiry), today)
    return key.expiry < today or (session is not None and now_ns >= session.close_ns)


def _precedence(key: InstrumentKey) -> tuple[int, bool]:
    """Of the instruments of several segments that a broker gives one symbol, the first keeps it."""
    return list(Segment).index(key.segment), key.is_option


def _last_day(key: InstrumentKey) -> date:
    return key.expiry or date.max


def _ended(key: InstrumentKey) -> str:
    return f"{key} expired on {key.expiry}: name a contract that trades"


def _kind(key: InstrumentKey) -> InstrumentKind:
    if key.is_option:
        return "OPTION"
    return "FUTURE" if key.is_derivative else "EQUITY"
