"""The gap ledger: a row per gap in Postgres, open until history has filled it, with what is told of it."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from services.market_data.gaps.gap import Gap
from tradebus.bus.port import Bus
from tradebus.contracts.base import Message
from tradebus.contracts.streams import MD_GAPS
from tradebus.store.outbox import Outbox
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

_SQL = load_queries("services.market_data.gaps", "gaps")


class GapLedger(Protocol):
    """Invariant (tested): a gap that was put and not filled is found by every later life."""

    async def put(self, gap: Gap | None, *messages: Message) -> None:
        """Writes the gap as it is now, and says `messages` on md.gaps.v1; both or neither."""

    async def unfilled(self) -> Sequence[Gap]:
        """Every gap that history has not filled, the oldest first."""


class PostgresGapLedger:
    """See `GapLedger`."""

    def __init__(self, store: Store, bus: Bus) -> None:
        self._store, self._outbox = store, Outbox(store, bus)
        self._putting = asyncio.Lock()

    async def put(self, gap: Gap | None, *messages: Message) -> None:
        async with self._putting:
            async with self._store.begin() as transaction:
                if gap is not None:
                    await transaction.connection.execute(
                        _SQL["put_gap"], gap.gap_id, gap.broker, gap.exchange, gap.market_class, list(gap.instruments),
                        list(gap.symbols), gap.from_ns, gap.to_ns, gap.reason, gap.announced, gap.attempts,
                        gap.problem, gap.filled_ns, gap.candles_corrected,
                    )  # fmt: skip
                for message in messages:
                    transaction.emit(MD_GAPS.name, message)
            await self._outbox.flush()

    async def unfilled(self) -> Sequence[Gap]:
        """Says first what an earlier life had no time to say."""
        await self._outbox.sweep()
        rows = await self._store.pool.fetch(_SQL["unfilled_gaps"])
        return [
            Gap(
                row["gap_id"], row["broker"], row["exchange"], row["market_class"], tuple(row["instruments"]),
                tuple(row["symbols"]), row["from_ns"], row["reason"], row["announced"], row["to_ns"], row["attempts"],
                row["problem"], row["filled_ns"], row["candles_corrected"],
            )
            for row in rows
        ]  # fmt: skip


class MemoryGapLedger:
    """See `GapLedger`. `told` keeps the messages in their order."""

    def __init__(self) -> None:
        self._gaps: dict[str, Gap] = {}
        self.told: list[Message] = []

    async def put(self, gap: Gap | None, *messages: Message) -> None:
        if gap is not None:
            self._gaps[gap.gap_id] = gap
        self.told.extend(messages)

    async def unfilled(self) -> Sequence[Gap]:
        found = [gap for gap in self._gaps.values() if gap.filled_ns is None]
        return sorted(found, key=lambda gap: (gap.from_ns, gap.gap_id))
