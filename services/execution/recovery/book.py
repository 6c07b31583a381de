"""What reconciliation reads of our own book."""

from collections.abc import Sequence

import asyncpg

from tradebus.contracts.orders import OrderRole
from tradebus.execution.reconciliation import OwnOrder
from tradebus.store.queries import load_queries
from tradebus.trading.states import OrderState

_SQL = load_queries("services.execution.recovery", "book")


class OwnBook:
    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def orders(self, tags: Sequence[str], sessions: Sequence[str]) -> list[OwnOrder]:
        """Our orders among these tags, and those of these sessions that have not ended."""
        return [
            OwnOrder(**{**dict(row), "role": OrderRole(row["role"]), "state": OrderState(row["state"])})
            for row in await self._pool.fetch(_SQL["orders_of_account"], list(tags), list(sessions))
        ]

    async def tag_of(self, broker_order_id: str, sessions: Sequence[str]) -> str | None:
        found: str | None = await self._pool.fetchval(_SQL["tag_of"], broker_order_id, list(sessions))
        return found

    async def net(self, sessions: Sequence[str]) -> dict[int, int]:
        """Signed quantity held per instrument."""
        rows = await self._pool.fetch(_SQL["net"], list(sessions))
        return {row["instrument_id"]: row["net"] for row in rows}

    async def ended(self, sessions: Sequence[str]) -> list[str]:
        """Those that are over."""
        return [row["session_id"] for row in await self._pool.fetch(_SQL["ended"], list(sessions))]
