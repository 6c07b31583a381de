"""The outbox between a real Postgres and a real bus."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from testkit.pauses import pause

from tradebus.bus.port import Bus, Outgoing
from tradebus.contracts.streams import COMMANDS, SESSIONS
from tradebus.kernel.errors import Unavailable
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store

STREAM = COMMANDS.name
CRASHING = Path(__file__).with_name("crashing_producer.py")


async def commit(store: Store, *numbers: int, stream: str = STREAM) -> None:
    async with store.begin() as transaction:
        for number in numbers:
            transaction.emit(stream, pause(number))


async def bodies(bus: Bus, stream: str = STREAM) -> list[bytes]:
    return [entry.body for entry in await bus.tail(stream, count=10_000)]


def expected(*numbers: int) -> list[bytes]:
    return [pause(number).to_json() for number in numbers]


async def rows_left(store: Store) -> int:
    return int(await store.pool.fetchval("SELECT count(*) FROM outbox"))


async def rows_gone(store: Store) -> None:
    async with asyncio.timeout(30):
        while await rows_left(store):
            await asyncio.sleep(0.02)


class Refusing:
    """A publisher that refuses so many times, as a bus under back-pressure does, then is the one it stands before."""

    def __init__(self, bus: Bus, *, times: int) -> None:
        self._bus = bus
        self._times = times

    async def publish(self, outgoing: Sequence[Outgoing]) -> None:
        if self._times:
            self._times -= 1
            raise Unavailable("refused")
        await self._bus.publish(outgoing)


async def test_flush_publishes_in_the_order_of_the_commits_then_the_watermark(store: Store, bus: Bus) -> None:
    outbox = Outbox(store, bus)
    await commit(store, 1, 2)
    await commit(store, 3)
    await outbox.flush(then=[Outgoing(STREAM, "watermark", watermark_ns=9)])
    entries = await bus.tail(STREAM, count=10)
    assert [entry.body for entry in entries[:3]] == expected(1, 2, 3)
    assert [entry.kind for entry in entries] == ["PAUSE_TRADING"] * 3 + ["watermark"]
    assert entries[3].watermark_ns == 9


async def test_flush_with_nothing_committed_publishes_nothing(store: Store, bus: Bus) -> None:
    await Outbox(store, bus).flush()
    assert await bodies(bus) == []


async def test_a_rolled_back_transaction_is_not_published(store: Store, bus: Bus) -> None:
    outbox = Outbox(store, bus)

    async def failing() -> None:
        async with store.begin() as transaction:
            transaction.emit(STREAM, pause(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    await commit(store, 2)
    await outbox.flush()
    assert await bodies(bus) == expected(2)


async def test_flush_acknowledges_after_publishing(store: Store, bus: Bus) -> None:
    await bus.publish([Outgoing(SESSIONS.name, "PAUSE_TRADING", pause(1).to_json())])
    subscription = await bus.subscribe([SESSIONS.name], group="g", consumer="c")
    entries = await subscription.read(block_ms=5000)
    assert (await subscription.lag())[SESSIONS.name] == 1
    await commit(store, 2)
    await Outbox(store, bus).flush(ack=(subscription, entries))
    assert await bodies(bus) == expected(2)
    assert (await subscription.lag())[SESSIONS.name] == 0


async def test_published_rows_are_deleted_by_themselves_and_not_published_again(store: Store, bus: Bus) -> None:
    outbox = Outbox(store, bus)
    await commit(store, 1, 2, 3)
    await outbox.flush()
    assert await outbox.sweep() == 0, "rows that wait for their deletion are no leftovers"
    await rows_gone(store)
    assert await outbox.sweep() == 0
    assert await bodies(bus) == expected(1, 2, 3)


async def test_closing_the_store_deletes_what_was_published_and_keeps_what_was_not(
    database_url: str, migrated: str, bus: Bus, store: Store
) -> None:
    closing = await Store.connect(database_url, namespace=migrated, producer="closing-1")
    await commit(closing, 1)
    await Outbox(closing, bus).flush()
    await commit(closing, 2)
    await closing.close()
    assert await rows_left(store) == 1
    again = await Store.connect(database_url, namespace=migrated, producer="closing-1")
    try:
        assert await Outbox(again, bus).sweep() == 1
    finally:
        await again.close()
    assert await bodies(bus) == expected(1, 2)


async def test_a_refused_publish_raises_and_loses_nothing(store: Store, bus: Bus) -> None:
    outbox = Outbox(store, Refusing(bus, times=2))  # type: ignore[arg-type]
    await commit(store, 1)
    with pytest.raises(Unavailable):
        await outbox.flush()
    await commit(store, 2)
    with pytest.raises(Unavailable):
        await outbox.flush()
    await outbox.flush()
    assert await bodies(bus) == expected(1, 2)
    await rows_gone(store)


async def test_a_refused_sweep_raises_and_is_made_up_for_by_the_next_flush(
    store: Store, bus: Bus, database_url: str, migrated: str
) -> None:
    crashed = await Store.connect(database_url, namespace=migrated, producer="test-1")
    await commit(crashed, 1)
    await crashed.close()
    outbox = Outbox(store, Refusing(bus, times=1))  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        await outbox.sweep()
    assert await rows_left(store) == 1
    await outbox.flush()
    assert await bodies(bus) == expected(1)
    assert await rows_left(store) == 0


async def test_what_a_killed_producer_committed_is_published_by_its_successor_in_order(
    store: Store, bus: Bus, database_url: str, migrated: str
) -> None:
    environment = {**os.environ, "DATABASE_URL": database_url}
    killed = await asyncio.create_subprocess_exec(sys.executable, str(CRASHING), migrated, env=environment)
    assert await killed.wait() == -signal.SIGKILL
    assert await rows_left(store) == 3, "committed twice, killed inside a third transaction"
    successor = await Store.connect(database_url, namespace=migrated, producer="crashing-1")
    try:
        outbox = Outbox(successor, bus)
        await commit(successor, 9)
        assert await outbox.sweep() == 3
        await outbox.flush()
    finally:
        await successor.close()
    assert await bodies(bus) == expected(1, 2, 3, 9)
    assert await rows_left(store) == 0


async def test_another_instance_of_the_service_publishes_what_the_dead_one_left_once_it_has_lain_long_enough(
    bus: Bus, database_url: str, migrated: str
) -> None:
    dead = await Store.connect(database_url, namespace=migrated, producer="execution-1")
    await commit(dead, 1, 2)
    await dead.close()
    alive = await Store.connect(database_url, namespace=migrated, producer="execution-2")
    stranger = await Store.connect(database_url, namespace=migrated, producer="execution_tests-1")
    try:
        assert await Outbox(stranger, bus, abandoned_after_seconds=0).sweep() == 0
        assert await Outbox(alive, bus).sweep() == 0, "seen for the first time: its instance may be about to publish"
        assert await Outbox(alive, bus, abandoned_after_seconds=0).sweep() == 2
        assert await rows_left(alive) == 0
    finally:
        await alive.close()
        await stranger.close()
    assert await bodies(bus) == expected(1, 2)


async def test_two_instances_that_sweep_at_once_publish_each_row_once(
    bus: Bus, database_url: str, migrated: str
) -> None:
    dead = await Store.connect(database_url, namespace=migrated, producer="execution-1")
    numbers = range(1, 1201)
    await commit(dead, *numbers)
    await dead.close()
    alive = [
        await Store.connect(database_url, namespace=migrated, producer=f"execution-{number}") for number in (2, 3, 4)
    ]
    try:
        swept = await asyncio.gather(*(Outbox(store, bus, abandoned_after_seconds=0).sweep() for store in alive))
    finally:
        for store in alive:
            await store.close()
    assert sum(swept) == len(numbers)
    assert await bodies(bus) == expected(*numbers)


async def test_transactions_on_one_position_are_published_in_the_order_they_ran(store: Store, bus: Bus) -> None:
    outbox = Outbox(store, bus)
    ran: dict[str, list[bytes]] = {"a": [], "b": []}

    async def work(pos_id: str, number: int) -> None:
        async with store.begin() as transaction:
            await transaction.lock(pos_id)
            message = pause(number, pos_id=pos_id)
            ran[pos_id].append(message.to_json())
            transaction.emit(STREAM, message)
        await outbox.flush()

    await asyncio.gather(*(work(pos_id, number) for number in range(150) for pos_id in ran))
    published = await bodies(bus)
    assert len(published) == 300
    for pos_id, in_order in ran.items():
        assert [body for body in published if f'"pos_id":"{pos_id}"'.encode() in body] == in_order


async def test_concurrent_flushes_return_only_when_their_own_messages_are_out(store: Store, bus: Bus) -> None:
    outbox = Outbox(store, bus)

    async def work(number: int) -> None:
        await commit(store, number)
        await outbox.flush()
        assert pause(number).to_json() in await bodies(bus)

    await asyncio.gather(*(work(number) for number in range(40)))
    assert sorted(await bodies(bus)) == sorted(expected(*range(40)))
