"""A session's strategy file and the processes that run it, one after the other where they end.

    start ─► ready ─► ends ─► waits (longer each time) ─► ready …        ends DEATHS_MAX times in a row ─► given up
                                                                         (`revive` begins again)

Invariants (tested with hostile files): while there is no process, every question is answered at once by why; a new
process begins with fresh instances, so that its runners are rebuilt from stored candles before they are asked.
"""

import asyncio

import structlog

from tradebus.contracts.sessions import StrategySpec
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.timers import Timers
from tradebus.runtime.isolation.errands import Answers, Errand
from tradebus.runtime.isolation.limits import IsolationLimits
from tradebus.runtime.isolation.line import DeskLine
from tradebus.runtime.isolation.process import ProcessEnded, StrategyProcess
from tradebus.runtime.isolation.wire import settled_from
from tradebus.strategies.info import StrategyInfo
from tradebus.waiting.timers import sleep

DEATHS_MAX = 3
_FIRST_WAIT_SECONDS = 1.0
_STEADY_ANSWERS = 500  # so many answered batches after a death, and it is forgotten
_log = structlog.get_logger()


class StrategyDesk:
    """One session's one strategy file."""

    def __init__(self, spec: StrategySpec, *, limits: IsolationLimits, timers: Timers) -> None:
        self._spec, self._limits, self._timers = spec, limits, timers
        self._process: StrategyProcess | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._problem = "its process is not started"
        self._deaths = self._answered = 0
        self._made: set[int] = set()  # the runners that have an instance in its process
        self.line = DeskLine(
            self, name=spec.path or spec.name, limits=limits, timers=timers
        )  # where nobody is to wait for it

    @property
    def given_up(self) -> str | None:
        """Why it is not started again, None while it is."""
        return self._problem if self._deaths >= DEATHS_MAX else None

    async def open(self) -> StrategyInfo:
        """Starts it. Raises InvalidInput where the file cannot trade, however it shows that."""
        try:
            self._process, info = await StrategyProcess.start(self._spec, self._limits)
        except ProcessEnded as error:
            raise InvalidInput(f"strategy file {self._spec.path}: its process {error}") from error
        return info

    async def run(self, errand: Errand) -> Answers:
        """Never raises for what the file does; who asked is rebuilt before the next question where its process is
        gone."""
        process, problem = self._process, self._problem
        if process is not None and not errand.needed <= self._made:
            return self.refused(errand, "its process was started again meanwhile")
        if process is not None:
            try:
                answers, failures = await process.ask(errand.steps)
            except ProcessEnded as error:
                self._ended(str(error))
                problem = self._problem
            else:
                self._steady()
                self._made |= errand.made
                settled = [
                    (one.place, settled_from(answer, one.ask, one.asking, paused=one.session.paused))
                    for one, answer in zip(errand.asked, answers, strict=True)
                ]
                told = [(errand.askings[runner], trace) for runner, trace in failures if runner in errand.askings]
                return Answers([(place, one) for place, one in settled if one is not None], told)
        return self.refused(errand, problem)

    def refused(self, errand: Errand, problem: str) -> Answers:
        """Every question answered by why nobody was asked; who asked begins anew."""
        for asking in errand.askings.values():
            asking.forget()
        unanswered = [(one.place, one.asking.refused(one.ask, problem)) for one in errand.asked]
        return Answers([(place, one) for place, one in unanswered if one is not None])

    async def give_up(self, problem: str) -> None:
        """Ends its process, and starts it no more until `revive`."""
        self._problem, self._deaths, self._answered = problem, DEATHS_MAX, 0
        _log.error("strategy process given up", path=self._spec.path, why=problem)
        process, self._process = self._process, None
        if process is not None:
            await process.end()

    def revive(self) -> None:
        """Begins again where it was given up."""
        if self.given_up is not None:
            self._deaths = 0
            self._restart(wait_seconds=0.0)

    async def close(self) -> None:
        """Ends its process; what was asked of it is not answered."""
        await self.line.close()
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)
        if self._process is not None:
            process, self._process = self._process, None
            await process.end()

    def _steady(self) -> None:
        self._answered += 1
        if self._answered >= _STEADY_ANSWERS:
            self._deaths = self._answered = 0

    def _ended(self, how: str) -> None:
        self._process, self._answered = None, 0
        self._deaths += 1
        times = "" if self._deaths == 1 else f" ({self._deaths} times in a row)"
        self._problem = f"its process {how}{times}"
        _log.error("strategy process ended", path=self._spec.path, how=how, deaths=self._deaths)
        if self.given_up is None:
            self._restart(wait_seconds=_FIRST_WAIT_SECONDS * 2 ** (self._deaths - 1))

    def _restart(self, *, wait_seconds: float) -> None:
        self._restarting = asyncio.create_task(self._start_after(wait_seconds))

    async def _start_after(self, wait_seconds: float) -> None:
        await sleep(self._timers, wait_seconds)
        try:
            process, _ = await StrategyProcess.start(self._spec, self._limits)
            self._process, self._made = process, set()
        except (ProcessEnded, InvalidInput) as error:
            self._ended(f"could not be started again: {error}")
