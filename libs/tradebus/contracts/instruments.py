"""What can be traded or watched, and the lookup by any of its names.

Invariants (property-tested): every instrument is found by its id, its key, its symbol and each of its aliases; a name
finds at most one instrument, because a key, symbol or alias that would name two is refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Literal

from pydantic import Field

from tradebus.contracts.base import Model
from tradebus.contracts.instrument_key import Right
from tradebus.kernel.errors import InvalidInput, nearest

InstrumentKind = Literal["EQUITY", "INDEX", "FUTURE", "OPTION"]


class Instrument(Model):
    """One row of `instruments`. `symbol` is canonical (the broker's tradingsymbol); `market_class`, `underlying` and
    `expiry` say which dated rules apply; `instrument_key` is its name across brokers (InstrumentKey), None where it is
    no broker's.

    Its terms are those of the broker's master of `terms_on`, None where no master said them: `tick_size_paise` is the
    smallest price step, `lot_size` and `freeze_quantity` are units; each is None where the calendar's dated rule has to
    say it (`tradebus.calendar.contract_of`). A strike in paise and a right are an option's."""

    instrument_id: int = Field(ge=0, le=2**31 - 1)
    symbol: str = Field(min_length=1)
    exchange: str = "NSE"
    kind: InstrumentKind
    market_class: str
    underlying: str
    tick_size_paise: int | None = Field(default=None, gt=0, le=2**31 - 1)
    expiry: date | None = None
    instrument_key: str | None = None
    strike_paise: int | None = Field(default=None, gt=0)
    right: Right | None = None
    lot_size: int | None = Field(default=None, gt=0, le=2**31 - 1)
    freeze_quantity: int | None = Field(default=None, gt=0)
    terms_on: date | None = None


class InstrumentMaster:
    """Every known instrument, by id and by any of its names; upper and lower case are the same."""

    def __init__(self, instruments: Iterable[Instrument], aliases: Mapping[str, str] | None = None) -> None:
        """`aliases` maps an alias to a canonical symbol. Raises InvalidInput for a name that would mean two things."""
        self._by_id: dict[int, Instrument] = {}
        self._by_name: dict[str, Instrument] = {}
        self.aliases: Mapping[str, str] = dict(aliases or {})
        for instrument in instruments:
            if instrument.instrument_id in self._by_id:
                other = self._by_id[instrument.instrument_id].symbol
                raise InvalidInput(f"instrument {instrument.instrument_id}: both {other!r} and {instrument.symbol!r}")
            self._by_id[instrument.instrument_id] = instrument
            self._name(instrument.symbol, instrument)
            if instrument.instrument_key is not None:
                self._name(instrument.instrument_key, instrument)
        for alias, symbol in self.aliases.items():
            self._name(alias, self.find(symbol))

    def _name(self, name: str, instrument: Instrument) -> None:
        other = self._by_name.setdefault(name.upper(), instrument)
        if other is not instrument:
            raise InvalidInput(f"symbol {name!r} would name both {other.symbol!r} and {instrument.symbol!r}")

    def find(self, name: str) -> Instrument:
        """By canonical symbol, key or alias. Raises InvalidInput with the nearest known name."""
        found = self._by_name.get(name.upper())
        if found is None:
            raise InvalidInput(f"unknown symbol {name!r}{nearest(name, self._by_name)}")
        return found

    def names(self) -> Iterator[str]:
        """Every symbol, key and alias, in upper case."""
        return iter(self._by_name)

    def by_id(self, instrument_id: int) -> Instrument:
        """Raises InvalidInput for an id nobody registered."""
        found = self._by_id.get(instrument_id)
        if found is None:
            raise InvalidInput(f"unknown instrument {instrument_id}: {len(self._by_id)} are registered")
        return found

    def has_id(self, instrument_id: int) -> bool:
        return instrument_id in self._by_id

    def __contains__(self, name: str) -> bool:
        return name.upper() in self._by_name

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)
