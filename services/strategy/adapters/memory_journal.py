"""The decision journal in memory: see `services.strategy.ports.DecisionJournal`.

Tables: "decisions" (session, strategy, instrument and instant to the row), "signals" (event id to the message).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from services.strategy.messages import SignalMessage
from tradebus.contracts.streams import SIGNALS
from tradebus.store.memory_book import EVENTS, EventRow, MemoryBook
from tradebus.strategies.lane.decisions import DecisionRow


class MemoryJournal:
    def __init__(self, book: MemoryBook) -> None:
        self._book = book

    async def write(self, rows: Sequence[DecisionRow]) -> None:
        if rows:
            async with self._book.begin() as transaction:
                _keep(transaction, rows)

    async def write_with_signals(self, rows: Sequence[DecisionRow], signals: Sequence[SignalMessage]) -> None:
        async with self._book.begin() as transaction:
            _keep(transaction, rows)
            for signal in signals:
                transaction.table("signals").setdefault(signal.event_id, signal)
                transaction.table(EVENTS).setdefault(signal.event_id, EventRow(SIGNALS.name, signal))

    async def decisions(self, session_id: str) -> list[DecisionRow]:
        rows = self._book.database.table("decisions").values()
        own = [replace(row) for row in rows if row.session_id == session_id]
        return sorted(own, key=lambda row: (row.ts_event_ns, row.strategy, row.instrument))

    async def signal_ids(self, session_id: str) -> list[str]:
        signals = self._book.database.table("signals").values()
        own = [signal for signal in signals if signal.session_id == session_id]
        return [signal.event_id for signal in sorted(own, key=lambda signal: (signal.ts_event_ns, signal.event_id))]


def _keep(transaction: Any, rows: Sequence[DecisionRow]) -> None:
    decisions = transaction.table("decisions")
    for row in rows:
        decisions.setdefault((row.session_id, row.strategy, row.instrument, row.ts_event_ns), replace(row))
