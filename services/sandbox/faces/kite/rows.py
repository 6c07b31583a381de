"""Orders, trades and their history as Kite's order book shows them."""

from services.sandbox.faces.kite.followers import Followers
from services.sandbox.faces.kite.words import PRODUCT_WORDS, clock, exchange_of, rupees, stamp, status_word
from services.sandbox.ports import Exchange, SandboxInstrument, SandboxOrder, SandboxStatus, SandboxTrade

Row = dict[str, object]
_UNSENT = (SandboxStatus.VALIDATION_PENDING, SandboxStatus.AFTER_MARKET)
_LIVE = (SandboxStatus.OPEN, SandboxStatus.TRIGGER_PENDING)
# The stations an order passes on its way into a status, before the status itself.
_WAY_INTO = {SandboxStatus.OPEN: "OPEN PENDING", SandboxStatus.CANCELLED: "CANCEL PENDING"}
_WAY_INTO_AFTER_CHANGE = ("MODIFY VALIDATION PENDING", "MODIFY PENDING", "MODIFIED")


def instrument_fields(instrument: SandboxInstrument) -> Row:
    return {
        "exchange": exchange_of(instrument.key), "tradingsymbol": instrument.symbol,
        "instrument_token": instrument.kite_token,
    }  # fmt: skip


def order_row(exchange: Exchange, order: SandboxOrder, ties: Followers) -> Row:
    """One order as it is now. `ties` knows what it belongs to (cover orders, icebergs)."""
    now, instrument = order.request, exchange.instruments[order.request.instrument]
    with_exchange = order.status not in _UNSENT and bool(order.exchange_order_id)
    cancelled = now.quantity - order.filled_quantity if order.status is SandboxStatus.CANCELLED else 0
    reason = order.reason or None
    tag = order.asked.tag or None
    return {
        "account_id": order.account, "placed_by": order.account, "order_id": order.order_id,
        "exchange_order_id": order.exchange_order_id if with_exchange else None,
        "parent_order_id": ties.parent(order.order_id),
        "status": status_word(order), "status_message": reason, "status_message_raw": reason,
        "order_timestamp": stamp(order.updated_ns),
        "exchange_update_timestamp": stamp(order.updated_ns) if with_exchange else None,
        "exchange_timestamp": stamp(order.placed_ns) if with_exchange else None,
        "variety": order.asked.variety, "modified": order.modifications > 0, **instrument_fields(instrument),
        "order_type": str(now.order_type), "transaction_type": str(now.transaction), "validity": str(now.validity),
        "validity_ttl": now.validity_minutes, "product": PRODUCT_WORDS[now.product], "quantity": now.quantity,
        "disclosed_quantity": now.disclosed_quantity, "price": rupees(now.price_paise),
        "trigger_price": rupees(now.trigger_paise), "average_price": rupees(order.average_price_paise),
        "filled_quantity": order.filled_quantity, "pending_quantity": order.pending_quantity,
        "cancelled_quantity": cancelled, "auction_number": None,
        "market_protection": now.market_protection_pct,
        "meta": ties.meta(order.order_id), "tag": tag, "tags": [tag] if tag else [],
        "guid": f"{order.order_id}X{order.number}",
    }  # fmt: skip


def history_rows(exchange: Exchange, order: SandboxOrder, ties: Followers) -> list[Row]:
    """The order's stations, oldest first, with the stations in between that Kite names."""
    latest = order_row(exchange, order, ties)
    rows: list[Row] = [_station(latest, order, "PUT ORDER REQ RECEIVED", order.placed_ns, asked=True)]
    seen: set[SandboxStatus] = set()
    for number, (status, at_ns, reason) in enumerate(order.history):
        last = number == len(order.history) - 1
        word = status_word(order) if last else status.value.replace("_", " ")
        asked = not last and order.modifications == 0
        for station in _stations_into(status, seen):
            rows.append(_station(latest, order, station, at_ns, asked=asked))
        if status is SandboxStatus.AFTER_MARKET:
            word = "AMO REQ RECEIVED"
        rows.append({**_station(latest, order, word, at_ns, asked=asked), "status_message": reason or None})
        seen.add(status)
    return rows


def _stations_into(status: SandboxStatus, seen: set[SandboxStatus]) -> tuple[str, ...]:
    if status in _LIVE and status in seen:
        return _WAY_INTO_AFTER_CHANGE
    return (_WAY_INTO[status],) if status in _WAY_INTO else ()


def _station(latest: Row, order: SandboxOrder, word: str, at_ns: int, *, asked: bool) -> Row:
    """The row as it was at the instant: what had been filled then, and the terms that held."""
    now = word == latest["status"]
    filled = [trade for trade in order.trades if now or trade.at_ns < at_ns]
    quantity = sum(trade.quantity for trade in filled)
    value_paise = sum(trade.quantity * trade.price_paise for trade in filled)
    terms = order.asked if asked else order.request
    ended = word in ("CANCELLED", "REJECTED", "COMPLETE", "CANCELLED AMO")
    return {
        **latest,
        "status": word, "status_message": None, "order_timestamp": stamp(at_ns), "exchange_timestamp": stamp(at_ns),
        "order_type": str(terms.order_type), "quantity": terms.quantity, "price": rupees(terms.price_paise),
        "trigger_price": rupees(terms.trigger_paise), "filled_quantity": quantity,
        "average_price": round(value_paise / quantity / 100, 4) if quantity else 0,
        "pending_quantity": 0 if ended else terms.quantity - quantity,
        "cancelled_quantity": latest["cancelled_quantity"] if ended else 0,
    }  # fmt: skip


def trade_row(exchange: Exchange, order: SandboxOrder, trade: SandboxTrade) -> Row:
    return {
        "trade_id": trade.trade_id, "order_id": order.order_id, "exchange_order_id": order.exchange_order_id,
        **instrument_fields(exchange.instruments[order.request.instrument]),
        "product": PRODUCT_WORDS[order.request.product], "average_price": rupees(trade.price_paise),
        "quantity": trade.quantity, "transaction_type": str(order.request.transaction),
        "fill_timestamp": stamp(trade.at_ns), "order_timestamp": clock(order.placed_ns),
        "exchange_timestamp": stamp(trade.at_ns),
    }  # fmt: skip


def postback_row(exchange: Exchange, order: SandboxOrder, ties: Followers, *, word: str, checksum: str) -> Row:
    """What the order stream says of a change; `word` is the stream's status."""
    return {
        **order_row(exchange, order, ties),
        "status": word, "user_id": order.account, "app_id": 1, "unfilled_quantity": order.pending_quantity,
        "checksum": checksum,
    }  # fmt: skip
