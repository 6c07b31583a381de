"""Generated trading days: 1-minute candles of a market that does not exist but moves like one.

Invariants (property-tested):
- The same seed, day and instrument give the same candles for ever, whatever other instruments are generated with it.
- Every candle is sound (0 < low ≤ open, close ≤ high), on the instrument's tick size, every minute of the day has one.
- The day opens where the last one closed, plus a night's gap.

What moves a price: a market factor common to all, the instrument's own fat-tailed noise, stretches of trend that begin
after the opening range (so breakouts happen and some of them fail), rare jumps, and a weak pull towards the base price
over the nights, so that a year's generation stays near it. Volatility and volume are high at the open, low at noon and
higher again towards the close; volume also follows the size of the move.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tradebus.contracts.records import CANDLE, Records
from tradebus.indicators._series import Floats
from tradebus.kernel.rng import seed_for

MINUTE_NS = 60_000_000_000
STEPS = 12  # price steps within a minute
TRADING_DAYS = 252
MARKET_TREND_PROBABILITY = 0.7
OWN_TREND_PROBABILITY = 0.4
JUMPS_PER_DAY = 1.5
NIGHT_SHARE = 0.3  # of a day's volatility
NIGHT_PULL = 0.05  # of the distance to the base price


@dataclass(frozen=True, slots=True)
class SyntheticInstrument:
    """What is generated. `annual_volatility` is a share (0.15 is 15 %); `daily_volume` is 0 for an index."""

    instrument: int
    base_price_paise: int
    annual_volatility: float
    tick_size_paise: int
    daily_volume: int
    market_share: float = 0.5  # of its variance that the market factor explains


def generate_day(
    instruments: Sequence[SyntheticInstrument],
    *,
    day_open_ns: int,
    minutes: int,
    seed: int,
    previous_close_paise: Mapping[int, int] | None = None,
) -> Records:
    """CANDLE records of 60 s for `minutes` from `day_open_ns`, by time, then in the order of `instruments`.

    `previous_close_paise` is yesterday's close by instrument number; where there is none the base price stands for it.
    """
    market = np.random.default_rng(seed_for(seed, day_open_ns, "market"))
    factor = market.standard_normal(minutes * STEPS) * _season(minutes)
    factor += _trend(market, minutes, probability=MARKET_TREND_PROBABILITY)
    candles = np.zeros((minutes, len(instruments)), CANDLE)
    for column, one in enumerate(instruments):
        own = np.random.default_rng(seed_for(seed, day_open_ns, one.instrument))
        before = (previous_close_paise or {}).get(one.instrument, one.base_price_paise)
        _fill(candles[:, column], one, own, factor, before)
    candles["ts_open_ns"] = (day_open_ns + np.arange(minutes) * MINUTE_NS)[:, None]
    candles["ts_close_ns"] = candles["ts_open_ns"] + MINUTE_NS
    candles["timeframe_seconds"], candles["tick_count"] = 60, STEPS
    return candles.reshape(-1)


def generate_days(
    instruments: Sequence[SyntheticInstrument], *, day_opens_ns: Sequence[int], minutes: int, seed: int
) -> Iterator[Records]:
    """One `generate_day` per open instant, each opening where the one before closed."""
    closes: dict[int, int] = {}
    for day_open_ns in day_opens_ns:
        day = generate_day(
            instruments, day_open_ns=day_open_ns, minutes=minutes, seed=seed, previous_close_paise=closes
        )
        last = day[-len(instruments) :] if minutes else day
        closes |= dict(zip(last["instrument"].tolist(), last["close_paise"].tolist(), strict=True))
        yield day


def _season(minutes: int) -> Floats:
    """Standard deviation of each step in units of a day's: U-shaped, its squares summing to 1."""
    place = (np.arange(minutes) + 0.5) / max(1, minutes)
    shape: Floats = np.repeat(0.6 + 1.0 * (2 * place - 1) ** 2 + 0.9 * np.exp(-place * 25), STEPS)
    shape /= np.sqrt(np.sum(shape**2))
    return shape


def _trend(generator: np.random.Generator, minutes: int, *, probability: float) -> Floats:
    """A stretch of steady drift of 0.6 to 1.8 daily deviations, or nothing."""
    happens, size, sign, start, length = generator.random(5)
    drift = np.zeros(minutes * STEPS)
    if happens < probability:
        first = int(minutes * STEPS * (0.05 + 0.35 * start))
        count = max(1, int(minutes * STEPS * (0.08 + 0.25 * length)))
        drift[first : first + count] = (0.6 + 1.2 * size) * (1 if sign < 0.5 else -1) / count
    return drift


def _fill(
    candles: Records, one: SyntheticInstrument, own: np.random.Generator, factor: Floats, before_paise: int
) -> None:
    """Prices and volume of one instrument's day."""
    minutes = len(candles)
    steps = minutes * STEPS
    deviation = one.annual_volatility / np.sqrt(TRADING_DAYS)
    noise = own.standard_t(5, steps) / np.sqrt(5 / 3) * _season(minutes)
    noise += _trend(own, minutes, probability=OWN_TREND_PROBABILITY)
    noise += (own.random(steps) < JUMPS_PER_DAY / max(1, steps)) * own.standard_normal(steps) * 0.4
    moves = np.sqrt(one.market_share) * factor + np.sqrt(1 - one.market_share) * noise
    night = own.standard_normal() * NIGHT_SHARE * deviation - NIGHT_PULL * np.log(before_paise / one.base_price_paise)
    tick = one.tick_size_paise
    path = np.floor(before_paise * np.exp(night + deviation * np.cumsum(moves)) / tick + 0.5).astype(np.int64) * tick
    by_minute = np.maximum(path, tick).reshape(minutes, STEPS)
    candles["open_paise"], candles["close_paise"] = by_minute[:, 0], by_minute[:, -1]
    candles["high_paise"], candles["low_paise"] = by_minute.max(axis=1), by_minute.min(axis=1)
    season = _season(minutes).reshape(minutes, STEPS)[:, 0]
    activity = season * own.lognormal(0.0, 0.4, minutes)
    activity *= 1 + np.abs(moves.reshape(minutes, STEPS).sum(axis=1)) / np.maximum(season * np.sqrt(STEPS), 1e-12)
    candles["volume"] = (one.daily_volume * activity / max(float(activity.sum()), 1e-12)).astype(np.int64)
    candles["instrument"] = one.instrument
