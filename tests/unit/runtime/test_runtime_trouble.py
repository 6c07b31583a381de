"""A service whose reads are refused is alive and not ready: /readyz says why."""

import asyncio
from collections.abc import Sequence

from testkit.consuming import IN, QUICK, Bench, ScriptedHandler
from testkit.waiting import WALL_TIMERS

from tradebus.bus.port import Subscription
from tradebus.kernel.errors import Unavailable
from tradebus.runtime.consumer import BusPublisher, Consumer
from tradebus.runtime.consuming.trouble import Trouble, first_problem
from tradebus.runtime.merge import MergedInput
from tradebus.runtime.shell import run_components


class Alone:
    """A component that knows no trouble."""

    async def run(self, stop: asyncio.Event) -> None:
        await stop.wait()


def refused(bench: Bench, problems: list[str | None]) -> Consumer:
    """A consumer whose first reads fail as `problems` say; None is one that does not."""

    class Refused(MergedInput):
        async def next(self, *, block_ms: int) -> list[object]:  # type: ignore[override]
            problem = problems.pop(0) if problems else None
            if problem is not None:
                raise Unavailable(problem)
            return await super().next(block_ms=block_ms)

    async def open_input() -> MergedInput:
        subscription: Subscription = await bench.bus.subscribe((IN,), group="g", consumer="c")
        return Refused(subscription, bus=bench.bus, gates=(), paced=False)

    return Consumer(
        "relay", open_input=open_input, handler=ScriptedHandler(), publisher=BusPublisher(bench.bus),
        timers=WALL_TIMERS, metrics=bench.metrics, policy=QUICK,
    )  # fmt: skip


async def test_a_consumer_says_what_keeps_it_from_reading_and_when_it_reads_again():
    consumer = refused(Bench(), ["NOPERM no right to read orders.v1", None])
    assert first_problem([Alone(), consumer]) == "relay: starting"
    await consumer.turn(block_ms=0)
    assert first_problem([Alone(), consumer]) == ("relay: cannot read the bus: NOPERM no right to read orders.v1")
    await consumer.turn(block_ms=0)
    assert first_problem([Alone(), consumer]) is None
    await consumer.close()


async def test_the_first_of_several_troubles_is_told():
    class Several(Alone):
        def __init__(self, troubles: Sequence[Trouble]) -> None:
            self.troubles = troubles

    assert first_problem([Alone(), Several([Trouble(), Trouble("b"), Trouble("c")])]) == "b"
    assert first_problem([]) is None


async def test_a_consumer_that_runs_is_no_trouble():
    bench, stop = Bench(), asyncio.Event()
    consumer = refused(bench, [])
    running = asyncio.create_task(run_components([consumer], stop))
    while first_problem([consumer]) is not None:
        await asyncio.sleep(0)
    stop.set()
    await running
