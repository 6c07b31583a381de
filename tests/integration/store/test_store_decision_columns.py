"""A journal that was kept by rows is read the same once it is kept in columns."""

from pathlib import Path

import asyncpg
from testkit.waiting import WALL_TIMERS

from services.strategy.adapters.journal import Journal
from tradebus.store.migrate import drop_namespace, migrate, migrations
from tradebus.store.store import Store
from tradebus.strategies.lane.decisions import DecisionRow

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
    store = await Store.connect(database_url, namespace=namespace, producer="test-1", timers=WALL_TIMERS)
    try:
        await store.pool.executemany("INSERT INTO decisions VALUES ($1, $2, $3, $4, $5, $6, $7)", ROWS)
        migrate(database_url, namespace=namespace)
        found: list[asyncpg.Record] = await store.pool.fetch("SELECT * FROM decisions")
        assert sorted(tuple(row)[:-1] for row in found) == sorted(ROWS)
        assert {row["group_id"] for row in found} == {None}
        assert await store.pool.fetchval("SELECT count(*) FROM decision_groups") < len(ROWS)
    finally:
        await store.close()
        drop_namespace(database_url, namespace=namespace)


async def test_a_decision_on_legs_is_read_with_its_group(database_url: str, namespace: str) -> None:
    migrate(database_url, namespace=namespace)
    store = await Store.connect(database_url, namespace=namespace, producer="test-1", timers=WALL_TIMERS)
    rows = [
        DecisionRow("s", "straddle", 1, number, action, "why", 5, group)
        for number, (action, group) in enumerate(
            [("HOLD", None), ("ENTER_LEGS", "g1"), ("HOLD", None), ("EXIT", "g1"), ("ENTER_LEGS", "g2")]
        )
    ]
    try:
        journal = Journal(store)
        await journal.write(rows[:1])
        await journal.write(rows[1:])
        await journal.write(rows)  # decided again
        assert await journal.decisions("s") == rows
    finally:
        await store.close()
        drop_namespace(database_url, namespace=namespace)
