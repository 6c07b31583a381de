"""The processes of users' strategy files: which runner is asked in which.

A session's file has one process, whatever symbols it trades; built-in and installed strategies run in this one.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from tradebus.contracts.sessions import SessionSpec
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.timers import Timers
from tradebus.runtime.isolation.desk import StrategyDesk
from tradebus.runtime.isolation.errands import Answers
from tradebus.runtime.isolation.limits import IsolationLimits
from tradebus.strategies.info import StrategyInfo
from tradebus.strategies.lane.runner import Runner
from tradebus.strategies.lane.sessions import Found, found_class, found_here
from tradebus.strategies.lane.shared import SharedLane
from tradebus.strategies.protocol import Strategy
from tradebus.waiting.timers import deadline

StrategyPlace = tuple[str, str]  # session, strategy


class Desks:
    """Those of every session."""

    def __init__(self, *, limits: IsolationLimits, timers: Timers, lane: SharedLane) -> None:
        self._limits, self._timers, self._lane = limits, timers, lane
        self._desks: dict[StrategyPlace, StrategyDesk] = {}

    async def open(self, spec: SessionSpec) -> dict[int, Found]:
        """Starts a process for each strategy file of the session; what each strategy of it is, by its place in the
        spec. Raises InvalidInput where one cannot trade, with none of them left running."""
        found: dict[int, Found] = {}
        opened: list[StrategyDesk] = []
        try:
            for number, wanted in enumerate(spec.strategies):
                if wanted.path is None:
                    found[number] = found_here(wanted, self._lane)
                    continue
                desk = StrategyDesk(wanted, limits=self._limits, timers=self._timers)
                opened.append(desk)
                info = await desk.open()
                found[number] = found_class(info, _elsewhere)
                self._take(spec, info, desk)
        except BaseException:
            for desk in opened:
                await desk.close()
            await self.close(spec.session_id)
            raise
        return found

    def of(self, runner: Runner) -> StrategyDesk | None:
        """Where the runner's strategy is asked; None for here."""
        if not self._desks:
            return None
        key = runner.source.key
        return self._desks.get((key.session_id, key.strategy))

    def owner(self, desk: StrategyDesk) -> str:
        """The session whose file it is."""
        return next(session_id for (session_id, _), one in self._desks.items() if one is desk)

    def all(self) -> list[StrategyDesk]:
        return list(self._desks.values())

    async def wait_for(self, answers: "Sequence[asyncio.Future[Answers]]") -> None:
        """Until all are there, or the moment is over for which prompt ones are waited for."""
        if answers:
            with contextlib.suppress(TimeoutError):
                async with deadline(self._timers, self._limits.prompt_seconds):
                    await asyncio.wait(answers)

    def given_up(self, session_id: str) -> list[tuple[str, str]]:
        """(strategy, why) of the session's files that keep dying."""
        return [
            (strategy, desk.given_up)
            for (owner, strategy), desk in self._desks.items()
            if owner == session_id and desk.given_up is not None
        ]

    def revive(self, session_id: str) -> None:
        """Tries those again that were given up."""
        for (owner, _), desk in self._desks.items():
            if owner == session_id:
                desk.revive()

    async def close(self, session_id: str | None = None) -> None:
        """Ends the session's processes; all, without one."""
        for place in [place for place in self._desks if session_id in (None, place[0])]:
            await self._desks.pop(place).close()

    def _take(self, spec: SessionSpec, info: StrategyInfo, desk: StrategyDesk) -> None:
        if (spec.session_id, info.name) in self._desks:
            raise InvalidInput(f"strategy {info.name!r} stands twice in session {spec.session_id}; keep one")
        self._desks[(spec.session_id, info.name)] = desk


def _elsewhere() -> Strategy[Any]:
    raise RuntimeError("a strategy file runs in a process of its own")
