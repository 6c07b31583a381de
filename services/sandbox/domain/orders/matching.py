"""How an order meets what stands against it: other accounts' orders and the market's five levels, by price and time.

Invariants (property-tested): no order trades beyond its limit; what is bought equals what is sold; of two orders at one
price the earlier trades first; a level never gives more than stood there; nobody trades with himself.

An account's order stands before a level of the same price when it came before that level's last quote.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.sandbox.domain.orders.book import OrderBook
from services.sandbox.domain.orders.order import WorkingOrder
from tradebus.contracts.records import DEPTH_LEVELS, Records


@dataclass(frozen=True, slots=True)
class Deal:
    """One trade. `resting` is the other account's order, None where the market was on the other side."""

    taker: WorkingOrder
    resting: WorkingOrder | None
    quantity: int
    price_paise: int


def deals(order: WorkingOrder, book: OrderBook, quotes: Records, quoted_ns: int) -> Iterator[Deal]:
    """What the order trades now, best price first. `quotes` is the market's [1] record of the instrument, whose levels
    stand since `quoted_ns` and shrink by what is taken. The caller books each deal before it asks for the next."""
    side = "ask" if order.buys else "bid"
    prices, quantities = quotes[f"{side}_paise"][0], quotes[f"{side}_quantity"][0]
    level = 0
    while order.remaining and not order.final:
        other = next((one for one in book.opposite(order) if one.account != order.account), None)
        while level < DEPTH_LEVELS and not quantities[level]:
            level += 1
        at_level = int(prices[level]) if level < DEPTH_LEVELS else 0
        if other is not None and (not at_level or _first(other, at_level, quoted_ns)):
            if not _crosses(order, other.limit_paise):
                return
            yield Deal(order, other, min(order.remaining, other.remaining), other.limit_paise)
        elif at_level and _crosses(order, at_level):
            quantity = min(order.remaining, int(quantities[level]))
            quantities[level] -= quantity
            yield Deal(order, None, quantity, at_level)
        else:
            return


def reached(order: WorkingOrder, quotes: Records) -> Iterator[Deal]:
    """What a resting order trades because the market has come to it: at its own price, as far as the levels reach."""
    side = "ask" if order.buys else "bid"
    prices, quantities = quotes[f"{side}_paise"][0], quotes[f"{side}_quantity"][0]
    for level in range(DEPTH_LEVELS):
        if not order.remaining:
            return
        if quantities[level] and _crosses(order, int(prices[level])):
            quantity = min(order.remaining, int(quantities[level]))
            quantities[level] -= quantity
            yield Deal(order, None, quantity, order.limit_paise)


def _crosses(order: WorkingOrder, price_paise: int) -> bool:
    return price_paise <= order.limit_paise if order.buys else price_paise >= order.limit_paise


def _first(resting: WorkingOrder, level_paise: int, quoted_ns: int) -> bool:
    """Whether the resting order stands before the market's level."""
    if resting.limit_paise != level_paise:
        return resting.limit_paise > level_paise if resting.buys else resting.limit_paise < level_paise
    return resting.resting_since_ns < quoted_ns
