"""What is asked of a disk beside the loop: the loop goes on while it hangs, and what it said last stands."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from testkit.waiting import WALL_TIMERS

from tradebus.kernel.timers import SimulatedTimers
from tradebus.waiting.beside import BesideLook


class Disk:
    """Answers with how often it was asked; not while it hangs."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self.asked = 0
        self.error: OSError | None = None

    def ask(self) -> int:
        self.asked += 1
        self.answers.wait()
        if self.error is not None:
            raise self.error
        return self.asked


@pytest.fixture
def disk() -> Iterator[Disk]:
    made = Disk()
    yield made
    made.answers.set()


def beside(disk: Disk, *, seconds: float) -> BesideLook[int]:
    return BesideLook(disk.ask, first=0, what="a disk", seconds=seconds, timers=WALL_TIMERS)


async def test_each_look_asks_and_says_what_is_so_now(disk: Disk) -> None:
    look = beside(disk, seconds=10)
    assert [await look.look(), await look.look(), look.stands] == [1, 2, 2]


async def test_while_it_hangs_what_it_said_stands_and_it_is_asked_once(disk: Disk) -> None:
    look = beside(disk, seconds=0.05)
    await look.look()
    disk.answers.clear()
    assert [await look.look() for _ in range(50)] == [1] * 50, "only the first of them waits"
    assert disk.asked == 2
    disk.answers.set()
    async with asyncio.timeout(10):
        while look.stands != 2:
            await asyncio.sleep(0.001)
    assert await look.look() == 3


async def test_who_asks_at_once_is_answered_together_and_an_error_is_everybodys(disk: Disk) -> None:
    look = beside(disk, seconds=10)
    disk.answers.clear()
    asking = [asyncio.create_task(look.look()) for _ in range(5)]
    await asyncio.sleep(0)
    disk.error = OSError("no disk")
    disk.answers.set()
    assert [type(one) for one in await asyncio.gather(*asking, return_exceptions=True)] == [OSError] * 5
    assert (disk.asked, look.stands) == (1, 0)


async def test_an_answer_serves_for_a_moment_from_when_it_was_asked_for(disk: Disk) -> None:
    timers = SimulatedTimers()
    look = BesideLook(disk.ask, first=0, what="a disk", seconds=10, timers=timers, fresh_seconds=0.02)
    disk.answers.clear()
    asking = asyncio.create_task(look.look())
    await asyncio.sleep(0)
    timers.advance(timers.now_ns() + 19_000_000)
    disk.answers.set()
    assert await asking == 1
    assert [await look.look() for _ in range(9)] == [1] * 9
    timers.advance(timers.now_ns() + 1_000_000)
    assert await look.look() == 2, "twenty milliseconds after it was asked, not after its answer"
    timers.advance(timers.now_ns() + 20_000_000)
    disk.error = OSError("no disk")
    with pytest.raises(OSError, match="no disk"):
        await look.look()
    disk.error = None
    assert await look.look() == 4, "what has failed serves nobody"
