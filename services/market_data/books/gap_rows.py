"""The rows of the gap ledger: a gap as it was last written, open until history has filled it.

Invariant (tested on both books): a gap that was put and not filled is found by every later life.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from services.market_data.gaps.gap import Gap
from tradebus.store.memory_book import MemoryBook
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

_SQL = load_queries("services.market_data.books", "gaps")
_TABLE = "data_gaps"


class GapRows(Protocol):
    async def put(self, transaction: Any, gap: Gap) -> None:
        """Writes the gap as it is now."""

    async def unfilled(self) -> Sequence[Gap]:
        """Every gap that history has not filled, the oldest first."""


class PostgresGapRows:
    """See `GapRows`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, transaction: Any, gap: Gap) -> None:
        await transaction.connection.execute(
            _SQL["put_gap"], gap.gap_id, gap.broker, gap.exchange, gap.market_class, list(gap.instruments),
            list(gap.symbols), gap.from_ns, gap.to_ns, gap.reason, gap.announced, gap.attempts, gap.problem,
            gap.filled_ns, gap.candles_corrected,
        )  # fmt: skip

    async def unfilled(self) -> Sequence[Gap]:
        rows = await self._store.pool.fetch(_SQL["unfilled_gaps"])
        return [
            Gap(
                row["gap_id"], row["broker"], row["exchange"], row["market_class"], tuple(row["instruments"]),
                tuple(row["symbols"]), row["from_ns"], row["reason"], row["announced"], row["to_ns"], row["attempts"],
                row["problem"], row["filled_ns"], row["candles_corrected"],
            )
            for row in rows
        ]  # fmt: skip


class MemoryGapRows:
    """See `GapRows`. Table "data_gaps": id to the gap."""

    def __init__(self, book: MemoryBook) -> None:
        self._book = book

    async def put(self, transaction: Any, gap: Gap) -> None:
        transaction.table(_TABLE)[gap.gap_id] = gap

    async def unfilled(self) -> Sequence[Gap]:
        self._book.database.check()
        found: list[Gap] = [one for one in self._book.database.table(_TABLE).values() if one.filled_ns is None]
        return sorted(found, key=lambda gap: (gap.from_ns, gap.gap_id))
