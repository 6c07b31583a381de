"""Both of risk's books behind one pair of hands: what a test looks at and does there for the other services."""

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Protocol

from services.risk.adapters.memory import MemoryRiskBook
from services.risk.adapters.postgres import PostgresRiskBook
from services.risk.ports import RiskBook
from testkit.waiting import WALL_TIMERS
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.risk import EntryApproved, EntryReduced, ExitApproved
from tradebus.store.book import Book
from tradebus.store.instruments import register_instruments
from tradebus.store.memory_book import INBOX, OUTBOX, MemoryBook, MemoryDatabase
from tradebus.store.store import Store

Approval = EntryApproved | EntryReduced | ExitApproved


class RiskHands(Protocol):
    """`book` is the test's own door."""

    book: Book

    async def life(self) -> tuple[RiskBook, Book]:
        """A new process's doors."""
        ...

    async def drop(self, book: Book) -> None:
        """That process is gone."""
        ...

    async def register(self, instruments: Sequence[Instrument]) -> None: ...

    async def take(self, intent: Approval) -> None:
        """What execution does when it takes an approval."""
        ...

    async def gap(self, gap_id: str, instruments: Sequence[int], *, filled: bool, announced: bool = True) -> None:
        """What market_data writes of a gap it tells of."""
        ...

    async def lose_outbox(self) -> None:
        """Whoever had committed them has published them, for all it knows."""
        ...

    async def journal(self) -> list[tuple[str, str, str, str | None]]:
        """(session, verdict, rule, position), in order."""
        ...

    async def bodies(self) -> list[Any]:
        """The journal's bodies, by event id."""
        ...

    async def state(self, session_id: str) -> dict[str, Any]: ...

    async def version(self, session_id: str) -> int: ...

    async def spoil(self, session_id: str) -> None:
        """Its state becomes one that nobody can read."""
        ...

    async def participants(self, session_id: str) -> list[str]: ...

    async def handled(self, message_ids: Sequence[str]) -> int:
        """How many of these risk has handled."""
        ...


class PostgresHands:
    def __init__(self, store: Store, *, database_url: str, namespace: str) -> None:
        self.book: Book = store
        self._pool, self._database_url, self._namespace = store.pool, database_url, namespace

    async def life(self) -> tuple[RiskBook, Book]:
        store = await Store.connect(
            self._database_url, namespace=self._namespace, producer="risk-1", timers=WALL_TIMERS
        )
        return PostgresRiskBook(store), store

    async def drop(self, book: Book) -> None:
        assert isinstance(book, Store)
        book.pool.terminate()

    async def register(self, instruments: Sequence[Instrument]) -> None:
        async with self.book.begin() as tx:
            await register_instruments(tx.connection, list(instruments))

    async def take(self, intent: Approval) -> None:
        kind = "EXIT" if isinstance(intent, ExitApproved) else "ENTRY"
        await self._pool.execute(
            "INSERT INTO intents VALUES ($1, $2, $3, $4, 'TAKEN', $5, '{}')",
            intent.intent_id, intent.pos_id, intent.session_id, kind, intent.ts_event_ns,
        )  # fmt: skip

    async def gap(self, gap_id: str, instruments: Sequence[int], *, filled: bool, announced: bool = True) -> None:
        await self._pool.execute(
            "INSERT INTO data_gaps (gap_id, broker, exchange, market_class, instruments, symbols, from_ns, reason,"
            " announced, filled_ns) VALUES ($1, 'kite', 'NSE', 'equity', $2, '{}', 1, 'silent', $4, $3)"
            " ON CONFLICT (gap_id) DO UPDATE SET filled_ns = excluded.filled_ns",
            gap_id, list(instruments), 2 if filled else None, announced,
        )  # fmt: skip

    async def lose_outbox(self) -> None:
        await self._pool.execute("DELETE FROM outbox")

    async def journal(self) -> list[tuple[str, str, str, str | None]]:
        rows = await self._pool.fetch(
            "SELECT session_id, verdict, rule, pos_id FROM risk_decisions ORDER BY ts_event_ns, event_id"
        )
        return [tuple(row) for row in rows]

    async def bodies(self) -> list[Any]:
        return [row["body"] for row in await self._pool.fetch("SELECT body FROM risk_decisions ORDER BY event_id")]

    async def state(self, session_id: str) -> dict[str, Any]:
        found: dict[str, Any] = await self._pool.fetchval(
            "SELECT state FROM risk_state WHERE session_id = $1", session_id
        )
        return found

    async def version(self, session_id: str) -> int:
        return int(await self._pool.fetchval("SELECT version FROM risk_state WHERE session_id = $1", session_id))

    async def spoil(self, session_id: str) -> None:
        await self._pool.execute("UPDATE risk_state SET state = '{\"day\": 5}' WHERE session_id = $1", session_id)

    async def participants(self, session_id: str) -> list[str]:
        rows = await self._pool.fetch("SELECT service FROM session_participants WHERE session_id = $1", session_id)
        return [row["service"] for row in rows]

    async def handled(self, message_ids: Sequence[str]) -> int:
        return int(
            await self._pool.fetchval(
                "SELECT count(*) FROM inbox WHERE consumer = 'risk' AND message_id = ANY($1)", list(message_ids)
            )
        )


class MemoryHands:
    def __init__(self) -> None:
        self.database = MemoryDatabase()
        self.book: Book = MemoryBook(self.database, producer="test-1")

    async def life(self) -> tuple[RiskBook, Book]:
        book = MemoryBook(self.database, producer="risk-1")
        return MemoryRiskBook(book), book

    async def drop(self, book: Book) -> None:
        return

    async def register(self, instruments: Sequence[Instrument]) -> None:
        self.database.apply({"instruments": {one.instrument_id: one for one in instruments}})

    async def take(self, intent: Approval) -> None:
        self.database.apply({"intents": {intent.intent_id: True}})

    async def gap(self, gap_id: str, instruments: Sequence[int], *, filled: bool, announced: bool = True) -> None:
        async with self.book.begin() as tx:
            tx.table("data_gaps")[gap_id] = SimpleNamespace(
                instruments=tuple(instruments), announced=announced, filled_ns=2 if filled else None
            )

    async def lose_outbox(self) -> None:
        async with self.book.begin() as tx:
            tx.table(OUTBOX).clear()

    async def journal(self) -> list[tuple[str, str, str, str | None]]:
        lines = sorted(self._lines(), key=lambda line: (line.ts_event_ns, line.event_id))
        return [(line.session_id, line.verdict, line.rule, line.pos_id) for line in lines]

    async def bodies(self) -> list[Any]:
        return [line.body for line in sorted(self._lines(), key=lambda line: line.event_id)]

    async def state(self, session_id: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.database.table("risk_state")[session_id][0])
        return found

    async def version(self, session_id: str) -> int:
        return int(self.database.table("risk_state")[session_id][1])

    async def spoil(self, session_id: str) -> None:
        self.database.apply({"risk_state": {session_id: ('{"day": 5}', await self.version(session_id))}})

    async def participants(self, session_id: str) -> list[str]:
        return [service for one, service in self.database.table("session_participants") if one == session_id]

    async def handled(self, message_ids: Sequence[str]) -> int:
        inbox = self.database.table(INBOX)
        return sum(("risk", one) in inbox for one in set(message_ids))

    def _lines(self) -> list[Any]:
        return list(self.database.table("risk_decisions").values())
