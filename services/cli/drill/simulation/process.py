"""One simulated process: what it has to do next, in its own order, and its own timers.

alive ─┬─ paused (SIGSTOP) ─► alive          alive ─► dead (SIGKILL): nothing of it runs any more, no `finally` acts
       └─ doomed: killed as soon as the step in hand is over
"""

from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import SimulatedTimers, Timer

if TYPE_CHECKING:
    import asyncio

    from services.cli.drill.simulation.loop import SimulatedLoop

CURRENT: ContextVar["SimulatedProcess"] = ContextVar("simulated_process")


class LoopStep:
    """One call that waits for its turn. Part of an `asyncio.Handle`."""

    __slots__ = ("arguments", "call", "context")

    def __init__(self, call: Callable[..., Any], arguments: tuple[Any, ...], context: Context) -> None:
        self.call: Callable[..., Any] | None = call
        self.arguments, self.context = arguments, context

    def cancel(self) -> None:
        self.call, self.arguments = None, ()

    def cancelled(self) -> bool:
        return self.call is None


class SimulatedProcess:
    """Made by the loop. `skew_ns` is how far its clock is ahead of the world's."""

    def __init__(self, name: str, loop: "SimulatedLoop", *, skew_ns: int = 0) -> None:
        self.name, self.loop = name, loop
        self.ready: deque[LoopStep] = deque()
        self.is_alive, self.is_paused, self.is_doomed = True, False, False
        self.tasks: dict[int, asyncio.Task[Any]] = {}
        self.context = copy_context()
        self.context.run(CURRENT.set, self)
        self.timers = ProcessTimers(self, loop.machine, skew_ns=skew_ns)

    def post(self, step: LoopStep) -> None:
        """It has this to do, after all it has to do already."""
        self.loop.post(self, step)


class _ProcessTimer:
    """One call that is due, and that may be cancelled until it is made."""

    __slots__ = ("step", "timer")

    def __init__(self, step: LoopStep) -> None:
        self.step = step
        self.timer: Timer | None = None

    def cancel(self) -> None:
        self.step.cancel()
        if self.timer is not None:
            self.timer.cancel()


class ProcessTimers:
    """See `tradebus.kernel.timers.Timers`. What is due is the process's to do, when its turn comes."""

    def __init__(self, process: SimulatedProcess, machine: SimulatedTimers, *, skew_ns: int) -> None:
        self._process, self._machine, self._skew_ns = process, machine, skew_ns

    def now_ns(self) -> int:
        return self._machine.now_ns() + self._skew_ns

    def monotonic_ns(self) -> int:
        return self._machine.monotonic_ns()

    def at(self, due_ns: int, call: Callable[[], None]) -> Timer:
        step = LoopStep(call, (), self._process.context.copy())
        timer = _ProcessTimer(step)
        timer.timer = self._machine.at(due_ns - self._skew_ns, partial(self._process.post, step))
        return timer

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        return self.at(self.now_ns() + round(seconds * NANOSECONDS_PER_SECOND), call)
