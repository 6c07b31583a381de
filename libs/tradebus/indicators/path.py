"""A plausible tick path for every 1-minute candle of a history that has no ticks.

Invariants (property-tested):
- Each minute gives `ticks_per_minute` ticks at ascending instants inside [open, close) of the minute. The first is at
  the candle's open, the last at its close, its high and low are reached exactly, and nothing lies outside them.
- The cumulative volume after a minute is the day's volume up to and with it: `CandleBuilder` gives the candles back.
- A minute's path is drawn from (seed, instrument, minute) alone: it is the same whatever else is expanded with it and
  in whatever order. Only its cumulative volume counts from the minutes before it.
- The ticks of a batch come by time, then in the order of the candles.

A rising minute more often visits its low first, a falling one its high (7 of 10). Between its turning points the price
walks a straight line with noise that is 0 at both ends.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import int64, types, uint64

from tradebus.contracts.records import TICK, Records
from tradebus.indicators._compile import CANDLES, INT64S, TICKS_OUT, helper, kernel
from tradebus.kernel.time import IST_OFFSET_NS, NANOSECONDS_PER_DAY

MINUTE_NS = 60_000_000_000
TICKS_PER_MINUTE_MIN = 4  # open, high, low, close
TICKS_PER_MINUTE_MAX = 60_000
LIKELY_SHARE = 0.7
NOISE_SHARE = 0.25  # of the candle's range, to either side, halfway between two turning points

_CANDLE = CANDLES.dtype
_GOLDEN, _MIX_ONE, _MIX_TWO = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
# What a draw is for; a tick's own draws follow, three each.
_ORDER, _FIRST_TURN, _SECOND_TURN, _TICK_DRAWS = range(4)
_INSTANT, _NOISE, _VOLUME = range(3)


@helper
def mix(value: np.uint64) -> np.uint64:
    """SplitMix64's finaliser: neighbouring inputs give unrelated outputs."""
    value = (value ^ (value >> _S30)) * _MIX_ONE
    value = (value ^ (value >> _S27)) * _MIX_TWO
    return value ^ (value >> _S31)


@helper
def draw(minute_seed: np.uint64, what: int) -> float:
    """A number in [0, 1) for one use in one minute."""
    return float(mix(minute_seed + np.uint64(what + 1) * _GOLDEN) >> _S11) * (1.0 / 9007199254740992.0)


@helper
def turning_points(
    minute_seed: np.uint64, candle: np.void, count: int, places: npt.NDArray[np.int64], prices: npt.NDArray[np.int64]
) -> None:
    """Fills four (tick number, price): the open, the two extremes in their order, the close."""
    rise = candle["close_paise"] - candle["open_paise"]
    low_first_share = 0.5 if rise == 0 else LIKELY_SHARE if rise > 0 else 1.0 - LIKELY_SHARE
    low_first = draw(minute_seed, _ORDER) < low_first_share
    first = 1 + int(draw(minute_seed, _FIRST_TURN) * (count - 3))
    second = first + 1 + int(draw(minute_seed, _SECOND_TURN) * (count - 2 - first))
    places[0], places[1], places[2], places[3] = 0, first, second, count - 1
    prices[0], prices[3] = candle["open_paise"], candle["close_paise"]
    prices[1] = candle["low_paise"] if low_first else candle["high_paise"]
    prices[2] = candle["high_paise"] if low_first else candle["low_paise"]


@helper
def price_at(
    minute_seed: np.uint64,
    number: int,
    leg: int,
    places: npt.NDArray[np.int64],
    prices: npt.NDArray[np.int64],
    low: int,
    high: int,
    tick_size: int,
) -> int:
    """The price of a tick on the leg from turning point `leg` to the next; exact at both."""
    if number == places[leg]:
        return int(prices[leg])
    if number == places[leg + 1]:
        return int(prices[leg + 1])
    share = (number - places[leg]) / (places[leg + 1] - places[leg])
    noise = (2.0 * draw(minute_seed, _TICK_DRAWS + 3 * number + _NOISE) - 1.0) * math.sqrt(4.0 * share * (1.0 - share))
    price = prices[leg] + (prices[leg + 1] - prices[leg]) * share + noise * NOISE_SHARE * (high - low)
    rounded = math.floor(price / tick_size + 0.5) * tick_size
    return int(min(high, max(low, rounded)))


@kernel(types.void(CANDLES, INT64S, INT64S, int64, uint64, TICKS_OUT))
def expand(
    candles: Records,
    tick_sizes: npt.NDArray[np.int64],
    volumes_before: npt.NDArray[np.int64],
    count: int,
    seed: np.uint64,
    out: Records,
) -> None:
    """Writes `count` ticks per candle to `out`, candle after candle."""
    places, prices, cell_ns = np.empty(4, np.int64), np.empty(4, np.int64), MINUTE_NS // count
    for row in range(candles.shape[0]):
        candle = candles[row]
        minute = candle["ts_open_ns"] // MINUTE_NS
        minute_seed = mix(mix(seed + np.uint64(minute) * _GOLDEN) + np.uint64(candle["instrument"]) * _MIX_ONE)
        turning_points(minute_seed, candle, count, places, prices)
        weights = 0.0
        for number in range(count):
            weights += 0.2 + draw(minute_seed, _TICK_DRAWS + 3 * number + _VOLUME)
        leg, weight, traded = 0, 0.0, 0
        for number in range(count):
            if number > places[leg + 1]:
                leg += 1
            tick = out[row * count + number]
            jitter_ns = int(draw(minute_seed, _TICK_DRAWS + 3 * number + _INSTANT) * cell_ns)
            tick["ts_event_ns"] = tick["ts_received_ns"] = candle["ts_open_ns"] + number * cell_ns + jitter_ns
            tick["price_paise"] = price_at(
                minute_seed, number, leg, places, prices, candle["low_paise"], candle["high_paise"], tick_sizes[row]
            )
            weight += 0.2 + draw(minute_seed, _TICK_DRAWS + 3 * number + _VOLUME)
            after = (
                candle["volume"]
                if number == count - 1
                else min(candle["volume"], int(candle["volume"] * (weight / weights)))
            )
            tick["last_quantity"] = min(after - traded, 2_147_483_647)
            traded = after
            tick["volume_cumulative"] = volumes_before[row] + traded
            tick["open_interest"] = candle["open_interest"]
            tick["bid_paise"] = tick["ask_paise"] = 0
            tick["instrument"] = candle["instrument"]


def volume_before(candles: Records) -> npt.NDArray[np.int64]:
    """Each row's volume of its instrument and Indian day in the rows that start earlier (shape [n])."""
    days = (candles["ts_open_ns"] + IST_OFFSET_NS) // NANOSECONDS_PER_DAY
    order = np.lexsort((candles["ts_open_ns"], candles["instrument"], days))
    volumes, names, days = candles["volume"][order], candles["instrument"][order], days[order]
    running = np.cumsum(volumes) - volumes
    begins = np.ones(len(order), bool)
    begins[1:] = (names[1:] != names[:-1]) | (days[1:] != days[:-1])
    group = np.cumsum(begins) - 1
    before = np.empty(len(order), np.int64)
    before[order] = running - running[begins][group] if len(order) else running
    return before


def expand_minutes(
    candles: Records,
    ticks_per_minute: int,
    seed: int,
    *,
    tick_size_paise: int | npt.NDArray[np.int64] = 5,
    volumes_before: npt.NDArray[np.int64] | None = None,
) -> Records:
    """TICK records of 1-minute CANDLE records, `ticks_per_minute` (4 … 60,000) each.

    Prices between the open, high, low and close are rounded to `tick_size_paise` (one for all or one per row; 1 rounds
    to the paisa). `volumes_before` is the day's volume before each row; None counts it over the batch, which is right
    where the batch begins with the day. Raises ValueError naming the first row that is no sound 1-minute candle.
    """
    if not TICKS_PER_MINUTE_MIN <= ticks_per_minute <= TICKS_PER_MINUTE_MAX:
        raise ValueError(
            f"{ticks_per_minute} ticks per minute: between 4 (open, high, low, close) and 60,000 are possible"
        )
    sizes = np.ascontiguousarray(np.broadcast_to(np.asarray(tick_size_paise, np.int64), len(candles)))
    if np.any(sizes < 1):
        raise ValueError("a tick size is at least one paisa")
    _check(candles)
    before = volume_before(candles) if volumes_before is None else np.ascontiguousarray(volumes_before, np.int64)
    if before.shape != (len(candles),):
        raise ValueError(f"volumes_before has {before.shape}, not one figure per candle")
    ticks = np.empty(len(candles) * ticks_per_minute, TICK)
    expand(np.ascontiguousarray(candles), sizes, before, ticks_per_minute, np.uint64(seed & 0xFFFFFFFFFFFFFFFF), ticks)
    if len(candles) > 1 and np.any(candles["ts_open_ns"][1:] - candles["ts_open_ns"][:-1] < MINUTE_NS):
        ticks = ticks[np.argsort(ticks["ts_event_ns"], kind="stable")]
    return ticks


def _check(candles: Records) -> None:
    sound = (
        (candles["timeframe_seconds"] == 60)
        & (candles["ts_open_ns"] % MINUTE_NS == 0)
        & (candles["volume"] >= 0)
        & (candles["low_paise"] > 0)
        & (candles["low_paise"] <= np.minimum(candles["open_paise"], candles["close_paise"]))
        & (candles["high_paise"] >= np.maximum(candles["open_paise"], candles["close_paise"]))
    )
    if not sound.all():
        row = int(np.argmin(sound))
        raise ValueError(f"candle {row} cannot be expanded: not a 1-minute candle with 0 < low ≤ open, close ≤ high")
