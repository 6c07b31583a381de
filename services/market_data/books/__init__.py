"""What market data keeps and reads, on Postgres or in memory."""

from dataclasses import dataclass

from services.market_data.books.gap_rows import GapRows, MemoryGapRows, PostgresGapRows
from services.market_data.books.shard_right import shard_right
from tradebus.store.book import Book
from tradebus.store.books import (
    CandlesBook,
    ChainsBook,
    FeedsBook,
    InstrumentsBook,
    ListingsBook,
    SessionsBook,
    candles_book,
    chains_book,
    feeds_book,
    instruments_book,
    listings_book,
    sessions_book,
)
from tradebus.store.books.name_right import NameRight
from tradebus.store.memory_book import MemoryBook
from tradebus.store.store import Store

__all__ = ["MarketBooks", "market_books"]


@dataclass(frozen=True, slots=True)
class MarketBooks:
    """One process's doors. `book` is the transactions' and the outbox's; `right` makes it the only feed."""

    book: Book
    right: NameRight
    gaps: GapRows
    feeds: FeedsBook
    chains: ChainsBook
    candles: CandlesBook
    instruments: InstrumentsBook
    listings: ListingsBook
    sessions: SessionsBook


def market_books(book: Book, *, namespace: str) -> MarketBooks:
    """Market data's books in the book's own kind."""
    shared = (
        feeds_book(book), chains_book(book), candles_book(book), instruments_book(book), listings_book(book),
        sessions_book(book),
    )  # fmt: skip
    right = shard_right(book, namespace=namespace)
    if isinstance(book, MemoryBook):
        return MarketBooks(book, right, MemoryGapRows(book), *shared)
    assert isinstance(book, Store), f"no books of market data on a {type(book).__name__}"
    return MarketBooks(book, right, PostgresGapRows(book), *shared)
