"""The event loop of the drill: several processes, one simulated time, and a seed that says whose turn it is.

    something to do ─► one process, drawn ─► its oldest step        nothing to do ─► time goes on to what is due next

Within a process steps keep the order in which they were asked for, as in asyncio's own loop; between processes any
order may happen, as on a machine. No socket, no thread: what is handed to one is done at once. Invariants (tested): the
same seed and work give the same steps; a process that was killed does nothing more, and its `finally` blocks find
every door of it shut.
"""

import asyncio
from asyncio import events
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from services.cli.drill.simulation.draws import Draws
from services.cli.drill.simulation.process import LoopStep, SimulatedProcess
from services.cli.drill.simulation.turns import TurnsOfAsyncio
from tradebus.kernel.timers import SimulatedTimers

T = TypeVar("T")
_DRAIN_ROUNDS = 50
_DRAIN_STEPS = 100_000


class StandsStill(AssertionError):
    """Nobody has anything to do, and nothing is due."""


class SimulatedLoop(TurnsOfAsyncio):
    """`world` is the process of whoever plays the rest of the world, `died` hears of every process that was killed."""

    def __init__(self, *, seed: int, start_ns: int) -> None:
        super().__init__()
        self.machine = SimulatedTimers(start_ns)
        self.steps = 0
        self.died: Callable[[SimulatedProcess], None] = lambda process: None
        self._draws = Draws(seed, "turns")
        self._ready: list[SimulatedProcess] = []
        self._processes: list[SimulatedProcess] = []
        self.world = self.process("world")

    def process(self, name: str, *, skew_ns: int = 0) -> SimulatedProcess:
        """A new one."""
        self._processes.append(SimulatedProcess(name, self, skew_ns=skew_ns))
        return self._processes[-1]

    def spawn(self, process: SimulatedProcess, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Has the process do it, as a task."""
        task: asyncio.Task[T] = process.context.run(self.create_task, work)
        return task

    def play(self, work: Coroutine[Any, Any, T]) -> T:
        """Does all there is to do until `work`, the world's, is done; its result. Raises StandsStill."""
        before = events._get_running_loop()
        events._set_running_loop(self.as_asyncio)
        try:
            task = self.spawn(self.world, work)
            while not task.done():
                self._turn()
            return task.result()
        finally:
            self._end()
            events._set_running_loop(before)

    def post(self, process: SimulatedProcess, step: LoopStep) -> None:
        """The process has one thing more to do."""
        if not process.is_alive:
            return
        if not process.ready and not process.is_paused:
            self._ready.append(process)
        process.ready.append(step)

    def pause(self, process: SimulatedProcess) -> None:
        """SIGSTOP: what it has to do waits."""
        process.is_paused = True
        if process in self._ready:
            self._ready.remove(process)

    def go_on(self, process: SimulatedProcess) -> None:
        """SIGCONT."""
        if process.is_paused and process.is_alive:
            process.is_paused = False
            if process.ready:
                self._ready.append(process)

    def kill(self, process: SimulatedProcess) -> None:
        """SIGKILL: as soon as the step in hand is over."""
        if not process.is_doomed:
            process.is_doomed = True
            self.call_soon(partial(self._kill, process), context=self.world.context.copy())

    # inside

    def _turn(self) -> None:
        ready = self._ready
        if not ready:
            due_ns = self.machine.next_due_ns()
            if due_ns is None:
                raise StandsStill("nobody has anything to do, and nothing is due")
            self.machine.advance(due_ns)
            return
        place = self._draws.below(len(ready)) if len(ready) > 1 else 0
        process = ready[place]
        step = process.ready.popleft()
        if not process.ready:
            ready[place] = ready[-1]
            ready.pop()
        if step.call is not None:
            self.steps += 1
            step.context.run(step.call, *step.arguments)

    def _kill(self, process: SimulatedProcess) -> None:
        """Its doors are shut first; then it unwinds, alone and in no time."""
        if not process.is_alive:
            return
        process.is_alive = False
        if process in self._ready:
            self._ready.remove(process)
        self._unwind(process)
        process.is_paused = False
        self.died(process)

    def _unwind(self, process: SimulatedProcess) -> None:
        others, self._ready = self._ready, []
        process.is_alive, process.is_paused = True, False  # to the loop; its doors ask `is_doomed`
        for _ in range(_DRAIN_ROUNDS):
            waiting = [task for task in process.tasks.values() if not task.done()]
            if not waiting:
                break
            for task in waiting:
                process.context.copy().run(task.cancel)
            steps = 0
            while process.ready and steps < _DRAIN_STEPS:
                step = process.ready.popleft()
                steps += 1
                if step.call is not None:
                    step.context.run(step.call, *step.arguments)
        process.is_alive = False
        process.ready.clear()
        process.tasks.clear()
        for one in self._ready:  # whoever was woken by what was let go
            if one is not process and one not in others:
                others.append(one)
        self._ready = others

    def _end(self) -> None:
        """Nothing of the run is left to run, or to complain."""
        self.died = lambda process: None
        for process in self._processes:
            process.is_doomed = True
            self._unwind(process)
