"""Postgres of the drill: the twin, whose transactions take time, and whose clients may die around each commit."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import islice

from services.cli.drill.simulation.draws import Draws
from services.cli.drill.simulation.points import COMMITTED, COMMITTING, CrashPoints
from services.cli.drill.simulation.process import SimulatedProcess
from tradebus.contracts.base import Message
from tradebus.kernel.errors import Unavailable
from tradebus.store.memory_book import EVENTS, MemoryBook, MemoryDatabase, MemoryTransaction
from tradebus.waiting.timers import sleep

_TRIP_SECONDS = (0.000_2, 0.002)
_COMMIT_SECONDS = (0.000_5, 0.004)
_SLOW_COMMIT = 0.01  # so many commits take a hundred times as long


class DrilledBook(MemoryBook):
    """One process's door. `process` is whose; a door of a dead process is shut."""

    def __init__(
        self, database: MemoryDatabase, *, producer: str, process: SimulatedProcess, points: CrashPoints, draws: Draws,
        told: Callable[[str], None],
    ) -> None:  # fmt: skip
        super().__init__(database, producer=producer, timers=process.loop.world.timers)
        self._process, self._points, self._draws, self._told = process, points, draws, told

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[MemoryTransaction]:
        self._check_door()
        timers = self._process.timers
        await sleep(timers, self._draws.between(*_TRIP_SECONDS))
        async with super().begin() as transaction:
            yield transaction
            about = ", ".join(transaction.written)
            await self._points.at(COMMITTING, about)
            seconds = self._draws.between(*_COMMIT_SECONDS)
            await sleep(timers, seconds * 100 if self._draws.chance(_SLOW_COMMIT) else seconds)
            self._check_door()
            before = len(self.database.table(EVENTS))
        for event in islice(self.database.table(EVENTS).values(), before, None):
            self._told(f"{self._process.name} commits {_in_words(event.message)}")
        await self._points.at(COMMITTED, about)

    def _check_door(self) -> None:
        if self._process.is_doomed:
            raise Unavailable("the process is dead")


def _in_words(message: Message) -> str:
    words = [message.TYPE]
    for name in ("role", "symbol", "tag", "reason", "differences"):
        found = getattr(message, name, None)
        if found:
            words.append(str(found))
    return " ".join(words)
