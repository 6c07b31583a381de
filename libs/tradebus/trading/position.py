"""A trade's position, accumulated from its fills.

Sums only, no averages, so nothing is lost to rounding and the order of fills does not matter.

Invariants, property-tested: the fields depend on the set of fills, not on their order; when flat, the realised
profit is exactly sells minus buys; at any time realised plus unrealised is exactly what closing the rest at the mark
would give; an exit beyond what was held shows as a negative open quantity, never as an error.
"""

from dataclasses import dataclass, replace

from tradebus.contracts.orders import OrderRole, Transaction
from tradebus.contracts.signals import Side
from tradebus.kernel.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class TradePosition:
    """Quantities in units, values (quantity times price, summed) in paise. The caller drops duplicate fills."""

    side: Side
    entry_quantity: int = 0
    entry_value_paise: int = 0
    exit_quantity: int = 0
    exit_value_paise: int = 0

    def with_fill(self, *, role: OrderRole, quantity: int, price_paise: int) -> "TradePosition":
        """The position after one more fill of an entry, or of an exit or stop."""
        if quantity <= 0 or price_paise <= 0:
            raise InvalidInput(f"fill: quantity {quantity} and price {price_paise} must both be positive")
        value_paise = quantity * price_paise
        if role is OrderRole.ENTRY:
            return replace(
                self,
                entry_quantity=self.entry_quantity + quantity,
                entry_value_paise=self.entry_value_paise + value_paise,
            )
        return replace(
            self,
            exit_quantity=self.exit_quantity + quantity,
            exit_value_paise=self.exit_value_paise + value_paise,
        )

    @property
    def open_quantity(self) -> int:
        """Units held; negative where exit and stop together filled more than was held."""
        return self.entry_quantity - self.exit_quantity

    @property
    def is_flat(self) -> bool:
        """Something was traded and nothing is held."""
        return self.entry_quantity == self.exit_quantity > 0

    @property
    def entry_price_paise(self) -> int | None:
        """The average entry to the nearest paisa, halves up; for people, not for sums."""
        return _average(self.entry_value_paise, self.entry_quantity)

    @property
    def exit_price_paise(self) -> int | None:
        return _average(self.exit_value_paise, self.exit_quantity)

    def gross_paise(self, mark_paise: int) -> int:
        """Realised and unrealised profit together, before charges, with the open quantity at `mark_paise`. Exact."""
        return self.side.sign * (self.exit_value_paise + self.open_quantity * mark_paise - self.entry_value_paise)

    @property
    def realised_gross_paise(self) -> int:
        """The profit of the closed quantity at average prices, to the nearest paisa; exact when flat."""
        matched = min(self.entry_quantity, self.exit_quantity)
        if matched == 0:
            return 0
        numerator = matched * (
            self.exit_value_paise * self.entry_quantity - self.entry_value_paise * self.exit_quantity
        )
        denominator = self.entry_quantity * self.exit_quantity
        return (2 * self.side.sign * numerator + denominator) // (2 * denominator)

    def unrealised_gross_paise(self, mark_paise: int) -> int:
        """What is left of `gross_paise` beside the realised part."""
        return self.gross_paise(mark_paise) - self.realised_gross_paise


def entry_transaction(side: Side) -> Transaction:
    """The transaction that opens a position of this side."""
    return Transaction.BUY if side is Side.LONG else Transaction.SELL


def exit_transaction(side: Side) -> Transaction:
    """The transaction that closes a position of this side."""
    return Transaction.SELL if side is Side.LONG else Transaction.BUY


def _average(value_paise: int, quantity: int) -> int | None:
    return (2 * value_paise + quantity) // (2 * quantity) if quantity else None
