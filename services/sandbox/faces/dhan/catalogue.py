"""Looking contracts up the way Dhan's chains and masters are asked for: by underlying, expiry and strike."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from services.sandbox.ports import Exchange, SandboxInstrument
from tradebus.contracts.instrument_key import InstrumentKey, Right, Segment

_DERIVATIVE_SEGMENTS = {
    Segment.INDEX: (Segment.NFO, Segment.BFO),
    Segment.NSE: (Segment.NFO,),
    Segment.BSE: (Segment.BFO,),
}
Strikes = dict[int, dict[Right, SandboxInstrument]]


class Catalogue:
    """Indexes over one listing. Expiries ascend; strikes are in paise."""

    def __init__(self, instruments: Sequence[SandboxInstrument]) -> None:
        self.instruments = instruments
        self._by_key = {each.key: each for each in instruments}
        self._options: dict[tuple[Segment, str, date], Strikes] = defaultdict(lambda: defaultdict(dict))
        expiries: dict[tuple[Segment, str], set[date]] = defaultdict(set)
        for each in instruments:
            key = each.key
            if key.expiry is None or key.strike_paise is None or key.right is None:
                continue
            self._options[key.segment, key.name, key.expiry][key.strike_paise][key.right] = each
            expiries[key.segment, key.name].add(key.expiry)
        self._expiries = {where: tuple(sorted(found)) for where, found in expiries.items()}

    def underlying_of(self, key: InstrumentKey) -> SandboxInstrument | None:
        """What a derivative derives from; None for what is none."""
        if not key.is_derivative:
            return None
        cash = Segment.NSE if key.segment is Segment.NFO else Segment.BSE
        return self._by_key.get(InstrumentKey(Segment.INDEX, key.name)) or self._by_key.get(
            InstrumentKey(cash, key.name)
        )

    def derives_from_index(self, key: InstrumentKey) -> bool:
        """Whether a derivative is an index future or option."""
        return InstrumentKey(Segment.INDEX, key.name) in self._by_key

    def expiries(self, underlying: InstrumentKey) -> tuple[date, ...]:
        """Of its options; empty where it has none."""
        for segment in _DERIVATIVE_SEGMENTS.get(underlying.segment, ()):
            if (segment, underlying.name) in self._expiries:
                return self._expiries[segment, underlying.name]
        return ()

    def strikes(self, underlying: InstrumentKey, expiry: date) -> Strikes:
        """The options of one expiry by strike and right; empty where none is listed."""
        for segment in _DERIVATIVE_SEGMENTS.get(underlying.segment, ()):
            if (segment, underlying.name, expiry) in self._options:
                return self._options[segment, underlying.name, expiry]
        return {}


class Catalogues:
    """The catalogue of the listing in force, made anew when the exchange lists another."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._held = Catalogue(exchange.instruments)

    def __call__(self) -> Catalogue:
        if self._held.instruments is not self._exchange.instruments:
            self._held = Catalogue(self._exchange.instruments)
        return self._held
