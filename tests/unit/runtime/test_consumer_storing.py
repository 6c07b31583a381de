"""Where a handler stores beside its work: what leaves when, what is acknowledged, and what a failure costs."""

import asyncio

from testkit.consuming import OTHER, OUT, QUICK, Bench, ScriptedHandler, drained

from tradebus.bus.port import Entry, Outgoing
from tradebus.runtime.consumer import Answer, Consumer, Done, Effect, Policy, PutAside

BESIDE = Policy(first_delay_seconds=0.001, last_delay_seconds=0.002, commit_seconds=60.0, stores_beside=True)


def signals(entry: Entry) -> Answer:
    return Done(first=[Outgoing(OUT, "TEXT", entry.body)], effect=Effect.COMMIT)


async def stored(bench: Bench, consumer: Consumer, handler: ScriptedHandler, *bodies: str) -> None:
    """Turns until exactly these are stored and everything is acknowledged."""
    async with asyncio.timeout(5):
        while sorted(set(handler.stored)) != sorted(bodies) or await bench.left():
            await consumer.turn(block_ms=1)


async def test_entries_are_handled_and_signals_leave_while_a_store_is_under_way() -> None:
    bench, handler = Bench(), ScriptedHandler(signals)
    consumer = bench.consumer(handler, policy=BESIDE)
    handler.may_store.clear()
    await bench.send("a")
    await consumer.turn(block_ms=10)
    await bench.send("b", "c")
    await consumer.turn(block_ms=10)
    assert await bench.bodies(OUT) == ["a", "b", "c"]
    assert (handler.stored, await bench.left()) == ([], 3)
    handler.may_store.set()
    await stored(bench, consumer, handler, "a", "b", "c")
    assert handler.stored == ["a", "b", "c"]


async def test_one_store_at_a_time_takes_what_came_together_meanwhile() -> None:
    bench, handler = Bench(), ScriptedHandler(signals)
    consumer = bench.consumer(handler, policy=BESIDE)
    handler.may_store.clear()
    await bench.send("a")
    await consumer.turn(block_ms=10)
    await asyncio.sleep(0)
    await bench.send(*"bcdef")
    await consumer.turn(block_ms=10)
    assert handler.stores == 1
    handler.may_store.set()
    await stored(bench, consumer, handler, *"abcdef")
    assert handler.stores == 2


async def test_what_others_are_owed_waits_for_the_store_before_it() -> None:
    bench, handler = Bench(), ScriptedHandler(signals)
    consumer = bench.consumer(
        handler, policy=BESIDE,
        owed=lambda entry: [Outgoing(OTHER, "TEXT", entry.body)] if entry.body == b"mark" else [],
    )  # fmt: skip
    handler.may_store.clear()
    await bench.send("a", "mark")
    turning = asyncio.create_task(consumer.turn(block_ms=10))
    for _ in range(50):
        await asyncio.sleep(0)
    assert await bench.bodies(OTHER) == []
    handler.may_store.set()
    await turning
    assert await bench.bodies(OTHER) == ["mark"]
    assert handler.stored == ["a", "mark"]


async def test_what_is_not_stored_does_not_grow_without_end() -> None:
    bench, handler = Bench(), ScriptedHandler(signals)
    consumer = bench.consumer(handler, policy=Policy(commit_entries=4, commit_seconds=60.0, stores_beside=True))
    handler.may_store.clear()
    await bench.send(*"abcdefghij")
    turning = asyncio.create_task(consumer.turn(block_ms=10))
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(handler.handled) == 5
    handler.may_store.set()
    await turning
    await stored(bench, consumer, handler, *"abcdefghij")


async def test_the_one_that_cannot_be_stored_is_put_aside_and_the_others_are_stored() -> None:
    bench, handler = Bench(), ScriptedHandler(signals)
    handler.refuses = {"bad"}
    consumer = bench.consumer(handler, policy=BESIDE)
    await bench.send("a", "bad", "c")
    await stored(bench, consumer, handler, "a", "c")
    assert list(await bench.dead()) == ["bad"]


async def test_told_to_stop_it_stores_what_is_held_and_acknowledges_it() -> None:
    bench, handler = Bench(), ScriptedHandler(signals)
    consumer = bench.consumer(handler, policy=BESIDE)
    await bench.send("a", "b")
    await consumer.turn(block_ms=10)
    await consumer.close()
    assert (handler.stored, await bench.left()) == (["a", "b"], 0)


async def test_abandoned_it_acknowledges_nothing_more_and_the_next_life_stores_it() -> None:
    bench, handler = Bench(), ScriptedHandler(signals)
    consumer = bench.consumer(handler, policy=BESIDE)
    handler.may_store.clear()
    await bench.send("a")
    await consumer.turn(block_ms=10)
    consumer.abandon()
    again = ScriptedHandler(signals)
    await stored(bench, bench.consumer(again, policy=BESIDE), again, "a")


async def test_what_was_held_when_a_later_entry_failed_is_handled_again_and_stored() -> None:
    bench = Bench()
    failures = ["c"]

    def script(entry: Entry) -> Answer:
        if entry.body.decode() in failures:
            failures.clear()
            raise RuntimeError("once")
        return Done(effect=Effect.HELD)

    handler = ScriptedHandler(script)
    consumer = bench.consumer(handler, policy=QUICK)
    await bench.send(*"abcd")
    await drained(consumer)
    await consumer.close()
    assert (handler.stored, await bench.left()) == ([*"abcd"], 0)


async def test_what_was_held_when_a_later_entry_was_given_up_is_handled_again_and_stored() -> None:
    bench = Bench()

    def script(entry: Entry) -> Answer:
        if entry.body == b"bad":
            raise ValueError("nobody can read it")
        return Done(effect=Effect.HELD)

    handler = ScriptedHandler(script)
    consumer = bench.consumer(handler, policy=QUICK)
    await bench.send("a", "b", "bad", "d")
    await drained(consumer)
    await consumer.close()
    assert (handler.stored, await bench.left()) == (["a", "b", "d"], 0)
    assert list(await bench.dead()) == ["bad"]


async def test_an_entry_put_aside_after_one_that_cannot_be_stored_ends_nothing() -> None:
    bench = Bench()

    def script(entry: Entry) -> Answer:
        return PutAside("nobody can read it") if entry.body == b"odd" else signals(entry)

    handler = ScriptedHandler(script)
    handler.refuses = {"bad"}
    consumer = bench.consumer(
        handler, policy=BESIDE,
        owed=lambda entry: [Outgoing(OTHER, "TEXT", entry.body)] if entry.body == b"odd" else [],
    )  # fmt: skip
    await bench.send("a", "bad", "odd", "c")
    await stored(bench, consumer, handler, "a", "odd", "c")
    assert sorted(await bench.dead()) == ["bad", "odd"]
    assert set(await bench.bodies(OTHER)) == {"odd"}


class Away(ScriptedHandler):
    """As the strategy service's: a server that is away fails a store, a recovery and one kind of entry; where there is
    nothing to store, no server is asked."""

    away = False

    async def handle(self, entry: Entry) -> Answer:
        if entry.body == b"asks" and self.away:
            raise ConnectionError("postgres is away")
        return await super().handle(entry)

    async def commit(self) -> bool:
        if self.held and self.away:
            raise ConnectionError("postgres is away")
        return await super().commit()

    async def recover(self) -> None:
        self.held = []
        if self.away:
            raise ConnectionError("postgres is away")
        self.recoveries += 1


async def test_what_a_recovery_dropped_while_its_store_waited_is_not_taken_for_stored() -> None:
    bench, handler = Bench(), Away(signals)
    consumer = bench.consumer(handler, policy=BESIDE)
    await consumer.turn(block_ms=0)
    handler.away = True
    await bench.send("a", "b", "asks")
    turning = asyncio.create_task(consumer.turn(block_ms=10))
    async with asyncio.timeout(5):
        while handler.held or "b" not in handler.handled:
            await asyncio.sleep(0.001)
    handler.away = False
    await turning
    await stored(bench, consumer, handler, "a", "b", "asks")


async def test_a_single_entry_that_cannot_be_stored_is_put_aside_with_the_reason() -> None:
    bench, handler = Bench(), ScriptedHandler(signals)
    handler.refuses = {"bad"}
    consumer = bench.consumer(handler, policy=BESIDE)
    await bench.send("bad")
    async with asyncio.timeout(5):
        while not await bench.dead():
            await consumer.turn(block_ms=1)
    assert await bench.dead() == {"bad": "RuntimeError: value too long for the column"}
