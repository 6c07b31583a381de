"""From the names a person writes to the instruments of a broker's master.

Invariants (property-tested): a name finds one instrument or is refused with the nearest name; an index' name finds the
front-month future, the smallest expiry that has not closed at the instant asked about; an index itself is never found,
because it cannot be traded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.market_data.feeds.symbols import aliases_of, canonical
from tradebus.brokers.reference import ListedInstrument
from tradebus.calendar import MarketClass, session_for
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.instruments import InstrumentKind
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.kernel.time import ist_date


@dataclass(frozen=True, slots=True)
class Resolved:
    """One instrument to follow, before it has an id."""

    listing: ListedInstrument
    kind: InstrumentKind
    market_class: MarketClass
    aliases: tuple[str, ...]


class Listings:
    """A broker's master, by key and by symbol."""

    def __init__(self, rows: Iterable[ListedInstrument]) -> None:
        self._by_key: dict[InstrumentKey, ListedInstrument] = {}
        self._by_symbol: dict[str, ListedInstrument] = {}
        self._futures: dict[str, list[ListedInstrument]] = {}
        self._derived: set[str] = set()
        for row in rows:
            key = row.key
            self._by_key.setdefault(key, row)
            if key.segment is not Segment.INDEX:
                self._by_symbol.setdefault(row.symbol.upper(), row)
            if key.segment is Segment.NFO:
                self._derived.add(key.name)
                if not key.is_option:
                    self._futures.setdefault(key.name, []).append(row)

    def resolve(self, names: Sequence[str], *, now_ns: int) -> list[Resolved]:
        """Each instrument once, in the order of the names. Raises InvalidInput naming the first bad name."""
        found: dict[InstrumentKey, Resolved] = {}
        for name in names:
            resolved = self._resolved(name, now_ns=now_ns)
            held = found.get(resolved.listing.key)
            if held is not None:
                aliases = tuple(dict.fromkeys((*held.aliases, *resolved.aliases)))
                resolved = Resolved(held.listing, held.kind, held.market_class, aliases)
            found[resolved.listing.key] = resolved
        return list(found.values())

    def by_key(self, key: InstrumentKey) -> ListedInstrument | None:
        return self._by_key.get(key)

    def _resolved(self, name: str, *, now_ns: int) -> Resolved:
        listing = self._listing(name, now_ns=now_ns)
        plain = canonical(name)
        aliases = [plain, *aliases_of(plain), str(listing.key)]
        if not listing.key.is_derivative:
            aliases.append(f"{listing.key.name}.NS")
        return Resolved(
            listing, _kind(listing.key), self._market_class(listing.key),
            tuple(alias for alias in dict.fromkeys(aliases) if alias.upper() != listing.symbol.upper()),
        )  # fmt: skip

    def _listing(self, name: str, *, now_ns: int) -> ListedInstrument:
        plain = canonical(name)
        if ":" in plain:
            key = InstrumentKey.parse(plain)
            if key.segment is Segment.INDEX:
                raise InvalidInput(f"symbol {name!r}: an index is not traded; {key.name} means its current future")
            found = self._by_key.get(key)
        else:
            found = (
                self._by_key.get(InstrumentKey(Segment.NSE, plain))
                or self._by_symbol.get(plain)
                or self._front_month(plain, now_ns=now_ns)
            )
        if found is None:
            known = [*self._futures, *(key.name for key in self._by_key if key.segment is Segment.NSE)]
            raise InvalidInput(f"symbol {name!r} is not in the broker's instrument master{nearest(plain, known)}")
        return found

    def _front_month(self, name: str, *, now_ns: int) -> ListedInstrument | None:
        alive = [(row.key.expiry, row) for row in self._futures.get(name, ()) if _trades(row.key, now_ns=now_ns)]
        return min(alive, key=lambda pair: str(pair[0]))[1] if alive else None

    def _market_class(self, key: InstrumentKey) -> MarketClass:
        if key.is_derivative:
            return MarketClass.DERIVATIVE
        return MarketClass.EQUITY_FNO if key.name in self._derived else MarketClass.EQUITY


def _kind(key: InstrumentKey) -> InstrumentKind:
    if key.is_option:
        return "OPTION"
    return "FUTURE" if key.is_derivative else "EQUITY"


def _trades(key: InstrumentKey, *, now_ns: int) -> bool:
    """Whether the contract has not expired; on its last day until the close."""
    today, expiry = ist_date(now_ns), key.expiry
    if expiry is None or expiry < today:
        return False
    session = session_for(expiry, MarketClass.DERIVATIVE) if expiry == today else None
    return session is None or now_ns < session.close_ns
