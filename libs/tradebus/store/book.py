"""What a service may ask of its book. Two implementations pass one test suite: `tradebus.store.store.Store` (Postgres)
and `tradebus.store.memory_book.MemoryBook`.

    async with book.begin() as transaction:
        if await transaction.first_time("risk", event_id):
            ...                                              the service's own ledger, in this transaction
            transaction.emit(INTENTS.name, approved)
    await outbox.flush(...)

What a service keeps beyond this (sessions, states, trades) is behind a port of its own, in the same two forms: over
`Transaction.connection` for Postgres, over `MemoryTransaction.table` in memory.

Invariants (tested on both): what a transaction emitted is written if and only if it commits; a message is handled by a
consumer once, however often and wherever at once it is delivered; whoever holds a name's lock is alone until its
transaction has ended; a transaction whose process stands still is ended by the server, and leaves nothing.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from tradebus.contracts.base import Message
from tradebus.store.backlog import Backlog, OutboxRow

IDLE_SECONDS = 10.0  # below what an instance must be silent for before another takes its trades


class BookTransaction(Protocol):
    """One transaction. Commits where its block ends well, leaves nothing where it raises."""

    async def first_time(self, consumer: str, message_id: str) -> bool:
        """Whether `consumer` handles this message for the first time; False means do nothing.

        Waits where another transaction is handling the same message at this moment, until that one has ended.
        """

    async def lock(self, pos_id: str) -> None:
        """Waits until no other transaction holds this name; holds it to the end of this one."""

    def emit(self, stream: str, message: Message) -> None:
        """Records the message and hands it to the outbox when, and only when, this transaction commits."""


class Book(Protocol):
    """One process's door to the book. `producer` names the process in the outbox, `backlog` is what it has committed
    and not published yet."""

    producer: str
    backlog: Backlog

    def begin(self) -> AbstractAsyncContextManager[Any]:
        """A transaction (a `BookTransaction` of this book's kind). Raises Unavailable where the book is away."""

    async def outbox_left(self) -> list[tuple[int, bool]]:
        """Ids of the outbox rows of this producer's service, in order, and whether each is this producer's own."""

    def taking_left(self, ids: Sequence[int]) -> AbstractAsyncContextManager[list[OutboxRow]]:
        """Those of these rows that are still there, which nobody else takes meanwhile; deleted where the block ends
        well, left where it raises."""

    def published(self, rows: Sequence[OutboxRow]) -> None:
        """The rows are on the bus and may be deleted."""

    async def check(self) -> None:
        """Returns where the book answers. Raises what is wrong otherwise."""

    async def close(self) -> None: ...
