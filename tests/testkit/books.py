"""Both books behind one harness: the one in memory and Postgres."""

from types import SimpleNamespace
from typing import Protocol

from testkit.waiting import WALL_TIMERS
from tradebus.store.book import IDLE_SECONDS, Book
from tradebus.store.memory_book import EVENTS, INBOX, OUTBOX, MemoryBook, MemoryDatabase
from tradebus.store.store import Store


class BookHarness(Protocol):
    """Books on one database, which nothing else uses."""

    async def book(self, producer: str = "test-1", *, idle_seconds: float = IDLE_SECONDS) -> Book:
        """A new process's door to it; one of the same producer is that process's next life. The server ends a
        transaction that stands still for `idle_seconds`."""
        ...

    async def counts(self) -> tuple[int, int, int]:
        """Rows of inbox, outbox and events."""
        ...

    async def keep_trade(
        self, pos_id: str, *, session_id: str, is_over: bool, entry_quantity: int = 0, net_pnl_paise: int | None = None
    ) -> None:
        """As execution keeps one."""
        ...

    async def keep_answer(self, intent_id: str, *, session_id: str) -> None:
        """As execution keeps that it has answered an approval."""
        ...

    async def close(self) -> None: ...


class MemoryBooks:
    def __init__(self) -> None:
        self.database = MemoryDatabase()

    async def book(self, producer: str = "test-1", *, idle_seconds: float = IDLE_SECONDS) -> MemoryBook:
        return MemoryBook(self.database, producer=producer, timers=WALL_TIMERS, idle_seconds=idle_seconds)

    async def counts(self) -> tuple[int, int, int]:
        inbox, outbox, events = (len(self.database.table(name)) for name in (INBOX, OUTBOX, EVENTS))
        return inbox, outbox, events

    async def keep_trade(
        self, pos_id: str, *, session_id: str, is_over: bool, entry_quantity: int = 0, net_pnl_paise: int | None = None
    ) -> None:
        async with MemoryBook(self.database, producer="execution-1").begin() as transaction:
            transaction.table("trades")[pos_id] = SimpleNamespace(
                session_id=session_id, ended=is_over, entry_quantity=entry_quantity, net_pnl_paise=net_pnl_paise
            )

    async def keep_answer(self, intent_id: str, *, session_id: str) -> None:
        async with MemoryBook(self.database, producer="execution-1").begin() as transaction:
            transaction.table("intents")[intent_id] = session_id

    async def close(self) -> None:
        return


class PostgresBooks:
    """`namespace` is migrated."""

    def __init__(self, database_url: str, namespace: str) -> None:
        self._database_url, self._namespace = database_url, namespace
        self._stores: list[Store] = []
        self._looks: Store | None = None

    async def book(self, producer: str = "test-1", *, idle_seconds: float = IDLE_SECONDS) -> Store:
        store = await Store.connect(
            self._database_url, namespace=self._namespace, producer=producer, timers=WALL_TIMERS,
            idle_seconds=idle_seconds,
        )  # fmt: skip
        self._stores.append(store)
        return store

    async def counts(self) -> tuple[int, int, int]:
        row = await (await self._look()).pool.fetchrow(
            "SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM outbox), (SELECT count(*) FROM events)"
        )
        inbox, outbox, events = row
        return inbox, outbox, events

    async def keep_trade(
        self, pos_id: str, *, session_id: str, is_over: bool, entry_quantity: int = 0, net_pnl_paise: int | None = None
    ) -> None:
        await (await self._look()).pool.execute(
            "INSERT INTO trades (pos_id, session_id, user_id, strategy, symbol, instrument_id, side, state,"
            " quantity_requested, entry_quantity, expected_price_paise, initial_stop_paise, stop_paise, lot_size,"
            " tick_size_paise, max_slippage_pct, order_timeout_seconds, trace_id, intent_id, created_ns, as_of_ns,"
            " owner, net_pnl_paise)"
            " VALUES ($1, $2, 'u', 'orb', 'X', 1, 'LONG', $3, 1, $4, 1, 1, 1, 1, 1, 1, 1, 't', $1, 1, 1, 'e', $5)",
            pos_id, session_id, "CLOSED" if is_over else "OPEN", entry_quantity, net_pnl_paise,
        )  # fmt: skip

    async def keep_answer(self, intent_id: str, *, session_id: str) -> None:
        await (await self._look()).pool.execute(
            "INSERT INTO intents VALUES ($1, 'p', $2, 'ENTRY', 'TAKEN', 1, '{}')", intent_id, session_id
        )

    async def _look(self) -> Store:
        if self._looks is None:
            self._looks = await self.book("looks")
        return self._looks

    async def close(self) -> None:
        for store in self._stores:
            await store.close()
