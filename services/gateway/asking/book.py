"""Signals that were asked for, in the book, on Postgres and in memory.

Invariant (tested on both): a signal is added once for its id, and found again as it was.
"""

import json
from dataclasses import dataclass
from typing import Any, Protocol

from tradebus.contracts.base import Message
from tradebus.contracts.registry import parse
from tradebus.contracts.signals import EntrySignal, ExitSignal, Side
from tradebus.store.book import Book
from tradebus.store.memory_book import MemoryBook
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

_SQL = load_queries("services.gateway.sql", "asked")
AskedSignal = EntrySignal | ExitSignal


@dataclass(frozen=True, slots=True)
class ClosablePosition:
    """What may be asked to close: a trade of the user's, or one that is on its way, whatever has become of it."""

    pos_id: str
    session_id: str
    strategy: str
    symbol: str
    instrument: int
    side: Side
    expected_price_paise: int


class AskedBook(Protocol):
    """What takes a transaction is part of it."""

    async def find(self, transaction: Any, event_id: str) -> AskedSignal | None: ...

    async def add(self, transaction: Any, signal: AskedSignal) -> None: ...

    async def position(self, transaction: Any, pos_id: str, *, user_id: str) -> ClosablePosition | None: ...

    async def held_by(self, transaction: Any, strategy: str, *, symbol: str, user_id: str) -> ClosablePosition | None:
        """The newest trade of a source in a symbol that is not over; where there is none, what it asked for last."""

    async def waits(self, transaction: Any, session_id: str, approval_id: str) -> bool:
        """Whether risk has an entry waiting for a person under this id, as it has stored it last."""


def asked_book(book: Book) -> AskedBook:
    """In the book's own kind."""
    if isinstance(book, MemoryBook):
        return MemoryAsked()
    assert isinstance(book, Store), f"nothing is asked for in a {type(book).__name__}"
    return PostgresAsked()


class PostgresAsked:
    """See `AskedBook`."""

    async def find(self, transaction: Any, event_id: str) -> AskedSignal | None:
        row = await transaction.connection.fetchrow(_SQL["find"], event_id)
        return None if row is None else _signal(parse(row["body"].encode()))

    async def add(self, transaction: Any, signal: AskedSignal) -> None:
        await transaction.connection.execute(
            _SQL["add"], signal.event_id, signal.session_id, signal.strategy, signal.symbol, signal.TYPE,
            signal.ts_event_ns, signal.to_json().decode(),
        )  # fmt: skip

    async def position(self, transaction: Any, pos_id: str, *, user_id: str) -> ClosablePosition | None:
        row = await transaction.connection.fetchrow(_SQL["position"], pos_id, user_id)
        return None if row is None else _position(row)

    async def held_by(self, transaction: Any, strategy: str, *, symbol: str, user_id: str) -> ClosablePosition | None:
        row = await transaction.connection.fetchrow(_SQL["held_by"], user_id, strategy, symbol)
        return None if row is None else _position(row)

    async def waits(self, transaction: Any, session_id: str, approval_id: str) -> bool:
        return bool(await transaction.connection.fetchval(_SQL["waits"], session_id, approval_id))


class MemoryAsked:
    """See `AskedBook`. Tables "signals" (messages by id) and "trades", as the services' own twins keep them."""

    async def find(self, transaction: Any, event_id: str) -> AskedSignal | None:
        found = transaction.table("signals").get(event_id)
        return None if found is None else _signal(found)

    async def add(self, transaction: Any, signal: AskedSignal) -> None:
        transaction.table("signals")[signal.event_id] = signal

    async def position(self, transaction: Any, pos_id: str, *, user_id: str) -> ClosablePosition | None:
        one = transaction.table("trades").get(pos_id)
        if one is None or one.user_id != user_id:
            return None
        return _of_trade(one)

    async def held_by(self, transaction: Any, strategy: str, *, symbol: str, user_id: str) -> ClosablePosition | None:
        of_it = (user_id, strategy, symbol)
        trades = [
            one for one in transaction.table("trades").values()
            if (one.user_id, one.strategy, one.symbol) == of_it and not one.ended
        ]  # fmt: skip
        if trades:
            return _of_trade(max(trades, key=lambda one: (one.created_ns, one.pos_id)))
        asked = [
            one for one in transaction.table("signals").values()
            if isinstance(one, EntrySignal) and (one.user_id, one.strategy, one.symbol) == of_it
        ]  # fmt: skip
        if not asked:
            return None
        last = max(asked, key=lambda one: (one.ts_event_ns, one.event_id))
        return ClosablePosition(
            str(last.pos_id), str(last.session_id), last.strategy, last.symbol, last.instrument, last.side,
            last.price_paise,
        )  # fmt: skip

    async def waits(self, transaction: Any, session_id: str, approval_id: str) -> bool:
        encoded, _ = transaction.table("risk_state").get(session_id, ("{}", 0))
        return approval_id in json.loads(encoded).get("waiting", {})


def _of_trade(one: Any) -> ClosablePosition:
    return ClosablePosition(
        one.pos_id, one.session_id, one.strategy, one.symbol, one.instrument, one.side, one.expected_price_paise
    )


def _position(row: Any) -> ClosablePosition:
    return ClosablePosition(**{**dict(row), "side": Side(row["side"])})


def _signal(message: Message) -> AskedSignal:
    if not isinstance(message, EntrySignal | ExitSignal):
        raise TypeError(f"{message.TYPE} is nothing that is asked for")
    return message
