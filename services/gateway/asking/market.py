"""The market as an order from outside finds it: what time it is there, and what an instrument traded at last."""

from dataclasses import dataclass

from tradebus.bus.port import Bus, Entry
from tradebus.contracts.records import TICK, decode
from tradebus.contracts.streams import MD_TICKS, key_of
from tradebus.kernel.clock import Clock
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.runtime.market_time import MarketTime
from tradebus.store.books import CandlesBook

_SLICES = 500
_CANDLES_SECONDS = 900


@dataclass(frozen=True, slots=True)
class MarketLook:
    """`price_paise` is None where the instrument has not traded lately."""

    market: MarketTime
    price_paise: int | None

    def now_ns(self, *, is_live: bool) -> int | None:
        """The market's time; None where no market data has come, and it is not a live one."""
        return self.market.now_ns(is_live=is_live)


class AskedMarket:
    """`market_clock` is the live market's, `machine` this machine's; `speed` how many market seconds pass in one."""

    def __init__(
        self, bus: Bus, candles: CandlesBook, *, market_clock: Clock, machine: Clock, speed: float
    ) -> None:  # fmt: skip
        self._bus, self._candles = bus, candles
        self._market_clock, self._machine, self._speed = market_clock, machine, speed

    async def look(self, instrument: int) -> MarketLook:
        """As the newest slices of ticks say it, the candles of the last quarter of an hour where they are silent."""
        slices = await self._bus.tail(key_of(MD_TICKS), count=_SLICES)
        market = MarketTime(self._market_clock, machine=self._machine, speed=self._speed)
        for entry in slices:
            if entry.watermark_ns is not None:
                market.heard(entry.watermark_ns, entry.entry_id)
        price_paise, now_ns = _last_price(slices, instrument), market.now_ns(is_live=True)
        if price_paise is None and now_ns is not None:
            price_paise = await self._last_close(instrument, now_ns=now_ns)
        return MarketLook(market, price_paise)

    async def _last_close(self, instrument: int, *, now_ns: int) -> int | None:
        from_ns = now_ns - _CANDLES_SECONDS * NANOSECONDS_PER_SECOND
        bars = await self._candles.read(instrument=instrument, from_ns=from_ns, to_ns=now_ns + 1, limit=1)
        return int(bars["close_paise"][-1]) if bars.size else None


def _last_price(slices: list[Entry], instrument: int) -> int | None:
    for entry in reversed(slices):
        try:
            ticks = decode(entry.body, TICK)
        except ValueError:  # a bare watermark, or what risk has put aside
            continue
        own = ticks["price_paise"][ticks["instrument"] == instrument]
        if own.size:
            return int(own[-1])
    return None
