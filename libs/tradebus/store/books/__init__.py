"""Books that several services share: each a port, an implementation on Postgres and a twin in memory; one suite.

Ask `sessions_book`, `session_register`, `kill_switch_book`, `candles_book` or `instruments_book` for the one that goes
with a book.
"""

from tradebus.store.book import Book
from tradebus.store.books.candles import CandlesBook, MemoryCandles, PostgresCandles
from tradebus.store.books.instruments import InstrumentsBook, MemoryInstruments, PostgresInstruments
from tradebus.store.books.kill_switch import KillSwitchBook, MemoryKillSwitch, PostgresKillSwitch
from tradebus.store.books.memory_sessions import MemoryRegister, MemorySessions
from tradebus.store.books.postgres_sessions import PostgresRegister, PostgresSessions
from tradebus.store.books.sessions import SessionRegister, SessionsBook
from tradebus.store.memory_book import MemoryBook
from tradebus.store.store import Store

__all__ = [
    "CandlesBook", "InstrumentsBook", "KillSwitchBook", "SessionRegister", "SessionsBook", "candles_book",
    "instruments_book", "kill_switch_book", "session_register", "sessions_book",
]  # fmt: skip


def candles_book(book: Book) -> CandlesBook:
    """One-minute candles in the book's own kind."""
    if isinstance(book, MemoryBook):
        return MemoryCandles(book)
    assert isinstance(book, Store), f"no candles for a {type(book).__name__}"
    return PostgresCandles(book)


def instruments_book(book: Book) -> InstrumentsBook:
    """The instrument master in the book's own kind."""
    if isinstance(book, MemoryBook):
        return MemoryInstruments(book)
    assert isinstance(book, Store), f"no instruments for a {type(book).__name__}"
    return PostgresInstruments(book)


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
