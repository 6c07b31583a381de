"""An entry is asked for while it is stored, so that the answer is there when it is to leave."""

import asyncio

from testkit.sender_desk import Counting, Desk, limit
from testkit.simulated import passes

from tradebus.execution.governor.budget import Admission, OrderAsk


async def test_an_entry_is_asked_for_while_it_is_stored_and_leaves_without_another_question():
    desk = Desk()
    running = asyncio.create_task(desk.sender.run())
    coming = desk.foreseen("e0")
    await passes(desk.timers, 0.002)
    assert desk.pacing.asked == ["ENTRY"]
    assert desk.sent == [], "it is not stored"
    desk.store(coming)
    await passes(desk.timers, 0.0)
    assert desk.sent == ["e0"]
    assert desk.pacing.asked == ["ENTRY"]
    running.cancel()


async def test_one_answer_lets_one_entry_out():
    desk = Desk(limit(1, 2, 0))
    running = asyncio.create_task(desk.sender.run())
    coming = [desk.foreseen(f"e{number}") for number in range(5)]
    for one in coming:
        desk.store(one)
    await passes(desk.timers, 0.1)
    assert desk.sent == ["e0", "e1"], "what the budget has, and no more"
    running.cancel()


async def test_an_exit_that_comes_first_uses_what_an_entry_was_let_out_with():
    desk = Desk(limit(1, 2, 1))
    running = asyncio.create_task(desk.sender.run())
    coming = desk.foreseen("e0")
    await passes(desk.timers, 0.001)
    desk.exit("x")
    await passes(desk.timers, 0.0)
    assert desk.sent == ["x"]
    assert desk.pacing.asked == ["ENTRY"], "counted alike"
    desk.store(coming)
    await passes(desk.timers, 0.1)
    assert desk.sent == ["x"], "the exit has used it up"
    await passes(desk.timers, 2.0)
    assert desk.sent == ["x", "e0"]
    running.cancel()


async def test_what_an_entry_is_told_to_wait_holds_up_no_exit():
    desk = Desk(limit(1, 2, 1))
    running = asyncio.create_task(desk.sender.run())
    desk.entry("e0")
    await passes(desk.timers, 0.0)
    desk.foreseen("e1")
    await passes(desk.timers, 0.001)
    desk.exit("x")
    await passes(desk.timers, 0.0)
    assert desk.sent == ["e0", "x"]
    assert desk.pacing.asked == ["ENTRY", "ENTRY", "EXIT"]
    running.cancel()


async def test_an_answer_that_has_grown_old_is_not_used():
    desk = Desk()
    running = asyncio.create_task(desk.sender.run())
    coming = desk.foreseen("e0")
    await passes(desk.timers, 0.2)
    desk.store(coming)
    await passes(desk.timers, 0.0)
    assert desk.sent == ["e0"]
    assert desk.pacing.asked == ["ENTRY", "ENTRY"], "its second may be over"
    running.cancel()


async def test_nothing_is_foreseen_while_something_waits():
    desk = Desk(limit(1, 1, 0))
    running = asyncio.create_task(desk.sender.run())
    desk.entry("e0")
    desk.entry("e1")
    await passes(desk.timers, 0.0)
    asked = list(desk.pacing.asked)
    desk.foreseen("e2")
    await passes(desk.timers, 0.0)
    assert desk.pacing.asked == asked, "e1 comes first"
    running.cancel()


class Failing(Counting):
    async def admit(self, account: str, ask: OrderAsk, *, more: int = 0) -> Admission:
        raise ZeroDivisionError("a defect of the governor")


async def test_a_governor_that_fails_ahead_keeps_the_entry_and_lets_an_exit_out():
    desk = Desk()
    desk.pacing = Failing(desk.timers)
    desk.sender = desk.made()
    running = asyncio.create_task(desk.sender.run())
    desk.store(desk.foreseen("e0"))
    desk.exit("x")
    await passes(desk.timers, 0.1)
    assert desk.sent == ["x"]
    assert "governor" in desk.sender.trouble.problem
    running.cancel()


async def test_a_sender_that_ends_takes_its_question_with_it():
    desk = Desk()
    running = asyncio.create_task(desk.sender.run())
    await passes(desk.timers, 0.0)
    before = asyncio.all_tasks()
    desk.foreseen("e0")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await passes(desk.timers, 0.0)
    assert asyncio.all_tasks() <= before
