"""Decisions and signals, written.

Invariant (tested on a real server): writing the same rows again changes nothing.
"""

from collections.abc import Sequence

import asyncpg

from services.strategy.messages import SignalMessage
from tradebus.contracts.streams import SIGNALS
from tradebus.store.queries import load_queries
from tradebus.store.store import Store
from tradebus.strategies.lane.decisions import DecisionRow

_SQL = load_queries("services.strategy.sql", "journal")


class Journal:
    """The `decisions` and `signals` tables."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, rows: Sequence[DecisionRow]) -> None:
        """Stores decisions durably."""
        if rows:
            await _insert_decisions(self._store.pool, rows)

    async def write_with_signals(self, rows: Sequence[DecisionRow], signals: Sequence[SignalMessage]) -> None:
        """Stores both in one statement, which is the whole transaction."""
        once = {signal.event_id: signal for signal in signals}  # decided twice alike, it is one signal
        await self._store.alone(_SQL["record"], *_decisions(rows), *_signals(list(once.values())), SIGNALS.name)


async def _insert_decisions(connection: asyncpg.Connection | asyncpg.Pool, rows: Sequence[DecisionRow]) -> None:
    await connection.execute(_SQL["insert_decisions"], *_decisions(rows))


def _decisions(rows: Sequence[DecisionRow]) -> tuple[list[object], ...]:
    return (
        [row.session_id for row in rows],
        [row.strategy for row in rows],
        [row.instrument for row in rows],
        [row.ts_event_ns for row in rows],
        [row.action for row in rows],
        [row.reason for row in rows],
        [row.price_paise for row in rows],
    )


def _signals(signals: Sequence[SignalMessage]) -> tuple[list[object], ...]:
    return (
        [signal.event_id for signal in signals],
        [signal.session_id for signal in signals],
        [signal.strategy for signal in signals],
        [signal.symbol for signal in signals],
        [signal.TYPE for signal in signals],
        [signal.ts_event_ns for signal in signals],
        [signal.to_json().decode() for signal in signals],
    )
