"""When entries are acknowledged, and in what order things leave."""

import asyncio
from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from testkit.consuming import IN, OTHER, OUT, Bench, ScriptedHandler, drained

from tradebus.bus.port import Entry, Outgoing
from tradebus.kernel.timers import SimulatedTimers
from tradebus.runtime.consumer import DONE, Answer, Done, Effect, Policy
from tradebus.runtime.consuming.handled import Handled
from tradebus.runtime.merge import Gate

GATES = (Gate(IN, 0, "watermark"), Gate(OUT, 1, "watermark"))


def told(entry: Entry) -> Done:
    return Done(then=[Outgoing(OUT, "TEXT", entry.body)])


async def test_what_an_entry_led_to_is_out_and_the_entry_is_acknowledged() -> None:
    bench = Bench()
    await bench.send(*"abc")
    await drained(bench.consumer(ScriptedHandler(told)))
    assert await bench.bodies(OUT) == ["a", "b", "c"]
    assert await bench.left() == 0


async def test_a_batch_that_nobody_waits_for_leaves_in_one_publish() -> None:
    bench = Bench()
    await bench.send(*"abc")
    consumer = bench.consumer(ScriptedHandler(told), coalesce=True)
    await drained(consumer)
    assert await bench.bodies(OUT) == ["a", "b", "c"]
    assert await bench.left() == 0


async def test_entries_that_led_to_nothing_are_acknowledged_together() -> None:
    """Ticks are most of what comes, and an acknowledgement is a round trip that an order would wait for."""
    bench, timers = Bench(), SimulatedTimers()
    consumer = bench.consumer(
        ScriptedHandler(lambda entry: told(entry) if entry.body == b"out" else DONE), timers=timers,
        policy=Policy(acknowledge_seconds=0.02),
    )  # fmt: skip
    await consumer.turn(block_ms=0)
    timers.advance(20_000_000)
    await bench.send("a")
    await consumer.turn(block_ms=100)
    assert await bench.left() == 0, "nobody has been for so long"
    await bench.send("b")
    await consumer.turn(block_ms=100)
    timers.advance(19_000_000)
    await bench.send("c")
    await consumer.turn(block_ms=100)
    assert await bench.left() == 2
    timers.advance(1_000_000)
    await consumer.turn(block_ms=0)
    assert await bench.left() == 0, "without another entry as well"
    await bench.send("d")
    await consumer.turn(block_ms=100)
    await bench.send("out")
    await consumer.turn(block_ms=100)
    assert (await bench.bodies(OUT), await bench.left()) == (["out"], 0), "with what leaves anyway"
    await bench.send("e")
    await consumer.turn(block_ms=100)
    await consumer.close()
    assert await bench.left() == 0, "at the end"


async def test_what_is_held_is_acknowledged_only_once_it_is_stored() -> None:
    bench = Bench()
    timers = SimulatedTimers()
    handler = ScriptedHandler(lambda _: Done(effect=Effect.HELD))
    consumer = bench.consumer(handler, timers=timers, policy=Policy(commit_entries=3, commit_seconds=2.0))
    await consumer.turn(block_ms=0)
    await bench.send("a", "b")
    await consumer.turn(block_ms=100)
    assert (handler.stored, await bench.left()) == ([], 2)
    await bench.send("c")
    await consumer.turn(block_ms=100)
    assert (handler.stored, await bench.left()) == (["a", "b", "c"], 0), "enough entries"
    await bench.send("d")
    await consumer.turn(block_ms=100)
    assert await bench.left() == 1
    timers.advance(2_000_000_000)
    await bench.send("e")
    await consumer.turn(block_ms=100)
    assert await bench.left() == 0, "for long enough"
    await bench.send("f")
    await consumer.turn(block_ms=100)
    timers.advance(timers.now_ns() + 150_000_000)
    await consumer.turn(block_ms=0)
    assert handler.stored[-1] == "f", "nothing else to do"
    await bench.send("g")
    await consumer.turn(block_ms=100)
    await consumer.close()
    assert handler.stored[-1] == "g", "told to stop"
    assert await bench.left() == 0


async def test_first_leaves_before_the_commit_and_then_after_it() -> None:
    bench = Bench()
    seen: list[tuple[list[str], list[str]]] = []

    class Watching(ScriptedHandler):
        async def commit(self) -> bool:
            seen.append((await bench.bodies(OUT), await bench.bodies(OTHER)))
            return await super().commit()

    def script(entry: Entry) -> Answer:
        signal, mark = Outgoing(OUT, "TEXT", entry.body), Outgoing(OTHER, "TEXT", entry.body)
        return Done(first=[signal], then=[mark], effect=Effect.COMMIT)

    await bench.send("a")
    handler = Watching(script)
    await drained(bench.consumer(handler))
    assert seen == [(["a"], [])]
    assert await bench.bodies(OTHER) == ["a"]
    assert handler.stored == ["a"]
    assert await bench.left() == 0


async def test_paced_an_entry_waits_for_the_watermark_that_closes_it() -> None:
    bench = Bench()

    def owed(entry: Entry) -> list[Outgoing]:
        if entry.stream != OUT or entry.watermark_ns is None:
            return []
        return [Outgoing(OTHER, "watermark", watermark_ns=entry.watermark_ns)]

    handler = ScriptedHandler()
    consumer = bench.consumer(handler, streams=(IN, OUT, "risk.v1"), gates=GATES, paced=True, owed=owed)
    await bench.send("order", watermark_ns=5)
    await bench.send("free", stream="risk.v1")
    await drained(consumer)
    assert await bench.left("risk.v1") == 0, "what takes no part in the order waits for nobody"
    assert (handler.handled, await bench.left()) == (["free"], 1)
    await bench.send("tick", stream=OUT, watermark_ns=4)
    await drained(consumer)
    assert handler.handled == ["free", "tick", "order"]
    assert (await bench.left(), await bench.left(OUT)) == (1, 0), "the order's own watermark is not passed yet"
    await bench.send("tick2", stream=OUT, watermark_ns=6)
    await bench.send("order2", watermark_ns=6)
    await drained(consumer)
    assert handler.handled == ["free", "tick", "order", "order2", "tick2"]
    assert (await bench.left(), await bench.left(OUT)) == (0, 0)
    assert await bench.bus.last_watermark(OTHER) == 6


async def test_consumers_that_share_a_turn_never_handle_at_the_same_time() -> None:
    bench = Bench()
    inside = 0

    class Slow(ScriptedHandler):
        async def handle(self, entry: Entry) -> Answer:
            nonlocal inside
            inside += 1
            assert inside == 1
            for _ in range(5):
                await asyncio.sleep(0)
            inside -= 1
            return await super().handle(entry)

    await bench.send(*"abc")
    await bench.send(*"def", stream=OTHER)
    turn = asyncio.Lock()
    first, second = Slow(), Slow()
    await asyncio.gather(
        drained(bench.consumer(first, turn=turn)), drained(bench.consumer(second, streams=[OTHER], turn=turn))
    )
    assert (first.handled, second.handled) == (list("abc"), list("def"))


async def test_a_pause_stops_after_the_entry_in_hand_and_loses_nothing() -> None:
    bench = Bench()
    await bench.send(*"abcd")

    def script(entry: Entry) -> Answer:
        if entry.body == b"b":
            consumer.pause()
        return DONE

    handler = ScriptedHandler(script)
    consumer = bench.consumer(handler)
    for _ in range(3):
        await consumer.turn(block_ms=0)
    assert (handler.handled, await bench.left()) == (["a", "b"], 2)
    consumer.resume()
    await drained(consumer)
    assert handler.handled == list("abcd")
    assert await bench.left() == 0


async def test_a_reopened_input_brings_again_what_was_read_and_not_handled() -> None:
    bench = Bench()
    await bench.send(*"abcd")
    opened = 0

    def script(entry: Entry) -> Answer:
        nonlocal opened
        if entry.body == b"b" and not opened:
            opened += 1
            consumer.reopen()
        return DONE

    handler = ScriptedHandler(script)
    consumer = bench.consumer(handler)
    for _ in range(5):
        await consumer.turn(block_ms=0)
    assert handler.handled == list("abcd")
    assert handler.recoveries == 1
    assert await bench.left() == 0


async def test_a_consumer_ends_at_once_when_it_is_told_to_while_it_waits() -> None:
    bench = Bench()
    handler = ScriptedHandler()
    stop = asyncio.Event()
    running = asyncio.create_task(bench.consumer(handler).run(stop))
    await bench.send("a")
    while not handler.handled:
        await asyncio.sleep(0.001)
    stop.set()
    async with asyncio.timeout(5):
        await running
    assert await bench.left() == 0


async def test_an_entry_of_which_something_is_still_to_come_is_acknowledged_after_it_and_nobody_waits() -> None:
    bench = Bench()
    await bench.send(*"abc")
    to_come = {"b"}
    handler = ScriptedHandler(
        lambda entry: Done(
            then=[Outgoing(OUT, "TEXT", entry.body)],
            effect=Effect.HELD,
            is_open=lambda: entry.body.decode() in to_come,
        )
    )
    consumer = bench.consumer(handler)
    await drained(consumer)
    assert await bench.bodies(OUT) == ["a", "b", "c"]
    assert await bench.left() == 2
    to_come.clear()
    await drained(consumer)
    assert await bench.left() == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(Effect)), st.booleans(), st.booleans(),
            st.sampled_from(["go on", "stored", "take", "fail", "comes"]),
        ),
        max_size=30,
    )
)  # fmt: skip
def test_entries_are_given_out_once_and_never_before_their_effect_is_stored(
    steps: list[tuple[Effect, bool, bool, str]],
) -> None:
    handled = Handled()
    still_to_come: set[int] = set()
    taken: list[int] = []
    unstored: set[int] = set()
    unclosed: set[int] = set()
    for number, (effect, closes, is_open, then) in enumerate(steps):
        still_to_come |= {number} if is_open and effect is not Effect.ALONE else set()
        handled.add(
            Entry(IN, f"0-{number}", "TEXT", b""), effect, closes=closes,
            is_open=partial(still_to_come.__contains__, number) if is_open else None,
        )  # fmt: skip
        if effect is Effect.STORED:
            unstored = still_to_come.copy()
        elif effect is not Effect.ALONE:
            unstored.add(number)
        if effect is not Effect.ALONE:
            unclosed.add(number)
            if closes:
                unclosed.clear()
        if then == "stored":
            handled.stored()
            unstored = still_to_come.copy()
        if then == "comes":
            still_to_come.discard(min(still_to_come, default=0))
        if then in ("take", "fail"):
            entries = handled.take()
            numbers = [int(entry.entry_id.partition("-")[2]) for entry in entries]
            assert not unstored & set(numbers)
            assert not unclosed & set(numbers)
            if then == "fail":
                handled.put_back(entries)
            else:
                taken += numbers
    assert len(taken) == len(set(taken))
