"""The order budget of each broker account, as one value that all processes of the account replace in turn.

Whoever wants to send reads it, decides on a copy (`tradebus.execution.governor`) and puts the copy in its place: where
somebody else was quicker, or the time at which it was decided is not now, nothing happens and it is decided anew.

Invariant (tested on both): of those who replace one version one succeeds.
"""

from dataclasses import dataclass
from typing import Protocol

from tradebus.kernel.clock import Clock
from tradebus.store.memory_book import MemoryBook
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

# The book's clock and the time of a decision may differ by this: the way there, and what the estimate is off.
DECIDED_WITHIN_NS = 100_000_000
_SQL = load_queries("tradebus.store.books", "order_budget")
_TABLE = "order_budgets"


@dataclass(frozen=True, slots=True)
class KeptBudget:
    """`body` is None and `version` 0 where nobody has written one. `now_ns` is the book's time at the answer;
    `replaced` says that this is what was to be put there."""

    body: str | None
    version: int
    now_ns: int
    replaced: bool = False


class OrderBudgetBook(Protocol):
    """Neither waits for a commit to be durable. Both raise what the book's absence raises."""

    async def read(self, account: str) -> KeptBudget: ...

    async def replace(
        self, account: str, body: str, *, version: int, decided_ns: int, urgent: bool = False
    ) -> KeptBudget:
        """Puts it in the place of `version` and says what stands then. Nothing happens where that is not the last
        version, or `decided_ns` is not within DECIDED_WITHIN_NS of the book's time: then it says what stands, or stood
        a moment ago. An `urgent` one waits for no other of this process that is not."""


class PostgresOrderBudgets:
    """See `OrderBudgetBook`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, account: str) -> KeptBudget:
        # Comes first of all: so that no exit has to wait for the urgent ones' connection to be made.
        row = await self._store.alone(_SQL["read"], account, urgent=True)
        assert row is not None  # it is joined to what was asked
        return KeptBudget(row["body"], row["version"], row["now_ns"])

    async def replace(
        self, account: str, body: str, *, version: int, decided_ns: int, urgent: bool = False
    ) -> KeptBudget:
        row = await self._store.alone(
            _SQL["replace"], account, body, version, decided_ns, DECIDED_WITHIN_NS, urgent=urgent
        )  # fmt: skip
        assert row is not None  # one of its two halves is
        return KeptBudget(row["body"], row["version"], row["now_ns"], row["replaced"])


class MemoryOrderBudgets:
    """See `OrderBudgetBook`. `clock` is the book's."""

    def __init__(self, book: MemoryBook, clock: Clock) -> None:
        self._book, self._clock = book, clock

    async def read(self, account: str) -> KeptBudget:
        self._book.database.check()
        body, version = self._book.database.table(_TABLE).get(account, (None, 0))
        return KeptBudget(body, version, self._clock.now_ns())

    async def replace(
        self, account: str, body: str, *, version: int, decided_ns: int, urgent: bool = False
    ) -> KeptBudget:
        now_ns = self._clock.now_ns()
        async with self._book.begin() as transaction:
            await transaction.lock(f"{_TABLE} {account}")
            table = transaction.table(_TABLE)
            before, last = table.get(account, (None, 0))
            if last != version or abs(now_ns - decided_ns) > DECIDED_WITHIN_NS:
                return KeptBudget(before, last, now_ns)
            table[account] = (body, version + 1)
        return KeptBudget(body, version + 1, now_ns, replaced=True)
