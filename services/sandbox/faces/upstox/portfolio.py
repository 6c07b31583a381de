"""Positions, holdings, conversion."""

from services.sandbox.faces.upstox import fields
from services.sandbox.faces.upstox.errors import UpstoxError, invalid
from services.sandbox.faces.upstox.face import Access, Caller, Route, success
from services.sandbox.faces.upstox.order_fields import instrument_named
from services.sandbox.faces.upstox.words import PRODUCTS, TRANSACTIONS, exchange_of, product_of, product_word, rupees
from services.sandbox.ports import SandboxHolding, SandboxInstrument, SandboxPosition
from tradebus.contracts.orders import Transaction

Row = dict[str, object]
_PRODUCT_WORDS = {word: word for word in PRODUCTS}


async def positions(call: Caller) -> object:
    exchange = call.face.exchange
    rows = [position_row(item, exchange.instruments[item.instrument]) for item in exchange.positions(call.account)]
    return success(rows)


async def holdings(call: Caller) -> object:
    exchange = call.face.exchange
    rows = [_holding_row(item, exchange.instruments[item.instrument]) for item in exchange.holdings(call.account)]
    return success(rows)


async def mtf_positions(_call: Caller) -> object:
    """The sandbox lends no money for shares, so there are none."""
    return success([])


async def convert(call: Caller) -> object:
    """Moves a position from one product to another."""
    asked = await fields.body(call.request)
    instrument = instrument_named(call.face.exchange, asked.text("instrument_token", code="UDAPI1026"))
    old, new = (asked.choice(name, _PRODUCT_WORDS, code="UDAPI1054") for name in ("old_product", "new_product"))
    side, quantity = asked.choice("transaction_type", TRANSACTIONS, code="UDAPI1057"), asked.whole("quantity")
    before, after = product_of(old, instrument), product_of(new, instrument)
    if before is after:
        raise invalid("new_product", new, "new_product must differ from old_product")
    held = sum(
        item.quantity
        for item in call.face.exchange.positions(call.account)
        if item.instrument == instrument.index and item.product is before
    )
    if held == 0 or (held > 0) is not (side is Transaction.BUY):
        raise UpstoxError(400, "UDAPI1035", f"No {side} position of {old} in {instrument.upstox_key} to convert")
    call.face.exchange.convert_position(
        call.account, instrument.index, from_product=before, to_product=after, quantity=quantity
    )
    return success({"status": "complete"})


def position_row(item: SandboxPosition, instrument: SandboxInstrument) -> Row:
    """PositionData. Amounts are Σ quantity × price in rupees; `average_price` is of the side that is open."""
    long_over = max(item.overnight_quantity, 0)
    short_over = max(-item.overnight_quantity, 0)
    over_paise = abs(item.overnight_value_paise)
    buy_quantity, sell_quantity = long_over + item.day_buy_quantity, short_over + item.day_sell_quantity
    buy_paise = item.day_buy_value_paise + over_paise * bool(long_over)
    sell_paise = item.day_sell_value_paise + over_paise * bool(short_over)
    buy_price, sell_price = _each(buy_paise, buy_quantity), _each(sell_paise, sell_quantity)
    average = buy_price if item.quantity > 0 else sell_price if item.quantity < 0 else 0.0
    return {
        "exchange": exchange_of(instrument), "multiplier": 1.0, "product": product_word(item.product),
        "instrument_token": instrument.upstox_key, "tradingsymbol": instrument.symbol,
        "trading_symbol": instrument.symbol, "quantity": item.quantity, "average_price": average,
        "value": round(average * item.quantity, 2), "last_price": rupees(item.last_price_paise),
        "close_price": rupees(item.previous_close_paise), "pnl": rupees(item.realised_paise + item.unrealised_paise),
        "realised": rupees(item.realised_paise), "unrealised": rupees(item.unrealised_paise),
        "buy_value": rupees(buy_paise), "sell_value": rupees(sell_paise), "buy_price": buy_price,
        "sell_price": sell_price, "overnight_quantity": item.overnight_quantity,
        "overnight_buy_quantity": long_over, "overnight_buy_amount": rupees(over_paise * bool(long_over)),
        "overnight_sell_quantity": short_over, "overnight_sell_amount": rupees(over_paise * bool(short_over)),
        "day_buy_quantity": item.day_buy_quantity, "day_buy_value": rupees(item.day_buy_value_paise),
        "day_buy_price": _each(item.day_buy_value_paise, item.day_buy_quantity),
        "day_sell_quantity": item.day_sell_quantity, "day_sell_value": rupees(item.day_sell_value_paise),
        "day_sell_price": _each(item.day_sell_value_paise, item.day_sell_quantity),
    }  # fmt: skip


def _holding_row(item: SandboxHolding, instrument: SandboxInstrument) -> Row:
    close = item.previous_close_paise
    change = item.last_price_paise - close
    return {
        "isin": instrument.isin, "cnc_used_quantity": 0, "collateral_type": "WC", "company_name": instrument.key.name,
        "haircut": 0.1, "product": "D", "quantity": item.quantity - item.unsettled, "tradingsymbol": instrument.symbol,
        "trading_symbol": instrument.symbol, "last_price": rupees(item.last_price_paise),
        "close_price": rupees(item.previous_close_paise),
        "pnl": rupees(item.quantity * (item.last_price_paise - item.average_price_paise)),
        "day_change": rupees(change),
        "day_change_percentage": round(100 * change / close, 4) if close else 0.0,
        "instrument_token": instrument.upstox_key, "average_price": rupees(item.average_price_paise),
        "collateral_quantity": 0, "collateral_update_quantity": 0, "t1_quantity": item.unsettled,
        "exchange": exchange_of(instrument),
    }  # fmt: skip


def _each(paise: int, quantity: int) -> float:
    """Rupees per unit, 0 for nothing; Upstox gives averages finer than a paisa."""
    return round(paise / quantity / 100, 4) if quantity else 0.0


ROUTES: tuple[Route, ...] = (
    ("GET", "/v2/portfolio/short-term-positions", Access.TOKEN, positions),
    ("GET", "/v3/portfolio/mtf-positions", Access.TOKEN, mtf_positions),
    ("GET", "/v2/portfolio/long-term-holdings", Access.TOKEN, holdings),
    ("PUT", "/v2/portfolio/convert-position", Access.TOKEN, convert),
)
