"""A spread at the sandbox: a call that is sold and its wing, as orders whose margin is asked for."""

from collections.abc import Callable
from typing import Any

from services.sandbox.ports import NewOrder, SandboxInstrument
from tradebus.brokers.account import BasketOrder
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.instrument_key import Right
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import Product


def listed(instrument: SandboxInstrument, *, token: str, broker_segment: str) -> ListedInstrument:
    """As a broker's master has it."""
    return ListedInstrument(
        instrument.key, token, broker_segment, instrument.symbol, instrument.lot_size, instrument.tick_size_paise,
        instrument.freeze_quantity,
    )  # fmt: skip


def spread_orders(box: Any, listing_of: Callable[[SandboxInstrument], ListedInstrument]) -> list[BasketOrder]:
    """The wing is bought and the call below it sold, a lot each, at their last prices."""
    calls = [one for one in box.exchange.instruments if (one.key.name, one.key.right) == ("NIFTY", Right.CALL)]
    expiry = min(one.key.expiry for one in calls)
    ordered = sorted((one for one in calls if one.key.expiry == expiry), key=lambda one: one.key.strike_paise or 0)
    asked = ((Transaction.BUY, ordered[-1]), (Transaction.SELL, ordered[0]))
    return [
        BasketOrder(listing_of(one), transaction, one.lot_size, last_paise(box, one), Product.CARRY)
        for transaction, one in asked
    ]


def last_paise(box: Any, instrument: SandboxInstrument) -> int:
    return int(box.on_loop(lambda: box.exchange.quotes["price_paise"][instrument.index]))


def together_paise(box: Any, orders: list[BasketOrder]) -> tuple[int, int]:
    """What the exchange itself says of them: each alone added up, and together."""
    places = {one.key: one.index for one in box.exchange.instruments}
    asked = [
        NewOrder(
            instrument=places[one.listing.key], transaction=one.transaction, order_type=OrderType.LIMIT,
            product=one.product, quantity=one.quantity, price_paise=one.price_paise,
        )
        for one in orders
    ]  # fmt: skip
    found = box.on_loop(box.exchange.required_margins, asked)
    return sum(found.alone_paise), found.together_paise
