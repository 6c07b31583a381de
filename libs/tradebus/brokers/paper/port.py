"""What the paper broker needs of its book: durable before anybody is told, and a version per order.

Two implementations pass one suite: Postgres (`postgres`), and memory (`memory`) for tests and tools.
"""

from collections.abc import Sequence
from typing import Protocol

from tradebus.trading.matching.paper import PaperOrder


class PaperBook(Protocol):
    """Orders by broker id and by tag."""

    async def insert(self, order: PaperOrder) -> None:
        """Adds a new order; an order with the same tag stays as it is."""

    async def save(self, order: PaperOrder, *, version: int) -> bool:
        """Stores a changed order. False where somebody else changed it since `version`."""

    async def by_id(self, broker_order_id: str) -> tuple[PaperOrder, int] | None:
        """The order and its version."""

    async def by_tag(self, account: str, tag: str) -> tuple[PaperOrder, int] | None:
        """The account's order with this tag and its version."""

    async def of_account(self, account: str) -> Sequence[PaperOrder]:
        """Every order of the account, in the order they entered the book."""
