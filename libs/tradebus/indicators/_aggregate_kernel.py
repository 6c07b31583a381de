"""Compiled core of the aggregator. Who calls it and what it promises: `aggregate.py`.

State: the minutes of every instrument's current session (MINUTE, [instruments, minutes]; one counts when its
`ts_open_ns` is that of its place, so a new session clears nothing), the session itself, and per timeframe the number
of windows that are closed. Only the first window that is not closed can hold minutes, because a minute closes all
windows before its own.
"""

import numba
import numpy as np
import numpy.typing as npt
from numba import int64, types

from tradebus.contracts.records import CANDLE_CORRECTED, Records
from tradebus.indicators._compile import CANDLES, CANDLES_OUT, INT64S, helper, kernel

MINUTE_NS = 60_000_000_000

MINUTE = np.dtype(
    [
        ("ts_open_ns", "<i8"),
        ("open_paise", "<i8"),
        ("high_paise", "<i8"),
        ("low_paise", "<i8"),
        ("close_paise", "<i8"),
        ("volume", "<i8"),
        ("open_interest", "<i8"),
        ("tick_count", "<i8"),
    ]
)
SESSION = np.dtype([("open_ns", "<i8"), ("close_ns", "<i8")])

# The control array.
CLOCK_NS, TAKEN, OUTSIDE_SESSION, EARLIER_SESSION = range(4)

# What the first look at a batch finds wrong; the row is in the lower bits.
BAD_INSTRUMENT, BAD_TIMEFRAME, BAD_SESSION = 1 << 60, 1 << 61, 1 << 62

_MINUTE = numba.from_dtype(MINUTE)
_SESSION = numba.from_dtype(SESSION)
_MINUTES = types.Array(_MINUTE, 2, "C")
_ROW = types.Array(_MINUTE, 1, "C")
_SESSIONS = types.Array(_SESSION, 1, "C")
_INT64S = types.Array(int64, 1, "C")
_CLOSED = types.Array(int64, 2, "C")
_CANDLE_IN = CANDLES.dtype
Int64s = npt.NDArray[np.int64]


@helper
def windows_ended(session: np.void, timeframe_ns: int, now_ns: int) -> int:
    """How many windows of the session end at or before `now_ns`; the last one ends with the session."""
    if now_ns >= session["close_ns"]:
        return int((session["close_ns"] - session["open_ns"] + timeframe_ns - 1) // timeframe_ns)
    return int(max(0, now_ns - session["open_ns"]) // timeframe_ns)


@helper
def write_window(
    row: Records,
    session: np.void,
    instrument: int,
    timeframe_ns: int,
    window: int,
    flags: int,
    out: Records,
    written: int,
) -> int:
    """Writes the window's candle to `out[written]`, unless it has no minute. Returns the rows written so far."""
    open_ns = session["open_ns"] + window * timeframe_ns
    close_ns = min(open_ns + timeframe_ns, session["close_ns"])
    first = (open_ns - session["open_ns"]) // MINUTE_NS
    candle = out[written]
    found = False
    for place in range(first, first + (close_ns - open_ns + MINUTE_NS - 1) // MINUTE_NS):
        minute = row[place]
        if minute["ts_open_ns"] != session["open_ns"] + place * MINUTE_NS:
            continue
        if not found:
            found = True
            candle["open_paise"] = minute["open_paise"]
            candle["high_paise"] = minute["high_paise"]
            candle["low_paise"] = minute["low_paise"]
            candle["volume"] = candle["open_interest"] = candle["tick_count"] = 0
        candle["high_paise"] = max(candle["high_paise"], minute["high_paise"])
        candle["low_paise"] = min(candle["low_paise"], minute["low_paise"])
        candle["close_paise"] = minute["close_paise"]
        candle["volume"] += minute["volume"]
        candle["tick_count"] += minute["tick_count"]
        if minute["open_interest"] > 0:
            candle["open_interest"] = minute["open_interest"]
    if not found:
        return written
    candle["ts_open_ns"], candle["ts_close_ns"] = open_ns, close_ns
    candle["instrument"] = instrument
    candle["timeframe_seconds"] = timeframe_ns // 1_000_000_000
    candle["flags"] = flags
    return written + 1


@kernel(int64(CANDLES, INT64S, INT64S, int64, int64))
def check(candles: Records, opens: Int64s, closes: Int64s, instruments: int, minutes: int) -> int:
    """0 where the batch can be taken, else what is wrong | row."""
    for row in range(candles.shape[0]):
        candle = candles[row]
        open_ns, close_ns = opens[row if opens.shape[0] > 1 else 0], closes[row if closes.shape[0] > 1 else 0]
        if not 0 <= candle["instrument"] < instruments:
            return BAD_INSTRUMENT | row
        if candle["timeframe_seconds"] != 60 or candle["ts_open_ns"] % MINUTE_NS:
            return BAD_TIMEFRAME | row
        if open_ns % MINUTE_NS or close_ns % MINUTE_NS or not 0 < close_ns - open_ns <= minutes * MINUTE_NS:
            return BAD_SESSION | row
    return 0


@helper
def store(minute: np.void, candle: np.void) -> bool:
    """Puts the candle in its place. False where it stood there already, figure for figure."""
    if (
        minute["ts_open_ns"] == candle["ts_open_ns"]
        and minute["open_paise"] == candle["open_paise"]
        and minute["high_paise"] == candle["high_paise"]
        and minute["low_paise"] == candle["low_paise"]
        and minute["close_paise"] == candle["close_paise"]
        and minute["volume"] == candle["volume"]
        and minute["open_interest"] == candle["open_interest"]
    ):
        return False
    minute["ts_open_ns"] = candle["ts_open_ns"]
    minute["open_paise"] = candle["open_paise"]
    minute["high_paise"] = candle["high_paise"]
    minute["low_paise"] = candle["low_paise"]
    minute["close_paise"] = candle["close_paise"]
    minute["volume"] = candle["volume"]
    minute["open_interest"] = candle["open_interest"]
    minute["tick_count"] = candle["tick_count"]
    return True


@helper
def begin_session(
    own: Records,
    session: np.void,
    closed: Int64s,
    open_ns: int,
    close_ns: int,
    instrument: int,
    timeframes_ns: Int64s,
    control: Int64s,
    out: Records,
    written: int,
) -> int:
    """Closes what the earlier session left open and turns to the new one. Returns the rows written so far."""
    for scale in range(timeframes_ns.shape[0]):
        written = write_window(own, session, instrument, timeframes_ns[scale], closed[scale], 0, out, written)
    session["open_ns"], session["close_ns"] = open_ns, close_ns
    for scale in range(timeframes_ns.shape[0]):
        closed[scale] = windows_ended(session, timeframes_ns[scale], control[CLOCK_NS])
    return written


@kernel(int64(CANDLES, INT64S, INT64S, INT64S, _MINUTES, _SESSIONS, _CLOSED, _INT64S, CANDLES_OUT))
def apply_minutes(
    candles: Records,
    opens: Int64s,
    closes: Int64s,
    timeframes_ns: Int64s,
    minutes: Records,
    sessions: Records,
    closed: Int64s,
    control: Int64s,
    out: Records,
) -> int:
    """Works a checked batch in, row by row. `out` has two rows per candle and timeframe; returns the rows written."""
    written = 0
    for row in range(candles.shape[0]):
        candle = candles[row]
        instrument = candle["instrument"]
        session = sessions[instrument]
        open_ns, close_ns = opens[row if opens.shape[0] > 1 else 0], closes[row if closes.shape[0] > 1 else 0]
        if open_ns < session["open_ns"]:
            control[EARLIER_SESSION] += 1
            continue
        if not open_ns <= candle["ts_open_ns"] < close_ns:
            control[OUTSIDE_SESSION] += 1
            continue
        control[TAKEN] += 1
        own = minutes[instrument]
        if open_ns > session["open_ns"]:
            written = begin_session(
                own, session, closed[instrument], open_ns, close_ns, instrument, timeframes_ns, control, out, written
            )
        session["close_ns"] = close_ns
        place = (candle["ts_open_ns"] - open_ns) // MINUTE_NS
        changed = store(own[place], candle)
        for scale in range(timeframes_ns.shape[0]):
            timeframe_ns = timeframes_ns[scale]
            window = (candle["ts_open_ns"] - open_ns) // timeframe_ns
            if window < closed[instrument, scale]:
                if changed:
                    written = write_window(
                        own, session, instrument, timeframe_ns, window, CANDLE_CORRECTED, out, written
                    )
                continue
            if window > closed[instrument, scale]:
                written = write_window(
                    own, session, instrument, timeframe_ns, closed[instrument, scale], 0, out, written
                )
                closed[instrument, scale] = window
            if windows_ended(session, timeframe_ns, candle["ts_close_ns"]) > window:
                written = write_window(own, session, instrument, timeframe_ns, window, 0, out, written)
                closed[instrument, scale] = window + 1
    return written


@kernel(int64(int64, INT64S, _MINUTES, _SESSIONS, _CLOSED, _INT64S, CANDLES_OUT))
def close_windows(
    now_ns: int,
    timeframes_ns: Int64s,
    minutes: Records,
    sessions: Records,
    closed: Int64s,
    control: Int64s,
    out: Records,
) -> int:
    """Closes every window that ends at or before `now_ns`. `out` has a row per instrument and timeframe."""
    control[CLOCK_NS] = now_ns
    written = 0
    for instrument in range(sessions.shape[0]):
        session = sessions[instrument]
        if session["open_ns"] == 0:
            continue
        for scale in range(timeframes_ns.shape[0]):
            ended = windows_ended(session, timeframes_ns[scale], now_ns)
            if ended > closed[instrument, scale]:
                written = write_window(
                    minutes[instrument],
                    session,
                    instrument,
                    timeframes_ns[scale],
                    closed[instrument, scale],
                    0,
                    out,
                    written,
                )
                closed[instrument, scale] = ended
    return written
