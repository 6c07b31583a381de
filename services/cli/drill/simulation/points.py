"""Where a process may die, and whether it does: at every commit, request, answer and publish of it.

work ─► point ─┬─ goes on
               └─ the run's plan strikes here ─► killed, and never comes back from it
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from services.cli.drill.simulation.process import CURRENT, SimulatedProcess

# What a process does at a point, in the order in which it comes to them.
COMMITTING, COMMITTED, ASKING, ANSWERED, PUBLISHING, ACKNOWLEDGING = (
    "before a commit", "after a commit", "before a request leaves", "before its answer is read", "before a publish",
    "before an acknowledgement",
)  # fmt: skip
POINTS = (COMMITTING, COMMITTED, ASKING, ANSWERED, PUBLISHING, ACKNOWLEDGING)


@dataclass(frozen=True, slots=True)
class Strike:
    """The process is killed when it comes to a point for the `number`-th time in the run, its lives counted through;
    with `words`, for the `number`-th time about something that has these words. With `stopped_seconds` it stands still
    for so long instead (SIGSTOP), and goes on where it was."""

    process: str
    point: str
    number: int
    words: str = ""
    stopped_seconds: float = 0.0


class CrashPoints:
    """Of one run. `told` hears of each strike; `stopped_ns` are the spans in which a process stood still by one, by its
    name in all its lives."""

    def __init__(self, strikes: tuple[Strike, ...], told: Callable[[str], None]) -> None:
        self._strikes = {(one.process, one.point, one.number): one for one in strikes if not one.words}
        self._worded = [one for one in strikes if one.words]
        self._told = told
        self.reached: Counter[tuple[str, str]] = Counter()
        self.stopped_ns: dict[str, list[list[int]]] = {}
        self._is_closed = False

    def close(self) -> None:
        """Nobody dies any more."""
        self._is_closed = True

    async def at(self, point: str, about: str = "") -> None:
        """The process that runs comes to a point of its."""
        if self._is_closed:
            return
        process = CURRENT.get()
        strike = self._strike(kind_of(process), point, about)
        if strike is None or process.is_doomed:
            return
        where = f"{point}{about and f' ({about})'}"
        if strike.stopped_seconds:
            self._told(f"{process.name} stands still for {strike.stopped_seconds:.1f} s {where}")
            await self._stand_still(process, strike.stopped_seconds)
            return
        self._told(f"{process.name} is killed {where}")
        process.loop.kill(process)
        await asyncio.get_running_loop().create_future()

    def _strike(self, kind: str, point: str, about: str) -> Strike | None:
        self.reached[kind, point] += 1
        found = self._strikes.get((kind, point, self.reached[kind, point]))
        for one in self._worded:
            if (one.process, one.point) == (kind, point) and one.words in about:
                self.reached[kind, one.words] += 1
                found = one if self.reached[kind, one.words] == one.number else found
        return found

    async def _stand_still(self, process: SimulatedProcess, seconds: float) -> None:
        machine = process.loop.machine
        span = [machine.now_ns()]
        self.stopped_ns.setdefault(kind_of(process), []).append(span)

        def go_on() -> None:
            span.append(machine.now_ns())
            self._told(f"{process.name} goes on")
            process.loop.go_on(process)

        process.loop.pause(process)
        process.loop.world.timers.after(seconds, go_on)
        await asyncio.sleep(0)


def kind_of(process: SimulatedProcess) -> str:
    """The name without the number of its life: "execution-1" of "execution-1#3"."""
    return process.name.partition("#")[0]
