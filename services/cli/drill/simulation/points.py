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
    with `words`, for the `number`-th time about something that has these words."""

    process: str
    point: str
    number: int
    words: str = ""


class CrashPoints:
    """Of one run. `told` hears of each strike."""

    def __init__(self, strikes: tuple[Strike, ...], told: Callable[[str], None]) -> None:
        self._strikes = {(one.process, one.point, one.number) for one in strikes if not one.words}
        self._worded = [one for one in strikes if one.words]
        self._told = told
        self.reached: Counter[tuple[str, str]] = Counter()
        self.struck = 0
        self._is_closed = False

    def close(self) -> None:
        """Nobody dies any more."""
        self._is_closed = True

    async def at(self, point: str, about: str = "") -> None:
        """The process that runs comes to a point of its."""
        process = CURRENT.get()
        kind = kind_of(process)
        if self._is_closed:
            return
        self.reached[kind, point] += 1
        strikes = (kind, point, self.reached[kind, point]) in self._strikes
        for one in self._worded:
            if (one.process, one.point) == (kind, point) and one.words in about:
                self.reached[kind, one.words] += 1
                strikes = strikes or self.reached[kind, one.words] == one.number
        if not strikes or process.is_doomed:
            return
        self.struck += 1
        self._told(f"{process.name} is killed {point}{about and f' ({about})'}")
        process.loop.kill(process)
        await asyncio.get_running_loop().create_future()


def kind_of(process: SimulatedProcess) -> str:
    """The name without the number of its life: "execution-1" of "execution-1#3"."""
    return process.name.partition("#")[0]
