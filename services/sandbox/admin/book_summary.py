"""The exchange's book of an account as JSON, to hold a ledger against."""

from typing import Any

from services.sandbox.exchange import SandboxExchange
from services.sandbox.ports import SandboxInstrument, SandboxOrder
from tradebus.contracts.records import QUOTE


def summary_of(exchange: SandboxExchange, account: str) -> dict[str, Any]:
    """Orders with their trades, positions, holdings, money in paise; P&L of the day before charges."""
    margins, positions = exchange.margins(account), exchange.positions(account)
    orders = exchange.orders(account)
    return {
        "account": account,
        "now_ns": exchange.now_ns,
        "orders": [order_row(exchange, order) for order in orders],
        "positions": [
            {
                "key": str(exchange.instruments[one.instrument].key), "product": one.product, "quantity": one.quantity,
                "overnight_quantity": one.overnight_quantity, "bought_quantity": one.day_buy_quantity,
                "bought_value_paise": one.day_buy_value_paise, "sold_quantity": one.day_sell_quantity,
                "sold_value_paise": one.day_sell_value_paise, "last_price_paise": one.last_price_paise,
                "realised_paise": one.realised_paise, "unrealised_paise": one.unrealised_paise,
            }
            for one in positions
        ],
        "holdings": [
            {
                "key": str(exchange.instruments[one.instrument].key), "quantity": one.quantity,
                "average_price_paise": one.average_price_paise, "last_price_paise": one.last_price_paise,
            }
            for one in exchange.holdings(account)
        ],
        "open_orders": sum(order.pending_quantity > 0 for order in orders),
        "trades": sum(len(order.trades) for order in orders),
        "opening_paise": margins.opening_paise,
        "available_paise": margins.available_paise,
        "used_paise": margins.used_paise,
        "realised_paise": margins.realised_paise,
        "unrealised_paise": margins.unrealised_paise,
        "pnl_paise": margins.realised_paise + margins.unrealised_paise,
    }  # fmt: skip


def order_row(exchange: SandboxExchange, order: SandboxOrder) -> dict[str, Any]:
    """An order with its trades."""
    request, instrument = order.request, exchange.instruments[order.request.instrument]
    return {
        "order_id": order.order_id, "tag": request.tag, "source": request.source, "key": str(instrument.key),
        "symbol": instrument.symbol, "transaction": request.transaction, "order_type": request.order_type,
        "asked_type": order.asked.order_type, "product": request.product, "status": order.status,
        "quantity": request.quantity, "filled_quantity": order.filled_quantity,
        "average_price_paise": order.average_price_paise, "price_paise": request.price_paise,
        "trigger_paise": request.trigger_paise, "reason": order.reason, "placed_ns": order.placed_ns,
        "updated_ns": order.updated_ns,
        "trades": [
            {"trade_id": one.trade_id, "quantity": one.quantity, "price_paise": one.price_paise, "at_ns": one.at_ns}
            for one in order.trades
        ],
    }  # fmt: skip


def instrument_row(instrument: SandboxInstrument) -> dict[str, Any]:
    """Every name it has."""
    return {
        "key": str(instrument.key), "symbol": instrument.symbol, "exchange_token": instrument.exchange_token,
        "kite_token": instrument.kite_token, "upstox_key": instrument.upstox_key, "lot_size": instrument.lot_size,
        "tick_size_paise": instrument.tick_size_paise, "freeze_quantity": instrument.freeze_quantity,
    }  # fmt: skip


def quote_row(exchange: SandboxExchange, instrument: SandboxInstrument) -> dict[str, Any]:
    """The market's record of it, in paise and units."""
    record = exchange.quotes[instrument.index]
    fields = {name: record[name].tolist() for name in QUOTE.names or () if name not in ("fields", "padding")}
    lower, upper = exchange.price_band_paise(instrument.index)
    return {"key": str(instrument.key), **fields, "lower_band_paise": lower, "upper_band_paise": upper}
