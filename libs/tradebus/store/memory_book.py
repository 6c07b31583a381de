"""The book in memory: for tests and simulations, in one event loop. Passes the Postgres book's suite.

A `MemoryDatabase` is what Postgres is to the processes of a namespace; a `MemoryBook` is one process's door to it, and
a new one with the same producer is its next life.

A service's own twin keeps its rows in `MemoryTransaction.table(name)`: a mapping that shows what is committed and what
this transaction has written, and becomes everybody's at the commit. Values are never altered, only replaced. Where a
row is read to be replaced, `lock` its name first, as a row's lock does on Postgres.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tradebus.bus.port import Outgoing
from tradebus.contracts.base import Message
from tradebus.kernel.errors import Unavailable
from tradebus.kernel.timers import Timers
from tradebus.store.backlog import Backlog, OutboxRow
from tradebus.store.book import IDLE_SECONDS

INBOX, OUTBOX, EVENTS = "inbox", "outbox", "events"
_GONE = object()


@dataclass(frozen=True, slots=True)
class EventRow:
    """A row of the events table: what was emitted, once per event id."""

    stream: str
    message: Message


@dataclass(eq=False, slots=True)
class MemoryConnection:
    """One door's connection: names are held by it, and are free once it is closed."""

    is_closed: bool = False


@dataclass(eq=False, slots=True)
class _Turn:
    """A name that a transaction holds, or waits for: granted by the server, whether or not its client looks."""

    name: Hashable
    granted: "asyncio.Future[None]"


class MemoryDatabase:
    """Tables by name, each a mapping from a row's key to its value."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[Hashable, Any]] = {}
        self._turns: dict[Hashable, deque[_Turn]] = {}  # by name: who holds it, and who waits, in order
        self._holders: dict[Hashable, MemoryConnection] = {}
        self._outbox_ids = 0
        self._away = False
        self._answers_lost = 0

    def table(self, name: str) -> Mapping[Any, Any]:
        """The committed rows, to read."""
        return MappingProxyType(self._tables.setdefault(name, {}))

    def go_away(self) -> None:
        """Nobody gets a transaction, and none commits, until `come_back`; connections that hold names are closed."""
        self._away = True
        for connection in self._holders.values():
            connection.is_closed = True

    def come_back(self) -> None:
        self._away = False

    def lose_answers(self, count: int) -> None:
        """The next commits are made, but whoever made them hears an error instead of an answer."""
        self._answers_lost = count

    def check(self) -> None:
        """Raises Unavailable while it is away."""
        if self._away:
            raise Unavailable("the book does not answer: start it again")

    def apply(self, writes: Mapping[str, Mapping[Hashable, Any]]) -> None:
        """What a commit changes, at once. For transactions."""
        for name, rows in writes.items():
            table = self._tables.setdefault(name, {})
            for key, value in rows.items():
                if value is _GONE:
                    table.pop(key, None)
                else:
                    table[key] = value

    def next_outbox_id(self) -> int:
        """For transactions."""
        self._outbox_ids += 1
        return self._outbox_ids

    def loses_an_answer(self) -> bool:
        """Whether this commit's is lost. For transactions."""
        lost = self._answers_lost > 0
        self._answers_lost -= lost
        return lost

    def ask(self, name: Hashable) -> _Turn:
        """A turn at the name: granted at once, or when those before it have let go. For transactions."""
        turn = _Turn(name, asyncio.get_running_loop().create_future())
        turns = self._turns.setdefault(name, deque())
        turns.append(turn)
        if turns[0] is turn:
            turn.granted.set_result(None)
        return turn

    def let_go(self, turn: _Turn) -> None:
        """A turn that is over, or not waited for any more. For transactions."""
        turns = self._turns[turn.name]
        turns.remove(turn)
        if not turns:
            del self._turns[turn.name]
        elif not turns[0].granted.done():
            turns[0].granted.set_result(None)

    def hold(self, name: Hashable, connection: MemoryConnection) -> bool:
        """Whether the connection holds the name alone: until it is closed, or gives it up. An advisory lock's twin."""
        holder = self._holders.get(name)
        if holder is None or holder.is_closed:
            self._holders[name] = connection
        return self._holders[name] is connection

    def give_up(self, name: Hashable, connection: MemoryConnection) -> None:
        if self._holders.get(name) is connection:
            del self._holders[name]


class MemoryTable(MutableMapping[Any, Any]):
    """A table as one transaction sees it."""

    def __init__(self, committed: Mapping[Hashable, Any]) -> None:
        self._committed = committed
        self.writes: dict[Hashable, Any] = {}

    def __getitem__(self, key: Hashable) -> Any:
        value = self.writes[key] if key in self.writes else self._committed[key]
        if value is _GONE:
            raise KeyError(key)
        return value

    def __setitem__(self, key: Hashable, value: Any) -> None:
        self.writes[key] = value

    def __delitem__(self, key: Hashable) -> None:
        self[key]
        self.writes[key] = _GONE

    def __iter__(self) -> Iterator[Hashable]:
        yield from [key for key in self._committed if key not in self.writes]
        yield from [key for key, value in self.writes.items() if value is not _GONE]

    def __len__(self) -> int:
        return sum(1 for _ in self)


class MemoryTransaction:
    """See `tradebus.store.book.BookTransaction`."""

    def __init__(self, database: MemoryDatabase, *, producer: str) -> None:
        self._database, self._producer = database, producer
        self._tables: dict[str, MemoryTable] = {}
        self._held: dict[Hashable, _Turn] = {}
        self._emitted: list[tuple[str, Message]] = []
        self._is_open, self._is_lost = True, False

    def table(self, name: str) -> MemoryTable:
        """A table of this transaction: its own writes over what is committed."""
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = MemoryTable(self._database.table(name))
        return table

    @property
    def written(self) -> list[str]:
        """The names of the tables that it changes."""
        return sorted(name for name, table in self._tables.items() if table.writes)

    async def first_time(self, consumer: str, message_id: str) -> bool:
        await self._hold((INBOX, consumer, message_id))
        inbox = self.table(INBOX)
        if (consumer, message_id) in inbox:
            return False
        inbox[consumer, message_id] = True
        return True

    async def lock(self, pos_id: str) -> None:
        await self._hold(pos_id)

    async def _hold(self, name: Hashable) -> None:
        await asyncio.sleep(0)  # as a round trip would: others may be first
        self._check()
        if name in self._held:
            return
        turn = self._held[name] = self._database.ask(name)
        await turn.granted  # where it is cancelled meanwhile, `end` lets go
        self._check()

    def emit(self, stream: str, message: Message) -> None:
        if not self._is_open:
            raise RuntimeError(f"{message.TYPE} emitted after its transaction had ended")
        self._emitted.append((stream, message))

    def commit(self) -> list[OutboxRow]:
        """The book calls this last; the outbox rows that were written. Raises Unavailable while the book is away."""
        self._check()
        self._is_open = False
        rows: list[OutboxRow] = []
        outbox, events = self.table(OUTBOX), self.table(EVENTS)
        for stream, message in self._emitted:
            row = OutboxRow(self._database.next_outbox_id(), Outgoing(stream, message.TYPE, message.to_json()))
            outbox[row.outbox_id] = (self._producer, row.outgoing)
            events.setdefault(message.event_id, EventRow(stream, message))
            rows.append(row)
        self._database.apply({name: table.writes for name, table in self._tables.items()})
        return rows

    def lose(self) -> None:
        """The server ends it, its client having stood still for too long: what it held or waited for is free, nothing
        is written."""
        self._is_lost = True
        self._let_go()

    def end(self) -> None:
        """The book calls this whichever way the transaction ends."""
        self._is_open = False
        self._let_go()

    def _check(self) -> None:
        self._database.check()
        if self._is_lost:
            raise Unavailable("the book has ended a transaction that stood still for too long")

    def _let_go(self) -> None:
        held, self._held = self._held, {}
        for turn in held.values():
            self._database.let_go(turn)
            if not turn.granted.done():
                turn.granted.set_result(None)  # to hear that it is over


class MemoryBook:
    """See `tradebus.store.book.Book`. With the server's `timers` a transaction that lasts longer than `idle_seconds` is
    ended by it: nothing here takes long but a client that stands still."""

    def __init__(
        self, database: MemoryDatabase, *, producer: str, timers: Timers | None = None,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:  # fmt: skip
        self.database, self.producer = database, producer
        self._server_timers, self._idle_seconds = timers, idle_seconds
        self.backlog = Backlog()
        self._connections: list[MemoryConnection] = []

    async def connect(self) -> MemoryConnection:
        """One to hold names by. Raises Unavailable while the book is away."""
        await asyncio.sleep(0)
        self.database.check()
        self._connections.append(MemoryConnection())
        return self._connections[-1]

    def terminate(self) -> None:
        """Closes every connection at once, as the end of its process does."""
        for connection in self._connections:
            connection.is_closed = True

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[MemoryTransaction]:
        await asyncio.sleep(0)
        self.database.check()
        transaction = MemoryTransaction(self.database, producer=self.producer)
        rows: list[OutboxRow] = []
        timers = self._server_timers
        idle = timers.after(self._idle_seconds, transaction.lose) if timers is not None else None
        try:
            yield transaction
            rows = transaction.commit()
            self.backlog.writing(rows)
            if self.database.loses_an_answer():
                raise Unavailable("the book was lost before it answered")
        except BaseException:
            self.backlog.abandoned(rows)
            raise
        finally:
            transaction.end()
            if idle is not None:
                idle.cancel()
        self.backlog.committed(rows)

    async def outbox_left(self) -> list[tuple[int, bool]]:
        self.database.check()
        service = self.producer.partition("-")[0] + "-"
        return [
            (outbox_id, producer == self.producer)
            for outbox_id, (producer, _) in sorted(self.database.table(OUTBOX).items())
            if producer == self.producer or producer.startswith(service)
        ]

    @asynccontextmanager
    async def taking_left(self, ids: Sequence[int]) -> AsyncIterator[list[OutboxRow]]:
        async with self.begin() as transaction:
            for outbox_id in ids:
                await transaction.lock(f"outbox {outbox_id}")
            outbox = transaction.table(OUTBOX)
            rows = [OutboxRow(outbox_id, outbox[outbox_id][1]) for outbox_id in ids if outbox_id in outbox]
            yield rows
            for row in rows:  # one that is lost holds none of them: another may have published them meanwhile
                outbox.pop(row.outbox_id, None)

    def published(self, rows: Sequence[OutboxRow]) -> None:
        self.backlog.published(rows)
        ids = self.backlog.take_published()
        self.database.apply({OUTBOX: dict.fromkeys(ids, _GONE)})
        self.backlog.deleted(ids)

    async def check(self) -> None:
        self.database.check()

    async def close(self) -> None:
        """What was not published stays for the next sweep."""
        self.terminate()
