"""The outbox between a real Postgres and a real bus."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from testkit.pauses import bodies, commit, expected
from testkit.waiting import WALL_TIMERS

from tradebus.bus.port import Bus
from tradebus.contracts.streams import COMMANDS
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store

STREAM = COMMANDS.name
CRASHING = Path(__file__).with_name("crashing_producer.py")


async def rows_left(store: Store) -> int:
    return int(await store.pool.fetchval("SELECT count(*) FROM outbox"))


async def rows_gone(store: Store) -> None:
    async with asyncio.timeout(30):
        while await rows_left(store):
            await asyncio.sleep(0.02)


async def test_closing_the_store_deletes_what_was_published_and_keeps_what_was_not(
    database_url: str, migrated: str, bus: Bus, store: Store
) -> None:
    closing = await Store.connect(database_url, namespace=migrated, producer="closing-1", timers=WALL_TIMERS)
    await commit(closing, 1)
    await Outbox(closing, bus, timers=WALL_TIMERS).flush()
    await commit(closing, 2)
    await closing.close()
    assert await rows_left(store) == 1
    again = await Store.connect(database_url, namespace=migrated, producer="closing-1", timers=WALL_TIMERS)
    try:
        assert await Outbox(again, bus, timers=WALL_TIMERS).sweep() == 1
    finally:
        await again.close()
    assert await bodies(bus) == expected(1, 2)


async def test_what_a_killed_producer_committed_is_published_by_its_successor_in_order(
    store: Store, bus: Bus, database_url: str, migrated: str
) -> None:
    environment = {**os.environ, "DATABASE_URL": database_url}
    killed = await asyncio.create_subprocess_exec(sys.executable, str(CRASHING), migrated, env=environment)
    assert await killed.wait() == -signal.SIGKILL
    assert await rows_left(store) == 3, "committed twice, killed inside a third transaction"
    successor = await Store.connect(database_url, namespace=migrated, producer="crashing-1", timers=WALL_TIMERS)
    try:
        outbox = Outbox(successor, bus, timers=WALL_TIMERS)
        await commit(successor, 9)
        assert await outbox.sweep() == 3
        await outbox.flush()
    finally:
        await successor.close()
    assert await bodies(bus) == expected(1, 2, 3, 9)
    assert await rows_left(store) == 0
