"""Which requests may have left, and which were not answered, in Postgres and in memory."""

from collections.abc import Sequence

from tradebus.execution.step import Moved
from tradebus.execution.stops.tightening import TRAIL_REFUSED, TRAILED
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.store.memory_book import MemoryBook
from tradebus.store.queries import load_queries
from tradebus.store.store import Store
from tradebus.trading.states import OrderEvent, OrderState

_SQL = load_queries("services.execution.books", "ledger")
_LEAVES = "LEAVES"
_TRAIL_ANSWERS = (OrderEvent.MODIFIED, TRAIL_REFUSED)


class PostgresDepartures:
    """See `services.execution.books.ports.Departures`."""

    def __init__(self, store: Store) -> None:
        self._pool = store.pool

    async def leaves(self, trade: Trade, order: Order, *, at_ns: int) -> bool:
        said = await self._pool.fetchval(_SQL["leaves"], trade.pos_id, trade.owner, order.order_id, _LEAVES, at_ns)
        return said is not None

    async def has_left(self, order: Order) -> bool:
        return bool(await self._pool.fetchval(_SQL["has_left"], order.order_id, _LEAVES))

    async def left_seconds_ago(self, order: Order) -> float | None:
        ago: float | None = await self._pool.fetchval(_SQL["left_seconds_ago"], order.order_id, _LEAVES)
        return None if ago is None else max(0.0, ago)

    async def trail_unanswered(self, stop: Order) -> int | None:
        found: int | None = await self._pool.fetchval(
            _SQL["select_trail_unanswered"], stop.order_id, TRAILED, [*_TRAIL_ANSWERS]
        )
        return found


class MemoryDepartures:
    """See `services.execution.books.ports.Departures`. `timers` are the clock of the book."""

    def __init__(self, book: MemoryBook, *, timers: Timers) -> None:
        self._book, self._timers = book, timers

    async def leaves(self, trade: Trade, order: Order, *, at_ns: int) -> bool:
        async with self._book.begin() as transaction:
            await transaction.lock(f"trades {trade.pos_id}")
            known = transaction.table("trades").get(trade.pos_id)
            if known is None or known.owner != trade.owner:
                return False
            history = transaction.table("order_history")
            line = Moved(order.order_id, OrderState.PENDING, OrderState.PENDING, _LEAVES, at_ns)
            history[order.order_id] = (*history.get(order.order_id, ()), line)
            transaction.table("departures").setdefault(order.order_id, self._timers.monotonic_ns())
        return True

    async def has_left(self, order: Order) -> bool:
        return any(line.event == _LEAVES for line in self._history(order))

    async def left_seconds_ago(self, order: Order) -> float | None:
        self._book.database.check()
        left_ns: int | None = self._book.database.table("departures").get(order.order_id)
        return None if left_ns is None else (self._timers.monotonic_ns() - left_ns) / NANOSECONDS_PER_SECOND

    async def trail_unanswered(self, stop: Order) -> int | None:
        lines = self._history(stop)
        asked_ns = max((line.ts_event_ns for line in lines if line.event == TRAILED), default=-1)
        answered_ns = max((line.ts_event_ns for line in lines if line.event in _TRAIL_ANSWERS), default=-1)
        return asked_ns if asked_ns > answered_ns else None

    def _history(self, order: Order) -> Sequence[Moved]:
        self._book.database.check()
        found: Sequence[Moved] = self._book.database.table("order_history").get(order.order_id, ())
        return found
