"""Both of execution's books behind one pair of hands: what a test does there for the other services."""

from collections.abc import Sequence
from typing import Protocol

from services.execution.books import Books, books_of
from testkit.waiting import WALL_TIMERS
from tradebus.brokers.paper.memory import MemoryPaperBook
from tradebus.brokers.paper.port import PaperBook
from tradebus.brokers.paper.postgres import PostgresPaperBook
from tradebus.contracts.base import Message
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.sessions import SessionSpec, SessionStatus
from tradebus.execution.trade import Trade
from tradebus.store.book import Book
from tradebus.store.books import instruments_book, session_register
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.store.store import Store


class ExecutionHands(Protocol):
    """`book` is the test's own door."""

    book: Book

    async def life(self, instance: str = "1") -> tuple[Books, PaperBook]:
        """A new process's doors."""
        ...

    async def trades(self) -> list[Trade]:
        """Every trade as it is committed, in the order in which they were created."""
        ...

    async def outcomes(self) -> dict[str, str]:
        """What became of each intent."""
        ...


class MemoryHands:
    def __init__(self) -> None:
        self.database = MemoryDatabase()
        self.book: Book = MemoryBook(self.database, producer="test-1")
        self._paper = MemoryPaperBook()

    async def life(self, instance: str = "1") -> tuple[Books, PaperBook]:
        return books_of(MemoryBook(self.database, producer=f"execution-{instance}"), timers=WALL_TIMERS), self._paper

    async def trades(self) -> list[Trade]:
        return await _trades(self.book, list(self.database.table("trades")))

    async def outcomes(self) -> dict[str, str]:
        return {intent_id: intent.outcome for intent_id, intent in self.database.table("intents").items()}


class PostgresHands:
    def __init__(self, store: Store, *, database_url: str, namespace: str) -> None:
        self.book: Book = store
        self._pool = store.pool
        self._database_url, self._namespace = database_url, namespace

    async def life(self, instance: str = "1") -> tuple[Books, PaperBook]:
        store = await Store.connect(
            self._database_url, namespace=self._namespace, producer=f"execution-{instance}", timers=WALL_TIMERS
        )
        return books_of(store, timers=WALL_TIMERS), PostgresPaperBook(store.pool)

    async def trades(self) -> list[Trade]:
        rows = await self._pool.fetch("SELECT pos_id FROM trades")
        return await _trades(self.book, [row["pos_id"] for row in rows])

    async def outcomes(self) -> dict[str, str]:
        return {row["intent_id"]: row["outcome"] for row in await self._pool.fetch("SELECT * FROM intents")}


async def _trades(book: Book, pos_ids: Sequence[str]) -> list[Trade]:
    found = [await books_of(book, timers=WALL_TIMERS).ledger.load(pos_id) for pos_id in pos_ids]
    return sorted((one for one in found if one is not None), key=lambda one: (one.created_ns, one.pos_id))


async def register(book: Book, *instruments: Instrument) -> None:
    """What a feed does."""
    async with book.begin() as tx:
        await instruments_book(book).register(tx, instruments)


async def begin(book: Book, spec: SessionSpec, *, status: SessionStatus = SessionStatus.RUNNING) -> None:
    """What the gateway does for START_TRADING."""
    register = session_register(book)
    async with book.begin() as tx:
        await register.insert(tx, spec, command_id=f"c-{spec.session_id}", now_ns=0)
        await register.set_status(tx, spec.session_id, status)


async def emit(book: Book, stream: str, *messages: Message) -> None:
    """What another service commits, the bus not having it."""
    async with book.begin() as tx:
        for one in messages:
            tx.emit(stream, one)
