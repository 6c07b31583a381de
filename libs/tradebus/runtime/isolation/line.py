"""What a strategy file's process is asked while nobody waits for it: batch after batch, one under way.

    put ─► waiting, in order ─► under way ─► answered         ticks that wait and are older than the newest: passed over
                 └─ too many ─► all refused, begun anew        busy for too much of the time ─► given up, as if it died

Invariants (tested): answers come in the order of the questions; what waits is bounded; a file that is slow holds up its
own answers and nobody else's.
"""

import asyncio
from collections import deque
from typing import Protocol

import structlog

from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.runtime.isolation.errands import Answers, Errand
from tradebus.runtime.isolation.limits import IsolationLimits

_log = structlog.get_logger()


class LineEnd(Protocol):
    """Who answers: `StrategyDesk`."""

    async def run(self, errand: Errand) -> Answers: ...

    def refused(self, errand: Errand, problem: str) -> Answers: ...

    async def give_up(self, problem: str) -> None: ...


class DeskLine:
    """`name` is said in the log."""

    def __init__(self, end: LineEnd, *, name: str, limits: IsolationLimits, timers: Timers) -> None:
        self._name = {"strategy": name}
        self._end, self._limits, self._timers = end, limits, timers
        self._waiting: deque[tuple[Errand, asyncio.Future[Answers]]] = deque()
        self._working: asyncio.Task[None] | None = None
        self._spans: deque[tuple[int, int]] = deque()  # when a batch ended, and how long it took, nanoseconds
        self._last_ns = 0  # how long the last one took
        self.passed_over = 0  # ticks that nobody was asked about

    @property
    def is_prompt(self) -> bool:
        """Whether nothing is under way, and the last answers came at once: then the next are worth a short wait."""
        return not self._is_working and self._last_ns <= self._limits.prompt_seconds * NANOSECONDS_PER_SECOND

    def relieve(self) -> None:
        """Before a question is made: where too many wait, they are refused, and who asked them begins anew."""
        if len(self._waiting) < self._limits.waiting_max:
            return
        problem = f"its process is {len(self._waiting)} batches behind: they are left out"
        _log.error("strategy left behind", batches=len(self._waiting), **self._name)
        waiting, self._waiting = self._waiting, deque()
        for errand, answered in waiting:
            if not answered.done():
                answered.set_result(self._end.refused(errand, problem))

    def put(self, errand: Errand) -> "asyncio.Future[Answers]":
        """Has it answered after what waits already. Cancelled where the line is closed first."""
        answered: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        self._pass_over(errand)
        self._waiting.append((errand, answered))
        if not self._is_working:
            self._working = asyncio.create_task(self._work())
        return answered

    async def close(self) -> None:
        """Nothing more is answered."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)
        while self._waiting:
            self._waiting.popleft()[1].cancel()

    @property
    def _is_working(self) -> bool:
        return self._working is not None and not self._working.done()

    def _pass_over(self, newest: Errand) -> None:
        """A tick says more than those before it that nobody was asked about yet."""
        runners = newest.ticked
        if not runners:
            return
        kept: deque[tuple[Errand, asyncio.Future[Answers]]] = deque()
        passed_over = 0
        for errand, answered in self._waiting:
            passed_over += errand.leave_ticks_out(runners)
            if errand.steps:
                kept.append((errand, answered))
            elif not answered.done():
                answered.set_result(Answers())
        self._waiting = kept
        if passed_over:
            before, self.passed_over = self.passed_over, self.passed_over + passed_over
            if not before or len(str(before)) < len(str(self.passed_over)):  # at 1, 10, 100 …
                _log.warning(
                    "ticks are passed over: a strategy file is slower than they come", ticks=self.passed_over,
                    **self._name,
                )  # fmt: skip

    async def _work(self) -> None:
        while self._waiting:
            errand, answered = self._waiting.popleft()
            try:
                answers = await self._measured(errand)
            except Exception as error:  # noqa: BLE001 - whoever waits for the answers hears of it
                if not answered.done():
                    answered.set_exception(error)
            except BaseException:
                answered.cancel()
                raise
            else:
                if not answered.done():
                    answered.set_result(answers)

    async def _measured(self, errand: Errand) -> Answers:
        began_ns = self._timers.monotonic_ns()
        answers = await self._end.run(errand)
        now_ns = self._timers.monotonic_ns()
        self._last_ns = now_ns - began_ns
        self._spans.append((now_ns, self._last_ns))
        window_ns = round(self._limits.busy_window_seconds * NANOSECONDS_PER_SECOND)
        while self._spans[0][0] <= now_ns - window_ns:
            self._spans.popleft()
        busy_ns = sum(span_ns for _, span_ns in self._spans)
        if busy_ns > self._limits.busy_share_max * window_ns:
            self._spans.clear()
            await self._end.give_up(
                f"its process was busy for {busy_ns / 1e9:.3g} of {self._limits.busy_window_seconds:g} seconds; "
                f"at most {self._limits.busy_share_max:.0%} are its share"
            )
        return answers
