"""Which requests may have left, in Postgres and in memory."""

from tradebus.execution.step import Moved
from tradebus.execution.trade import Order, Trade
from tradebus.store.memory_book import MemoryBook
from tradebus.store.queries import load_queries
from tradebus.store.store import Store
from tradebus.trading.states import OrderState

_SQL = load_queries("services.execution.books", "ledger")
_LEAVES = "LEAVES"


class PostgresDepartures:
    """See `services.execution.books.ports.Departures`."""

    def __init__(self, store: Store) -> None:
        self._pool = store.pool

    async def leaves(self, trade: Trade, order: Order, *, at_ns: int) -> bool:
        said = await self._pool.fetchval(_SQL["leaves"], trade.pos_id, trade.owner, order.order_id, _LEAVES, at_ns)
        return said is not None

    async def has_left(self, order: Order) -> bool:
        return bool(await self._pool.fetchval(_SQL["has_left"], order.order_id, _LEAVES))


class MemoryDepartures:
    """See `services.execution.books.ports.Departures`."""

    def __init__(self, book: MemoryBook) -> None:
        self._book = book

    async def leaves(self, trade: Trade, order: Order, *, at_ns: int) -> bool:
        async with self._book.begin() as transaction:
            await transaction.lock(f"trades {trade.pos_id}")
            known = transaction.table("trades").get(trade.pos_id)
            if known is None or known.owner != trade.owner:
                return False
            history = transaction.table("order_history")
            line = Moved(order.order_id, OrderState.PENDING, OrderState.PENDING, _LEAVES, at_ns)
            history[order.order_id] = (*history.get(order.order_id, ()), line)
        return True

    async def has_left(self, order: Order) -> bool:
        self._book.database.check()
        lines = self._book.database.table("order_history").get(order.order_id, ())
        return any(line.event == _LEAVES for line in lines)
