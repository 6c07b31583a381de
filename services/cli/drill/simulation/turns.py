"""What asyncio asks of an event loop, as far as the services ask it: futures, tasks, calls soon and later.

Hashes of futures and tasks are numbers of the loop's: sets of them are walked in the same order in every run.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from functools import partial
from typing import Any, cast

from services.cli.drill.simulation.process import CURRENT, LoopStep, SimulatedProcess
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import SimulatedTimers

_TASKS_KEPT = 512  # of a process, before those that are done are forgotten


class SimulatedFuture(asyncio.Future[Any]):
    """Numbered."""

    def __init__(self, *, loop: "TurnsOfAsyncio") -> None:
        self._number = loop.next_number()
        super().__init__(loop=loop.as_asyncio)

    def __hash__(self) -> int:
        return self._number


class SimulatedTask(asyncio.Task[Any]):
    """Numbered."""

    def __init__(self, work: Coroutine[Any, Any, Any], *, loop: "TurnsOfAsyncio", **options: Any) -> None:
        self._number = loop.next_number()
        super().__init__(work, loop=loop.as_asyncio, **options)

    def __hash__(self) -> int:
        return self._number


class TurnsOfAsyncio(ABC):
    """The half of the loop that asyncio sees. `world` is the process of whatever belongs to no other."""

    machine: SimulatedTimers
    world: SimulatedProcess

    def __init__(self) -> None:
        self.problems: list[dict[str, Any]] = []
        self._numbers = 0

    @property
    def as_asyncio(self) -> asyncio.AbstractEventLoop:
        """Itself, where asyncio's own type is asked for."""
        return cast(asyncio.AbstractEventLoop, self)

    def next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    @abstractmethod
    def post(self, process: SimulatedProcess, step: LoopStep) -> None:
        """The process has one thing more to do."""

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Any:
        context = copy_context() if context is None else context
        step = LoopStep(callback, args, context)
        self.post(context.get(CURRENT, self.world), step)
        return step

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Any:
        context = copy_context() if context is None else context
        step = LoopStep(callback, args, context)
        process = context.get(CURRENT, self.world)
        self.machine.after(delay, partial(self.post, process, step))
        return step

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Any:
        return self.call_later(when - self.time(), callback, *args, context=context)

    def time(self) -> float:
        return self.machine.monotonic_ns() / NANOSECONDS_PER_SECOND

    def create_future(self) -> "asyncio.Future[Any]":
        return SimulatedFuture(loop=self)

    def create_task(self, coro: Any, **options: Any) -> Any:
        context = options.get("context")
        process = (copy_context() if context is None else context).get(CURRENT, self.world)
        task = SimulatedTask(coro, loop=self, **options)
        if len(process.tasks) >= _TASKS_KEPT:
            process.tasks = {number: one for number, one in process.tasks.items() if not one.done()}
        process.tasks[hash(task)] = task
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever awaits it hears of it
            done.set_exception(error)
        return done

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.problems.append(context)
