"""The decision journal in memory: see `services.strategy.ports.DecisionJournal`."""

from collections.abc import Sequence
from dataclasses import replace

from services.strategy.messages import SignalMessage
from tradebus.strategies.lane.decisions import DecisionRow


class MemoryJournal:
    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, int, int], DecisionRow] = {}
        self._signals: dict[str, SignalMessage] = {}

    async def write(self, rows: Sequence[DecisionRow]) -> None:
        for row in rows:
            self._rows.setdefault((row.session_id, row.strategy, row.instrument, row.ts_event_ns), replace(row))

    async def write_with_signals(self, rows: Sequence[DecisionRow], signals: Sequence[SignalMessage]) -> None:
        await self.write(rows)
        for signal in signals:
            self._signals.setdefault(signal.event_id, signal)

    async def decisions(self, session_id: str) -> list[DecisionRow]:
        own = [replace(row) for row in self._rows.values() if row.session_id == session_id]
        return sorted(own, key=lambda row: (row.ts_event_ns, row.strategy, row.instrument))

    async def signal_ids(self, session_id: str) -> list[str]:
        own = [signal for signal in self._signals.values() if signal.session_id == session_id]
        return [signal.event_id for signal in sorted(own, key=lambda signal: (signal.ts_event_ns, signal.event_id))]
