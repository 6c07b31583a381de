"""Books that several services share: each a port, an implementation on Postgres and a twin in memory; one suite.

Ask `sessions_book`, `session_register`, `kill_switch_book`, `candles_book`, `instruments_book`, `listings_book`,
`feeds_book`, `chains_book`, `order_budget_book`, `limit_changes_book`, `shared_limits_book` or `audit_book` for the one
that goes with a book.
"""

from tradebus.kernel.clock import Clock
from tradebus.store.book import Book
from tradebus.store.books.broker_audit import AuditBook, MemoryAudit, PostgresAudit
from tradebus.store.books.candles import CandlesBook, MemoryCandles, PostgresCandles
from tradebus.store.books.chains import ChainsBook, MemoryChains, PostgresChains
from tradebus.store.books.feeds import FeedsBook, MemoryFeeds, PostgresFeeds
from tradebus.store.books.instruments import InstrumentsBook, MemoryInstruments, PostgresInstruments
from tradebus.store.books.kill_switch import KillSwitchBook, MemoryKillSwitch, PostgresKillSwitch
from tradebus.store.books.limits.limit_changes import LimitChangesBook, MemoryLimitChanges, PostgresLimitChanges
from tradebus.store.books.limits.shared_limits import MemorySharedLimits, PostgresSharedLimits, SharedLimitsBook
from tradebus.store.books.listings import ListingsBook, MemoryListings, PostgresListings
from tradebus.store.books.memory_sessions import MemoryRegister, MemorySessions
from tradebus.store.books.order_budget import MemoryOrderBudgets, OrderBudgetBook, PostgresOrderBudgets
from tradebus.store.books.postgres_sessions import PostgresRegister, PostgresSessions
from tradebus.store.books.sessions import SessionRegister, SessionsBook
from tradebus.store.memory_book import MemoryBook
from tradebus.store.store import Store

__all__ = [
    "AuditBook", "CandlesBook", "ChainsBook", "FeedsBook", "InstrumentsBook", "KillSwitchBook", "LimitChangesBook",
    "ListingsBook", "OrderBudgetBook", "SessionRegister", "SessionsBook", "SharedLimitsBook", "audit_book",
    "candles_book", "chains_book", "feeds_book", "instruments_book", "kill_switch_book", "limit_changes_book",
    "listings_book", "order_budget_book", "session_register", "sessions_book", "shared_limits_book",
]  # fmt: skip


def audit_book(book: Book) -> AuditBook:
    """The audit of requests to brokers in the book's own kind."""
    kind = _kind_of(book)
    return MemoryAudit(kind) if isinstance(kind, MemoryBook) else PostgresAudit(kind)


def candles_book(book: Book) -> CandlesBook:
    """One-minute candles in the book's own kind."""
    kind = _kind_of(book)
    return MemoryCandles(kind) if isinstance(kind, MemoryBook) else PostgresCandles(kind)


def chains_book(book: Book) -> ChainsBook:
    """Option chains in the book's own kind."""
    kind = _kind_of(book)
    return MemoryChains(kind) if isinstance(kind, MemoryBook) else PostgresChains(kind)


def feeds_book(book: Book) -> FeedsBook:
    """The feeds of the market-data streams in the book's own kind."""
    kind = _kind_of(book)
    return MemoryFeeds(kind) if isinstance(kind, MemoryBook) else PostgresFeeds(kind)


def instruments_book(book: Book) -> InstrumentsBook:
    """The instrument master in the book's own kind."""
    kind = _kind_of(book)
    return MemoryInstruments(kind) if isinstance(kind, MemoryBook) else PostgresInstruments(kind)


def kill_switch_book(book: Book) -> KillSwitchBook:
    """The kill switch in the book's own kind."""
    kind = _kind_of(book)
    return MemoryKillSwitch(kind) if isinstance(kind, MemoryBook) else PostgresKillSwitch(kind)


def limit_changes_book(book: Book) -> LimitChangesBook:
    """Changes of limits in the book's own kind."""
    kind = _kind_of(book)
    return MemoryLimitChanges(kind) if isinstance(kind, MemoryBook) else PostgresLimitChanges(kind)


def shared_limits_book(book: Book) -> SharedLimitsBook:
    """Limits over several sessions in the book's own kind."""
    kind = _kind_of(book)
    return MemorySharedLimits(kind) if isinstance(kind, MemoryBook) else PostgresSharedLimits(kind)


def listings_book(book: Book) -> ListingsBook:
    """Brokers' names for instruments in the book's own kind."""
    kind = _kind_of(book)
    return MemoryListings(kind) if isinstance(kind, MemoryBook) else PostgresListings(kind)


def order_budget_book(book: Book, *, clock: Clock) -> OrderBudgetBook:
    """The order budgets in the book's own kind. `clock` is the twin's; Postgres has its own."""
    kind = _kind_of(book)
    return MemoryOrderBudgets(kind, clock) if isinstance(kind, MemoryBook) else PostgresOrderBudgets(kind)


def sessions_book(book: Book) -> SessionsBook:
    """The sessions in the book's own kind."""
    kind = _kind_of(book)
    return MemorySessions(kind) if isinstance(kind, MemoryBook) else PostgresSessions(kind)


def session_register(book: Book) -> SessionRegister:
    """How sessions move, in the book's own kind."""
    kind = _kind_of(book)
    return MemoryRegister(kind) if isinstance(kind, MemoryBook) else PostgresRegister(kind)


def _kind_of(book: Book) -> MemoryBook | Store:
    assert isinstance(book, MemoryBook | Store), f"no books on a {type(book).__name__}"
    return book
