"""Positions, holdings and funds."""

from fastapi import APIRouter, Request, Response

from services.sandbox.faces.kite.asking import instrument_asked, product_asked
from services.sandbox.faces.kite.fields import form_of
from services.sandbox.faces.kite.logins import Authorise
from services.sandbox.faces.kite.replies import bad_input, success
from services.sandbox.faces.kite.rows import Row, instrument_fields
from services.sandbox.faces.kite.words import PRODUCT_WORDS, TRANSACTIONS, rupees, stamp
from services.sandbox.ports import Exchange, SandboxHolding, SandboxMargins, SandboxPosition
from tradebus.kernel.ids import derive_id
from tradebus.kernel.time import ist_midnight_ns


def portfolio_routes(exchange: Exchange, authorise: Authorise) -> APIRouter:
    router = APIRouter()

    @router.get("/portfolio/positions")
    async def positions(request: Request) -> Response:
        held = exchange.positions(authorise(request).account)
        return success({
            "net": [net_row(exchange, position) for position in held],
            "day": [day_row(exchange, position) for position in held
                    if position.day_buy_quantity or position.day_sell_quantity],
        })  # fmt: skip

    @router.put("/portfolio/positions")
    async def convert(request: Request) -> Response:
        caller, fields = authorise(request), await form_of(request)
        instrument = instrument_asked(exchange, fields)
        fields.word("transaction_type", TRANSACTIONS)
        fields.word("position_type", {"day": 0, "overnight": 1})
        exchange.convert_position(
            caller.account, instrument.index, from_product=product_asked(fields, instrument, "old_product"),
            to_product=product_asked(fields, instrument, "new_product"), quantity=fields.integer("quantity", least=1),
        )  # fmt: skip
        return success(True)

    @router.get("/portfolio/holdings")
    async def holdings(request: Request) -> Response:
        account = authorise(request).account
        return success([holding_row(exchange, holding) for holding in exchange.holdings(account)])

    @router.get("/portfolio/holdings/auctions")
    async def auctions(request: Request) -> Response:
        authorise(request)
        return success([])

    @router.post("/portfolio/holdings/authorise")
    async def authorise_holdings(request: Request) -> Response:
        caller = authorise(request)
        return success({"request_id": derive_id(exchange.now_ns, "holdings", caller.account).replace("-", "")})

    @router.get("/user/margins")
    async def margins(request: Request) -> Response:
        equity = segment_row(exchange.margins(authorise(request).account))
        return success({"equity": equity, "commodity": segment_row(None)})

    @router.get("/user/margins/{segment}")
    async def segment_margins(segment: str, request: Request) -> Response:
        account = authorise(request).account
        if segment not in ("equity", "commodity"):
            raise bad_input(f"Invalid `segment`: {segment[:20]!r} is not one of equity, commodity")
        return success(segment_row(exchange.margins(account) if segment == "equity" else None))

    return router


def _average(value_paise: int, quantity: int) -> float:
    """Rupees, as fine as Kite gives them."""
    return round(value_paise / quantity / 100, 6) if quantity else 0


def net_row(exchange: Exchange, position: SandboxPosition) -> Row:
    """Overnight and day together."""
    return _position_row(
        exchange, position, overnight_quantity=position.overnight_quantity,
        overnight_value_paise=position.overnight_value_paise,
    )  # fmt: skip


def day_row(exchange: Exchange, position: SandboxPosition) -> Row:
    """What happened today alone."""
    return _position_row(exchange, position, overnight_quantity=0, overnight_value_paise=0)


def _position_row(
    exchange: Exchange, position: SandboxPosition, *, overnight_quantity: int, overnight_value_paise: int
) -> Row:
    bought = position.day_buy_quantity + max(overnight_quantity, 0)
    sold = position.day_sell_quantity + max(-overnight_quantity, 0)
    bought_paise = position.day_buy_value_paise + max(overnight_value_paise, 0)
    sold_paise = position.day_sell_value_paise + max(-overnight_value_paise, 0)
    carried_paise = overnight_quantity * position.previous_close_paise
    quantity = bought - sold
    open_value_paise = bought_paise - sold_paise
    worth_paise = quantity * position.last_price_paise
    pnl = rupees(worth_paise - open_value_paise)
    marked_paise = worth_paise - carried_paise - position.day_buy_value_paise + position.day_sell_value_paise
    average = _average(bought_paise, bought) if quantity > 0 else _average(sold_paise, sold) if quantity < 0 else 0
    return {
        **instrument_fields(exchange.instruments[position.instrument]),
        "product": PRODUCT_WORDS[position.product], "quantity": quantity, "overnight_quantity": overnight_quantity,
        "multiplier": 1, "average_price": average,
        "close_price": rupees(position.previous_close_paise) if overnight_quantity else 0,
        "last_price": rupees(position.last_price_paise), "value": rupees(sold_paise - bought_paise), "pnl": pnl,
        "m2m": rupees(marked_paise), "unrealised": pnl, "realised": 0,
        "buy_quantity": bought, "buy_price": _average(bought_paise, bought), "buy_value": rupees(bought_paise),
        "buy_m2m": rupees(position.day_buy_value_paise + max(carried_paise, 0)),
        "sell_quantity": sold, "sell_price": _average(sold_paise, sold), "sell_value": rupees(sold_paise),
        "sell_m2m": rupees(position.day_sell_value_paise + max(-carried_paise, 0)),
        "day_buy_quantity": position.day_buy_quantity,
        "day_buy_price": _average(position.day_buy_value_paise, position.day_buy_quantity),
        "day_buy_value": rupees(position.day_buy_value_paise),
        "day_sell_quantity": position.day_sell_quantity,
        "day_sell_price": _average(position.day_sell_value_paise, position.day_sell_quantity),
        "day_sell_value": rupees(position.day_sell_value_paise),
    }  # fmt: skip


def holding_row(exchange: Exchange, holding: SandboxHolding) -> Row:
    instrument = exchange.instruments[holding.instrument]
    change_paise = holding.last_price_paise - holding.previous_close_paise
    close_paise, settled = holding.previous_close_paise, holding.quantity - holding.unsettled
    return {
        **instrument_fields(instrument),
        "isin": instrument.isin, "product": "CNC", "price": 0, "quantity": settled, "used_quantity": 0,
        "t1_quantity": holding.unsettled, "realised_quantity": settled, "authorised_quantity": 0,
        "authorised_date": stamp(ist_midnight_ns(exchange.now_ns)), "authorisation": {},
        "opening_quantity": holding.quantity, "short_quantity": 0, "collateral_quantity": 0, "collateral_type": "",
        "discrepancy": False, "average_price": rupees(holding.average_price_paise),
        "last_price": rupees(holding.last_price_paise), "close_price": rupees(close_paise),
        "pnl": rupees((holding.last_price_paise - holding.average_price_paise) * holding.quantity),
        "day_change": rupees(change_paise),
        "day_change_percentage": change_paise / close_paise * 100 if close_paise else 0,
        "mtf": {"quantity": 0, "used_quantity": 0, "average_price": 0, "value": 0, "initial_margin": 0},
    }  # fmt: skip


def segment_row(margins: SandboxMargins | None) -> Row:
    """Funds of one segment; None is a segment without any."""
    money = margins or SandboxMargins(0, 0, 0, 0, 0)
    opening, available, used = (
        rupees(paise) for paise in (money.opening_paise, money.available_paise, money.used_paise)
    )
    return {
        "enabled": margins is not None, "net": available,
        "available": {
            "adhoc_margin": 0, "cash": opening, "opening_balance": opening, "live_balance": available,
            "collateral": 0, "intraday_payin": 0,
        },
        "utilised": {
            "debits": used, "exposure": used, "m2m_realised": rupees(money.realised_paise),
            "m2m_unrealised": rupees(money.unrealised_paise), "option_premium": 0, "payout": 0, "span": 0,
            "holding_sales": 0, "turnover": 0, "liquid_collateral": 0, "stock_collateral": 0, "delivery": 0,
        },
    }  # fmt: skip
