"""Option contracts and chains, and the master dumps."""

from datetime import date

from starlette.responses import Response

from services.sandbox.faces.upstox import fields
from services.sandbox.faces.upstox.errors import invalid, unknown_path
from services.sandbox.faces.upstox.face import Access, Caller, Route, success
from services.sandbox.faces.upstox.order_fields import instrument_named
from services.sandbox.faces.upstox.words import rupees
from services.sandbox.ports import SandboxInstrument
from tradebus.contracts.instrument_key import Right

Row = dict[str, object]


async def contracts(call: Caller) -> object:
    """Of one underlying, of one expiry where asked."""
    underlying = _underlying(call)
    text = fields.query(call.request).optional_text("expiry_date")
    expiry = _day(text) if text else None
    found = call.face.catalogue.options(underlying)
    return success([call.face.catalogue.contract(item) for item in found if expiry in (None, item.key.expiry)])


async def chain(call: Caller) -> object:
    """One row per strike; a side that is not listed is left out."""
    underlying = _underlying(call)
    expiry = _day(fields.query(call.request).text("expiry_date"))
    strikes: dict[int, dict[Right, SandboxInstrument]] = {}
    for item in call.face.catalogue.options(underlying):
        if item.key.expiry == expiry and item.key.right is not None:
            strikes.setdefault(item.key.strike_paise or 0, {})[item.key.right] = item
    spot = rupees(int(call.face.exchange.quotes["price_paise"][underlying.index]))
    return success([_strike(call, underlying, spot, expiry, at, sides) for at, sides in sorted(strikes.items())])


def _strike(
    call: Caller, underlying: SandboxInstrument, spot: float, expiry: date, strike_paise: int,
    sides: dict[Right, SandboxInstrument],
) -> Row:  # fmt: skip
    row: Row = {
        "expiry": expiry.isoformat(), "strike_price": rupees(strike_paise), "underlying_key": underlying.upstox_key,
        "underlying_spot_price": spot,
    }  # fmt: skip
    interest = call.face.exchange.quotes["open_interest"]
    if len(sides) == 2:
        calls, puts = (int(interest[sides[right].index]) for right in (Right.CALL, Right.PUT))
        row["pcr"] = round(puts / calls, 4) if calls else 0.0
    for right, name in ((Right.CALL, "call_options"), (Right.PUT, "put_options")):
        if right in sides:
            row[name] = _side(call, sides[right])
    return row


def _side(call: Caller, item: SandboxInstrument) -> Row:
    quote = call.face.exchange.quotes[item.index]
    greeks = call.face.exchange.greeks(item.index)
    interest = float(quote["open_interest"])
    shown: Row = {}
    if greeks is not None:
        shown = {
            "vega": round(greeks.vega, 4), "theta": round(greeks.theta, 4), "gamma": round(greeks.gamma, 6),
            "delta": round(greeks.delta, 4), "iv": round(100 * greeks.implied_volatility, 2),
            "pop": round(100 * (1 - abs(greeks.delta)), 2),
        }  # fmt: skip
    return {
        "instrument_key": item.upstox_key,
        "market_data": {
            "ltp": rupees(int(quote["price_paise"])), "volume": int(quote["volume_cumulative"]), "oi": interest,
            "close_price": rupees(int(quote["previous_close_paise"])),
            "bid_price": rupees(int(quote["bid_paise"][0])), "bid_qty": int(quote["bid_quantity"][0]),
            "ask_price": rupees(int(quote["ask_paise"][0])), "ask_qty": int(quote["ask_quantity"][0]),
            "prev_oi": interest,
        },
        "option_greeks": shown,
    }  # fmt: skip


def _underlying(call: Caller) -> SandboxInstrument:
    key = fields.query(call.request).text("instrument_key", code="UDAPI1026")
    return instrument_named(call.face.exchange, key, field="instrument_key")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise invalid("expiry_date", text[:40], "expiry_date must be a day as YYYY-MM-DD", code="UDAPI1021") from None


async def dump(call: Caller) -> object:
    """/market-quote/instruments/exchange/{NSE,BSE,complete}.{csv,json}.gz"""
    name: str = call.request.path_params["name"]
    catalogue = call.face.catalogue
    if name.endswith(".csv.gz"):
        content = catalogue.csv_gz(name.removesuffix(".csv.gz"))
    else:
        content = catalogue.json_gz(name.removesuffix(".json.gz"))
    if content is None:
        raise unknown_path()
    return Response(content, media_type="application/octet-stream")


ROUTES: tuple[Route, ...] = (
    ("GET", "/v2/option/contract", Access.TOKEN, contracts),
    ("GET", "/v2/option/chain", Access.TOKEN, chain),
    ("GET", "/market-quote/instruments/exchange/{name}", Access.PUBLIC, dump),
)
