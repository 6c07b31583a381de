"""What each sink has been told, on Postgres and in memory.

Invariants (tested on both): what a sink was told of it is not given again, by no instance and after no restart; what
was recorded before a sink was there is not its concern; of two instances one at a time is given anything for a sink.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import structlog

from services.gateway.alerts.wording import ALERTS
from tradebus.contracts.base import Message
from tradebus.contracts.registry import parse
from tradebus.store.book import Book
from tradebus.store.memory_book import EVENTS, MemoryBook
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

_SQL = load_queries("services.gateway.sql", "alerts")
_log = structlog.get_logger()
HELD_NS = 60_000_000_000
# A transaction that commits later than this after its message was made is not heard of.
BEHIND_NS = 600_000_000_000


class AlertBook(Protocol):
    async def pending(self, sink: str, *, instance: str, now_ns: int, most: int) -> list[Message]:
        """Alerts that the sink was not told of, oldest first; none while another instance holds it."""

    async def told(self, sink: str, event_ids: Sequence[str], *, now_ns: int) -> None:
        """The sink has taken these. Repeating it is harmless."""


def alert_book(book: Book) -> AlertBook:
    """In the book's own kind."""
    if isinstance(book, MemoryBook):
        return MemoryAlerts(book)
    assert isinstance(book, Store), f"no alerts in a {type(book).__name__}"
    return PostgresAlerts(book)


class PostgresAlerts:
    """See `AlertBook`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def pending(self, sink: str, *, instance: str, now_ns: int, most: int) -> list[Message]:
        async with self._store.begin() as transaction:
            connection = transaction.connection
            since_ns = await connection.fetchval(_SQL["hold"], sink, now_ns, instance, now_ns + HELD_NS)
            if since_ns is None:
                return []
            rows = await connection.fetch(_SQL["pending"], sink, since_ns, most)
            if not rows and since_ns < now_ns - 2 * BEHIND_NS:
                await connection.execute(_SQL["move_on"], sink, now_ns - BEHIND_NS)
        found = [_read(row["body"]) for row in rows]
        unread = [row["event_id"] for row, one in zip(rows, found, strict=True) if one is None]
        if unread:
            _log.error("alerts of another version of this software are passed over", events=unread)
            await self.told(sink, unread, now_ns=now_ns)
        return [one for one in found if one is not None]

    async def told(self, sink: str, event_ids: Sequence[str], *, now_ns: int) -> None:
        await self._store.pool.execute(_SQL["told"], sink, list(event_ids), now_ns)


class MemoryAlerts:
    """See `AlertBook`. Tables "alert_sinks" (since, holder, until) and "alert_deliveries"."""

    def __init__(self, book: MemoryBook) -> None:
        self._book = book

    async def pending(self, sink: str, *, instance: str, now_ns: int, most: int) -> list[Message]:
        async with self._book.begin() as transaction:
            await transaction.lock(f"alerts {sink}")
            sinks = transaction.table("alert_sinks")
            since_ns, holder, until_ns = sinks.get(sink, (now_ns, instance, 0))
            if holder != instance and until_ns > now_ns:
                return []
            found = _since(transaction, sink, since_ns)[:most]
            if not found and since_ns < now_ns - 2 * BEHIND_NS:
                since_ns = now_ns - BEHIND_NS
            sinks[sink] = (since_ns, instance, now_ns + HELD_NS)
        return found

    async def told(self, sink: str, event_ids: Sequence[str], *, now_ns: int) -> None:
        async with self._book.begin() as transaction:
            for one in event_ids:
                transaction.table("alert_deliveries")[sink, one] = now_ns


def _read(body: str) -> Message | None:
    try:
        return parse(body.encode())
    except ValueError:
        return None


def _since(transaction: Any, sink: str, since_ns: int) -> list[Message]:
    told = transaction.table("alert_deliveries")
    found = [
        row.message for row in transaction.table(EVENTS).values()
        if isinstance(row.message, ALERTS) and row.message.ts_recorded_ns >= since_ns
        and (sink, row.message.event_id) not in told
    ]  # fmt: skip
    return sorted(found, key=lambda one: (one.ts_recorded_ns, one.event_id))
