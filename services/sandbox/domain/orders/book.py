"""The accounts' orders of one instrument: resting limits by price and time, stops by trigger.

Invariant (property-tested): the best order is the one with the best price, and among equals the earliest.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator

from services.sandbox.domain.orders.order import WorkingOrder

NEVER_BELOW = 0
NEVER_ABOVE = 2**62


def _best_buy(order: WorkingOrder) -> tuple[int, int]:
    return (-order.limit_paise, order.book_sequence)


def _best_sell(order: WorkingOrder) -> tuple[int, int]:
    return (order.limit_paise, order.book_sequence)


def _first_up(order: WorkingOrder) -> tuple[int, int]:
    return (order.request.trigger_paise, order.book_sequence)


def _first_down(order: WorkingOrder) -> tuple[int, int]:
    return (-order.request.trigger_paise, order.book_sequence)


class OrderBook:
    """Four sorted lists. An order is in at most one of them, under the price it had when it was put in."""

    __slots__ = ("_sequence", "buys", "sells", "stops_down", "stops_up")

    def __init__(self) -> None:
        self.buys: list[WorkingOrder] = []
        self.sells: list[WorkingOrder] = []
        self.stops_up: list[WorkingOrder] = []  # buy stops: wake when the price rises to the trigger
        self.stops_down: list[WorkingOrder] = []
        self._sequence = 0

    def rest(self, order: WorkingOrder, now_ns: int) -> None:
        """Behind all orders at its price."""
        self._number(order, now_ns)
        self.put_back(order)

    def put_back(self, order: WorkingOrder) -> None:
        """At the place in time it had."""
        if order.buys:
            insort(self.buys, order, key=_best_buy)
        else:
            insort(self.sells, order, key=_best_sell)

    def wait(self, order: WorkingOrder, now_ns: int) -> None:
        """A stop until its trigger is reached."""
        self._number(order, now_ns)
        if order.buys:
            insort(self.stops_up, order, key=_first_up)
        else:
            insort(self.stops_down, order, key=_first_down)

    def _number(self, order: WorkingOrder, now_ns: int) -> None:
        self._sequence += 1
        order.book_sequence, order.resting_since_ns = self._sequence, now_ns

    def remove(self, order: WorkingOrder) -> None:
        """Takes it out, wherever it is; nothing happens where it is nowhere."""
        for orders, key in (
            (self.buys, _best_buy), (self.sells, _best_sell), (self.stops_up, _first_up), (self.stops_down, _first_down)
        ):  # fmt: skip
            place = bisect_left(orders, key(order), key=key)
            if place < len(orders) and orders[place] is order:
                del orders[place]
                return

    def opposite(self, order: WorkingOrder) -> list[WorkingOrder]:
        """The resting orders it could trade with, best first."""
        return self.sells if order.buys else self.buys

    def triggered(self, price_paise: int) -> list[WorkingOrder]:
        """The stops that the price has reached, in the order in which they wake. They stay where they are."""
        found = [order for order in self.stops_up if order.request.trigger_paise <= price_paise]
        return found + [order for order in self.stops_down if order.request.trigger_paise >= price_paise]

    def all(self) -> Iterator[WorkingOrder]:
        """Every order in it; the lists may be changed while this is read."""
        yield from [*self.buys, *self.sells, *self.stops_up, *self.stops_down]

    @property
    def best_buy_paise(self) -> int:
        return self.buys[0].limit_paise if self.buys else NEVER_BELOW

    @property
    def best_sell_paise(self) -> int:
        return self.sells[0].limit_paise if self.sells else NEVER_ABOVE

    @property
    def next_up_paise(self) -> int:
        return self.stops_up[0].request.trigger_paise if self.stops_up else NEVER_ABOVE

    @property
    def next_down_paise(self) -> int:
        return self.stops_down[0].request.trigger_paise if self.stops_down else NEVER_BELOW
