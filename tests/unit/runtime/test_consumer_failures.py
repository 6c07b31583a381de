"""One failure policy: what an entry, a server, a chore or a crash may do to a consumer, and what not."""

import asyncio
from itertools import pairwise

import pytest
from pydantic import BaseModel
from testkit.consuming import IN, OTHER, OUT, QUICK, Bench, ScriptedHandler, drained, moved
from testkit.simulated import passes
from testkit.waiting import WALL_TIMERS

from tradebus.bus.memory.bus import MemoryBus
from tradebus.bus.port import Entry, Outgoing
from tradebus.kernel.clock import EventClock
from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.kernel.timers import SimulatedTimers
from tradebus.runtime.consumer import DONE, Answer, BusPublisher, Done, Effect, Policy, PutAside, TryLater
from tradebus.waiting.timers import WallTimers


async def test_what_is_put_aside_is_a_dead_letter_with_its_reason_and_the_others_go_on() -> None:
    bench = Bench()
    await bench.send("a", "bad", "b")
    handler = ScriptedHandler(lambda entry: PutAside("no such session") if entry.body == b"bad" else DONE)
    consumer = bench.consumer(handler)
    await drained(consumer)
    assert handler.handled == ["a", "bad", "b"]
    assert await bench.dead() == {"bad": "no such session"}
    assert await bench.left() == 0
    assert (bench.counted("handled"), bench.counted("put_aside")) == (2, 1)


@pytest.mark.parametrize("error", [ValueError("no price"), InvalidInput("intents.v1: field price is missing")])
async def test_bad_input_is_put_aside_at_once_and_the_state_is_recovered(error: Exception) -> None:
    bench = Bench()
    await bench.send("bad", "b")

    def script(entry: Entry) -> Answer:
        if entry.body == b"bad":
            raise error
        return DONE

    handler = ScriptedHandler(script)
    await drained(bench.consumer(handler))
    assert handler.handled == ["bad", "b"]
    assert handler.recoveries == 2, "at the start and before the entry after the bad one"
    (reason,) = (await bench.dead()).values()
    assert str(error) in reason


async def test_a_handler_that_fails_on_one_entry_is_asked_three_times_and_never_ends_the_loop() -> None:
    bench = Bench()
    await bench.send("a", "poison", "b")

    def script(entry: Entry) -> Answer:
        if entry.body == b"poison":
            raise ZeroDivisionError("price / 0")
        return DONE

    handler = ScriptedHandler(script)
    await drained(bench.consumer(handler))
    assert handler.handled == ["a", "poison", "poison", "poison", "b"]
    assert handler.recoveries == 4
    assert await bench.dead() == {"poison": "ZeroDivisionError: price / 0"}
    assert await bench.left() == 0


async def test_a_failure_that_passes_costs_nothing() -> None:
    bench = Bench()
    await bench.send("a")
    failures = [RuntimeError("once"), RuntimeError("twice")]

    def script(_: Entry) -> Answer:
        if failures:
            raise failures.pop()
        return DONE

    handler = ScriptedHandler(script)
    await drained(bench.consumer(handler))
    assert handler.handled == ["a"] * 3
    assert await bench.dead() == {}
    assert await bench.left() == 0


async def test_what_is_to_be_tried_later_holds_its_place_with_growing_pauses() -> None:
    bench = Bench()
    await bench.send("login", "b")
    timers, asked_ns = SimulatedTimers(), []

    def script(entry: Entry) -> Answer:
        if entry.body == b"login" and len(asked_ns) < 6:
            asked_ns.append(timers.now_ns())
            return TryLater("the broker is away")
        return DONE

    handler = ScriptedHandler(script)
    policy = Policy(first_delay_seconds=0.1, last_delay_seconds=1.0)
    turn = asyncio.create_task(bench.consumer(handler, timers=timers, policy=policy).turn(block_ms=0))
    await moved(timers, turn, seconds=0.01)
    assert handler.handled == ["login"] * 7 + ["b"]
    pauses = [(later - earlier) / 1e9 for earlier, later in pairwise(asked_ns)]
    assert all(0.04 <= pause <= 1.6 for pause in pauses)
    assert pauses[-1] > pauses[0]
    assert await bench.dead() == {}


async def test_a_server_that_is_away_is_waited_for_and_counts_against_no_entry() -> None:
    bench = Bench()
    await bench.send("a", "b")
    answers_again_after = 40
    tries = 0

    def script(_: Entry) -> Answer:
        nonlocal tries
        tries += 1
        if tries <= answers_again_after:
            raise ConnectionRefusedError("Postgres is gone")
        return DONE

    class Away(BusPublisher):
        async def check_servers(self) -> None:
            raise Unavailable("Postgres is gone")

    handler = ScriptedHandler(script)
    await drained(bench.consumer(handler, publisher=Away(bench.bus)))
    assert await bench.dead() == {}
    assert await bench.left() == 0
    assert bench.counted("tried_again") == answers_again_after


async def test_an_entry_that_fails_as_if_a_server_were_away_while_all_answer_is_put_aside() -> None:
    bench = Bench()
    await bench.send("poison", "b")

    def script(entry: Entry) -> Answer:
        if entry.body == b"poison":
            raise FileNotFoundError("strategy.py")
        return DONE

    handler = ScriptedHandler(script)
    await drained(bench.consumer(handler))
    assert handler.handled[-1] == "b"
    (reason,) = (await bench.dead()).values()
    assert "while every server answers" in reason
    assert "strategy.py" in reason


async def test_the_entry_that_ends_processes_is_put_aside_and_those_read_with_it_are_not() -> None:
    class Died(BaseException):
        """As a crash of the interpreter: nothing of the process goes on."""

    bench = Bench()
    await bench.send(*"abcde")

    def script(entry: Entry) -> Answer:
        if entry.body == b"c":
            raise Died
        return DONE

    lives = 0
    handled: list[str] = []
    while not lives or await bench.left():
        lives += 1
        handler = ScriptedHandler(script)
        try:
            await drained(bench.consumer(handler))
        except Died:
            pass
        handled += handler.handled
        assert lives < 20
    assert set(await bench.dead()) == {"c"}
    assert handled.count("c") == 4, "once unsuspected, and three times in hand"
    assert {"a", "b", "d", "e"} <= set(handled)


async def test_a_message_that_does_not_validate_is_named_by_its_fields_and_never_by_their_values() -> None:
    class Login(BaseModel):
        access_token: int

    bench = Bench()
    await bench.send("x")

    def script(_: Entry) -> Answer:
        Login.model_validate({"access_token": "eyJhbGciOi-secret"})
        return DONE

    await drained(bench.consumer(ScriptedHandler(script)))
    (reason,) = (await bench.dead()).values()
    assert "access_token" in reason
    assert "secret" not in reason


async def test_of_a_batch_that_cannot_be_stored_only_the_one_at_fault_is_put_aside() -> None:
    bench = Bench()
    await bench.send(*"abcdef")
    handler = ScriptedHandler(lambda _: Done(effect=Effect.HELD))
    handler.refuses = {"d"}
    consumer = bench.consumer(handler)
    for _ in range(20):
        await consumer.turn(block_ms=0)
    assert set(await bench.dead()) == {"d"}
    assert sorted(handler.stored) == list("abcef")
    assert await bench.left() == 0


async def test_what_cannot_be_published_puts_its_own_entry_aside() -> None:
    bench = Bench()
    await bench.send("a", "huge", "b")

    def script(entry: Entry) -> Answer:
        times = 200_000 if entry.body == b"huge" else 1
        return Done(then=[Outgoing(OUT, "TEXT", entry.body)] * times)

    await drained(bench.consumer(ScriptedHandler(script)))
    assert await bench.bodies(OUT) == ["a", "b"]
    assert "does not fit" in (await bench.dead())["huge"]
    assert await bench.left() == 0


async def test_a_chore_that_fails_is_done_again_and_a_job_goes_on_before_the_next_entry() -> None:
    bench = Bench()
    timers = SimulatedTimers()
    handler = ScriptedHandler()
    consumer = bench.consumer(handler, timers=timers)
    done: list[str] = []

    async def sweep() -> None:
        done.append("sweep")
        if len(done) < 3:
            raise RuntimeError("no")

    async def job() -> None:
        done.append("job")

    consumer.every(5.0, sweep, name="sweep")
    for _ in range(4):
        timers.advance(timers.now_ns() + 5_000_000_000)
        await consumer.turn(block_ms=0)
    assert done == ["sweep"] * 4
    for outcome in ("failed", "done"):
        name, labels = f"tradebus_consumer_chores_{outcome}_total", {"consumer": "c", "chore": "sweep"}
        assert bench.registry.get_sample_value(name, labels) == 2
    consumer.post(job)
    await bench.send("a")
    await consumer.turn(block_ms=0)
    assert done[-1] == "job"
    await drained(consumer)
    assert handler.handled == ["a"]


async def test_what_comes_before_a_chore_holds_up_no_other_consumer_of_the_turn() -> None:
    bench, timers, turn = Bench(), SimulatedTimers(), asyncio.Lock()
    asking, answered, done = asyncio.Event(), asyncio.Event(), list[str]()

    async def look() -> None:
        asking.set()
        await answered.wait()
        done.append("look")

    async def work() -> None:
        assert turn.locked()
        done.append("work")

    slow = bench.consumer(ScriptedHandler(), timers=timers, turn=turn)
    slow.every(5.0, work, name="work", before=look)
    timers.advance(timers.now_ns() + 5_000_000_000)
    running = asyncio.create_task(slow.turn(block_ms=0))
    await asking.wait()
    async with turn:  # whoever else has it does not wait for the look
        answered.set()
        await passes(timers, 0.0)
        assert done == ["look"]
    await running
    assert done == ["look", "work"]


async def test_entries_of_a_dead_consumer_are_claimed() -> None:
    bench = Bench()
    timers = SimulatedTimers()
    dead = await bench.bus.subscribe([IN], group="g", consumer="dead")
    await bench.send(*"abc")
    await dead.read(block_ms=0)
    handler = ScriptedHandler()
    policy = Policy(claim_idle_seconds=0.0)
    consumer = bench.consumer(handler, policy=policy, timers=timers)
    await consumer.turn(block_ms=0)
    assert handler.handled == []
    timers.advance(60_000_000_000)
    await consumer.turn(block_ms=0)
    assert handler.handled == ["a", "b", "c"]
    assert await bench.left() == 0


async def test_a_reader_whose_stream_was_trimmed_learns_it() -> None:
    bench = Bench(MemoryBus(max_entries={"md.ticks.v1": 20}, timers=WALL_TIMERS))
    gaps: list[bool] = []

    def script(entry: Entry) -> Answer:
        gaps.append(entry.after_gap)
        return DONE

    consumer = bench.consumer(ScriptedHandler(script), streams=["md.ticks.v1"])
    await bench.send("a", stream="md.ticks.v1")
    await drained(consumer)
    for number in range(50):
        await bench.send(str(number), stream="md.ticks.v1")
    await drained(consumer)
    assert gaps == [False, True] + [False] * 19
    assert bench.counted("gaps", "md.ticks.v1") == 1


async def test_a_reader_that_was_passed_over_begins_again_from_the_book() -> None:
    clock = EventClock(1)
    bench = Bench(
        MemoryBus(timers=WallTimers(clock), max_entries={IN: 20}, back_pressure_seconds=0.01, silent_seconds=60)
    )
    handler = ScriptedHandler()
    consumer = bench.consumer(handler)
    await bench.send("a")
    await drained(consumer)
    clock.advance(clock.now_ns() + 61_000_000_000)
    for number in range(50):
        await bench.send(str(number))
    assert handler.recoveries == 1
    await drained(consumer)
    assert handler.handled[-1] == "49"
    assert handler.recoveries == 2
    assert bench.counted("gaps") == 1


async def test_told_to_stop_while_the_bus_is_full_nothing_is_acknowledged_that_was_not_published() -> None:
    bench = Bench(MemoryBus(max_entries={OUT: 4}, back_pressure_seconds=0.01, timers=WALL_TIMERS))
    await bench.bus.subscribe([OUT], group="asleep", consumer="x")
    await bench.send(*"abcdefgh")
    handler = ScriptedHandler(lambda entry: Done(then=[Outgoing(OUT, "TEXT", entry.body)]))
    stop = asyncio.Event()
    running = asyncio.create_task(bench.consumer(handler).run(stop))
    while len(handler.handled) < 4:
        await asyncio.sleep(0.001)
    stop.set()
    await running
    published = await bench.bodies(OUT)
    assert await bench.left() == 8 - len(published)
    await bench.bus.leave([OUT], group="asleep")
    again = ScriptedHandler(lambda entry: Done(then=[Outgoing(OUT, "TEXT", entry.body)]))
    await drained(bench.consumer(again))
    assert again.handled == list("abcdefgh")[len(published) :]


async def test_quarantine_goes_on_telling_others_what_they_wait_for() -> None:
    bench = Bench()
    await bench.send("bad", watermark_ns=7)

    def owed(entry: Entry) -> list[Outgoing]:
        return [Outgoing(OTHER, "watermark", watermark_ns=entry.watermark_ns)]

    await drained(bench.consumer(ScriptedHandler(lambda _: PutAside("bad")), owed=owed))
    assert await bench.bus.last_watermark(OTHER) == 7
    assert await bench.left() == 0


def test_the_policy_never_tries_without_a_pause() -> None:
    assert QUICK.first_delay_seconds > 0
    assert Policy().first_delay_seconds > 0


class Away(MemoryBus):
    """A bus that cannot be read while it `is_away`."""

    is_away = False

    async def wait_until(self, condition, **waiting):
        if self.is_away:
            raise ConnectionError("the bus is away")
        return await super().wait_until(condition, **waiting)


async def test_a_job_that_comes_while_the_bus_is_away_ends_no_consumer() -> None:
    timers = SimulatedTimers()
    bus, stop = Away(timers=timers), asyncio.Event()
    bench, handler, done = Bench(bus), ScriptedHandler(), list[str]()
    consumer = bench.consumer(handler, timers=timers)
    running = asyncio.create_task(consumer.run(stop))

    async def job() -> None:
        done.append("job")

    bus.is_away = True
    await passes(timers, 1.0)
    consumer.post(job)
    await passes(timers, 0.0)
    assert not running.done()
    bus.is_away = False
    await bench.send("a")
    await passes(timers, 1.0)
    assert (handler.handled, done) == (["a"], ["job"])
    stop.set()
    await moved(timers, running)
