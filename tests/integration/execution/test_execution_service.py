"""Execution on real servers: one order per intent whatever happens, and the same book after a crash anywhere."""

import asyncio
from collections import Counter

import redis.asyncio
from testkit.execution_service import (
    MORNING,
    SECOND,
    TICKS,
    Running,
    approval,
    exit_of,
    intent,
    mark,
    messages,
    play,
    slice_of,
)  # fmt: skip
from testkit.waiting import WALL_TIMERS

from tradebus.bus.port import Outgoing
from tradebus.bus.redis.bus import RedisBus


def day(number_of_trades: int = 4) -> list[list[Outgoing]]:
    """A short paced run: each minute a slice, then the intents of its end. Stops, targets, exits and timeouts occur."""
    steps: list[list[Outgoing]] = []
    paths = [
        [10_000, 10_005, 10_020, 10_050, 10_105, 10_100],  # target
        [10_000] * 9 + [9_950, 9_890, 9_900, 9_900],  # stop
        [10_000, 10_010, 10_020, 10_010, 10_000, 10_005],  # exit on request
        [10_200] * 40,  # beyond the guard price: timed out
    ]
    start = MORNING
    steps.append([Outgoing(TICKS, "ticks", b"", watermark_ns=start - 1, slice_start_ns=0), mark(start)])
    for number in range(number_of_trades):
        entry = approval(number, at_ns=start)
        steps[-1].insert(1, intent(entry))
        path = paths[number % len(paths)]
        end = start + 60 * SECOND
        steps.append([slice_of(start, path), mark(end)])
        if number % len(paths) == 2:
            steps[-1].insert(1, intent(exit_of(entry, at_ns=end)))
        start = end + 60 * SECOND
        steps.append([slice_of(end, [10_000] * 50), mark(start)])
    return steps


async def ledger_lines(store) -> list[tuple]:
    rows = await store.pool.fetch(
        "SELECT 'fill' AS what, f.ts_event_ns, o.role, f.quantity, f.price_paise, f.charges_paise AS money"
        " FROM fills f JOIN orders o USING (order_id) UNION ALL"
        " SELECT 'trade', closed_ns, state || coalesce(exit_reason, ''), exit_quantity,"
        " highest_paise - lowest_paise, net_pnl_paise FROM trades ORDER BY 2, 1, 3, 4, 5"
    )
    return [tuple(row) for row in rows]


async def event_lines(store) -> list[tuple]:
    rows = await store.pool.fetch("SELECT ts_event_ns, type, event_id, body FROM events ORDER BY 1, 2, 3")
    unimportant = ("ts_recorded_ns", "database_id", "causation_id")  # of the attempt, not of what happened
    return [(*row[:3], {key: value for key, value in row["body"].items() if key not in unimportant}) for row in rows]


async def test_a_run_goes_through_target_stop_exit_and_timeout(book, bus, database_url, redis_url, namespace):
    async with Running(database_url, redis_url, namespace) as running:
        await play(bus, day(), running=running)
    trades = await book.pool.fetch("SELECT state, exit_reason FROM trades ORDER BY pos_id")
    assert [(row["state"], row["exit_reason"]) for row in trades] == [
        ("CLOSED", "target"),
        ("CLOSED", "stop"),
        ("CLOSED", "exit_signal"),
        ("CANCELLED", "cancelled on request"),
    ]
    types = Counter(message.TYPE for message in await messages(bus))
    assert types["POSITION_OPENED"] == types["POSITION_CLOSED"] == 3
    assert types["ORDER_TIMEOUT"] == 1
    assert types["STOP_PLACED"] == 3
    assert await book.pool.fetchval("SELECT count(*) FROM paper_orders") == await book.pool.fetchval(
        "SELECT count(*) FROM orders"
    )


async def test_killed_at_any_await_it_ends_with_the_same_book(book, bus, database_url, redis_url, namespace):
    """Cancels the service after every few milliseconds of work and starts it again: as if nothing had happened."""
    steps = day()

    async def with_kills() -> int:
        kills = 0
        playing = asyncio.create_task(play(bus, steps, seconds=150))
        while not playing.done():
            async with Running(database_url, redis_url, namespace) as running:
                # Longer lives each time round: on a busy machine too, some get as far as the next step.
                await asyncio.wait([playing], timeout=(0.012 + 0.007 * (kills % 9)) * (1 + kills // 4))
                if not playing.done():
                    await running.kill()
                    kills += 1
        await playing
        return kills

    async with asyncio.timeout(180):
        kills = await with_kills()
    assert kills > 3
    disturbed, told = await ledger_lines(book), await event_lines(book)
    ids = {message.event_id for message in await messages(bus)}
    stored = {row["event_id"] for row in await book.pool.fetch("SELECT event_id FROM events")}
    assert ids == stored, "every event of the book was published"
    # The same run without kills, in a book of its own.
    for table in ("fills", "order_history", "events"):
        await book.pool.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
    await book.pool.execute(
        "TRUNCATE trades, orders, fills, order_history, events, outbox, inbox, intents, paper_orders, paper_fills"
    )
    async with redis.asyncio.Redis.from_url(redis_url) as raw:
        keys = [key async for key in raw.scan_iter(f"{namespace}:*")]
        await raw.delete(*keys)
    fresh = await RedisBus.connect(redis_url, namespace=namespace, timers=WALL_TIMERS)
    async with Running(database_url, redis_url, namespace) as running:
        await play(fresh, steps, running=running)
    await fresh.close()
    assert disturbed == await ledger_lines(book)
    assert told == await event_lines(book)


async def test_two_instances_place_every_one_of_a_thousand_intents_once(book, bus, database_url, redis_url, namespace):
    async with (
        Running(database_url, redis_url, namespace, instance="a", paced=False) as first,
        Running(database_url, redis_url, namespace, instance="b", paced=False) as second,
    ):
        entries = [approval(number, at_ns=MORNING + number) for number in range(1000)]
        for start in range(0, 1000, 50):
            batch = [intent(entry) for entry in entries[start : start + 50]]
            await bus.publish([*batch, *batch[:10]])  # some delivered twice
        async with asyncio.timeout(120):
            while await book.pool.fetchval("SELECT count(*) FROM orders WHERE state = 'OPEN'") < 1000:
                for running in (first, second):
                    assert not running.task.done(), running.task.exception()
                await asyncio.sleep(0.1)
    rows = await book.pool.fetch("SELECT tag, count(*) FROM paper_orders GROUP BY tag")
    assert len(rows) == 1000
    assert all(row["count"] == 1 for row in rows)
    owners = await book.pool.fetch("SELECT owner, count(*) FROM trades GROUP BY owner")
    assert {row["owner"] for row in owners} == {"execution-a", "execution-b"}, "both took part"
    placed = Counter(message.order_id for message in await messages(bus) if message.TYPE == "ORDER_PLACED")
    assert len(placed) == 1000


async def test_a_silent_instances_trades_are_adopted_and_finished(book, bus, database_url, redis_url, namespace):
    entry = approval(1, at_ns=MORNING)
    async with Running(database_url, redis_url, namespace, instance="a", paced=False) as first:
        await bus.publish([intent(entry)])
        async with asyncio.timeout(20):
            while await book.pool.fetchval("SELECT count(*) FROM orders WHERE state = 'OPEN'") == 0:
                await asyncio.sleep(0.02)
            await bus.publish([slice_of(MORNING, [10_000] * 20)])
            while await book.pool.fetchval("SELECT count(*) FROM trades WHERE entry_quantity = 100") == 0:
                assert not first.task.done(), first.task.exception()
                await asyncio.sleep(0.02)
        await first.kill()
        async with Running(database_url, redis_url, namespace, instance="b", paced=False) as second:
            async with asyncio.timeout(20):
                while await book.pool.fetchval("SELECT owner FROM trades") != "execution-b":
                    assert not second.task.done(), second.task.exception()
                    await asyncio.sleep(0.05)
            await bus.publish([slice_of(MORNING + 60 * SECOND, [9_800] * 10)])
            async with asyncio.timeout(20):
                while await book.pool.fetchval("SELECT state FROM trades") != "CLOSED":
                    assert not second.task.done(), second.task.exception()
                    await asyncio.sleep(0.05)
    assert await book.pool.fetchval("SELECT exit_reason FROM trades") == "stop"
