"""Simulated timers: what is due, in order, at its own time."""

from hypothesis import given
from hypothesis import strategies as st

from tradebus.kernel.timers import SimulatedTimers


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=30), st.lists(st.integers(0, 60), max_size=10))
def test_calls_come_in_order_each_once_at_its_time_unless_cancelled(
    asked: list[tuple[int, bool]], moves: list[int]
) -> None:
    timers = SimulatedTimers()
    came: list[tuple[int, int]] = []
    cancelled = set()
    for number, (due_ns, is_cancelled) in enumerate(asked):
        timer = timers.at(due_ns, lambda number=number: came.append((timers.now_ns(), number)))  # type: ignore[misc]
        if is_cancelled:
            timer.cancel()
            cancelled.add(number)
    for to_ns in moves:
        timers.advance(to_ns)
    wanted = sorted(
        (due_ns, number)
        for number, (due_ns, _) in enumerate(asked)
        if number not in cancelled and moves and due_ns <= max(moves)
    )
    assert came == wanted


def test_a_call_may_ask_for_another_that_is_due_on_the_way() -> None:
    timers = SimulatedTimers(100)
    came: list[int] = []

    def again() -> None:
        came.append(timers.now_ns())
        if len(came) < 5:
            timers.after(1e-8, again)

    timers.at(105, again)
    timers.advance(130)
    assert came == [105, 115, 125]
    assert (timers.now_ns(), timers.monotonic_ns(), timers.next_due_ns()) == (130, 30, 135)
    timers.advance(120)
    assert timers.now_ns() == 130


def test_what_was_due_before_it_was_asked_for_comes_with_the_next_move_and_not_within_the_call() -> None:
    timers = SimulatedTimers(100)
    came: list[int] = []
    timers.at(50, lambda: came.append(timers.now_ns()))
    assert came == []
    timers.advance(100)
    assert came == [100]
