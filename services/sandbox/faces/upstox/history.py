"""Candles: of earlier days, and of the day under way, in v3's units and v2's intervals.

As at Upstox, the historical paths end with the day before; the intraday paths hold the day under way. Newest first.
"""

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from services.sandbox.faces.upstox.errors import invalid
from services.sandbox.faces.upstox.face import Access, Caller, Route, success
from services.sandbox.faces.upstox.order_fields import instrument_named
from services.sandbox.faces.upstox.words import iso_stamp, rupees
from tradebus.contracts.records import CANDLE, TIMEFRAMES_SECONDS, Records
from tradebus.kernel.time import NANOSECONDS_PER_DAY, ist_date, ist_midnight_ns

Numbers = npt.NDArray[np.int64]
_DAY_SECONDS = 86_400
_UNITS = {"minutes": (60, 300), "hours": (3600, 5), "days": (_DAY_SECONDS, 1), "weeks": (0, 1), "months": (0, 1)}
_INTERVALS = {
    "1minute": ("minutes", 1), "30minute": ("minutes", 30), "day": ("days", 1), "week": ("weeks", 1),
    "month": ("months", 1),
}  # fmt: skip
_MONTH, _QUARTER, _DECADE = timedelta(days=31), timedelta(days=92), timedelta(days=3660)
_DEFAULT_SPAN = timedelta(days=30)


async def historical(call: Caller) -> object:
    """/v3/historical-candle/{key}/{unit}/{interval}/{to_date}[/{from_date}]"""
    given = call.request.path_params
    return _historical(call, *_unit(given["unit"], given["interval"]))


async def historical_v2(call: Caller) -> object:
    """/v2/historical-candle/{key}/{interval}/{to_date}[/{from_date}]"""
    return _historical(call, *_interval(call))


async def intraday(call: Caller) -> object:
    given = call.request.path_params
    return _intraday(call, *_unit(given["unit"], given["interval"]))


async def intraday_v2(call: Caller) -> object:
    return _intraday(call, *_interval(call))


def _unit(unit: str, interval: str) -> tuple[str, int]:
    if unit not in _UNITS:
        raise invalid("unit", unit[:40], f"unit must be one of {', '.join(_UNITS)}", code="UDAPI1146")
    most = _UNITS[unit][1]
    if not (interval.isascii() and interval.isdigit() and 1 <= int(interval[:6]) <= most):
        raise invalid("interval", interval[:40], f"interval of {unit} must be from 1 to {most}", code="UDAPI1147")
    return unit, int(interval)


def _interval(call: Caller) -> tuple[str, int]:
    word = call.request.path_params["interval"]
    if word not in _INTERVALS:
        raise invalid("interval", word[:40], f"interval must be one of {', '.join(_INTERVALS)}", code="UDAPI1020")
    return _INTERVALS[word]


def _historical(call: Caller, unit: str, count: int) -> object:
    given = call.request.path_params
    last = _day(given["to_date"], "to_date")
    first = _day(given["from_date"], "from_date") if "from_date" in given else last - _DEFAULT_SPAN
    most = _span(unit, count)
    if first > last or last - first > most:
        raise invalid(
            "from_date", first.isoformat(), f"Invalid date range: at most {most.days} days back from to_date",
            code="UDAPI1148",
        )  # fmt: skip
    today = ist_date(call.face.exchange.now_ns)
    last = min(last, today - timedelta(days=1))
    return _candles(call, unit, count, first, last) if first <= last else success({"candles": []})


def _intraday(call: Caller, unit: str, count: int) -> object:
    today = ist_date(call.face.exchange.now_ns)
    return _candles(call, unit, count, today, today)


def _span(unit: str, count: int) -> timedelta:
    if unit == "minutes":
        return _MONTH if count <= 15 else _QUARTER
    return _QUARTER if unit == "hours" else _DECADE


def _day(text: str, name: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise invalid(name, text[:40], f"{name} must be a day as YYYY-MM-DD", code="UDAPI1021") from None


def _candles(call: Caller, unit: str, count: int, first: date, last: date) -> object:
    exchange = call.face.exchange
    instrument = instrument_named(exchange, call.request.path_params["key"], field="instrument_key")
    seconds = _UNITS[unit][0] * count or _DAY_SECONDS
    asked = seconds if seconds in TIMEFRAMES_SECONDS else 60
    found = exchange.history(
        instrument.index, timeframe_seconds=asked, from_ns=_midnight_ns(first),
        to_ns=_midnight_ns(last) + NANOSECONDS_PER_DAY,
    )  # fmt: skip
    if asked != seconds:
        found = _joined(found, _bars(found, seconds))
    elif unit in ("weeks", "months"):
        found = _joined(found, _calendar_bars(found, unit))
    return success({"candles": [_row(candle) for candle in found[::-1]]})


def _midnight_ns(day: date) -> int:
    return (day - date(1970, 1, 1)).days * NANOSECONDS_PER_DAY - 19_800 * 1_000_000_000


def _bars(candles: Records, seconds: int) -> Numbers:
    """The number of the bar each minute belongs to, counted from the day's first minute."""
    opens = candles["ts_open_ns"]
    days = (opens - _midnight_ns(date(1970, 1, 1))) // NANOSECONDS_PER_DAY
    _, where = np.unique(days, return_index=True)
    first = opens[where][np.searchsorted(where, np.arange(len(opens)), side="right") - 1] if len(opens) else opens
    numbers: Numbers = days * 100_000 + (opens - first) // (seconds * 1_000_000_000)
    return numbers


def _calendar_bars(candles: Records, unit: str) -> Numbers:
    days = [ist_date(int(at)) for at in candles["ts_open_ns"]]
    if unit == "months":
        return np.array([day.year * 12 + day.month for day in days], np.int64)
    return np.array([day.toordinal() - day.weekday() for day in days], np.int64)


def _joined(candles: Records, bars: Numbers) -> Records:
    """One candle per bar number."""
    if not len(candles):
        return candles
    _, starts = np.unique(bars, return_index=True)
    ends = np.append(starts[1:], len(candles)) - 1
    out = np.zeros(len(starts), CANDLE)
    out["ts_open_ns"], out["ts_close_ns"] = candles["ts_open_ns"][starts], candles["ts_close_ns"][ends]
    out["open_paise"], out["close_paise"] = candles["open_paise"][starts], candles["close_paise"][ends]
    out["high_paise"] = np.maximum.reduceat(candles["high_paise"], starts)
    out["low_paise"] = np.minimum.reduceat(candles["low_paise"], starts)
    out["volume"] = np.add.reduceat(candles["volume"], starts)
    out["open_interest"] = candles["open_interest"][ends]
    return out


def _row(candle: np.void) -> list[object]:
    at_ns = int(candle["ts_open_ns"])
    if int(candle["timeframe_seconds"]) == _DAY_SECONDS:
        at_ns = ist_midnight_ns(at_ns)
    prices = [rupees(int(candle[name])) for name in ("open_paise", "high_paise", "low_paise", "close_paise")]
    return [iso_stamp(at_ns), *prices, int(candle["volume"]), int(candle["open_interest"])]


def _routes() -> tuple[Route, ...]:
    """The longer paths first, for a key may hold anything but a slash."""
    v3, v2 = "/v3/historical-candle", "/v2/historical-candle"
    return (
        ("GET", f"{v3}/intraday/{{key}}/{{unit}}/{{interval}}", Access.PUBLIC, intraday),
        ("GET", f"{v2}/intraday/{{key}}/{{interval}}", Access.PUBLIC, intraday_v2),
        ("GET", f"{v3}/{{key}}/{{unit}}/{{interval}}/{{to_date}}/{{from_date}}", Access.PUBLIC, historical),
        ("GET", f"{v3}/{{key}}/{{unit}}/{{interval}}/{{to_date}}", Access.PUBLIC, historical),
        ("GET", f"{v2}/{{key}}/{{interval}}/{{to_date}}/{{from_date}}", Access.PUBLIC, historical_v2),
        ("GET", f"{v2}/{{key}}/{{interval}}/{{to_date}}", Access.PUBLIC, historical_v2),
    )


ROUTES = _routes()
