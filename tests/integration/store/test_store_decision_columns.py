"""A journal that was kept by rows is read the same once it is kept in columns."""

from pathlib import Path

import asyncpg

from tradebus.store.migrate import drop_namespace, migrate, migrations
from tradebus.store.store import Store

ROWS = [
    (f"s{number % 3}", ("orb", "mine")[number % 2], number % 4, number * 7_000_000_000, "HOLD", f"reason {number}", 5)
    for number in range(200)
]


async def test_decisions_of_before_are_there_after_the_upgrade(
    database_url: str, namespace: str, tmp_path: Path
) -> None:
    for migration in migrations():
        if migration.name < "0008":
            (tmp_path / f"{migration.name}.sql").write_text(migration.text)
    migrate(database_url, namespace=namespace, folder=tmp_path)
    store = await Store.connect(database_url, namespace=namespace, producer="test-1")
    try:
        await store.pool.executemany("INSERT INTO decisions VALUES ($1, $2, $3, $4, $5, $6, $7)", ROWS)
        migrate(database_url, namespace=namespace)
        found: list[asyncpg.Record] = await store.pool.fetch("SELECT * FROM decisions")
        assert sorted(tuple(row) for row in found) == sorted(ROWS)
        assert await store.pool.fetchval("SELECT count(*) FROM decision_groups") < len(ROWS)
    finally:
        await store.close()
        drop_namespace(database_url, namespace=namespace)
