"""One account: cash, positions, holdings, the day's orders, and what of the cash is in use.

Invariants (property-tested): what a position has realised plus what it would bring at a price is what its sells brought
minus what its buys cost, plus its quantity at that price, to the paisa; a fill of an order whose margin was in use
before never makes `available` negative unless a position was closed at a loss.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from services.sandbox.domain.accounts.hedges import HedgedSet, OptionLeg, hedge_benefit_paise
from services.sandbox.domain.orders.order import WorkingOrder
from tradebus.trading.orders import Product

Key = tuple[int, Product]


@dataclass(slots=True)
class OpenPosition:
    """Of one instrument and product. `cost_paise` is what the open quantity cost (negative when short)."""

    quantity: int = 0
    cost_paise: int = 0
    realised_paise: int = 0
    overnight_quantity: int = 0
    overnight_value_paise: int = 0
    day_buy_quantity: int = 0
    day_buy_value_paise: int = 0
    day_sell_quantity: int = 0
    day_sell_value_paise: int = 0

    def fill(self, *, buys: bool, quantity: int, price_paise: int) -> None:
        """One trade. What closes is taken at the average cost of what was open."""
        if buys:
            self.day_buy_quantity += quantity
            self.day_buy_value_paise += quantity * price_paise
        else:
            self.day_sell_quantity += quantity
            self.day_sell_value_paise += quantity * price_paise
        self.move(quantity if buys else -quantity, price_paise)

    def move(self, change: int, price_paise: int) -> None:
        """Changes the open quantity at a price, realising what that closes. Counts nothing of the day."""
        closes = min(abs(change), abs(self.quantity)) if change * self.quantity < 0 else 0
        if closes:
            sign = 1 if self.quantity > 0 else -1
            part = self.cost_paise if closes == abs(self.quantity) else self.cost_paise * closes // abs(self.quantity)
            self.realised_paise += sign * closes * price_paise - part
            self.cost_paise -= part
            self.quantity -= sign * closes
        opens = abs(change) - closes
        if opens:
            sign = 1 if change > 0 else -1
            self.quantity += sign * opens
            self.cost_paise += sign * opens * price_paise

    @property
    def idle(self) -> bool:
        """Nothing open and nothing done today."""
        return not (self.quantity or self.day_buy_quantity or self.day_sell_quantity)


@dataclass(slots=True)
class DeliveryHolding:
    """Shares that are owned. Of those bought lately some are still to come, by the day on which they settle; what is
    sold is taken from the others first."""

    quantity: int
    cost_paise: int
    arriving: dict[date, int] = field(default_factory=dict)

    def settled_until(self, day: date) -> None:
        """The day is over: what settled on it is there."""
        self.arriving = {due: quantity for due, quantity in self.arriving.items() if due > day}

    def waiting(self, quantity: int) -> int:
        """How many of `quantity` that are left have not settled."""
        return min(max(quantity, 0), sum(self.arriving.values()))


@dataclass(frozen=True, slots=True)
class Rates:
    """Margin of an instrument and product. A long position needs `long_share` of its price plus `long_fixed_paise` a
    unit; a short one `short_fixed_paise` a unit."""

    long_share: float
    long_fixed_paise: int
    short_fixed_paise: int


class MarginTerms(Protocol):
    """What instruments need, and what hedges what. See `margin.MarginRates`."""

    def rates(self, instrument: int, product: Product) -> Rates: ...

    def hedged_set(self, instrument: int, product: Product) -> HedgedSet | None: ...

    def leg(self, instrument: int, *, bought: int, sold: int, sold_paise: int) -> OptionLeg: ...


@dataclass(frozen=True, slots=True)
class MarginNeed:
    """Of one instrument and product: what its long and its short side could come to need, in paise, the units that are
    held whatever is filled, and those that are or may be sold short."""

    long_paise: int
    short_paise: int
    held_units: int
    short_units: int

    @property
    def paise(self) -> int:
        return max(self.long_paise, self.short_paise)

    @property
    def counted_short_paise(self) -> int:
        """What of the short side is in it."""
        return self.short_paise if self.short_paise >= self.long_paise else 0


@dataclass(slots=True)
class ClientAccount:
    """`cash_paise` is what settled; in the night the day's realised profit joins it and the day's tax on exercised
    options leaves it."""

    name: str
    cash_paise: int
    positions: dict[Key, OpenPosition] = field(default_factory=dict)
    holdings: dict[int, DeliveryHolding] = field(default_factory=dict)
    orders: dict[str, WorkingOrder] = field(default_factory=dict)  # of the day
    open_orders: dict[str, WorkingOrder] = field(default_factory=dict)
    tax_paise: int = 0  # of the day
    killed: bool = False
    orders_kept: int = 7_000  # ended ones; a broker takes no more a day
    _ended: deque[str] = field(default_factory=deque)

    def take(self, order: WorkingOrder) -> None:
        """A new order of the day."""
        self.orders[order.order_id] = order

    def has_ended(self, order: WorkingOrder) -> None:
        """Nothing more will happen to it; the oldest that have ended are forgotten beyond `orders_kept`."""
        self.open_orders.pop(order.order_id, None)
        self._ended.append(order.order_id)
        if len(self._ended) > self.orders_kept:
            self.orders.pop(self._ended.popleft(), None)

    def begin_day(self) -> None:
        """Yesterday's orders are gone but for those that still wait."""
        self.orders = dict(self.open_orders)
        self._ended.clear()

    def position(self, instrument: int, product: Product) -> OpenPosition:
        return self.positions.setdefault((instrument, product), OpenPosition())

    def realised_paise(self) -> int:
        return sum(position.realised_paise for position in self.positions.values())

    def funds_paise(self) -> int:
        """What there is for positions and orders, those that are in use included."""
        return self.cash_paise + self.realised_paise() - self.tax_paise

    def used_paise(self, margins: MarginTerms, extra: Iterable[WorkingOrder] = ()) -> int:
        """What positions and open orders need, with `extra` orders as if they were open. What is held and not about to
        be sold hedges; what is still to be bought does not."""
        waiting: dict[Key, list[WorkingOrder]] = {}
        for order in (*self.open_orders.values(), *extra):
            waiting.setdefault((order.request.instrument, order.request.product), []).append(order)
        keys = {key for key, position in self.positions.items() if position.quantity} | waiting.keys()
        needs = {key: self._need_of(key, waiting.get(key, ()), margins.rates(*key)) for key in keys}
        return sum(need.paise for need in needs.values()) - _hedged_paise(needs, margins)

    def _need_of(self, key: Key, waiting: Iterable[WorkingOrder], rates: Rates) -> MarginNeed:
        position = self.positions.get(key)
        quantity = position.quantity if position else 0
        long_need = 0
        if position and quantity > 0:
            long_need = _share(rates.long_share, position.cost_paise) + rates.long_fixed_paise * quantity
        short_units = max(0, -quantity)
        covers, sold_from = max(0, -quantity), max(0, quantity)
        # The dearest buys are counted as those that open, so that no order of filling needs more than was in use.
        for order in sorted(waiting, key=lambda one: one.limit_paise):
            units = order.remaining
            if order.buys:
                closing = min(units, covers)
                covers -= closing
                opening = units - closing
                long_need += _share(rates.long_share, opening * order.limit_paise) + rates.long_fixed_paise * opening
            else:
                closing = min(units, sold_from)
                sold_from -= closing
                short_units += units - closing
        short_need = rates.short_fixed_paise * short_units
        if key[1] is Product.DELIVERY:
            short_need = 0  # sold out of holdings
        return MarginNeed(long_need, short_need, sold_from, short_units)


def _hedged_paise(needs: Mapping[Key, MarginNeed], margins: MarginTerms) -> int:
    """What hedges take off."""
    if not any(need.short_units for need in needs.values()):
        return 0
    sets: dict[HedgedSet, list[OptionLeg]] = {}
    for key, need in needs.items():
        hedged = margins.hedged_set(*key)
        if hedged is not None:
            leg = margins.leg(
                key[0], bought=need.held_units, sold=need.short_units, sold_paise=need.counted_short_paise
            )
            sets.setdefault(hedged, []).append(leg)
    return sum(map(hedge_benefit_paise, sets.values()))


def _share(share: float, value_paise: int) -> int:
    """Rounded up to the paisa."""
    return -int(-share * value_paise // 1) if share != 1.0 else value_paise
