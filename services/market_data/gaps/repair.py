"""Fills what is missing from the broker's history, beside the feed: no tick waits for it.

    ask(job) ─► one instrument after the other: history ─► restore (book, streams) ─► all there? told, gap filled
                   └ no answer, or nothing yet: later again, for as long as it takes

Jobs of gaps come before a warm-up, between two instruments of one too. Invariants (tested): a job is never given up;
what one instrument's history refuses keeps no other instrument waiting; a gap is filled only when every instrument is.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import structlog

from services.market_data.gaps.gap import Gap, recovered_message, restored_message
from services.market_data.gaps.ledger import GapLedger
from tradebus.brokers.errors import BrokerError
from tradebus.contracts.records import Records
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import sleep

_SLOWEST_SECONDS = 60.0
# A minute is in a broker's history a little after it has ended; one without any trade never is.
_EMPTY_ANSWERS_MAX = 5
_log = structlog.get_logger()


class Restored(NamedTuple):
    """What came of candles that were handed over: how many there were, how many of them corrected something."""

    candles: int
    corrected: int


class HistorySource(Protocol):
    """Where minutes that were missed can be had."""

    async def history(self, instrument: int, *, from_ns: int, to_ns: int) -> Records:
        """One-minute CANDLE records of [from_ns, to_ns), ascending, of one instrument. Raises BrokerError."""


Restore = Callable[[Records], Awaitable[Restored]]


@dataclass(slots=True)
class RepairJob:
    """Minutes [from_ns, to_ns) of some instruments (symbols by id), to be read from `due_ns` of monotonic time on."""

    symbols: Mapping[int, str]
    from_ns: int
    to_ns: int
    reason: str
    due_ns: int
    gap: Gap | None = None
    candles: int = 0
    corrected: int = 0
    attempts: int = 0
    left: deque[int] = field(init=False)
    again: list[int] = field(init=False, default_factory=list)
    problem: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self.left = deque(self.symbols)


class Repairs:
    """`now_ns` is the market's clock, `timers` are the machine's; `retry_seconds` the first pause after a failure."""

    def __init__(
        self, source: HistorySource, restore: Restore, ledger: GapLedger, *, broker: str, retry_seconds: float,
        now_ns: Callable[[], int], timers: Timers,
    ) -> None:  # fmt: skip
        self._source, self._restore, self._ledger = source, restore, ledger
        self._broker, self._retry_seconds = broker, retry_seconds
        self._now_ns, self._timers = now_ns, timers
        self._jobs: list[RepairJob] = []
        self._asked = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Jobs that are not done."""
        return len(self._jobs)

    def ask(self, job: RepairJob) -> None:
        self._jobs.append(job)
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            job = self._next()
            if job is None:
                await self._wait()
            else:
                await self._step(job)

    def _next(self) -> RepairJob | None:
        """The job to go on with: those of gaps first, then in the order asked."""
        due = [job for job in self._jobs if job.due_ns <= self._timers.monotonic_ns()]
        return min(due, key=lambda job: job.gap is None, default=None)

    async def _wait(self) -> None:
        self._asked.clear()
        due_ns = min((job.due_ns for job in self._jobs), default=None)
        if due_ns is None:
            await self._asked.wait()
            return
        seconds = max(0.0, (due_ns - self._timers.monotonic_ns()) / NANOSECONDS_PER_SECOND)
        await sleep(self._timers, seconds, unless=self._asked)

    async def _step(self, job: RepairJob) -> None:
        """One instrument's history; what it came to where that was the last one."""
        if job.left:
            instrument = job.left.popleft()
            try:
                candles = await self._source.history(instrument, from_ns=job.from_ns, to_ns=job.to_ns)
            except BrokerError as error:
                job.problem = str(error)
                job.again.append(instrument)
            else:
                restored = await self._restore(candles)
                job.candles += restored.candles
                job.corrected += restored.corrected
        if job.left:
            return
        if not job.again and self._may_be_late(job):
            job.problem = "the broker's history has nothing of these minutes yet"
            job.again = list(job.symbols)
        if job.again:
            await self._later(job)
        else:
            await self._done(job)

    def _may_be_late(self, job: RepairJob) -> bool:
        return job.gap is not None and not job.candles and job.attempts < _EMPTY_ANSWERS_MAX

    async def _later(self, job: RepairJob) -> None:
        pause = min(self._retry_seconds * 2**job.attempts, _SLOWEST_SECONDS)
        _log.warning(
            "history is not there, trying again", reason=job.reason, instruments=len(job.again), problem=job.problem,
            seconds=pause,
        )  # fmt: skip
        job.attempts += 1
        job.left, job.again = deque(job.again), []
        job.due_ns = self._timers.monotonic_ns() + int(pause * NANOSECONDS_PER_SECOND)
        if job.gap is not None:
            job.gap = job.gap.failed(job.problem)
            await self._ledger.put(job.gap)

    async def _done(self, job: RepairJob) -> None:
        now_ns = self._now_ns()
        told = restored_message(
            broker=self._broker, symbols=job.symbols, from_ns=job.from_ns, to_ns=job.to_ns, candles=job.candles,
            corrected=job.corrected, reason=job.reason, now_ns=now_ns,
        )  # fmt: skip
        if job.gap is None:
            await self._ledger.put(None, told)
        else:
            gap = replace(job.gap, filled_ns=now_ns, candles_corrected=job.corrected)
            recovered = [recovered_message(gap, now_ns=now_ns)] if gap.announced else []
            await self._ledger.put(gap, told, *recovered)
        self._jobs.remove(job)
        _log.info(
            "history has been read", reason=job.reason, instruments=len(job.symbols), candles=job.candles,
            corrected=job.corrected,
        )  # fmt: skip
