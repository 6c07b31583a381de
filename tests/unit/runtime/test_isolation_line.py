"""What a file's process is asked while nobody waits: order, what is passed over, what is bounded, who is given up."""

import asyncio

import pytest

from tradebus.kernel.timers import SimulatedTimers
from tradebus.runtime.isolation.errands import Answers, Errand
from tradebus.runtime.isolation.limits import IsolationLimits
from tradebus.runtime.isolation.line import DeskLine

LIMITS = IsolationLimits(waiting_max=3, prompt_seconds=0.02, busy_window_seconds=60, busy_share_max=0.5)


class ScriptedEnd:
    """Answers when it is told to, each batch after so many seconds."""

    def __init__(self) -> None:
        self.timers = SimulatedTimers()
        self.line = DeskLine(self, name="mine", limits=LIMITS, timers=self.timers)
        self.ran: list[list[list[object]]] = []
        self.refusals: list[str] = []
        self.given_up: list[str] = []
        self.go = asyncio.Event()
        self.seconds = 0.001
        self.raises = False

    def pass_time(self, seconds: float) -> None:
        self.timers.advance(self.timers.now_ns() + round(seconds * 1e9))

    async def run(self, errand: Errand) -> Answers:
        await self.go.wait()
        if self.raises:
            raise ZeroDivisionError
        self.pass_time(self.seconds)
        self.ran.append(list(errand.steps))
        return Answers()

    def refused(self, errand: Errand, problem: str) -> Answers:
        self.refusals.append(problem)
        return Answers()

    async def give_up(self, problem: str) -> None:
        self.given_up.append(problem)


def errand(*steps: tuple[str, int, int]) -> Errand:
    """Of (kind, runner, what)."""
    made = Errand()
    made.steps = [list(step) for step in steps]
    return made


async def answered(*answers: "asyncio.Future[Answers]") -> None:
    async with asyncio.timeout(5):
        await asyncio.gather(*answers)


async def test_batches_are_answered_one_after_the_other_in_order() -> None:
    end = ScriptedEnd()
    waits = [end.line.put(errand(("candle", 1, number))) for number in range(3)]
    await asyncio.sleep(0)
    assert not any(one.done() for one in waits)
    end.go.set()
    await answered(*waits)
    assert end.ran == [[["candle", 1, number]] for number in range(3)]


async def test_ticks_that_wait_are_passed_over_for_the_newest_and_candles_are_not() -> None:
    end = ScriptedEnd()
    waits = [end.line.put(errand(("tick", 1, 0)))]
    await asyncio.sleep(0)  # that one is under way
    waits += [
        end.line.put(errand(("tick", 1, 1), ("tick", 2, 1))),
        end.line.put(errand(("candle", 1, 2))),
        end.line.put(errand(("tick", 1, 3))),
        end.line.put(errand(("tick", 1, 4), ("tick", 1, 5))),
    ]
    end.go.set()
    await answered(*waits)
    assert end.ran == [
        [["tick", 1, 0]],
        [["tick", 2, 1]],
        [["candle", 1, 2]],
        [["tick", 1, 4], ["tick", 1, 5]],
    ]
    assert end.line.passed_over == 2


async def test_too_many_that_wait_are_refused_before_the_next_is_asked() -> None:
    end = ScriptedEnd()
    waits = []
    for number in range(5):
        end.line.relieve()
        waits.append(end.line.put(errand(("candle", 1, number))))
        await asyncio.sleep(0)
    assert [one.done() for one in waits] == [False, True, True, True, False]
    assert end.refusals == ["its process is 3 batches behind: they are left out"] * 3
    end.go.set()
    await answered(*waits)
    assert end.ran == [[["candle", 1, 0]], [["candle", 1, 4]]]


@pytest.mark.parametrize(("seconds", "gives_up"), [(5.9, False), (6.1, True)])
async def test_who_is_busy_for_more_than_a_share_of_a_minute_is_given_up_with_the_reason(
    seconds: float, gives_up: bool
) -> None:
    end = ScriptedEnd()
    end.go.set()
    end.seconds = seconds
    for number in range(30):
        await answered(end.line.put(errand(("candle", 1, number))))
        end.pass_time(12 - seconds)
        if end.given_up:
            break
    assert bool(end.given_up) is gives_up
    if gives_up:
        assert end.given_up[0] == "its process was busy for 30.5 of 60 seconds; at most 50% are its share"


async def test_only_who_has_answered_at_once_is_worth_waiting_for() -> None:
    end = ScriptedEnd()
    assert end.line.is_prompt
    slow = end.line.put(errand(("candle", 1, 0)))
    assert not end.line.is_prompt
    end.seconds = 0.5
    end.go.set()
    await answered(slow)
    await asyncio.sleep(0)
    assert not end.line.is_prompt
    end.seconds = 0.001
    await answered(end.line.put(errand(("candle", 1, 1))))
    await asyncio.sleep(0)
    assert end.line.is_prompt


async def test_what_raises_is_told_to_who_waits_and_the_next_is_asked() -> None:
    end = ScriptedEnd()
    end.raises = True
    end.go.set()
    broken = end.line.put(errand(("candle", 1, 0)))
    await asyncio.wait([broken])
    assert isinstance(broken.exception(), ZeroDivisionError)
    end.raises = False
    await answered(end.line.put(errand(("candle", 1, 1))))


async def test_a_line_that_is_closed_answers_nothing_more() -> None:
    end = ScriptedEnd()
    waits = [end.line.put(errand(("candle", 1, number))) for number in range(2)]
    await asyncio.sleep(0)
    await end.line.close()
    assert all(one.cancelled() for one in waits)
