"""Decisions and signals, written to Postgres; the port and its twin are in `ports` and `memory_journal`.

rows of one flush ─► by session ─► columns, what repeats kept once ─► one row of `decision_groups` each
"""

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from services.strategy.messages import SignalMessage
from tradebus.contracts.streams import SIGNALS
from tradebus.store.queries import load_queries
from tradebus.store.store import Store
from tradebus.strategies.lane.decisions import DecisionRow

_SQL = load_queries("services.strategy.sql", "journal")


class Journal:
    """The journal in Postgres: see `services.strategy.ports.DecisionJournal`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, rows: Sequence[DecisionRow]) -> None:
        if rows:
            await self._store.pool.execute(_SQL["write_decisions"], _as_json(rows))

    async def write_with_signals(self, rows: Sequence[DecisionRow], signals: Sequence[SignalMessage]) -> None:
        once = {signal.event_id: signal for signal in signals}  # decided twice alike, it is one signal
        await self._store.alone(_SQL["record"], _as_json(rows), *_signals(list(once.values())), SIGNALS.name)

    async def decisions(self, session_id: str) -> list[DecisionRow]:
        rows = await self._store.pool.fetch(_SQL["decisions"], session_id)
        return [DecisionRow(**dict(row)) for row in rows]

    async def signal_ids(self, session_id: str) -> list[str]:
        return [row["event_id"] for row in await self._store.pool.fetch(_SQL["signal_ids"], session_id)]


def columns_of(rows: Sequence[DecisionRow]) -> list[dict[str, Any]]:
    """One group of columns for each session, in the order in which the sessions come first."""
    by_session: dict[str, list[DecisionRow]] = {}
    for row in rows:
        by_session.setdefault(row.session_id, []).append(row)
    return [_group(session_id, each) for session_id, each in by_session.items()]


def _group(session_id: str, rows: Sequence[DecisionRow]) -> dict[str, Any]:
    strategies: dict[str, int] = {}
    actions: dict[str, int] = {}
    reasons: dict[str, int] = {}
    return {
        "session_id": session_id,
        "ts_last_ns": max(row.ts_event_ns for row in rows),
        "strategy": [strategies.setdefault(row.strategy, len(strategies) + 1) for row in rows],
        "instrument_id": [row.instrument for row in rows],
        "ts_event_ns": [row.ts_event_ns for row in rows],
        "action": [actions.setdefault(row.action, len(actions) + 1) for row in rows],
        "reason": [reasons.setdefault(row.reason, len(reasons) + 1) for row in rows],
        "price_paise": [row.price_paise for row in rows],
        "leg_groups": [row.group_id for row in rows] if any(row.group_id for row in rows) else None,
        "strategies": list(strategies),
        "actions": list(actions),
        "reasons": list(reasons),
    }


def _as_json(rows: Sequence[DecisionRow]) -> str:
    return to_json(columns_of(rows)).decode()


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
