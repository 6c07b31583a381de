"""/positions, /holdings, /fundlimit, /margincalculator, /ledger, /edis."""

from dataclasses import replace

from fastapi import APIRouter, Request

from services.sandbox.faces.dhan.caller import AuthorisedCaller, Body, Caller, named_instrument
from services.sandbox.faces.dhan.fields import Fields, rupees
from services.sandbox.faces.dhan.order_requests import TRANSACTIONS, positive, product_of
from services.sandbox.faces.dhan.order_rows import Row, position_derivative_fields
from services.sandbox.faces.dhan.words import PRODUCT_BY_WORD, WORD_BY_PRODUCT, WORD_BY_SEGMENT
from services.sandbox.ports import BrokerName, NewOrder, SandboxInstrument, SandboxPosition
from tradebus.contracts.orders import OrderType
from tradebus.kernel.time import ist_date

router = APIRouter()


@router.get("/positions")
async def positions(caller: AuthorisedCaller) -> list[Row]:
    return [
        position_row(caller.account, position, caller.exchange.instruments[position.instrument])
        for position in caller.exchange.positions(caller.account)
    ]


@router.delete("/positions")
async def exit_all(caller: AuthorisedCaller) -> Row:
    caller.exchange.exit_all(caller.account, BrokerName.DHAN)
    return {"status": "SUCCESS", "message": "All orders and positions exited successfully"}


@router.post("/positions/convert", status_code=202)
async def convert(caller: AuthorisedCaller, body: Body) -> Row:
    instrument = named_instrument(caller.exchange, body)
    caller.exchange.convert_position(
        caller.account, instrument.index, from_product=body.word("fromProductType", PRODUCT_BY_WORD),
        to_product=body.word("toProductType", PRODUCT_BY_WORD), quantity=positive(body, "convertQty"),
    )  # fmt: skip
    return {"status": "SUCCESS", "message": "Position converted"}


@router.get("/holdings")
async def holdings(caller: AuthorisedCaller) -> list[Row]:
    return [
        {
            "exchange": "ALL",
            "tradingSymbol": instrument.dhan_symbol,
            "securityId": str(instrument.exchange_token),
            "isin": instrument.isin,
            "totalQty": holding.quantity,
            "dpQty": holding.quantity - holding.unsettled,
            "t1Qty": holding.unsettled,
            "availableQty": holding.quantity,
            "collateralQty": 0,
            "avgCostPrice": rupees(holding.average_price_paise),
            "lastTradedPrice": rupees(holding.last_price_paise),
        }
        for holding in caller.exchange.holdings(caller.account)
        for instrument in [caller.exchange.instruments[holding.instrument]]
    ]


@router.get("/fundlimit")
async def fund_limit(caller: AuthorisedCaller) -> Row:
    margins = caller.exchange.margins(caller.account)
    return {
        "dhanClientId": caller.account,
        "availabelBalance": rupees(margins.available_paise),  # as Dhan spells it
        "sodLimit": rupees(margins.opening_paise),
        "collateralAmount": 0.0,
        "receiveableAmount": 0.0,
        "utilizedAmount": rupees(margins.used_paise),
        "blockedPayoutAmount": 0.0,
        "withdrawableBalance": rupees(max(0, margins.available_paise)),
    }


@router.post("/margincalculator")
async def margin(caller: AuthorisedCaller, body: Body) -> Row:
    instrument, order = _priced_order(caller, body)
    total = caller.exchange.required_margins([order]).together_paise
    available = caller.exchange.margins(caller.account).available_paise
    value = order.price_paise * order.quantity
    derivative = instrument.key.is_derivative
    return {
        "totalMargin": rupees(total),
        "spanMargin": rupees(total if derivative else 0),
        "exposureMargin": 0.0,
        "availableBalance": rupees(available),
        "variableMargin": rupees(0 if derivative else total),
        "insufficientBalance": rupees(max(0, total - available)),
        "brokerage": 0.0,
        "leverage": f"{value / total if total else 1:.2f}",
    }


@router.post("/margincalculator/multi")
async def margin_of_several(caller: AuthorisedCaller, body: Body) -> Row:
    """Of the orders together; what is held counts for nothing, whatever `includePosition` says."""
    listed = body.items("scripList") if body.has("scripList") else body.items("scripts")
    pairs = [_priced_order(caller, Fields(each)) for each in listed]
    margins = caller.exchange.required_margins([order for _, order in pairs])
    equity = sum(paise for (one, _), paise in zip(pairs, margins.alone_paise, strict=True) if not one.key.is_derivative)
    total, benefit = margins.together_paise, margins.benefit_paise
    derivative = total - equity
    return {
        "total_margin": f"{rupees(total):.2f}",
        "span_margin": f"{rupees(derivative):.2f}",
        "exposure_margin": "0.00",
        "equity_margin": f"{rupees(equity):.2f}",
        "fo_margin": f"{rupees(derivative):.2f}",
        "commodity_margin": "0.00",
        "currency": "INR",
        "hedge_benefit": f"{rupees(benefit):.2f}" if benefit else "",
    }


@router.get("/ledger")
async def ledger(request: Request, caller: AuthorisedCaller) -> list[Row]:
    """The opening balance as one voucher, where the span asked for has the day of it."""
    query = Fields(request.query_params)
    from_ns, to_ns = query.moment_ns("from-date"), query.moment_ns("to-date", whole_day_after=True)
    opening = f"{rupees(caller.exchange.margins(caller.account).opening_paise):.2f}"
    day = ist_date(caller.exchange.now_ns)
    if not from_ns <= caller.exchange.now_ns < to_ns:
        return []
    return [
        {
            "dhanClientId": caller.account,
            "narration": "OPENING BALANCE",
            "voucherdate": f"{day:%b %d, %Y}",
            "exchange": "NSE-CAPITAL",
            "voucherdesc": "OPENING",
            "vouchernumber": f"{day:%Y%m%d}0001",
            "debit": "0.00",
            "credit": opening,
            "runbal": opening,
        }
    ]


@router.get("/edis/tpin", status_code=202)
async def tpin(caller: AuthorisedCaller) -> Row:
    return {"dhanClientId": caller.account, "status": "SUCCESS"}


@router.post("/edis/form")
async def edis_form(caller: AuthorisedCaller, body: Body) -> Row:
    """A form that leads nowhere: in the sandbox every holding may be sold."""
    body.text("isin")
    return {
        "dhanClientId": caller.account,
        "edisFormHtml": "<!DOCTYPE html> <html> <body> Holdings are approved already. </body> </html>",
    }


@router.get("/edis/inquire/{isin}")
async def edis_inquiry(caller: AuthorisedCaller, isin: str) -> Row:
    held = sum(
        holding.quantity
        for holding in caller.exchange.holdings(caller.account)
        if isin == "ALL" or caller.exchange.instruments[holding.instrument].isin == isin
    )
    return {
        "clientId": caller.account,
        "isin": isin,
        "totalQty": held,
        "aprvdQty": held,
        "status": "SUCCESS",
        "remarks": "eDIS transaction done successfully",
    }


def position_row(account: str, position: SandboxPosition, instrument: SandboxInstrument) -> Row:
    """One row of GET /positions: what was carried counts on its own side."""
    carried = position.overnight_quantity
    carry_buy, carry_sell = max(0, carried), max(0, -carried)
    carry_value = abs(position.overnight_value_paise)
    buy_quantity = carry_buy + position.day_buy_quantity
    sell_quantity = carry_sell + position.day_sell_quantity
    buy_value = (carry_value if carry_buy else 0) + position.day_buy_value_paise
    sell_value = (carry_value if carry_sell else 0) + position.day_sell_value_paise
    buy_average, sell_average = _average(buy_value, buy_quantity), _average(sell_value, sell_quantity)
    net = position.quantity
    return {
        "dhanClientId": account,
        "tradingSymbol": instrument.dhan_symbol,
        "securityId": str(instrument.exchange_token),
        "positionType": "LONG" if net > 0 else "SHORT" if net < 0 else "CLOSED",
        "exchangeSegment": WORD_BY_SEGMENT[instrument.key.segment],
        "productType": WORD_BY_PRODUCT[position.product],
        "buyAvg": buy_average,
        "buyQty": buy_quantity,
        "costPrice": buy_average if net > 0 else sell_average if net < 0 else 0.0,
        "sellAvg": sell_average,
        "sellQty": sell_quantity,
        "netQty": net,
        "realizedProfit": rupees(position.realised_paise),
        "unrealizedProfit": rupees(position.unrealised_paise),
        "rbiReferenceRate": 1.0,
        "multiplier": 1,
        "carryForwardBuyQty": carry_buy,
        "carryForwardSellQty": carry_sell,
        "carryForwardBuyValue": rupees(carry_value if carry_buy else 0),
        "carryForwardSellValue": rupees(carry_value if carry_sell else 0),
        "dayBuyQty": position.day_buy_quantity,
        "daySellQty": position.day_sell_quantity,
        "dayBuyValue": rupees(position.day_buy_value_paise),
        "daySellValue": rupees(position.day_sell_value_paise),
        **position_derivative_fields(instrument),
        "crossCurrency": False,
    }


def _average(value_paise: int, quantity: int) -> float:
    return round(value_paise / quantity / 100, 4) if quantity else 0.0


def _priced_order(caller: Caller, fields: Fields) -> tuple[SandboxInstrument, NewOrder]:
    """The margin calculator's order: at the price given, or at the last one."""
    instrument = named_instrument(caller.exchange, fields)
    price = fields.paise("price") or int(caller.exchange.quotes["price_paise"][instrument.index])
    order = NewOrder(
        instrument=instrument.index, transaction=fields.word("transactionType", TRANSACTIONS),
        order_type=OrderType.LIMIT, product=product_of(fields, instrument), quantity=positive(fields, "quantity"),
        price_paise=price, source=BrokerName.DHAN,
    )  # fmt: skip
    return instrument, replace(order, trigger_paise=fields.paise("triggerPrice"))
