"""Execution's book: what it keeps and reads, on Postgres or in memory."""

from dataclasses import dataclass

from services.execution.books.departures import MemoryDepartures, PostgresDepartures
from services.execution.books.memory import MemoryLedger, MemoryOwnBook
from services.execution.books.ports import Departures, Ledger, OwnBook
from services.execution.books.postgres import PostgresLedger, PostgresOwnBook
from services.execution.books.standings import AccountStandings, MemoryStandings, PostgresStandings
from tradebus.kernel.timers import Timers
from tradebus.store.book import Book
from tradebus.store.books import instruments_book, listings_book
from tradebus.store.books.instruments import InstrumentsBook
from tradebus.store.books.listings import ListingsBook
from tradebus.store.memory_book import MemoryBook
from tradebus.store.store import Store

__all__ = ["Books", "books_of"]


@dataclass(frozen=True, slots=True)
class Books:
    """One process's doors. `book` is the transactions' and the outbox's."""

    book: Book
    ledger: Ledger
    own: OwnBook
    departures: Departures
    standings: AccountStandings
    instruments: InstrumentsBook
    listings: ListingsBook


def books_of(book: Book, *, timers: Timers) -> Books:
    """Execution's books in the book's own kind."""
    shared = instruments_book(book), listings_book(book)
    if isinstance(book, MemoryBook):
        return Books(
            book, MemoryLedger(book, timers=timers), MemoryOwnBook(book), MemoryDepartures(book, timers=timers),
            MemoryStandings(book), *shared,
        )  # fmt: skip
    assert isinstance(book, Store), f"no ledger for a {type(book).__name__}"
    return Books(
        book, PostgresLedger(book), PostgresOwnBook(book), PostgresDepartures(book), PostgresStandings(book), *shared
    )  # fmt: skip
