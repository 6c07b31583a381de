"""The conservative fill model: what an order gets where nothing better is certain. Pure.

    a tick at which nothing traded   fills and triggers nothing
    quantity                         a share of what has traded since the order met the market, in whole lots and
                                     pieces of a twentieth of it or more; the first such piece when
                                     as much has traded, so that an exit gets out of a thin market
    price                            the opposite quote, else a tick beyond the trade and slippage; more, the larger the
                                     part of that share that is taken
    a limit that rests               fills where the market trades through it, at the limit
    stop and target in one bar       the stop, where prices are made of bars

What a price does not tell (an index has no volume, brokers tell none of some) limits nothing. The last price that is
quoted again to close a day that broke off (decision 15) fills as a trade does.

Invariants (property-tested): never more than the share, but for the first piece and what has no volume; never better
than the tick, nor beyond the limit; what the look-ahead skips changes nothing.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradebus.contracts.orders import Transaction
from tradebus.contracts.sessions import PaperSettings
from tradebus.trading.orders import InstrumentTicks, OrderRequest

PARTICIPATION_PCT = 10.0
IMPACT_BPS = 1.0
_BASIS = 10_000
_PIECES = 20
_MINUTE_NS = 60_000_000_000
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TickQuote:
    """One tick as matching sees it. Quotes are 0 where the feed has none, volumes where they are not known. The lowest
    and highest price of the rest of its minute, from it on, are there where somebody asks for the worse of two."""

    at_ns: int
    price_paise: int
    bid_paise: int = 0
    ask_paise: int = 0
    volume_cumulative: int = 0
    last_quantity: int = 0
    rest_paise: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class MarketMet:
    """How an order met the market: the day's volume before, what of it was filled by then, and whether its limit rested
    because nobody was there at it."""

    volume_before: int
    filled: int
    rests: bool


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """What the model asks of an order."""

    request: OrderRequest
    settings: PaperSettings
    limit_paise: int | None
    remaining: int
    filled: int
    met: MarketMet | None

    @property
    def buys(self) -> bool:
        return self.request.transaction is Transaction.BUY

    @property
    def _has_volume(self) -> bool:
        return self.request.contract is None or self.request.contract.kind != "INDEX"

    @property
    def needs_trade(self) -> bool:
        """Whether a tick at which nothing traded tells so."""
        return self.settings.volumes is True and self._has_volume

    @property
    def least(self) -> int:
        """The smallest piece that is worth a fill: a twentieth of the order in whole lots, at least one of them."""
        lot = self.request.lot_size
        return min(self.remaining, max(lot, (self.filled + self.remaining) // _PIECES // lot * lot))

    def is_capped(self, quote: TickQuote) -> bool:
        """Whether the tick tells how much has traded."""
        return self._has_volume and quote.volume_cumulative > 0 and quote.last_quantity >= 0

    @property
    def share_hundredths(self) -> int:
        """Of a per cent of what trades."""
        chosen = self.settings.participation_pct
        return round((PARTICIPATION_PCT if chosen is None else chosen) * 100)

    def met_at(self, quote: TickQuote) -> MarketMet:
        """The meeting as of the tick: that before, the first one, or a new one where the day's volume began anew."""
        met, volume = self.met, quote.volume_cumulative
        if met is not None and not 0 < volume < met.volume_before:
            return met
        rests = self.limit_paise is not None and not _is_through(self, quote)
        return MarketMet(volume - max(0, quote.last_quantity), self.filled, rests)

    def price_and_quantity(self, quote: TickQuote) -> tuple[int, int] | None:
        """What the tick fills of it, None where nothing; `met` has to be known."""
        if not (_is_somebody_there(self, quote) and _is_through(self, quote)):
            return None
        if self.needs_trade and quote.last_quantity == 0:
            return None
        share = self._share(quote) if self.is_capped(quote) else None
        quantity = self.remaining if share is None else min(self.remaining, share)
        if quantity < self.least:
            return None
        if quantity < self.remaining:
            quantity = quantity // self.request.lot_size * self.request.lot_size
        return self._price(quote, 1.0 if share is None else quantity / share), quantity

    def _share(self, quote: TickQuote) -> int:
        """What may be had now: the share of the volume since the meeting, less what was had."""
        assert self.met is not None
        traded, had = quote.volume_cumulative - self.met.volume_before, self.filled - self.met.filled
        share = traded * self.share_hundredths // _BASIS - had
        return max(share, self.least) if had == 0 and traded >= self.least else share

    def _price(self, quote: TickQuote, part: float) -> int:
        if self.limit_paise is not None and self.met is not None and self.met.rests:
            return self.limit_paise
        tick, buys = self.request.tick_size_paise, self.buys
        quoted = quote.ask_paise if buys else quote.bid_paise
        impact_bps = (IMPACT_BPS if self.settings.impact_bps is None else self.settings.impact_bps) * part
        base = quoted if quoted > 0 else quote.price_paise + (tick if buys else -tick)
        worse_bps = impact_bps if quoted > 0 else impact_bps + self.settings.slippage_bps
        market = moved_against_us(base, round(worse_bps * 100), tick_size_paise=tick, buys=buys)
        if self.limit_paise is None:
            return market
        return min(market, self.limit_paise) if buys else max(market, self.limit_paise)

    def triggers(self, ticks: InstrumentTicks, begin: int, end: int) -> Bools:
        """Which ticks of [begin, end) may wake a stop or a target, as far as that takes a trade."""
        if not self.needs_trade:
            return np.ones(end - begin, bool)
        traded: Bools = ticks.quantities(begin, end) != 0
        return traded

    def reached(self, ticks: InstrumentTicks, begin: int, end: int) -> Bools:
        """Which ticks of [begin, end) change it, where it waits for no trigger."""
        if self.met is None:
            return np.ones(end - begin, bool)  # the first one is the meeting
        volumes, quantities = ticks.volumes(begin, end), ticks.quantities(begin, end)
        bids, asks = ticks.bid_paise[begin:end], ticks.ask_paise[begin:end]
        quoted, other = (asks, bids) if self.buys else (bids, asks)
        fills: Bools = ((quoted > 0) | (other <= 0)) & self.triggers(ticks, begin, end)
        if self.limit_paise is not None:
            prices, limit = ticks.price_paise[begin:end], self.limit_paise
            at_quote, at_trade = (quoted <= limit, prices < limit) if self.buys else (quoted >= limit, prices > limit)
            fills &= np.where(quoted > 0, at_quote, at_trade)
        if self._has_volume:
            traded, had = volumes - self.met.volume_before, self.filled - self.met.filled
            needed = self.least if had == 0 else -(-(self.least + had) * _BASIS // self.share_hundredths)
            fills &= (traded >= needed) | (volumes <= 0) | (quantities < 0)
        anew: Bools = (volumes > 0) & (volumes < self.met.volume_before)
        return fills | anew


def moved_against_us(price_paise: int, hundredths_bps: int, *, tick_size_paise: int, buys: bool) -> int:
    """The price moved by hundredths of a basis point and rounded to the tick, both against us; integers all the way."""
    scale = _BASIS * 100
    if buys:
        return -(-price_paise * (scale + hundredths_bps) // (scale * tick_size_paise)) * tick_size_paise
    least = price_paise * (scale - hundredths_bps) // (scale * tick_size_paise) * tick_size_paise
    return max(tick_size_paise, least)


def rest_of_minute(ticks: InstrumentTicks, index: int) -> tuple[int, int]:
    """The lowest and highest price from a tick on to the end of its minute."""
    prices = ticks.price_paise[index : minute_end(ticks, index)]
    return int(prices.min()), int(prices.max())


def minute_end(ticks: InstrumentTicks, index: int) -> int:
    """The first index after the minute of a tick."""
    next_minute_ns = (int(ticks.at_ns[index]) // _MINUTE_NS + 1) * _MINUTE_NS
    return int(ticks.at_ns.searchsorted(next_minute_ns))


def _is_somebody_there(order: OpenOrder, quote: TickQuote) -> bool:
    """Where one side only is quoted, nobody stands on the other."""
    quoted, other = (quote.ask_paise, quote.bid_paise) if order.buys else (quote.bid_paise, quote.ask_paise)
    return quoted > 0 or other <= 0


def _is_through(order: OpenOrder, quote: TickQuote) -> bool:
    """Whether somebody is quoted at the limit, or has traded beyond it. An order without a limit is content."""
    limit = order.limit_paise
    if limit is None:
        return True
    if order.buys:
        return quote.ask_paise <= limit if quote.ask_paise > 0 else quote.price_paise < limit
    return quote.bid_paise >= limit if quote.bid_paise > 0 else quote.price_paise > limit
