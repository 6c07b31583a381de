"""Finds an instrument by any of its names."""

from collections.abc import Sequence

from services.sandbox.ports import SandboxInstrument
from tradebus.contracts.instrument_key import Segment

KITE_SEGMENTS = {Segment.NSE: 1, Segment.NFO: 2, Segment.BSE: 4, Segment.BFO: 5, Segment.INDEX: 9}
UPSTOX_SEGMENTS = {Segment.NSE: "NSE_EQ", Segment.NFO: "NSE_FO", Segment.BSE: "BSE_EQ", Segment.BFO: "BSE_FO"}


class InstrumentDirectory:
    """Lookups over a listing that does not change."""

    def __init__(self, instruments: Sequence[SandboxInstrument]) -> None:
        self._by_symbol = {(exchange_of(one), one.symbol): one for one in instruments}
        self._by_token = {(one.key.segment.value, one.exchange_token): one for one in instruments}
        self._by_upstox = {one.upstox_key: one for one in instruments}
        self._by_kite = {one.kite_token: one for one in instruments}
        self._by_key = {str(one.key): one for one in instruments}

    def find(self, *, exchange: str, symbol: str) -> SandboxInstrument | None:
        return self._by_symbol.get((exchange, symbol))

    def by_exchange_token(self, segment: str, exchange_token: int) -> SandboxInstrument | None:
        return self._by_token.get((segment, exchange_token))

    def by_upstox_key(self, key: str) -> SandboxInstrument | None:
        return self._by_upstox.get(key)

    def by_kite_token(self, token: int) -> SandboxInstrument | None:
        return self._by_kite.get(token)

    def by_key(self, key: str) -> SandboxInstrument | None:
        """By the text of its InstrumentKey."""
        return self._by_key.get(key)


def exchange_of(instrument: SandboxInstrument) -> str:
    """NSE, NFO, BSE or BFO; an index is on its exchange."""
    if instrument.key.segment is Segment.INDEX:
        return instrument.upstox_key.partition("_")[0]
    return instrument.key.segment.value
