"""Orders and trades as rows of Upstox's replies, and as updates of its portfolio stream."""

from collections.abc import Sequence

from services.sandbox.faces.upstox.words import (
    OPEN_PENDING,
    RECEIVED,
    STATUS,
    exchange_of,
    order_symbol,
    product_word,
    rupees,
    stamp,
    status_word,
    trade_stamp,
    validity_word,
)
from services.sandbox.ports import SandboxInstrument, SandboxOrder, SandboxStatus, SandboxTrade

Row = dict[str, object]


def _common(order: SandboxOrder, instrument: SandboxInstrument) -> Row:
    symbol = order_symbol(instrument)
    request = order.request
    return {
        "exchange": exchange_of(instrument), "product": product_word(request.product),
        "price": rupees(request.price_paise), "quantity": request.quantity, "tag": request.tag or None,
        "instrument_token": instrument.upstox_key, "placed_by": order.account, "tradingsymbol": symbol,
        "trading_symbol": symbol, "order_type": request.order_type.value, "validity": validity_word(request.validity),
        "trigger_price": rupees(request.trigger_paise), "disclosed_quantity": request.disclosed_quantity,
        "transaction_type": request.transaction.value, "exchange_order_id": order.exchange_order_id,
        "parent_order_id": None, "order_id": order.order_id, "variety": "AMO" if request.after_market else "SIMPLE",
        "is_amo": request.after_market, "order_request_id": str(1 + order.modifications),
    }  # fmt: skip


def order_row(order: SandboxOrder, instrument: SandboxInstrument) -> Row:
    """A row of the order book (OrderBookData)."""
    return _common(order, instrument) | {
        "status": status_word(order), "guid": None, "average_price": rupees(order.average_price_paise),
        "filled_quantity": order.filled_quantity, "pending_quantity": order.pending_quantity,
        "status_message": order.reason, "status_message_raw": order.reason or None,
        "order_timestamp": stamp(order.placed_ns),
        "exchange_timestamp": stamp(order.updated_ns) if order.exchange_order_id else None,
        "order_ref_id": reference(order),
    }  # fmt: skip


def history_rows(order: SandboxOrder, instrument: SandboxInstrument) -> list[Row]:
    """The order's line of statuses (OrderData), oldest first; the last is the order as it is."""
    common = _common(order, instrument)
    last = len(order.history) - 1
    steps = [(RECEIVED, order.placed_ns, "")]
    for number, (status, at_ns, reason) in enumerate(order.history):
        if number == 0 and status in (SandboxStatus.OPEN, SandboxStatus.COMPLETE):
            steps.append((OPEN_PENDING, at_ns, ""))
        steps.append((status_word(order) if number == last else STATUS[status], at_ns, reason))
    rows = []
    for word, at_ns, reason in steps:
        done = [trade for trade in order.trades if trade.at_ns <= at_ns] if word is not RECEIVED else []
        rows.append(
            common
            | {
                "status": word, "status_message": reason, "average_price": rupees(_average_paise(done)),
                "filled_quantity": sum(trade.quantity for trade in done), "order_timestamp": stamp(at_ns),
                "exchange_timestamp": stamp(at_ns) if order.exchange_order_id else None,
            }
        )  # fmt: skip
    rows[-1] |= {"average_price": rupees(order.average_price_paise), "filled_quantity": order.filled_quantity}
    return rows


def trade_row(order: SandboxOrder, trade: SandboxTrade, instrument: SandboxInstrument) -> Row:
    """TradeData."""
    common = _common(order, instrument)
    names = (
        "exchange", "product", "tradingsymbol", "trading_symbol", "instrument_token", "order_type",
        "transaction_type", "exchange_order_id", "order_id",
    )  # fmt: skip
    return {name: common[name] for name in names} | {
        "quantity": trade.quantity, "average_price": rupees(trade.price_paise), "trade_id": trade.trade_id,
        "order_ref_id": reference(order), "exchange_timestamp": trade_stamp(trade.at_ns),
        "order_timestamp": trade_stamp(order.placed_ns),
    }  # fmt: skip


def update_row(order: SandboxOrder, instrument: SandboxInstrument) -> Row:
    """An order update of the portfolio stream: the order-book row, flat, with its kind and user."""
    return {
        "update_type": "order", "user_id": order.account, "userId": order.account,
        "instrument_key": instrument.upstox_key,
    } | order_row(order, instrument)  # fmt: skip


def reference(order: SandboxOrder) -> str:
    """Upstox's internal name of an order."""
    return f"udapi-{order.order_id}"


def _average_paise(trades: Sequence[SandboxTrade]) -> float:
    quantity = sum(trade.quantity for trade in trades)
    return sum(trade.quantity * trade.price_paise for trade in trades) / quantity if quantity else 0.0
