"""What is needed to rebuild a strategy's state, read from the book (`tradebus.strategies.lane.replay` makes candles).

Invariant (tested on both books): the candles are those that market data published for the same minutes; none of them
closes after the instant asked for.
"""

from collections.abc import Mapping

import numpy as np

from services.strategy.ports import PastCandles
from tradebus.contracts.records import CANDLE, Records
from tradebus.kernel.time import ist_midnight_ns
from tradebus.store.books import CandlesBook
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.lane.replay import candles_before, minutes_needed
from tradebus.strategies.protocol import Candle


class CandleHistory:
    """See `services.strategy.ports.StoredCandles`. One reading for all that need as many minutes of earlier days."""

    def __init__(self, candles: CandlesBook) -> None:
        self._candles = candles

    async def before(self, wanted: Mapping[PastCandles, SessionHours]) -> dict[PastCandles, list[Candle]]:
        groups: dict[tuple[int, int], list[PastCandles]] = {}
        for past in wanted:
            place = (ist_midnight_ns(past.ts_ns), minutes_needed(past.timeframe_seconds, past.warmup_candles))
            groups.setdefault(place, []).append(past)
        found: dict[PastCandles, list[Candle]] = {}
        for (day_ns, minutes), pasts in groups.items():
            earlier, today = await self._read(pasts, day_ns=day_ns, minutes=minutes)
            for past in pasts:
                found[past] = candles_before(
                    _of(earlier, past.instrument), _of(today, past.instrument), day_ns=day_ns, ts_ns=past.ts_ns,
                    timeframe_seconds=past.timeframe_seconds, warmup_candles=past.warmup_candles, hours=wanted[past],
                )  # fmt: skip
        return found

    async def _read(self, pasts: list[PastCandles], *, day_ns: int, minutes: int) -> tuple[Records, Records]:
        instruments, until_ns = [past.instrument for past in pasts], max(past.ts_ns for past in pasts)
        earlier = np.zeros(0, CANDLE)
        if minutes:
            earlier = await self._candles.read_many(instruments=instruments, from_ns=0, to_ns=day_ns, limit=minutes)
        return earlier, await self._candles.read_many(instruments=instruments, from_ns=day_ns, to_ns=until_ns)


def _of(records: Records, instrument: int) -> Records:
    """One instrument's, of records that are sorted by instrument."""
    first, last = np.searchsorted(records["instrument"], [instrument, instrument + 1])
    return records[first:last]
