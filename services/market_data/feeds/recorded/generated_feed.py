"""A generated market: the same seed, symbols and days give the same ticks for ever.

Invariants (tested): a symbol's prices do not depend on its instrument id; each day opens where the last one closed, and
the first one where the warm-up ended; no bar lies outside its symbol's session.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np

from services.market_data.candles.day import expand_symbol
from services.market_data.feeds.ports import FeedDay
from tradebus.calendar import TradingSession, is_trading_day, previous_trading_day, session_of
from tradebus.contracts.records import CANDLE, Records
from tradebus.history.columns import MINUTE_NS
from tradebus.indicators.synthetic import SyntheticInstrument, generate_day
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.rng import seed_for, uniform
from tradebus.symbols.descriptions import Description, describe, require_terms, tick_on

_VERSION = 2  # of what follows: another recipe is another identity
_DAYS_MAX = 1000
_SESSION_MINUTES = 360  # no fewer in an ordinary session of any class
_BASE_RUPEES = {
    "NIFTY": 24_800, "BANKNIFTY": 55_000, "FINNIFTY": 26_300, "MIDCPNIFTY": 13_400, "NIFTYNXT50": 68_500,
    "SENSEX": 81_500, "RELIANCE": 1_390, "TCS": 3_050, "INFY": 1_480,
}  # fmt: skip
_INDEX_VOLATILITY, _EQUITY_VOLATILITY = 0.14, 0.26
_EQUITY_DAILY_VOLUME = 6_000_000


class GeneratedFeed:
    """See `feeds.ports.MarketFeed`. Raises InvalidInput where no trading day lies in [first, last]."""

    def __init__(
        self, symbols: Sequence[str], *, first: date, last: date, ticks_per_minute: int, seed: int, warmup_minutes: int
    ) -> None:
        self._symbols = tuple(symbols)
        self._descriptions = [describe(symbol) for symbol in symbols]
        for item in self._descriptions:
            if item.kind == "OPTION":
                raise InvalidInput(
                    f"generated feed: no options are made ({item.symbol}): name futures, indices, shares"
                )
            require_terms(item, first=first, last=last)
        self._synthetic = {symbol: _synthetic(item) for symbol, item in zip(symbols, self._descriptions, strict=True)}
        self._first, self._last = first, last
        self._ticks_per_minute, self._seed, self._warmup_minutes = ticks_per_minute, seed, warmup_minutes
        self._closes: list[Mapping[int, int]] = []  # after each day of warm-up and feed made so far
        self._trading_days = _trading_days(first, last)

    @property
    def identity(self) -> str:
        content = (
            _VERSION, self._symbols, self._first.isoformat(), self._last.isoformat(), self._ticks_per_minute,
            self._seed, self._warmup_minutes,
        )  # fmt: skip
        return f"generated-{hashlib.blake2b(repr(content).encode(), digest_size=16).hexdigest()}"

    @property
    def spec(self) -> Mapping[str, Any]:
        return {
            "feed": "generated",
            "symbols": list(self._symbols),
            "from": self._first.isoformat(),
            "to": self._last.isoformat(),
            "seed": self._seed,
            "ticks_per_minute": self._ticks_per_minute,
        }

    @property
    def instruments(self) -> Sequence[Description]:
        return self._descriptions

    @cached_property
    def days(self) -> Sequence[FeedDay]:
        found = []
        for day in self._trading_days:
            sessions = self._sessions(day)
            bars = sum(sum(end - start for start, end in session.windows) // MINUTE_NS for session in sessions.values())
            opens, closes = zip(*((session.open_ns, session.close_ns) for session in sessions.values()), strict=True)
            found.append(FeedDay(day, min(opens), max(closes), bars))
        return found

    def warmup(self, instrument_of: Mapping[str, int]) -> Records:
        parts = [np.empty(0, CANDLE)]
        made = [self._candles(day) for day in self._warmup_days]
        for symbol in self._symbols:
            if made:
                candles = np.concatenate([day[symbol] for day in made])[-self._warmup_minutes :]
                candles["instrument"] = instrument_of[symbol]
                parts.append(candles)
        return np.concatenate(parts)

    def ticks(self, day: FeedDay, instrument_of: Mapping[str, int]) -> Records:
        candles_of = self._candles(day.day)
        made = self._synthetic_on(day.day)
        parts = [
            expand_symbol(
                candles,
                symbol=symbol,
                instrument=instrument_of[symbol],
                tick_size_paise=made[symbol].tick_size_paise,
                ticks_per_minute=self._ticks_per_minute,
                seed=self._seed,
            )
            for symbol, candles in candles_of.items()
        ]
        ticks = np.concatenate(parts)
        return ticks[np.argsort(ticks["ts_event_ns"], kind="stable")]

    @cached_property
    def _warmup_days(self) -> list[date]:
        """Ascending; ends before the first day."""
        days: list[date] = []
        day = self._first
        for _ in range(-(-self._warmup_minutes // _SESSION_MINUTES)):
            day = previous_trading_day(day)
            days.insert(0, day)
        return days

    def _candles(self, wanted: date) -> Mapping[str, Records]:
        """A day's bars by symbol. Closes are carried from the first day on: each day opens where the last closed."""
        order = self._order
        for day in order[len(self._closes) : order.index(wanted)]:
            self._make(day)
        return self._make(wanted)

    @cached_property
    def _order(self) -> list[date]:
        return [*self._warmup_days, *self._trading_days]

    def _closes_before(self, day: date) -> Mapping[int, int]:
        number = self._order.index(day)
        return self._closes[number - 1] if number else {}

    def _synthetic_on(self, day: date) -> Mapping[str, SyntheticInstrument]:
        """With the tick of the day, by what the day before closed at."""
        before = self._closes_before(day)
        return {
            item.symbol: replace(one, tick_size_paise=tick_on(
                item, day, price_paise=before.get(one.instrument, one.base_price_paise)
            ))
            for item, one in zip(self._descriptions, self._synthetic.values(), strict=True)
        }  # fmt: skip

    def _make(self, day: date) -> Mapping[str, Records]:
        before = self._closes_before(day)
        sessions = self._sessions(day)
        open_ns = min(session.open_ns for session in sessions.values())
        close_ns = max(session.close_ns for session in sessions.values())
        candles = generate_day(
            list(self._synthetic_on(day).values()),
            day_open_ns=open_ns,
            minutes=(close_ns - open_ns) // MINUTE_NS,
            seed=self._seed,
            previous_close_paise=before,
        )
        made = {
            symbol: _inside(candles[candles["instrument"] == self._synthetic[symbol].instrument], session)
            for symbol, session in sessions.items()
        }
        if self._order.index(day) == len(self._closes):
            last = {self._synthetic[name].instrument: int(bars["close_paise"][-1]) for name, bars in made.items()}
            self._closes.append({**before, **last})
        return made

    def _sessions(self, day: date) -> Mapping[str, TradingSession]:
        found = {item.symbol: session_of(item, day) for item in self._descriptions}
        return {symbol: session for symbol, session in found.items() if session is not None}


def _trading_days(first: date, last: date) -> list[date]:
    count = (last - first).days + 1
    if count > _DAYS_MAX:
        raise InvalidInput(f"generated feed: {first} to {last} is longer than {_DAYS_MAX} days: choose fewer")
    days = [day for day in (first + timedelta(days=number) for number in range(count)) if is_trading_day(day)]
    if not days:
        raise InvalidInput(f"generated feed: the market is closed from {first} to {last}: choose another date")
    return days


def _synthetic(item: Description) -> SyntheticInstrument:
    """Numbered by its name, not by its id: an id is another one in another namespace."""
    is_index = item.kind == "INDEX"
    rupees = _BASE_RUPEES.get(item.underlying) or int(150 + 3000 * uniform(0, "base price", item.underlying))
    return SyntheticInstrument(
        instrument=seed_for(0, "synthetic", item.symbol) & 0x7FFFFFFF,
        base_price_paise=rupees * 100,
        annual_volatility=_INDEX_VOLATILITY if is_index else _EQUITY_VOLATILITY,
        tick_size_paise=1,  # until a day says its own
        daily_volume=0 if is_index else _EQUITY_DAILY_VOLUME,
        market_share=0.85 if is_index else 0.4,
    )


def _inside(candles: Records, session: TradingSession) -> Records:
    keep = np.zeros(len(candles), bool)
    for start_ns, end_ns in session.windows:
        keep |= (candles["ts_open_ns"] >= start_ns) & (candles["ts_close_ns"] <= end_ns)
    return candles[keep]
