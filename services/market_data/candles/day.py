"""A day of ticks made into all that the day publishes, by the same kernels that work live ticks.

Invariants (property-tested): the candles of a day of expanded bars are those bars; no candle is flagged as corrected; a
candle of any timeframe closes inside its instrument's session.

A day whose data breaks off before the square-off still ends flat: from the square-off on its last price is quoted
(`closing_ticks`), so that exits have something to be filled at. No candle is made of that (docs/decisions/0015).
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from services.market_data.candles.plan import DayPlan
from tradebus.calendar import TradingSession
from tradebus.contracts.records import CANDLE, QUOTED_AGAIN, Records
from tradebus.indicators.aggregate import Aggregator
from tradebus.indicators.candles import build_candles
from tradebus.indicators.path import expand_minutes
from tradebus.kernel.rng import seed_for

_SESSION_MINUTES = 24 * 60
_CLOSING_EVERY_NS = 5_000_000_000


def plan_day(ticks: Records, *, sessions: Mapping[int, TradingSession]) -> DayPlan:
    """Plans a day from its TICK records, ascending by event time, each inside its instrument's session."""
    if not len(ticks):
        return DayPlan(ticks, np.empty(0, CANDLE))
    instruments = max(sessions) + 1
    minutes = build_candles(ticks, instruments)
    opens, closes = np.zeros(instruments, np.int64), np.zeros(instruments, np.int64)
    for instrument, session in sessions.items():
        opens[instrument], closes[instrument] = session.open_ns, session.close_ns
    aggregator = Aggregator(instruments, session_minutes=_SESSION_MINUTES)
    whole = aggregator.apply(
        minutes,
        session_open_ns=opens[minutes["instrument"]],
        session_close_ns=closes[minutes["instrument"]],
    )
    rest = aggregator.close_until(int(closes.max()))
    candles = np.concatenate((minutes, whole, rest))
    order = np.lexsort((candles["instrument"], candles["timeframe_seconds"], candles["ts_close_ns"]))
    return DayPlan(with_closing_ticks(ticks, sessions), candles[order])


def with_closing_ticks(ticks: Records, sessions: Mapping[int, TradingSession]) -> Records:
    """A day's ticks with those of `closing_ticks` in their place."""
    closing = [
        closing_ticks(ticks[ticks["instrument"] == instrument], session) for instrument, session in sessions.items()
    ]
    if not any(len(part) for part in closing):
        return ticks
    together = np.concatenate((ticks, *closing))
    ordered: Records = together[np.argsort(together["ts_event_ns"], kind="stable")]
    return ordered


def closing_ticks(ticks: Records, session: TradingSession) -> Records:
    """One instrument's last price again, every few seconds from the square-off to the close, where its day's `ticks`
    end before that; else none. Nothing is traded in them, and their quantity says so."""
    if not len(ticks) or int(ticks["ts_event_ns"][-1]) >= session.square_off_ns:
        return ticks[:0]
    times = np.arange(session.square_off_ns + _CLOSING_EVERY_NS, session.close_ns, _CLOSING_EVERY_NS)
    closing = np.repeat(ticks[-1:], len(times))
    closing["ts_event_ns"] = closing["ts_received_ns"] = times
    closing["last_quantity"] = QUOTED_AGAIN
    return closing


def expand_symbol(
    candles: Records, *, symbol: str, instrument: int, tick_size_paise: int, ticks_per_minute: int, seed: int,
    volumes_before: npt.NDArray[np.int64] | None = None,
) -> Records:  # fmt: skip
    """The TICK records of one symbol's day of one-minute CANDLE records.

    `tick_size_paise` is that of the day. The path is drawn from the symbol's name, not from its id: an id is another
    one in another namespace. Where the candles do not begin with the day, `volumes_before` is the day's volume before
    each.
    """
    nameless = candles.copy()
    nameless["instrument"] = 0
    ticks = expand_minutes(
        nameless, ticks_per_minute, seed_for(seed, symbol), tick_size_paise=tick_size_paise,
        volumes_before=volumes_before,
    )  # fmt: skip
    ticks["instrument"] = instrument
    return ticks


def cumulated_volume(ticks: Records) -> Records:
    """The day's TICK records with `volume_cumulative` summed up from `last_quantity`, per instrument."""
    result = ticks.copy()
    for instrument in np.unique(ticks["instrument"]):
        mine = ticks["instrument"] == instrument
        result["volume_cumulative"][mine] = np.cumsum(ticks["last_quantity"][mine].astype(np.int64))
    return result
