"""Books that several services share: each a port, an implementation on Postgres and a twin in memory; one suite.

Ask `sessions_book`, `session_register` and `kill_switch_book` for the one that goes with a book.
"""

from tradebus.store.book import Book
from tradebus.store.books.kill_switch import KillSwitchBook, MemoryKillSwitch, PostgresKillSwitch
from tradebus.store.books.memory_sessions import MemoryRegister, MemorySessions
from tradebus.store.books.postgres_sessions import PostgresRegister, PostgresSessions
from tradebus.store.books.sessions import SessionRegister, SessionsBook
from tradebus.store.memory_book import MemoryBook
from tradebus.store.store import Store

__all__ = [
    "KillSwitchBook", "SessionRegister", "SessionsBook", "kill_switch_book", "session_register", "sessions_book",
]  # fmt: skip


def kill_switch_book(book: Book) -> KillSwitchBook:
    """The kill switch in the book's own kind."""
    if isinstance(book, MemoryBook):
        return MemoryKillSwitch(book)
    assert isinstance(book, Store), f"no kill switch for a {type(book).__name__}"
    return PostgresKillSwitch(book)


def sessions_book(book: Book) -> SessionsBook:
    """The sessions in the book's own kind."""
    if isinstance(book, MemoryBook):
        return MemorySessions(book)
    assert isinstance(book, Store), f"no sessions for a {type(book).__name__}"
    return PostgresSessions(book)


def session_register(book: Book) -> SessionRegister:
    """How sessions move, in the book's own kind."""
    if isinstance(book, MemoryBook):
        return MemoryRegister(book)
    assert isinstance(book, Store), f"no sessions for a {type(book).__name__}"
    return PostgresRegister(book)
