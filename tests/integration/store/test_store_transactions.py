"""Inbox, emission and locks on a real Postgres."""

import asyncio

import asyncpg
import pytest
from testkit.pauses import pause
from testkit.waiting import WALL_TIMERS

from tradebus.contracts.streams import COMMANDS
from tradebus.store.store import Store


async def counts(store: Store) -> tuple[int, ...]:
    row = await store.pool.fetchrow(
        "SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM outbox), (SELECT count(*) FROM events)"
    )
    return tuple(row)


async def test_what_a_transaction_emits_is_in_outbox_and_events_after_its_commit_and_not_before(store: Store) -> None:
    async with store.begin() as transaction:
        transaction.emit(COMMANDS.name, pause(1))
        transaction.emit(COMMANDS.name, pause(2, pos_id="p"))
        assert await counts(store) == (0, 0, 0)
    rows = await store.pool.fetch("SELECT * FROM outbox ORDER BY outbox_id")
    assert [(row["producer"], row["stream"], row["kind"], row["body"]) for row in rows] == [
        ("test-1", COMMANDS.name, "PAUSE_TRADING", pause(1).to_json()),
        ("test-1", COMMANDS.name, "PAUSE_TRADING", pause(2, pos_id="p").to_json()),
    ]
    events = await store.pool.fetch("SELECT * FROM events ORDER BY ts_event_ns")
    assert [(row["event_id"], row["type"], row["session_id"], row["pos_id"]) for row in events] == [
        (pause(1).event_id, "PAUSE_TRADING", "session", None),
        (pause(2).event_id, "PAUSE_TRADING", "session", "p"),
    ]
    assert events[0]["body"]["reason"] == "reason 1"


async def test_a_statement_that_fails_takes_the_emission_with_it(store: Store) -> None:
    async def handle() -> None:
        async with store.begin() as transaction:
            transaction.emit(COMMANDS.name, pause(1))
            await transaction.connection.execute("INSERT INTO kill_switch VALUES (false, true, 'x', 1)")

    with pytest.raises(asyncpg.CheckViolationError):
        await handle()
    assert await counts(store) == (0, 0, 0)


async def test_the_one_who_waits_for_a_failed_first_handling_becomes_the_first(store: Store) -> None:
    inside, fail = asyncio.Event(), asyncio.Event()

    async def failing() -> None:
        async with store.begin() as transaction:
            assert await transaction.first_time("risk", "m")
            inside.set()
            await fail.wait()
            raise ZeroDivisionError

    async def waiting() -> bool:
        await inside.wait()
        async with store.begin() as transaction:
            return await transaction.first_time("risk", "m")

    first, second = asyncio.create_task(failing()), asyncio.create_task(waiting())
    await inside.wait()
    while not await store.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        assert not second.done()
    fail.set()
    assert await second
    with pytest.raises(ZeroDivisionError):
        await first


async def test_the_lock_of_a_position_lets_one_transaction_in_at_a_time(
    store: Store, database_url: str, migrated: str
) -> None:
    other = await Store.connect(database_url, namespace=migrated, producer="test-2", timers=WALL_TIMERS)
    inside = 0
    most = 0

    async def work(where: Store, pos_id: str) -> None:
        nonlocal inside, most
        async with where.begin() as transaction:
            await transaction.lock(pos_id)
            inside += 1
            most = max(most, inside)
            await transaction.connection.execute("SELECT pg_sleep(0.005)")  # work under the lock
            inside -= 1

    try:
        await asyncio.gather(*(work(where, "p") for where in (store, other) * 10))
        assert most == 1
        await asyncio.gather(*(work(store, f"p{number}") for number in range(8)))
        assert most > 1, "different positions do not wait for each other"
    finally:
        await other.close()


@pytest.mark.parametrize("table", ["order_history", "fills", "events", "risk_decisions", "signals"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET ts_event_ns = 1", "DELETE FROM {}"])
async def test_append_only_tables_refuse_changes(store: Store, table: str, statement: str) -> None:
    async with store.pool.acquire() as connection:
        await connection.execute("SET session_replication_role = replica")  # no parent rows needed
        await connection.execute(ROWS[table])
        await connection.execute("RESET session_replication_role")
        with pytest.raises(asyncpg.RaiseError, match=f"{table} is append-only"):
            await connection.execute(statement.format(table))
        assert await connection.fetchval(f"SELECT count(*) FROM {table} WHERE ts_event_ns = 7") == 1


ROWS = {
    "order_history": "INSERT INTO order_history (order_id, to_state, event, ts_event_ns) VALUES ('o', 's', 'e', 7)",
    "fills": "INSERT INTO fills VALUES ('f', 'o', 'p', 1, 1, 0, 7)",
    "events": "INSERT INTO events VALUES ('e', 's', 't', NULL, NULL, 7, '{}')",
    "risk_decisions": "INSERT INTO risk_decisions VALUES ('e', 's', NULL, NULL, 'BLOCK', 'r', NULL, 7, '{}')",
    "signals": "INSERT INTO signals VALUES ('e', 's', 'orb', 'X', 't', 7, '{}')",
}


async def test_jsonb_columns_take_and_give_python_objects(store: Store) -> None:
    value = {"a": [1, None, True], "b": "Δ"}
    await store.pool.execute("INSERT INTO risk_state VALUES ('s', $1, 1)", value)
    assert await store.pool.fetchval("SELECT state FROM risk_state") == value
