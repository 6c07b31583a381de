"""What a consumer does between entries: chores every so often, jobs that were posted."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import structlog

from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.runtime.consuming.handling import reason_of
from tradebus.runtime.metrics import ConsumerMetrics
from tradebus.runtime.patience import PASSING, patiently

Job = Callable[[], Awaitable[object]]
_log = structlog.get_logger()


@dataclass(slots=True)
class _Chore:
    name: str
    work: Job
    before: Job | None
    every_ns: int
    due_ns: int


class Chores:
    """`spoilt` is called after one that failed otherwise than by a server's absence."""

    def __init__(
        self, consumer: str, *, timers: Timers, metrics: ConsumerMetrics, turn: asyncio.Lock,
        spoilt: Callable[[], None],
    ) -> None:  # fmt: skip
        self._consumer, self._timers, self._metrics, self._turn, self._spoilt = consumer, timers, metrics, turn, spoilt
        self._chores: list[_Chore] = []
        self._jobs: deque[Job] = deque()

    def every(self, seconds: float, work: Job, *, name: str, before: Job | None = None) -> None:
        every_ns = round(seconds * NANOSECONDS_PER_SECOND)
        self._chores.append(_Chore(name, work, before, every_ns, self._timers.monotonic_ns() + every_ns))

    def post(self, job: Job) -> None:
        self._jobs.append(job)

    @property
    def has_jobs(self) -> bool:
        return bool(self._jobs)

    def left_ms(self, at_most: int) -> int:
        """Milliseconds until the next chore is due, rounded up."""
        if not self._chores:
            return at_most
        left_ns = min(chore.due_ns for chore in self._chores) - self._timers.monotonic_ns()
        return max(0, min(at_most, -(-left_ns // 1_000_000)))

    async def do_due(self, stop: asyncio.Event) -> bool:
        """Does what is due; whether there was anything. A job waits for servers, a chore for its next time."""
        did = False
        while self._jobs and not stop.is_set():
            job = self._jobs[0]
            did = True
            await self._do("job", partial(patiently, job, stop, timers=self._timers, what="a job"))
            if not stop.is_set():
                self._jobs.popleft()
        if not self._chores:
            return did
        now_ns = self._timers.monotonic_ns()
        for chore in self._chores:
            if chore.due_ns <= now_ns and not stop.is_set():
                did = True
                await self._do(chore.name, chore.work, before=chore.before)
                chore.due_ns = self._timers.monotonic_ns() + chore.every_ns
        return did

    async def _do(self, name: str, work: Job, *, before: Job | None = None) -> None:
        try:
            if before is not None:
                await before()
            async with self._turn:
                await work()
            self._metrics.chores_done.labels(self._consumer, name).inc()
        except PASSING as error:
            _log.warning("chore failed, doing it again", consumer=self._consumer, chore=name, problem=reason_of(error))
        except Exception as error:  # noqa: BLE001 - a chore that fails does not end the service
            self._metrics.chores_failed.labels(self._consumer, name).inc()
            _log.error("chore failed", consumer=self._consumer, chore=name, exc_info=error)
            self._spoilt()
