"""/marketfeed (quotes by request) and /optionchain."""

from collections.abc import Callable

from fastapi import APIRouter, Request

from services.sandbox.faces.dhan.caller import AuthorisedCaller, Body, find
from services.sandbox.faces.dhan.catalogue import Catalogues
from services.sandbox.faces.dhan.fields import Fields, rupees
from services.sandbox.faces.dhan.order_rows import Row
from services.sandbox.faces.dhan.problems import DhanProblem
from services.sandbox.faces.dhan.words import SEGMENT_BY_WORD
from services.sandbox.ports import Exchange, SandboxInstrument
from tradebus.contracts.instrument_key import Right
from tradebus.contracts.records import DEPTH_LEVELS, Records
from tradebus.kernel.time import ist_datetime

router = APIRouter()
INSTRUMENTS_MAX = 1000
_NO_TRADE = "01/01/1980 00:00:00"
_SIDE_WORD = {Right.CALL: "ce", Right.PUT: "pe"}


@router.post("/marketfeed/ltp")
async def last_prices(caller: AuthorisedCaller, body: Body) -> Row:
    return _quotes(caller.exchange, body, lambda instrument, quote: {"last_price": rupees(quote["price_paise"])})


@router.post("/marketfeed/ohlc")
async def day_prices(caller: AuthorisedCaller, body: Body) -> Row:
    return _quotes(
        caller.exchange, body,
        lambda instrument, quote: {"last_price": rupees(quote["price_paise"]), "ohlc": _day(quote)},
    )  # fmt: skip


@router.post("/marketfeed/quote")
async def full_quotes(caller: AuthorisedCaller, body: Body) -> Row:
    return _quotes(
        caller.exchange, body,
        lambda instrument, quote: full_quote(quote, caller.exchange.price_band_paise(instrument.index)),
    )  # fmt: skip


@router.post("/optionchain/expirylist")
async def expiries(request: Request, caller: AuthorisedCaller, body: Body) -> Row:
    catalogues: Catalogues = request.app.state.catalogues
    underlying = _underlying(caller.exchange, body)
    found = catalogues().expiries(underlying.key)
    if not found:
        raise DhanProblem("813", "Invalid SecurityId: it has no options")
    return {"data": [day.isoformat() for day in found], "status": "success"}


@router.post("/optionchain")
async def option_chain(request: Request, caller: AuthorisedCaller, body: Body) -> Row:
    """Strikes as `"26000.000000"`, ascending; a side that is not listed is left out."""
    catalogues: Catalogues = request.app.state.catalogues
    underlying, catalogue, exchange = _underlying(caller.exchange, body), catalogues(), caller.exchange
    wanted = body.text("Expiry")
    days = {day.isoformat(): day for day in catalogue.expiries(underlying.key)}
    if wanted not in days:
        raise DhanProblem("811", "Invalid Expiry Date")
    strikes = catalogue.strikes(underlying.key, days[wanted])
    chain = {
        f"{strike / 100:.6f}": {
            _SIDE_WORD[right]: _side(exchange, option)
            for right, option in sorted(strikes[strike].items(), key=lambda item: item[0].value)
        }
        for strike in sorted(strikes)
    }
    price = rupees(exchange.quotes["price_paise"][underlying.index])
    return {"data": {"last_price": price, "oc": chain}, "status": "success"}


def full_quote(quote: Records, band_paise: tuple[int, int]) -> Row:
    """One instrument of /marketfeed/quote. `quote` is one QUOTE record."""
    close, last = int(quote["previous_close_paise"]), int(quote["price_paise"])
    traded_ns = int(quote["ts_last_trade_ns"])
    return {
        "average_price": rupees(quote["average_price_paise"]),
        "buy_quantity": int(quote["total_buy_quantity"]),
        "depth": {"buy": _depth(quote, "bid"), "sell": _depth(quote, "ask")},
        "last_price": rupees(last),
        "last_quantity": int(quote["last_quantity"]),
        "last_trade_time": f"{ist_datetime(traded_ns):%d/%m/%Y %H:%M:%S}" if traded_ns else _NO_TRADE,
        "lower_circuit_limit": rupees(band_paise[0]),
        "net_change": rupees(last - close if close else 0),
        "ohlc": _day(quote),
        "oi": int(quote["open_interest"]),
        "oi_day_high": int(quote["open_interest_high"]),
        "oi_day_low": int(quote["open_interest_low"]),
        "sell_quantity": int(quote["total_sell_quantity"]),
        "upper_circuit_limit": rupees(band_paise[1]),
        "volume": int(quote["volume_cumulative"]),
    }


def _quotes(exchange: Exchange, body: Fields, show: Callable[[SandboxInstrument, Records], Row]) -> Row:
    """By segment and id; ids that are not listed are left out, as Dhan does."""
    wanted = {word: body.items(word) for word in SEGMENT_BY_WORD if body.has(word)}
    if sum(map(len, wanted.values())) > INSTRUMENTS_MAX:
        raise DhanProblem("804", f"Requested number of instruments exceeds limit of {INSTRUMENTS_MAX}")
    if not wanted:
        raise DhanProblem("814", "Invalid Request: no instruments")
    quotes = exchange.quotes
    data: dict[str, Row] = {}
    for word, numbers in wanted.items():
        found = [each for each in (find(exchange, word, number) for number in numbers) if each is not None]
        data[word] = {str(each.exchange_token): show(each, quotes[each.index]) for each in found}
    return {"data": data, "status": "success"}


def _underlying(exchange: Exchange, body: Fields) -> SandboxInstrument:
    found = find(exchange, body.text("UnderlyingSeg"), body.text("UnderlyingScrip"))
    if found is None:
        raise DhanProblem("813", "Invalid SecurityId")
    return found


def _day(quote: Records) -> Row:
    return {
        "open": rupees(quote["open_paise"]),
        "close": rupees(quote["previous_close_paise"]),
        "high": rupees(quote["high_paise"]),
        "low": rupees(quote["low_paise"]),
    }


def _depth(quote: Records, side: str) -> list[Row]:
    return [
        {
            "quantity": int(quote[f"{side}_quantity"][level]),
            "orders": int(quote[f"{side}_orders"][level]),
            "price": rupees(quote[f"{side}_paise"][level]),
        }
        for level in range(DEPTH_LEVELS)
    ]


def _side(exchange: Exchange, option: SandboxInstrument) -> Row:
    quote, greeks = exchange.quotes[option.index], exchange.greeks(option.index)
    return {
        "average_price": rupees(quote["average_price_paise"]),
        "greeks": {
            name: round(getattr(greeks, name), 5) if greeks else 0.0 for name in ("delta", "theta", "gamma", "vega")
        },
        "implied_volatility": greeks.implied_volatility * 100 if greeks else 0.0,
        "last_price": rupees(quote["price_paise"]),
        "oi": int(quote["open_interest"]),
        "previous_close_price": rupees(quote["previous_close_paise"]),
        "previous_oi": int(quote["open_interest_low"]),  # the exchange keeps the day's range, not yesterday's figure
        "previous_volume": 0,
        "security_id": option.exchange_token,
        "top_ask_price": rupees(quote["ask_paise"][0]),
        "top_ask_quantity": int(quote["ask_quantity"][0]),
        "top_bid_price": rupees(quote["bid_paise"][0]),
        "top_bid_quantity": int(quote["bid_quantity"][0]),
        "volume": int(quote["volume_cumulative"]),
    }
