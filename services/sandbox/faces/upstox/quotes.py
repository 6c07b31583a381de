"""Market quotes: full, OHLC, last price, option greeks (v2 and v3). Up to 500 instruments a call."""

from collections.abc import Callable

import numpy as np

from services.sandbox.faces.upstox import fields
from services.sandbox.faces.upstox.errors import UpstoxError, invalid
from services.sandbox.faces.upstox.face import Access, Caller, Route, success
from services.sandbox.faces.upstox.words import iso_stamp_milliseconds, milliseconds, quote_symbol, rupees
from services.sandbox.ports import SandboxInstrument
from tradebus.contracts.records import DEPTH_LEVELS
from tradebus.kernel.time import NANOSECONDS_PER_DAY, ist_midnight_ns

Row = dict[str, object]
_MOST = 500
_MINUTE_NS = 60 * 1_000_000_000
_INTERVALS_V2 = {"1d": 86_400, "I1": 60, "I30": 1800}
_INTERVALS_V3 = {"1d": 86_400, "I1": 60, "I15": 900, "I30": 1800}


def _each(call: Caller, field: str, row: Callable[[SandboxInstrument, np.void], Row]) -> object:
    """The row of every instrument that is listed under one of the keys; the others are left out, as at Upstox."""
    keys = [key for key in fields.query(call.request).text(field).split(",") if key]
    if len(keys) > _MOST:
        raise invalid(field, len(keys), f"at most {_MOST} instrument keys a call", code="UDAPI1009")
    found = [item for item in map(call.face.exchange.by_upstox_key, keys) if item is not None]
    if not found:
        raise UpstoxError(400, "UDAPI100011", "Invalid Instrument key", field=field, value=",".join(keys)[:60])
    quotes = call.face.exchange.quotes
    return success({quote_symbol(item): row(item, quotes[item.index]) for item in found})


async def full_v2(call: Caller) -> object:
    return _each(call, "symbol", lambda item, quote: _full(call, item, quote))


async def full_v3(call: Caller) -> object:
    def row(item: SandboxInstrument, quote: np.void) -> Row:
        return _full(call, item, quote) | {
            "ohlc": _day_candle(call, quote), "prev_close_price": rupees(int(quote["previous_close_paise"])),
            "previous_oi": float(quote["open_interest"]),
        }  # fmt: skip

    return _each(call, "instrument_key", row)


async def ohlc_v2(call: Caller) -> object:
    seconds = fields.query(call.request).choice("interval", _INTERVALS_V2, code="UDAPI1020")

    def row(item: SandboxInstrument, quote: np.void) -> Row:
        candle = _day_candle(call, quote) if seconds == 86_400 else _live_candle(call, item, quote, seconds)
        shown = {name: candle[name] for name in ("open", "high", "low", "close")}
        return {"ohlc": shown, "last_price": _price(quote), "instrument_token": item.upstox_key}

    return _each(call, "symbol", row)


async def ohlc_v3(call: Caller) -> object:
    seconds = fields.query(call.request).choice("interval", _INTERVALS_V3, code="UDAPI1020")

    def row(item: SandboxInstrument, quote: np.void) -> Row:
        day = seconds == 86_400
        live = _day_candle(call, quote) if day else _live_candle(call, item, quote, seconds)
        before = None if day else _candle_before(call, item, seconds)
        return {
            "last_price": _price(quote), "instrument_token": item.upstox_key, "prev_ohlc": before, "live_ohlc": live
        }  # fmt: skip

    return _each(call, "instrument_key", row)


async def last_price_v2(call: Caller) -> object:
    return _each(
        call, "symbol", lambda item, quote: {"last_price": _price(quote), "instrument_token": item.upstox_key}
    )  # fmt: skip


async def last_price_v3(call: Caller) -> object:
    return _each(call, "instrument_key", _traded)


async def option_greek(call: Caller) -> object:
    """`iv` is a fraction here, and a percentage in the chain."""

    def row(item: SandboxInstrument, quote: np.void) -> Row:
        greeks = call.face.exchange.greeks(item.index)
        shown: Row = dict.fromkeys(("iv", "vega", "gamma", "theta", "delta"), 0.0)
        if greeks is not None:
            shown = {
                "iv": round(greeks.implied_volatility, 6), "vega": round(greeks.vega, 4),
                "gamma": round(greeks.gamma, 6), "theta": round(greeks.theta, 4), "delta": round(greeks.delta, 4),
            }  # fmt: skip
        return _traded(item, quote) | shown | {"oi": float(quote["open_interest"])}

    return _each(call, "instrument_key", row)


def _traded(item: SandboxInstrument, quote: np.void) -> Row:
    return {
        "last_price": _price(quote), "instrument_token": item.upstox_key, "ltq": int(quote["last_quantity"]),
        "volume": int(quote["volume_cumulative"]), "cp": rupees(int(quote["previous_close_paise"])),
    }  # fmt: skip


def _full(call: Caller, item: SandboxInstrument, quote: np.void) -> Row:
    price, close = int(quote["price_paise"]), int(quote["previous_close_paise"])
    lower, upper = call.face.exchange.price_band_paise(item.index)
    return {
        "ohlc": {
            "open": rupees(int(quote["open_paise"])), "high": rupees(int(quote["high_paise"])),
            "low": rupees(int(quote["low_paise"])), "close": rupees(price),
        },
        "depth": {"buy": _depth(quote, "bid"), "sell": _depth(quote, "ask")},
        "timestamp": iso_stamp_milliseconds(call.face.exchange.now_ns), "instrument_token": item.upstox_key,
        "symbol": quote_symbol(item).partition(":")[2], "last_price": rupees(price),
        "volume": int(quote["volume_cumulative"]), "average_price": rupees(int(quote["average_price_paise"])),
        "oi": float(quote["open_interest"]), "net_change": rupees(price - close),
        "total_buy_quantity": float(quote["total_buy_quantity"]),
        "total_sell_quantity": float(quote["total_sell_quantity"]),
        "lower_circuit_limit": rupees(lower), "upper_circuit_limit": rupees(upper),
        "last_trade_time": str(milliseconds(int(quote["ts_last_trade_ns"]))),
        "oi_day_high": float(quote["open_interest_high"]), "oi_day_low": float(quote["open_interest_low"]),
    }  # fmt: skip


def _depth(quote: np.void, side: str) -> list[Row]:
    return [
        {
            "quantity": int(quote[f"{side}_quantity"][level]), "price": rupees(int(quote[f"{side}_paise"][level])),
            "orders": int(quote[f"{side}_orders"][level]),
        }
        for level in range(DEPTH_LEVELS)
    ]  # fmt: skip


def _price(quote: np.void) -> float:
    return rupees(int(quote["price_paise"]))


def _day_candle(call: Caller, quote: np.void) -> Row:
    return {
        "open": rupees(int(quote["open_paise"])), "high": rupees(int(quote["high_paise"])),
        "low": rupees(int(quote["low_paise"])), "close": _price(quote), "volume": int(quote["volume_cumulative"]),
        "ts": milliseconds(ist_midnight_ns(call.face.exchange.now_ns)),
    }  # fmt: skip


def _live_candle(call: Caller, item: SandboxInstrument, quote: np.void, seconds: int) -> Row:
    return _newest(call, item, seconds, 0) or (_day_candle(call, quote) | {"volume": 0})


def _candle_before(call: Caller, item: SandboxInstrument, seconds: int) -> Row | None:
    return _newest(call, item, seconds, 1)


def _newest(call: Caller, item: SandboxInstrument, seconds: int, back: int) -> Row | None:
    """The newest candle of the day, or the one `back` before it; None where there is none."""
    now_ns = call.face.exchange.now_ns
    start_ns = max(now_ns - 4 * seconds * 1_000_000_000, now_ns - NANOSECONDS_PER_DAY)
    found = call.face.exchange.history(
        item.index, timeframe_seconds=seconds, from_ns=start_ns // _MINUTE_NS * _MINUTE_NS, to_ns=now_ns
    )  # fmt: skip
    if len(found) <= back:
        return None
    candle = found[-1 - back]
    return {
        "open": rupees(int(candle["open_paise"])), "high": rupees(int(candle["high_paise"])),
        "low": rupees(int(candle["low_paise"])), "close": rupees(int(candle["close_paise"])),
        "volume": int(candle["volume"]), "ts": milliseconds(int(candle["ts_open_ns"])),
    }  # fmt: skip


ROUTES: tuple[Route, ...] = (
    ("GET", "/v2/market-quote/quotes", Access.TOKEN, full_v2),
    ("GET", "/v3/market-quote/quotes", Access.TOKEN, full_v3),
    ("GET", "/v2/market-quote/ohlc", Access.TOKEN, ohlc_v2),
    ("GET", "/v3/market-quote/ohlc", Access.TOKEN, ohlc_v3),
    ("GET", "/v2/market-quote/ltp", Access.TOKEN, last_price_v2),
    ("GET", "/v3/market-quote/ltp", Access.TOKEN, last_price_v3),
    ("GET", "/v3/market-quote/option-greek", Access.TOKEN, option_greek),
)
