"""The paper broker's memory: its own tables, read and written as another party would."""

from collections.abc import Sequence
from typing import Any

import asyncpg
from pydantic import TypeAdapter

from tradebus.trading.matching.paper import PaperOrder

_ORDER = TypeAdapter(PaperOrder)

_INSERT = """
INSERT INTO paper_orders (broker_order_id, tag, account, instrument_id, body, status)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tag) DO NOTHING"""
# The version makes two instances that follow one order notice each other: the later writer loses and reads again.
_SAVE = """
WITH changed AS (
    UPDATE paper_orders SET body = $3, status = $4, version = version + 1
    WHERE broker_order_id = $1 AND version = $2 RETURNING broker_order_id
), new_fills AS (
    INSERT INTO paper_fills (fill_id, broker_order_id, quantity, price_paise, ts_event_ns)
    SELECT f.fill_id, changed.broker_order_id, f.quantity, f.price_paise, f.ts_event_ns
    FROM changed, unnest($5::text[], $6::bigint[], $7::bigint[], $8::bigint[])
         AS f(fill_id, quantity, price_paise, ts_event_ns)
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM changed"""


class PostgresPaperBook:
    """See `tradebus.brokers.paper.port.PaperBook`."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def insert(self, order: PaperOrder) -> None:
        request = order.request
        await self._pool.execute(
            _INSERT, order.broker_order_id, request.tag, request.account, request.instrument, _dump(order), order.status
        )

    async def save(self, order: PaperOrder, *, version: int) -> bool:
        fills = order.fills
        count = await self._pool.fetchval(
            _SAVE,
            order.broker_order_id,
            version,
            _dump(order),
            order.status,
            [fill.fill_id for fill in fills],
            [fill.quantity for fill in fills],
            [fill.price_paise for fill in fills],
            [fill.ts_event_ns for fill in fills],
        )
        return bool(count)

    async def by_id(self, broker_order_id: str) -> tuple[PaperOrder, int] | None:
        row = await self._pool.fetchrow(
            "SELECT body, version FROM paper_orders WHERE broker_order_id = $1", broker_order_id
        )
        return (_load(row["body"]), row["version"]) if row else None

    async def by_tag(self, account: str, tag: str) -> tuple[PaperOrder, int] | None:
        row = await self._pool.fetchrow(
            "SELECT body, version FROM paper_orders WHERE tag = $1 AND account = $2", tag, account
        )
        return (_load(row["body"]), row["version"]) if row else None

    async def of_account(self, account: str) -> Sequence[PaperOrder]:
        rows = await self._pool.fetch(
            "SELECT body FROM paper_orders WHERE account = $1 ORDER BY broker_order_id", account
        )
        return [_load(row["body"]) for row in rows]


def _dump(order: PaperOrder) -> Any:
    return _ORDER.dump_python(order, mode="json")


def _load(body: Any) -> PaperOrder:
    return _ORDER.validate_python(body)
