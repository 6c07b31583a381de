"""The market as it is now: QUOTE records of every instrument, moved in vectorised steps.

    processes ─► fair values (spot, forward, option) ─► spread, five levels, last trade, volume, open interest ─► quotes

Invariants (property-tested): prices are on their tick and inside the day's band; bids descend and ascend nowhere, asks
the other way round, best bid < best ask; volume never falls within a day; high and low enclose the last price; the
same seed and steps give the same quotes.
"""

from collections.abc import Sequence

import numpy as np

from services.sandbox.domain.instruments.shape import Flags, Ints, ListingKind, Process, Shape
from services.sandbox.domain.prices.pricing import RATE, YEAR_SECONDS, Floats, option_prices, smile
from services.sandbox.domain.prices.processes import Processes, season
from tradebus.contracts.records import (
    DEPTH_LEVELS,
    QUOTE,
    QUOTE_HAS_AVERAGE_PRICE,
    QUOTE_HAS_DAY_PRICES,
    QUOTE_HAS_DEPTH,
    QUOTE_HAS_EXCHANGE_TIME,
    QUOTE_HAS_LAST_QUANTITY,
    QUOTE_HAS_LAST_TRADE_TIME,
    QUOTE_HAS_OPEN_INTEREST,
    QUOTE_HAS_OPEN_INTEREST_RANGE,
    QUOTE_HAS_PREVIOUS_CLOSE,
    QUOTE_HAS_PRICE,
    QUOTE_HAS_TOTAL_QUANTITIES,
    QUOTE_HAS_VOLUME,
    Records,
)
from tradebus.kernel.rng import seed_for
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_INDEX_FIELDS = (
    QUOTE_HAS_PRICE | QUOTE_HAS_DAY_PRICES | QUOTE_HAS_PREVIOUS_CLOSE | QUOTE_HAS_EXCHANGE_TIME
    | QUOTE_HAS_LAST_TRADE_TIME
)  # fmt: skip
_TRADED_FIELDS = (
    _INDEX_FIELDS | QUOTE_HAS_LAST_QUANTITY | QUOTE_HAS_AVERAGE_PRICE | QUOTE_HAS_VOLUME | QUOTE_HAS_TOTAL_QUANTITIES
    | QUOTE_HAS_DEPTH
)  # fmt: skip
_DERIVATIVE_FIELDS = _TRADED_FIELDS | QUOTE_HAS_OPEN_INTEREST | QUOTE_HAS_OPEN_INTEREST_RANGE
_BAND_SHARE = 0.10
_LEVELS = np.arange(DEPTH_LEVELS)
_LEVEL_SIZE = np.array([1.0, 1.4, 1.8, 2.0, 2.2])
_EQUITY_LEVEL_PAISE = 30_000_000  # about ₹3 lakh stand at a stock's best price
_LEVEL_LOTS = 12.0

_RECENT_NS = 30.0 * NANOSECONDS_PER_SECOND


class SandboxMarket:
    """Everything moves through `step`; `quotes` is read by anybody and written here and by matching alone."""

    def __init__(self, shape: Shape, processes: Sequence[Process], *, seed: int, now_ns: int) -> None:
        self.shape = shape
        self.processes = Processes(processes, seed=seed)
        self._generator = np.random.Generator(np.random.SFC64(seed_for(seed, "quotes")))
        self.quotes: Records = np.zeros(len(shape), QUOTE)
        self._turnover = np.zeros(len(shape))
        self.lower: Ints = np.zeros(len(shape), np.int64)
        self.upper: Ints = np.zeros(len(shape), np.int64)
        self.halted: Flags = np.zeros(len(shape), np.bool_)
        self.quoted_ns: Ints = np.zeros(len(shape), np.int64)  # since when the levels stand
        self.recent_paise: Floats = np.zeros(len(shape))  # average of the last half minute, the newest weighing most
        self._opened: Flags = np.zeros(len(shape), np.bool_)
        self._traded = shape.kind != ListingKind.INDEX
        self._derivative = shape.expiry_ns > 0
        self._begin_listing(now_ns)

    def _begin_listing(self, now_ns: int) -> None:
        shape, quotes = self.shape, self.quotes
        fields = np.where(self._derivative, _DERIVATIVE_FIELDS, np.where(self._traded, _TRADED_FIELDS, _INDEX_FIELDS))
        quotes["fields"], quotes["instrument"] = fields, np.arange(len(shape))
        everything = np.arange(len(shape))
        quotes["price_paise"] = self._on_tick(self.fair(everything, now_ns), shape.tick)
        draw = self._generator.lognormal(0.0, 0.5, len(shape))
        base_lots = np.where(shape.kind == ListingKind.FUTURE, 40_000.0, 9_000.0) * shape.activity * draw
        quotes["open_interest"] = np.where(self._derivative, np.maximum(base_lots.astype(np.int64), 1) * shape.lot, 0)
        self.begin_day(now_ns)

    def begin_day(self, now_ns: int) -> None:
        """Yesterday's last prices become the previous close; counters of the day start anew."""
        quotes = self.quotes
        quotes["previous_close_paise"] = quotes["price_paise"]
        for name in ("open_paise", "high_paise", "low_paise", "average_price_paise"):
            quotes[name] = quotes["price_paise"]
        for name in (
            "volume_cumulative", "last_quantity", "total_buy_quantity", "total_sell_quantity", "bid_paise", "ask_paise",
            "bid_quantity", "ask_quantity", "bid_orders", "ask_orders",
        ):  # fmt: skip
            quotes[name] = 0
        quotes["open_interest_high"] = quotes["open_interest_low"] = quotes["open_interest"]
        quotes["ts_event_ns"] = quotes["ts_received_ns"] = now_ns
        self._turnover[:], self._opened[:] = 0.0, False
        self.recent_paise[:] = quotes["price_paise"]
        self._set_bands()

    def _set_bands(self) -> None:
        shape, close = self.shape, self.quotes["previous_close_paise"].astype(np.float64)
        spot = self.processes.value[shape.process]
        width = np.where(shape.kind == ListingKind.OPTION, spot, close) * _BAND_SHARE
        self.lower[:] = np.maximum(np.ceil((close - width) / shape.tick), 1) * shape.tick
        self.upper[:] = np.floor((close + width) / shape.tick) * shape.tick

    def last_paise(self, instrument: int) -> int:
        return int(self.quotes["price_paise"][instrument])

    def spot_paise(self, instrument: int) -> int:
        """What its underlying is worth."""
        return round(float(self.processes.value[self.shape.process[instrument]]))

    def fair(self, which: Ints, now_ns: int) -> Floats:
        """What each is worth, in paise, before any rounding."""
        shape, processes = self.shape, self.processes
        process = shape.process[which]
        spot = processes.value[process]
        years = np.maximum(shape.expiry_ns[which] - now_ns, 0) / NANOSECONDS_PER_SECOND / YEAR_SECONDS
        expires = shape.expiry_ns[which] > 0
        worth = np.where(expires, spot * np.exp(RATE * years) * (1.0 + processes.basis[process]), spot)
        options = np.flatnonzero(shape.kind[which] == ListingKind.OPTION)
        if len(options):
            chosen = which[options]
            volatility = self.volatility_of(chosen, worth[options], years[options])
            worth[options] = option_prices(
                worth[options], shape.strike[chosen], years[options], volatility, shape.is_call[chosen]
            )
        return worth

    def volatility_of(self, options: Ints, forward: Floats, years: Floats) -> Floats:
        """The implied volatilities that price these options."""
        at_the_money = self.processes.implied_volatility[self.shape.process[options]]
        return smile(forward, self.shape.strike[options], years, at_the_money)

    def step(self, now_ns: int, seconds: float, *, trading: Flags, chance: Floats, fraction: float) -> Ints:
        """Moves the market by `seconds` to `now_ns`. Of the instruments in `trading` each gets a new quote with its
        `chance`; returns which did, ascending."""
        self.processes.step(seconds, now_ns=now_ns, fraction=fraction)
        drawn = self._generator.random(len(self.shape)) < chance
        which = np.flatnonzero(drawn & trading & ~self.halted)
        self.requote(which, now_ns, within_ns=int(seconds * NANOSECONDS_PER_SECOND), pace=season(fraction))
        return which

    def requote(self, which: Ints, now_ns: int, *, within_ns: int = 0, pace: float = 1.0) -> None:
        """New quotes and a trade each for `which`, at the processes' values."""
        if not len(which):
            return
        shape, quotes, draw = self.shape, self.quotes, self._generator
        tick, fair = shape.tick[which], self.fair(which, now_ns)
        traded = self._traded[which]
        spread = np.maximum(1.0, np.rint(fair * shape.spread_share[which] / tick * draw.uniform(0.6, 1.8, len(which))))
        lower, upper = self.lower[which], self.upper[which]
        room = np.maximum(upper - spread * tick, lower)
        bid = np.clip(np.floor((fair - spread * tick / 2) / tick) * tick, lower - tick, room).astype(np.int64)
        ask = bid + (spread * tick).astype(np.int64)
        at_ask = (draw.random(len(which)) < 0.5) | (bid <= 0)
        last = np.where(traded, np.where(at_ask, ask, bid), self._on_tick(fair, tick))
        last = np.clip(last, lower, np.maximum(upper, lower))
        at_ns = now_ns - (draw.random(len(which)) * within_ns).astype(np.int64)
        weight = 1.0 - np.exp((self.quoted_ns[which] - now_ns) / _RECENT_NS)
        self.recent_paise[which] += weight * (last - self.recent_paise[which])
        self._write_trade(which, last, at_ns, traded=traded, pace=pace)
        depth = which[traded]
        if len(depth):
            self._write_depth(depth, bid[traded], ask[traded])
        quotes["ts_received_ns"][which] = now_ns
        self.quoted_ns[which] = quotes["ts_event_ns"][which]

    def trade(self, instrument: int, *, price_paise: int, quantity: int, now_ns: int) -> None:
        """A trade of the accounts: the last price, the day's range and its volume know of it, the levels do not."""
        quote = self.quotes[instrument : instrument + 1]
        quote["price_paise"] = price_paise
        if not self._opened[instrument]:
            self._opened[instrument] = True
            quote["open_paise"] = quote["high_paise"] = quote["low_paise"] = price_paise
        quote["high_paise"] = max(int(quote["high_paise"][0]), price_paise)
        quote["low_paise"] = min(int(quote["low_paise"][0]), price_paise)
        quote["ts_event_ns"] = quote["ts_last_trade_ns"] = quote["ts_received_ns"] = now_ns
        self.add_volume(np.array([instrument]), np.array([price_paise]), np.array([quantity]))

    def _write_trade(self, which: Ints, last: Ints, at_ns: Ints, *, traded: Flags, pace: float) -> None:
        quotes, shape, draw = self.quotes, self.shape, self._generator
        quotes["price_paise"][which] = last
        opened = which[~self._opened[which]]
        self._opened[opened] = True
        for name in ("open_paise", "high_paise", "low_paise"):
            quotes[name][opened] = quotes["price_paise"][opened]
        quotes["high_paise"][which] = np.maximum(quotes["high_paise"][which], last)
        quotes["low_paise"][which] = np.minimum(quotes["low_paise"][which], last)
        quotes["ts_event_ns"][which] = quotes["ts_last_trade_ns"][which] = at_ns
        sizes = draw.lognormal(0.3, 0.9, len(which)) * pace * (0.3 + shape.activity[which])
        unit = np.where(self._derivative[which], shape.lot[which], np.maximum(1, 2_000_000 // np.maximum(last, 1)))
        quantity = np.where(traded, np.maximum(1, np.rint(sizes)).astype(np.int64) * unit, 0)
        self.add_volume(which, last, quantity)
        change = np.rint(draw.standard_normal(len(which)) * 0.6 * sizes).astype(np.int64) * shape.lot[which]
        interest = np.where(
            self._derivative[which], np.maximum(quotes["open_interest"][which] + change, shape.lot[which]), 0
        )
        quotes["open_interest"][which] = interest
        quotes["open_interest_high"][which] = np.maximum(quotes["open_interest_high"][which], interest)
        quotes["open_interest_low"][which] = np.minimum(quotes["open_interest_low"][which], interest)

    def add_volume(self, which: Ints, price: Ints, quantity: Ints) -> None:
        """Counts a trade of each."""
        quotes = self.quotes
        quotes["last_quantity"][which] = quantity
        volume = quotes["volume_cumulative"][which] + quantity
        quotes["volume_cumulative"][which] = volume
        self._turnover[which] += price.astype(np.float64) * quantity
        average = self._turnover[which] / np.maximum(volume, 1)
        quotes["average_price_paise"][which] = np.where(volume > 0, np.rint(average), price).astype(np.int64)

    def _write_depth(self, which: Ints, bid: Ints, ask: Ints) -> None:
        quotes, shape, draw = self.quotes, self.shape, self._generator
        count, tick, lot = len(which), shape.tick[which].astype(np.int64)[:, None], shape.lot[which][:, None]
        gap = np.where(shape.kind[which] == ListingKind.OPTION, 2, 1)[:, None] * tick
        lower, upper = self.lower[which][:, None], self.upper[which][:, None]
        equity_units = _EQUITY_LEVEL_PAISE / np.maximum(ask, 1)
        size = np.where(self._derivative[which], _LEVEL_LOTS * (0.3 + shape.activity[which]), equity_units)[:, None]
        for side, best, direction in (("bid", bid, -1), ("ask", ask, 1)):
            prices = best[:, None] + direction * _LEVELS * gap
            there = (prices >= lower) & (prices <= upper)
            noise = draw.exponential(1.0, (count, DEPTH_LEVELS)) + 0.15
            quantity = np.maximum(1, np.rint(size * _LEVEL_SIZE * noise)).astype(np.int64) * lot
            quantity = np.where(there, np.minimum(quantity, 2**30), 0)
            quotes[f"{side}_paise"][which] = np.where(there, prices, 0)
            quotes[f"{side}_quantity"][which] = quantity
            orders = 1 + (quantity // lot) % 7
            quotes[f"{side}_orders"][which] = np.where(there, orders, 0)
            whole = "total_buy_quantity" if side == "bid" else "total_sell_quantity"
            quotes[whole][which] = quantity.sum(axis=1) * 14

    @staticmethod
    def _on_tick(price: Floats, tick: Floats) -> Ints:
        return (np.maximum(np.floor(price / tick + 0.5), 1.0) * tick).astype(np.int64)
