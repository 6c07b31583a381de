"""What the strategy service reads, in which order, and the promise it makes for each entry of candles.

Invariants (tested on real servers):
- Every md.candles entry leads to its watermark on signals.v1.strategy, at once, after the signals it led to: in a live
  market without those of a strategy file that has not answered yet.
- An entry is acknowledged only after its decisions and signals, late ones too, are stored and its signals and watermark
  published.
- In a paced run orders and ticks are acknowledged only together with a later candles entry: their watermarks hold that
  entry's place in the merge, and must be read again where it is.
"""

from services.strategy.adapters.tick_stream import QUOTES, TICKS, TickStream
from services.strategy.reader import CONSUMER, GROUP
from tradebus.bus.port import Bus, Entry, Outgoing
from tradebus.contracts.streams import COMMANDS, MD_CANDLES, MD_GAPS, ORDERS, SESSIONS, SIGNALS, key_of
from tradebus.runtime.merge import Gate, MergedInput
from tradebus.strategies.lane.sessions import ActiveSessions

CANDLES = key_of(MD_CANDLES)
BATCH = "candles"
_GATES = (Gate(CANDLES, 0, "watermark"), Gate(ORDERS.name, 2, "event"))
_TICK_GATE = Gate(TICKS, 1, "watermark")
_UNORDERED = (COMMANDS.name, SESSIONS.name, MD_GAPS.name)


class StrategyInput:
    """Subscribes to ticks, and to quotes, only while some strategy wants them. `hears_*` say how it stands."""

    def __init__(self, bus: Bus, active: ActiveSessions, *, ticks: TickStream, quotes: TickStream, paced: bool) -> None:
        self._bus, self._active, self._ticks, self._quotes, self._paced = bus, active, ticks, quotes, paced
        self.hears_ticks = self.hears_quotes = False

    @property
    def is_outdated(self) -> bool:
        wants_quotes = bool(self._active.quote_instruments)
        return self._active.wants_ticks != self.hears_ticks or wants_quotes != self.hears_quotes

    async def open(self) -> MergedInput:
        self.hears_ticks, self.hears_quotes = self._active.wants_ticks, bool(self._active.quote_instruments)
        streams, gates = [CANDLES, ORDERS.name, *_UNORDERED], list(_GATES)
        if self.hears_ticks:
            streams.append(TICKS)
            gates.append(_TICK_GATE)
        else:
            await self._ticks.leave()
        if self.hears_quotes:
            streams.append(QUOTES)
        else:
            await self._quotes.leave()
        subscription = await self._bus.subscribe(streams, group=GROUP, consumer=CONSUMER)
        return MergedInput(subscription, bus=self._bus, gates=gates, paced=self._paced)


def watermark_of(entry: Entry) -> list[Outgoing]:
    """The promise that an md.candles entry leads to: no signal at or before its end comes after this. In a live market,
    where nobody merges by it, but for the late answers of strategy files (decision 22)."""
    if entry.stream != CANDLES or entry.watermark_ns is None:
        return []
    return [Outgoing(SIGNALS.name, "watermark", watermark_ns=entry.watermark_ns)]
