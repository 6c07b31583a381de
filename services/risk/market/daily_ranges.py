"""The daily range of each instrument that sizes are asked by, read from the candles in the book once a day."""

from services.risk.ports import RiskBook
from tradebus.kernel.time import ist_midnight_ns
from tradebus.trading.size.daily_range import daily_atr_paise


class DailyRangesSeen:
    """`tradebus.risk.terms.DailyRanges`, of what `know` was asked about."""

    def __init__(self, book: RiskBook) -> None:
        self._book = book
        self._known: dict[int, tuple[int, int]] = {}  # by instrument: midnight of the day it is for, and paise

    def atr_paise(self, instrument: int, *, ts_ns: int) -> int | None:
        day_ns, paise = self._known.get(instrument, (None, 0))
        return paise if day_ns == ist_midnight_ns(ts_ns) else None

    async def know(self, instrument: int, *, ts_ns: int) -> None:
        """Reads it where it is not known for that day. What is missing is asked for again: it may be filled."""
        if self.atr_paise(instrument, ts_ns=ts_ns) is not None:
            return
        paise = daily_atr_paise(await self._book.day_bars(instrument, before_ns=ts_ns))
        if paise is not None:
            self._known[instrument] = (ist_midnight_ns(ts_ns), paise)
