"""Short words for tests at the sandbox exchange: a small market that stands still, orders in one line."""

from datetime import datetime
from typing import Any

import numpy as np

from services.sandbox.exchange import SandboxExchange, generated_exchange
from services.sandbox.options import MarketOptions
from services.sandbox.ports import NewOrder, SandboxInstrument, SandboxOrder
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import Product

START = "2026-11-25T10:00:00"
BUY, SELL = Transaction.BUY, Transaction.SELL
LIMIT, MARKET, SL, SL_M = OrderType.LIMIT, OrderType.MARKET, OrderType.SL, OrderType.SL_M


def still(start: str = START, **options: Any) -> SandboxExchange:
    """A market of some three hundred instruments that moves only by `advance` and `shock`."""
    chosen = {"seed": 3, "instruments": 300, "speed": 0.0, **options}
    return generated_exchange(MarketOptions(start=datetime.fromisoformat(start), **chosen))


def at(exchange: SandboxExchange, key: str) -> SandboxInstrument:
    """The instrument of a key's text."""
    found = exchange.by_key(key)
    assert found is not None, key
    return found


def future(exchange: SandboxExchange) -> SandboxInstrument:
    return at(exchange, "NFO:NIFTY:2026-12-29:FUT")


def order_of(instrument: SandboxInstrument, transaction: Transaction, lots: int, **fields: Any) -> NewOrder:
    """A limit order where a price is given, else a protected market order."""
    derivative = instrument.key.is_derivative
    order_type = fields.pop("order_type", LIMIT if "price_paise" in fields else MARKET)
    protection = fields.pop("market_protection_pct", -1 if order_type in (MARKET, SL_M) else 0)
    return NewOrder(
        instrument=instrument.index, transaction=transaction, order_type=order_type,
        product=fields.pop("product", Product.CARRY if derivative else Product.INTRADAY),
        quantity=fields.pop("quantity", lots * instrument.lot_size), market_protection_pct=protection, **fields,
    )  # fmt: skip


def place(
    exchange: SandboxExchange, account: str, instrument: SandboxInstrument, transaction: Transaction, lots: int,
    **fields: Any,
) -> SandboxOrder:  # fmt: skip
    """Places it."""
    return exchange.place(account, order_of(instrument, transaction, lots, **fields))


def last(exchange: SandboxExchange, instrument: SandboxInstrument) -> int:
    return int(exchange.quotes["price_paise"][instrument.index])


def best(exchange: SandboxExchange, instrument: SandboxInstrument) -> tuple[int, int]:
    """Best bid and ask."""
    quote = exchange.quotes[instrument.index]
    return int(quote["bid_paise"][0]), int(quote["ask_paise"][0])


def set_depth(
    exchange: SandboxExchange,
    instrument: SandboxInstrument,
    *,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
) -> None:
    """Writes what stands in the market: (price in paise, lots), best first."""
    quotes = exchange.floor.market.quotes
    for side, levels in (("bid", bids), ("ask", asks)):
        prices, quantities = np.zeros(5, np.int64), np.zeros(5, np.int64)
        for place_number, (price, lots) in enumerate(levels):
            prices[place_number], quantities[place_number] = price, lots * instrument.lot_size
        quotes[f"{side}_paise"][instrument.index] = prices
        quotes[f"{side}_quantity"][instrument.index] = quantities
