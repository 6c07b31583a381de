"""Quotes, history and cover-order ranges."""

from datetime import datetime

import numpy as np
from fastapi import APIRouter, Request, Response

from services.sandbox.faces.kite.fields import Fields, query_of
from services.sandbox.faces.kite.logins import Authorise
from services.sandbox.faces.kite.replies import bad_input, success
from services.sandbox.faces.kite.rows import Row
from services.sandbox.faces.kite.words import candle_stamp, rupees, stamp
from services.sandbox.ports import Exchange, SandboxInstrument
from tradebus.contracts.instrument_key import Segment
from tradebus.contracts.records import DEPTH_LEVELS, Records
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import IST, NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, datetime_to_ns

_QUOTES_MAX, _PRICES_MAX = 500, 1000
_COVER = 5  # percent around the last price
# Interval: seconds, and how many days one call may span.
_INTERVALS = {
    "minute": (60, 60), "3minute": (180, 100), "5minute": (300, 100), "10minute": (600, 100),
    "15minute": (900, 200), "30minute": (1800, 200), "60minute": (3600, 400), "day": (86_400, 2000),
}  # fmt: skip


def market_routes(exchange: Exchange, authorise: Authorise) -> APIRouter:
    router = APIRouter()

    @router.get("/quote")
    async def quote(request: Request) -> Response:
        authorise(request)
        asked = _asked(exchange, request, most=_QUOTES_MAX)
        return success({name: quote_row(exchange, instrument) for name, instrument in asked.items()})

    @router.get("/quote/ohlc")
    async def ohlc(request: Request) -> Response:
        authorise(request)
        asked = _asked(exchange, request, most=_PRICES_MAX)
        return success({
            name: {**_price_row(exchange, instrument), "ohlc": _day_prices(exchange.quotes[instrument.index])}
            for name, instrument in asked.items()
        })  # fmt: skip

    @router.get("/quote/ltp")
    async def ltp(request: Request) -> Response:
        authorise(request)
        asked = _asked(exchange, request, most=_PRICES_MAX)
        return success({name: _price_row(exchange, instrument) for name, instrument in asked.items()})

    @router.get("/instruments/trigger_range/{side}")
    async def trigger_range(side: str, request: Request) -> Response:
        authorise(request)
        if side.lower() not in ("buy", "sell"):
            raise bad_input(f"Invalid `transaction_type`: {side[:20]!r} is not one of buy, sell")
        asked = _asked(exchange, request, most=_PRICES_MAX)
        return success({name: _range_row(exchange, instrument, side.lower()) for name, instrument in asked.items()})

    @router.get("/instruments/historical/{token}/{interval}")
    async def historical(token: str, interval: str, request: Request) -> Response:
        authorise(request)
        return success({"candles": candles_of(exchange, token, interval, query_of(request))})

    return router


def _asked(exchange: Exchange, request: Request, *, most: int) -> dict[str, SandboxInstrument]:
    """By what the caller calls them ("NSE:INFY" or a token). What is not listed is left out, as at Kite."""
    names = request.query_params.getlist("i")
    if not names:
        raise bad_input("Missing or empty field `i`")
    if len(names) > most:
        raise bad_input(f"Invalid `i`: {len(names)} instruments, at most {most} in one call")
    found = ((name, _named(exchange, name)) for name in names)
    return {name: instrument for name, instrument in found if instrument is not None}


def _named(exchange: Exchange, name: str) -> SandboxInstrument | None:
    if name.isdecimal() and len(name) < 12:
        return exchange.by_kite_token(int(name))
    venue, _, symbol = name.partition(":")
    return exchange.find(exchange=venue, symbol=symbol)


def _price_row(exchange: Exchange, instrument: SandboxInstrument) -> Row:
    price_paise = int(exchange.quotes["price_paise"][instrument.index])
    return {"instrument_token": instrument.kite_token, "last_price": rupees(price_paise)}


def _day_prices(quote: np.void) -> Row:
    return {
        "open": rupees(int(quote["open_paise"])), "high": rupees(int(quote["high_paise"])),
        "low": rupees(int(quote["low_paise"])), "close": rupees(int(quote["previous_close_paise"])),
    }  # fmt: skip


def quote_row(exchange: Exchange, instrument: SandboxInstrument) -> Row:
    """Everything there is about one instrument now; an index has no depth."""
    quote = exchange.quotes[instrument.index]
    price_paise, close_paise = int(quote["price_paise"]), int(quote["previous_close_paise"])
    row: Row = {
        "instrument_token": instrument.kite_token, "timestamp": stamp(int(quote["ts_event_ns"])),
        "last_price": rupees(price_paise), "net_change": rupees(price_paise - close_paise),
        "ohlc": _day_prices(quote),
    }  # fmt: skip
    if instrument.key.segment is Segment.INDEX:
        return row
    lower_paise, upper_paise = exchange.price_band_paise(instrument.index)
    traded_ns = int(quote["ts_last_trade_ns"]) or int(quote["ts_event_ns"])
    return {
        **row, "last_trade_time": stamp(traded_ns), "last_quantity": int(quote["last_quantity"]),
        "buy_quantity": int(quote["total_buy_quantity"]), "sell_quantity": int(quote["total_sell_quantity"]),
        "volume": int(quote["volume_cumulative"]), "average_price": rupees(int(quote["average_price_paise"])),
        "oi": int(quote["open_interest"]), "oi_day_high": int(quote["open_interest_high"]),
        "oi_day_low": int(quote["open_interest_low"]),
        "lower_circuit_limit": rupees(lower_paise), "upper_circuit_limit": rupees(upper_paise),
        "depth": {"buy": _levels(quote, "bid"), "sell": _levels(quote, "ask")},
    }  # fmt: skip


def _levels(quote: np.void, side: str) -> list[Row]:
    return [
        {
            "price": rupees(int(quote[f"{side}_paise"][level])), "quantity": int(quote[f"{side}_quantity"][level]),
            "orders": int(quote[f"{side}_orders"][level]),
        }
        for level in range(DEPTH_LEVELS)
    ]  # fmt: skip


def _range_row(exchange: Exchange, instrument: SandboxInstrument, side: str) -> Row:
    """Where a cover order's trigger may lie: below the price for a buy, above it for a sale."""
    price_paise = int(exchange.quotes["price_paise"][instrument.index])
    away_paise = price_paise * _COVER // 100
    lower, upper = (price_paise - away_paise, price_paise) if side == "buy" else (price_paise, price_paise + away_paise)
    return {"instrument_token": instrument.kite_token, "lower": rupees(lower), "upper": rupees(upper)}


def candles_of(exchange: Exchange, token: str, interval: str, fields: Fields) -> list[list[object]]:
    """Kite's candle lists. `from` and `to` are both included. Raises KiteError naming the field."""
    instrument = exchange.by_kite_token(int(token)) if token.isdecimal() and len(token) < 12 else None
    if instrument is None:
        raise bad_input(f"Invalid `instrument_token`: {token[:20]!r} is not in the instrument list or has expired")
    if interval not in _INTERVALS:
        raise bad_input(f"Invalid `interval`: {interval[:20]!r} is not one of {', '.join(_INTERVALS)}")
    seconds, days = _INTERVALS[interval]
    from_ns, to_ns = _instant(fields, "from"), _instant(fields, "to")
    if to_ns < from_ns:
        raise bad_input("Invalid `from`: later than `to`")
    if to_ns - from_ns > days * NANOSECONDS_PER_DAY:
        raise bad_input(f"Invalid `from`: the interval exceeds max limit: {days} days for {interval}")
    if fields.text("continuous", "0") == "1" and (interval != "day" or not instrument.key.is_derivative):
        raise bad_input("Invalid `continuous`: only day candles of derivatives are continuous")
    records = exchange.history(
        instrument.index, timeframe_seconds=seconds, from_ns=from_ns, to_ns=to_ns + NANOSECONDS_PER_SECOND
    )
    return _candle_lists(records, whole_day=seconds == 86_400, with_oi=fields.text("oi", "0") == "1")


def _instant(fields: Fields, name: str) -> int:
    """`YYYY-MM-DD[ HH:MM:SS]`, Indian time. Raises KiteError naming the field."""
    text = fields.text(name)
    try:
        return datetime_to_ns(datetime.fromisoformat(text).replace(tzinfo=IST))
    except (ValueError, InvalidInput):
        raise bad_input(f"Invalid `{name}`: {text[:40]!r} is not written as YYYY-MM-DD HH:MM:SS") from None


def _candle_lists(records: Records, *, whole_day: bool, with_oi: bool) -> list[list[object]]:
    stamps = [candle_stamp(int(at_ns), whole_day=whole_day) for at_ns in records["ts_open_ns"]]
    prices = [(records[name] / 100).tolist() for name in ("open_paise", "high_paise", "low_paise", "close_paise")]
    columns = [stamps, *prices, records["volume"].tolist()]
    if with_oi:
        columns.append(records["open_interest"].tolist())
    return [list(row) for row in zip(*columns, strict=True)]
