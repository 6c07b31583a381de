"""What is needed to rebuild a strategy's state, read from the book (`tradebus.strategies.lane.replay` makes candles).

Invariant (tested on both books): the candles are those that market data published for the same minutes; none of them
closes after the instant asked for.
"""

import numpy as np

from tradebus.contracts.records import CANDLE
from tradebus.kernel.time import ist_midnight_ns
from tradebus.store.books import CandlesBook
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.lane.replay import candles_before, minutes_needed
from tradebus.strategies.protocol import Candle


class CandleHistory:
    """Reads what is needed to rebuild a strategy's state."""

    def __init__(self, candles: CandlesBook) -> None:
        self._candles = candles

    async def before(
        self, ts_ns: int, *, instrument: int, timeframe_seconds: int, warmup_candles: int, hours: SessionHours
    ) -> list[Candle]:
        """The newest `warmup_candles` candles of earlier days, then those of the day of `ts_ns` that close at or
        before it, in time order."""
        day_ns = ist_midnight_ns(ts_ns)
        minutes = minutes_needed(timeframe_seconds, warmup_candles)
        earlier = np.zeros(0, CANDLE)
        if minutes:
            earlier = await self._candles.read(instrument=instrument, from_ns=0, to_ns=day_ns, limit=minutes)
        today = await self._candles.read(instrument=instrument, from_ns=day_ns, to_ns=ts_ns)
        return candles_before(
            earlier, today, day_ns=day_ns, ts_ns=ts_ns, timeframe_seconds=timeframe_seconds,
            warmup_candles=warmup_candles, hours=hours,
        )  # fmt: skip
