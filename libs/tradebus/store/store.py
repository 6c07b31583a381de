"""A service's door to Postgres: one pool, one kind of transaction.

    async with store.begin() as transaction:                 BEGIN
        if await transaction.first_time("risk", event_id):   inbox row
            ...                                              the handler's own statements
            transaction.emit(INTENTS.name, approved)         nothing yet
                                                             outbox + events rows in one statement, COMMIT
    await outbox.flush(...)                                  publish

Invariants (tested on real servers): what a transaction emitted is written if and only if it commits; a message is
handled by a consumer once, however often and wherever at once it is delivered.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import asyncpg

from tradebus.bus.port import Outgoing
from tradebus.contracts.base import Message
from tradebus.kernel.ids import lock_key
from tradebus.kernel.timers import Timers
from tradebus.store.backlog import Backlog, OutboxRow
from tradebus.store.book import IDLE_SECONDS
from tradebus.store.connect import connect_pool, retrying
from tradebus.store.postgres.standing import StandingConnection
from tradebus.store.queries import load_queries
from tradebus.waiting.timers import sleep

_SQL = load_queries("tradebus.store", "store")
_log = logging.getLogger("tradebus.store")
# What require() raises (migration 0003).
UNMET_REQUIREMENT = "TB001"
# Published rows stay this long, then go in one statement: no handler waits for their deletion.
_DELETE_AFTER_SECONDS = 0.5


class PostgresTransaction:
    """One transaction. `connection` is for the caller's own statements."""

    def __init__(self, connection: asyncpg.Connection, *, producer: str) -> None:
        self.connection = connection
        self._producer = producer
        self._emitted: list[tuple[str, Message]] = []
        self._is_open = True

    async def first_time(self, consumer: str, message_id: str) -> bool:
        """Whether `consumer` handles this message for the first time; False means do nothing.

        Waits where another transaction is handling the same message at this moment, until that one has ended.
        """
        return await self.connection.fetchval(_SQL["first_time"], consumer, message_id) is not None

    async def lock(self, pos_id: str) -> None:
        """Waits until no other transaction holds this position; holds it to the end of this one."""
        await self.connection.execute(_SQL["lock_position"], lock_key(pos_id))

    def emit(self, stream: str, message: Message) -> None:
        """Records the message and hands it to the outbox when, and only when, this transaction commits."""
        if not self._is_open:
            raise RuntimeError(f"{message.TYPE} emitted after its transaction had ended")
        self._emitted.append((stream, message))

    async def write_emitted(self) -> list[OutboxRow]:
        """The store calls this last, before COMMIT."""
        self._is_open = False
        if not self._emitted:
            return []
        outgoing = [Outgoing(stream, message.TYPE, message.to_json()) for stream, message in self._emitted]
        messages = [message for _, message in self._emitted]
        rows = await self.connection.fetch(
            _SQL["write_emitted"],
            self._producer,
            *emission_columns(messages, outgoing),
        )
        return [OutboxRow(row[0], item) for row, item in zip(rows, outgoing, strict=True)]


def emission_columns(messages: Sequence[Message], outgoing: Sequence[Outgoing]) -> tuple[list[object], ...]:
    """The columns of outbox and event rows, as the statements take them after the producer."""
    return (
        [item.stream for item in outgoing],
        [item.kind for item in outgoing],
        [item.body for item in outgoing],
        [message.event_id for message in messages],
        [message.session_id for message in messages],
        [message.pos_id for message in messages],
        [message.ts_event_ns for message in messages],
    )


class Store:
    """`producer` names this process in the outbox: "<service>-<instance>", or "<service>" where there is one only."""

    def __init__(
        self, pool: asyncpg.Pool, *, producer: str, database_url: str, retry_seconds: float, timers: Timers
    ) -> None:
        self.pool = pool
        self.producer = producer
        self.backlog = Backlog()
        self._database_url = database_url
        self._retry_seconds, self._timers = retry_seconds, timers
        self._deletion: asyncio.Task[None] | None = None
        standing = partial(
            StandingConnection, pool, database_url=database_url, retry_seconds=retry_seconds, timers=timers
        )
        # None waits for what another has under way.
        self._standing = (standing(), standing(), standing(), standing())
        self._alone, self._urgent, self._each, self._recording = self._standing

    @classmethod
    async def connect(
        cls,
        database_url: str,
        *,
        namespace: str,
        producer: str,
        timers: Timers,
        pool_size: int = 4,
        retry_seconds: float = 10.0,
        idle_seconds: float = IDLE_SECONDS,
    ) -> "Store":
        """Raises Unavailable where the server does not answer in time, or the namespace was never migrated."""
        pool = await connect_pool(
            database_url,
            namespace=namespace,
            producer=producer,
            pool_size=pool_size + 5,  # four stand, and one holds what is this process's alone
            retry_seconds=retry_seconds,
            idle_seconds=idle_seconds,
            timers=timers,
        )
        return cls(pool, producer=producer, database_url=database_url, retry_seconds=retry_seconds, timers=timers)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[PostgresTransaction]:
        """Commits where the block ends well, rolls back where it raises.

        Raises Unavailable where no connection can be had in `retry_seconds` (Postgres is gone).
        """
        connection = await retrying(
            self.pool.acquire,
            database_url=self._database_url,
            retry_seconds=self._retry_seconds,
            timers=self._timers,
        )
        try:
            async with self._transaction(connection) as transaction:
                yield transaction
        finally:
            await self.pool.release(connection)

    @asynccontextmanager
    async def _transaction(self, connection: asyncpg.Connection) -> AsyncIterator[PostgresTransaction]:
        """Tells the backlog what becomes of the rows, whichever way the transaction ends."""
        rows: list[OutboxRow] = []
        try:
            async with connection.transaction():
                transaction = PostgresTransaction(connection, producer=self.producer)
                yield transaction
                rows = await transaction.write_emitted()
                self.backlog.writing(rows)
        except BaseException:
            self.backlog.abandoned(rows)
            raise
        self.backlog.committed(rows)

    async def record(
        self, statement: str, *arguments: object, messages: Sequence[tuple[str, Message]]
    ) -> asyncpg.Record:
        """One statement as a whole transaction: a round trip and a commit, where `begin` takes four.

        After its own parameters the statement takes emit()'s eight, and returns one row with what emit() wrote as
        `outbox_ids` and `emitted_ids` (or NULL). Raises what Postgres raises, and then nothing was written, or that is
        not known.
        """
        return (await self.record_each(statement, [(arguments, messages)]))[0]

    async def record_each(
        self, statement: str, effects: Sequence[tuple[Sequence[object], Sequence[tuple[str, Message]]]]
    ) -> list[asyncpg.Record]:
        """As `record` for each of several, all in one transaction and round trip: their arguments and messages."""
        expected = self.backlog.expect()
        try:
            outgoing: dict[str, Outgoing] = {}
            every: list[tuple[object, ...]] = []
            for arguments, messages in effects:
                own = {one.event_id: Outgoing(stream, one.TYPE, one.to_json()) for stream, one in messages}
                emission = emission_columns([message for _, message in messages], list(own.values()))
                every.append((*arguments, self.producer, *emission))
                outgoing |= own
            rows = await self._recording.fetch_each(statement, every)
            assert len(rows) == len(every)  # an aggregate's row is always there
        except BaseException:
            self.backlog.lost(expected)
            raise
        found = [pair for row in rows for pair in zip(row["outbox_ids"] or (), row["emitted_ids"] or (), strict=True)]
        self.backlog.arrived(expected, [OutboxRow(row_id, outgoing[event_id]) for row_id, event_id in found])
        return rows

    async def alone(self, statement: str, *arguments: object, urgent: bool = False) -> asyncpg.Record | None:
        """One statement as a whole transaction that emits nothing; an urgent one waits for none that is not. Raises
        what Postgres raises."""
        return await (self._urgent if urgent else self._alone).fetchrow(statement, *arguments)

    async def each(self, statement: str, rows: Sequence[Sequence[object]]) -> list[asyncpg.Record]:
        """As `alone` for each row of arguments, all in one transaction and round trip; the rows that came back."""
        return await self._each.fetch_each(statement, rows)

    async def outbox_left(self) -> list[tuple[int, bool]]:
        """See `tradebus.store.book.Book`."""
        service = self.producer.partition("-")[0] + "-"
        rows = await self.pool.fetch(_SQL["outbox_of_service"], self.producer, service)
        return [(row["outbox_id"], row["own"]) for row in rows]

    @asynccontextmanager
    async def taking_left(self, ids: Sequence[int]) -> AsyncIterator[list[OutboxRow]]:
        """See `tradebus.store.book.Book`."""
        async with self.begin() as transaction:
            rows = [
                OutboxRow(row["outbox_id"], Outgoing(row["stream"], row["kind"], row["body"]))
                for row in await transaction.connection.fetch(_SQL["take_left"], ids)
            ]
            yield rows
            await transaction.connection.execute(_SQL["delete_published"], [row.outbox_id for row in rows])

    async def check(self) -> None:
        """See `tradebus.store.book.Book`."""
        await self.pool.fetchval("SELECT 1")

    def published(self, rows: Sequence[OutboxRow]) -> None:
        """The outbox calls this: the rows are on the bus and may be deleted, in a while, in one statement."""
        self.backlog.published(rows)
        if rows and self._deletion is None:
            self._deletion = asyncio.create_task(self._delete_later())

    async def close(self) -> None:
        """Deletes what was published, then closes the connections. What was not published stays for the next sweep."""
        if self._deletion is not None:
            self._deletion.cancel()
            await asyncio.wait([self._deletion])
        for standing in self._standing:
            await standing.close()
        await self._delete_published()
        await self.pool.close()

    async def _delete_later(self) -> None:
        await sleep(self._timers, _DELETE_AFTER_SECONDS)
        self._deletion = None
        await self._delete_published()

    async def _delete_published(self) -> None:
        ids = self.backlog.take_published()
        if not ids:
            return
        try:
            await self.pool.execute(_SQL["delete_published"], ids)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            # They go with the next batch; a crash before that publishes them twice, which their inbox rows absorb.
            self.backlog.keep(ids)
            _log.warning("outbox: %d published rows not deleted yet (%s)", len(ids), error)
        else:
            self.backlog.deleted(ids)
