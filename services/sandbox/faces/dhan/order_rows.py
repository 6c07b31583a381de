"""Orders and trades as Dhan's order book, trade book and order-update stream show them. Pure."""

from services.sandbox.faces.dhan.catalogue import Catalogue
from services.sandbox.faces.dhan.fields import ist_text, rupees
from services.sandbox.faces.dhan.words import (
    EXCHANGE_LETTER,
    STREAM_ORDER_TYPE,
    STREAM_PRODUCT,
    WORD_BY_ORDER_TYPE,
    WORD_BY_PRODUCT,
    WORD_BY_SEGMENT,
    exchange_word,
    instrument_word,
    status_word,
)
from services.sandbox.ports import SandboxInstrument, SandboxOrder, SandboxStatus, SandboxTrade
from tradebus.contracts.instrument_key import Right

Row = dict[str, object]
_OPTION_WORD = {Right.CALL: "CALL", Right.PUT: "PUT"}
_NO_EXPIRY = "0001-01-01"


def derivative_fields(instrument: SandboxInstrument) -> Row:
    """What every row says about a contract; nulls and zeros for shares."""
    key = instrument.key
    return {
        "drvExpiryDate": key.expiry.isoformat() if key.expiry else None,
        "drvOptionType": _OPTION_WORD[key.right] if key.right else None,
        "drvStrikePrice": rupees(key.strike_paise or 0),
    }


def position_derivative_fields(instrument: SandboxInstrument) -> Row:
    """Positions and holdings write the missing expiry as a date."""
    return derivative_fields(instrument) | {
        "drvExpiryDate": instrument.key.expiry.isoformat() if instrument.key.expiry else _NO_EXPIRY
    }


def order_row(order: SandboxOrder, instrument: SandboxInstrument) -> Row:
    """One row of GET /orders."""
    request = order.request
    rejected = order.status is SandboxStatus.REJECTED
    return {
        "dhanClientId": order.account,
        "orderId": order.order_id,
        "exchangeOrderId": order.exchange_order_id,
        "correlationId": request.tag,
        "orderStatus": status_word(order),
        "transactionType": request.transaction.value,
        "exchangeSegment": WORD_BY_SEGMENT[instrument.key.segment],
        "productType": WORD_BY_PRODUCT[request.product],
        "orderType": WORD_BY_ORDER_TYPE[request.order_type],
        "validity": request.validity.value,
        "tradingSymbol": instrument.dhan_symbol,
        "securityId": str(instrument.exchange_token),
        "quantity": request.quantity,
        "disclosedQuantity": request.disclosed_quantity,
        "price": rupees(request.price_paise),
        "triggerPrice": rupees(request.trigger_paise),
        "afterMarketOrder": request.after_market,
        "boProfitValue": 0.0,
        "boStopLossValue": 0.0,
        "legName": None,
        "createTime": ist_text(order.placed_ns),
        "updateTime": ist_text(order.updated_ns),
        "exchangeTime": ist_text(order.updated_ns),
        **derivative_fields(instrument),
        "omsErrorCode": "RMS" if rejected else None,
        "omsErrorDescription": order.reason if rejected else ("TRADE CONFIRMED" if order.trades else "CONFIRMED"),
        "algoId": "0",
        "remainingQuantity": order.pending_quantity,
        "averageTradedPrice": rupees(order.average_price_paise),
        "filledQty": order.filled_quantity,
    }


def trade_row(order: SandboxOrder, trade: SandboxTrade, instrument: SandboxInstrument) -> Row:
    """One row of GET /trades."""
    request = order.request
    return {
        "dhanClientId": order.account,
        "orderId": order.order_id,
        "exchangeOrderId": order.exchange_order_id,
        "exchangeTradeId": trade.trade_id,
        "transactionType": request.transaction.value,
        "exchangeSegment": WORD_BY_SEGMENT[instrument.key.segment],
        "productType": WORD_BY_PRODUCT[request.product],
        "orderType": WORD_BY_ORDER_TYPE[request.order_type],
        "tradingSymbol": instrument.dhan_symbol,
        "customSymbol": instrument.dhan_symbol,
        "securityId": str(instrument.exchange_token),
        "tradedQuantity": trade.quantity,
        "tradedPrice": rupees(trade.price_paise),
        "createTime": ist_text(order.placed_ns),
        "updateTime": ist_text(trade.at_ns),
        "exchangeTime": ist_text(trade.at_ns),
        **derivative_fields(instrument),
    }


def history_row(order: SandboxOrder, trade: SandboxTrade, instrument: SandboxInstrument, catalogue: Catalogue) -> Row:
    """One row of GET /trades/{from}/{to}/{page}. The sandbox charges nothing."""
    row = trade_row(order, trade, instrument) | {
        "isin": instrument.isin or "NA",
        "instrument": instrument_word(instrument.key, underlying_is_index=catalogue.derives_from_index(instrument.key)),
        **dict.fromkeys(
            ("sebiTax", "stt", "brokerageCharges", "serviceTax", "exchangeTransactionCharges", "stampDuty"), 0.0
        ),
        "createTime": "NA",
        "updateTime": "NA",
    }
    return {name: "NA" if value is None else value for name, value in row.items()}


def order_alert(order: SandboxOrder, instrument: SandboxInstrument, catalogue: Catalogue, last_paise: int) -> Row:
    """One message of the order-update stream, with the camelCase names that the SDK reads."""
    request, key = order.request, instrument.key
    last_trade = order.trades[-1] if order.trades else None
    rest = order.pending_quantity
    return {
        "Type": "order_alert",
        "Data": {
            "exchange": exchange_word(key.segment, key.name),
            "segment": EXCHANGE_LETTER[key.segment],
            "source": "P",
            "securityId": str(instrument.exchange_token),
            "clientId": order.account,
            "exchOrderNo": order.exchange_order_id,
            "orderNo": order.order_id,
            "product": STREAM_PRODUCT[request.product],
            "txnType": request.transaction.value[0],
            "orderType": STREAM_ORDER_TYPE[request.order_type],
            "validity": request.validity.value,
            "discQuantity": request.disclosed_quantity,
            "discQtyRem": min(request.disclosed_quantity, rest),
            "remainingQuantity": rest,
            "quantity": request.quantity,
            "tradedQty": order.filled_quantity,
            "price": rupees(request.price_paise),
            "triggerPrice": rupees(request.trigger_paise),
            "tradedPrice": rupees(last_trade.price_paise if last_trade else 0),
            "avgTradedPrice": rupees(order.average_price_paise),
            "algoOrdNo": 0,
            "offMktFlag": "1" if request.after_market else "0",
            "orderDateTime": ist_text(order.placed_ns),
            "exchOrderTime": ist_text(order.placed_ns),
            "lastUpdatedTime": ist_text(order.updated_ns),
            "remarks": "",
            "mktType": "NL",
            "reasonDescription": order.reason or "CONFIRMED",
            "legNo": 1,
            "instrument": instrument_word(key, underlying_is_index=catalogue.derives_from_index(key)),
            "symbol": key.name,
            "productName": WORD_BY_PRODUCT[request.product],
            "status": status_word(order).capitalize(),
            "lotSize": instrument.lot_size,
            "strikePrice": rupees(key.strike_paise or 0),
            "expiryDate": f"{key.expiry or _NO_EXPIRY} 00:00:00",
            "optType": key.right.value if key.right else "XX",
            "displayName": instrument.dhan_symbol,
            "isin": instrument.isin,
            "series": "XX" if key.is_derivative else "EQ",
            "goodTillDaysDate": ist_text(order.placed_ns)[:10],
            "refLtp": rupees(last_paise),
            "tickSize": rupees(instrument.tick_size_paise),
            "algoId": "0",
            "multiplier": 1,
            "correlationId": request.tag,
        },
    }
