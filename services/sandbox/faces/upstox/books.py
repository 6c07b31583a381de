"""Order book, one order, its history, trades."""

from datetime import date

from services.sandbox.faces.upstox.book_rows import Row, history_rows, order_row, trade_row
from services.sandbox.faces.upstox.errors import UpstoxError, invalid
from services.sandbox.faces.upstox.face import Access, Caller, Route, success
from services.sandbox.faces.upstox.fields import query
from services.sandbox.faces.upstox.words import rupees, segment_of
from services.sandbox.ports import SandboxInstrument, SandboxOrder
from tradebus.kernel.time import ist_date

_PAGE_SIZE_MAX = 5000


def ordered_instrument(call: Caller, order: SandboxOrder) -> SandboxInstrument:
    return call.face.exchange.instruments[order.request.instrument]


def order_id_of(call: Caller) -> str:
    """The order id of the query string. Raises UpstoxError where it is missing or cannot be one."""
    found = query(call.request).text("order_id", code="UDAPI1023")
    if not found.replace("-", "").isalnum() or not found.isascii():
        raise invalid("order_id", found[:60], "Order id accepts only alphanumeric characters and '-'", code="UDAPI1010")
    return found


async def order_book(call: Caller) -> object:
    orders = call.face.exchange.orders(call.account)
    return success([order_row(order, ordered_instrument(call, order)) for order in orders])


async def order_details(call: Caller) -> object:
    order = call.face.exchange.order(call.account, order_id_of(call))
    return success(order_row(order, ordered_instrument(call, order)))


async def order_history(call: Caller) -> object:
    """By order id, by tag, or both."""
    asked = query(call.request)
    tag = asked.optional_text("tag")
    if asked.optional_text("order_id"):
        orders = [call.face.exchange.order(call.account, order_id_of(call))]
    elif tag:
        orders = list(call.face.exchange.orders(call.account))
    else:
        raise UpstoxError(400, "UDAPI1023", "Order id is required", field="order_id")
    if tag:
        orders = [order for order in orders if order.request.tag == tag]
    return success([row for order in orders for row in history_rows(order, ordered_instrument(call, order))])


async def trades_of_day(call: Caller) -> object:
    return success(_trades(call, list(call.face.exchange.orders(call.account))))


async def trades_of_order(call: Caller) -> object:
    return success(_trades(call, [call.face.exchange.order(call.account, order_id_of(call))]))


def _trades(call: Caller, orders: list[SandboxOrder]) -> list[Row]:
    found = [(trade.at_ns, order, trade) for order in orders for trade in order.trades]
    found.sort(key=lambda item: item[0])
    return [trade_row(order, trade, ordered_instrument(call, order)) for _, order, trade in found]


async def historical_trades(call: Caller) -> object:
    """Page by page; the sandbox remembers the trades of its day."""
    asked = query(call.request)
    first, last = _day(asked.text("start_date"), "start_date"), _day(asked.text("end_date"), "end_date")
    number, size = asked.whole("page_number"), asked.whole("page_size")
    if number < 1 or not 1 <= size <= _PAGE_SIZE_MAX:
        raise invalid("page_number", number, f"page_number from 1 and page_size from 1 to {_PAGE_SIZE_MAX}")
    segment = asked.optional_text("segment")
    rows = [
        _historical_row(call, order, at)
        for order in call.face.exchange.orders(call.account)
        for at in range(len(order.trades))
        if first <= ist_date(order.trades[at].at_ns) <= last
        and (not segment or segment_of(ordered_instrument(call, order)).endswith(f"_{segment}"))
    ]
    page = {
        "page_number": number, "page_size": size, "total_records": len(rows), "total_pages": -(-len(rows) // size)
    }  # fmt: skip
    return success(rows[(number - 1) * size : number * size], meta_data={"page": page}, metaData={"page": page})


def _historical_row(call: Caller, order: SandboxOrder, at: int) -> Row:
    instrument, trade = ordered_instrument(call, order), order.trades[at]
    key = instrument.key
    return {
        "exchange": instrument.upstox_key[:3], "segment": segment_of(instrument).partition("_")[2],
        "option_type": key.right.value if key.right else "", "quantity": trade.quantity,
        "amount": rupees(trade.quantity * trade.price_paise), "trade_id": trade.trade_id,
        "trade_date": ist_date(trade.at_ns).isoformat(), "transaction_type": order.request.transaction.value,
        "scrip_name": key.name, "strike_price": str(rupees(key.strike_paise or 0)),
        "expiry": key.expiry.isoformat() if key.expiry else "", "price": rupees(trade.price_paise),
        "isin": instrument.isin, "symbol": key.name, "instrument_token": instrument.upstox_key,
    }  # fmt: skip


def _day(text: str, name: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise invalid(name, text[:40], f"{name} must be a day as YYYY-MM-DD") from None


ROUTES: tuple[Route, ...] = (
    ("GET", "/v2/order/retrieve-all", Access.TOKEN, order_book),
    ("GET", "/v2/order/details", Access.TOKEN, order_details),
    ("GET", "/v2/order/history", Access.TOKEN, order_history),
    ("GET", "/v2/order/trades/get-trades-for-day", Access.TOKEN, trades_of_day),
    ("GET", "/v2/order/trades", Access.TOKEN, trades_of_order),
    ("GET", "/v2/charges/historical-trades", Access.TOKEN, historical_trades),
)
