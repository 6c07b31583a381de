"""The heart of this instance: while it beats in the book, nobody else takes its trades."""

from services.execution.books import Books
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.timers import Timers


class Pulse:
    """`silent_seconds`: so long after its last beat the trades of an instance may be another's."""

    def __init__(self, books: Books, owner: str, *, silent_seconds: float, timers: Timers) -> None:
        self._ledger, self._departures = books.ledger, books.departures
        self._owner, self._timers = owner, timers
        self._silent_ns, self._beat_ns = int(silent_seconds * 1e9), 0

    async def beat(self) -> None:
        """Says that this instance is alive."""
        asked_ns = self._timers.monotonic_ns()
        await self._ledger.heartbeat(self._owner)
        self._beat_ns = asked_ns

    async def leaves(self, trade: Trade, order: Order, *, at_ns: int) -> bool:
        """Says in the book that the request of an order leaves now. False where another has taken the trade: then it
        must not."""
        return await self._departures.leaves(trade, order, at_ns=at_ns)

    async def has_left(self, order: Order) -> bool:
        """Whether the request of an order may have left, of this instance or of who had the trade before."""
        return await self._departures.has_left(order)

    async def left_seconds_ago(self, order: Order) -> float | None:
        """How long ago the request of an order was first said to leave, by whomever. None where nobody has."""
        return await self._departures.left_seconds_ago(order)

    @property
    def is_silent(self) -> bool:
        """Whether an order that this instance decided on may be another instance's to send."""
        return self._timers.monotonic_ns() - self._beat_ns > self._silent_ns
