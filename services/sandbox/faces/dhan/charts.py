"""/charts: daily and intraday candles, and options by their distance from the money. Times are true UTC epochs."""

import numpy as np
from fastapi import APIRouter, Request

from services.sandbox.faces.dhan.caller import AuthorisedCaller, Body, named_instrument
from services.sandbox.faces.dhan.fields import Fields
from services.sandbox.faces.dhan.order_rows import Row
from services.sandbox.faces.dhan.problems import DhanProblem
from services.sandbox.faces.dhan.rolling import rolling_rows
from services.sandbox.ports import Exchange
from tradebus.contracts.records import CANDLE, Records
from tradebus.kernel.time import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, ist_midnight_ns

router = APIRouter()
INTERVALS = {"1": 60, "5": 300, "15": 900, "25": 1500, "60": 3600}
_INTRADAY_SPAN_NS = 91 * NANOSECONDS_PER_DAY  # 90 days and the one that a bare last date includes
_ROLLING_SPAN_NS = 32 * NANOSECONDS_PER_DAY
_OPEN_NS = (9 * 3600 + 15 * 60) * NANOSECONDS_PER_SECOND
_KINDS = frozenset({"INDEX", "EQUITY", "FUTIDX", "FUTSTK", "OPTIDX", "OPTSTK"})


@router.post("/charts/historical")
async def daily(caller: AuthorisedCaller, body: Body) -> Row:
    """One candle a day, stamped with its Indian midnight; the last date is not included."""
    instrument, kind = named_instrument(caller.exchange, body), body.text("instrument")
    _check_kind(kind)
    if body.whole("expiryCode", 0) > 3:
        raise DhanProblem("DH-905", "expiryCode must be 0 to 3")
    from_ns, to_ns = span(body)
    candles = caller.exchange.history(instrument.index, timeframe_seconds=86_400, from_ns=from_ns, to_ns=to_ns)
    stamps = [ist_midnight_ns(int(at)) // NANOSECONDS_PER_SECOND for at in candles["ts_open_ns"]]
    return columns(candles, stamps, open_interest=body.flag("oi"))


@router.post("/charts/intraday")
async def intraday(caller: AuthorisedCaller, body: Body) -> Row:
    """Candles of 1, 5, 15, 25 or 60 minutes, at most 90 days a call. A bare last date is included."""
    instrument = named_instrument(caller.exchange, body)
    _check_kind(body.text("instrument"))
    seconds = body.word("interval", INTERVALS, "1")
    from_ns, to_ns = span(body, whole_last_day=True)
    if to_ns - from_ns > _INTRADAY_SPAN_NS:
        raise DhanProblem("DH-905", "fromDate to toDate is more than the 90 days that one call may ask for")
    candles = candles_of(caller.exchange, instrument.index, seconds=seconds, from_ns=from_ns, to_ns=to_ns)
    return columns(candles, _seconds(candles), open_interest=body.flag("oi"))


@router.post("/charts/rollingoption")
async def rolling(request: Request, caller: AuthorisedCaller, body: Body) -> dict[str, Row]:
    """The option that was so many strikes from the money at each bar."""
    from_ns, to_ns = span(body)
    if to_ns - from_ns > _ROLLING_SPAN_NS:
        raise DhanProblem("DH-905", "fromDate to toDate is more than the 30 days that one call may ask for")
    seconds = body.word("interval", INTERVALS, "1")
    return {
        "data": rolling_rows(
            caller.exchange, request.app.state.catalogues(), body, seconds=seconds, from_ns=from_ns, to_ns=to_ns
        )
    }


def span(body: Fields, *, whole_last_day: bool = False) -> tuple[int, int]:
    """fromDate and toDate in ns. Raises DhanProblem where they are the wrong way round."""
    from_ns, to_ns = body.moment_ns("fromDate"), body.moment_ns("toDate", whole_day_after=whole_last_day)
    if from_ns > to_ns:
        raise DhanProblem("DH-905", "fromDate must not be after toDate")
    return from_ns, to_ns


def candles_of(exchange: Exchange, instrument: int, *, seconds: int, from_ns: int, to_ns: int) -> Records:
    """CANDLE records; 25 minutes, which nobody else has, are made of five-minute ones from the open on."""
    if seconds != INTERVALS["25"]:
        return exchange.history(instrument, timeframe_seconds=seconds, from_ns=from_ns, to_ns=to_ns)
    fine = exchange.history(instrument, timeframe_seconds=300, from_ns=from_ns, to_ns=to_ns)
    if len(fine) == 0:
        return fine
    midnights = np.array([ist_midnight_ns(int(at)) for at in fine["ts_open_ns"]])
    width_ns = seconds * NANOSECONDS_PER_SECOND
    number = (fine["ts_open_ns"] - midnights - _OPEN_NS) // width_ns
    opens = midnights + _OPEN_NS + number * width_ns
    starts = np.flatnonzero(np.diff(opens, prepend=opens[0] - 1))
    bars = np.zeros(len(starts), CANDLE)
    bars["ts_open_ns"], bars["ts_close_ns"] = opens[starts], opens[starts] + width_ns
    ends = np.append(starts[1:], len(fine)) - 1
    bars["open_paise"], bars["close_paise"] = fine["open_paise"][starts], fine["close_paise"][ends]
    bars["high_paise"] = np.maximum.reduceat(fine["high_paise"], starts)
    bars["low_paise"] = np.minimum.reduceat(fine["low_paise"], starts)
    bars["volume"] = np.add.reduceat(fine["volume"], starts)
    bars["open_interest"] = fine["open_interest"][ends]
    return bars


def columns(candles: Records, stamps: list[int], *, open_interest: bool) -> Row:
    """Lists of equal length, as Dhan answers."""
    prices = {name: (candles[f"{name}_paise"] / 100).tolist() for name in ("open", "high", "low", "close")}
    interest = candles["open_interest"].tolist() if open_interest else [0] * len(candles)
    return {**prices, "volume": candles["volume"].tolist(), "timestamp": stamps, "open_interest": interest}


def _seconds(candles: Records) -> list[int]:
    stamps: list[int] = (candles["ts_open_ns"] // NANOSECONDS_PER_SECOND).tolist()
    return stamps


def _check_kind(kind: str) -> None:
    if kind not in _KINDS:
        raise DhanProblem("DH-905", f"instrument {kind[:20]!r} is none of {', '.join(sorted(_KINDS))}")
