"""Servers that go away for a while."""

import asyncio

import asyncpg
import pytest
from testkit.logged import logged
from testkit.waiting import WALL_TIMERS

from tradebus.kernel.errors import Unavailable
from tradebus.runtime.patience import patiently, repeatedly


class Failing:
    """Fails with these errors, one a call, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


async def test_what_passes_is_waited_for() -> None:
    work = Failing(Unavailable("gone"), ConnectionResetError(), asyncpg.AdminShutdownError("restart"))
    assert await patiently(work, asyncio.Event(), timers=WALL_TIMERS) == "answer"
    assert work.calls == 4


async def test_a_defect_is_not_repeated() -> None:
    work = Failing(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await patiently(work, asyncio.Event(), timers=WALL_TIMERS)
    assert work.calls == 1


async def test_a_wrong_statement_is_a_defect() -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await patiently(Failing(asyncpg.UndefinedTableError("no such table")), asyncio.Event(), timers=WALL_TIMERS)


async def test_being_told_to_stop_ends_the_waiting() -> None:
    stop = asyncio.Event()
    waiting = asyncio.create_task(patiently(Failing(*[Unavailable("gone")] * 100), stop, timers=WALL_TIMERS))
    await asyncio.sleep(0)
    stop.set()
    assert await waiting is None


async def test_a_watch_goes_on_whatever_one_look_raises_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    work, stop = Failing(Unavailable("gone"), ZeroDivisionError("a defect")), asyncio.Event()

    async def look() -> None:
        if await work() == "answer":
            stop.set()

    async with asyncio.timeout(30):
        await repeatedly(look, stop, timers=WALL_TIMERS, every_seconds=0.001, what="looking")
    assert work.calls == 3
    said = logged(capsys)
    assert "Unavailable: gone" in said
    assert "a defect" in said, "with its traceback"


@pytest.mark.parametrize(("at_once", "looks"), [(True, 1), (False, 0)])
async def test_a_watch_looks_at_once_or_after_the_first_wait(at_once: bool, looks: int) -> None:
    work, stop = Failing(), asyncio.Event()
    watching = asyncio.create_task(
        repeatedly(work, stop, timers=WALL_TIMERS, every_seconds=3600, what="looking", at_once=at_once)
    )
    for _ in range(5):
        await asyncio.sleep(0)
    stop.set()
    await watching
    assert work.calls == looks
