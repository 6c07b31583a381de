"""What the bus has lost and the book has kept, found again: Redis may lose everything.

    how sessions stand in the book ─┐
                                    ├─► what differs in two looks in a row ─► START, STOP, PAUSE, RESUME as if read
    how they stand here ────────────┘
    orders.v1 lost entries         ─► what execution said of the positions, read from the book

Looked for every few seconds by a task of its own, and done by the loop, between entries, if it still differs then: what
only is on its way comes by itself. A paced run has none of this: data alone is its time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from enum import StrEnum
from functools import partial
from typing import NamedTuple

import structlog
from prometheus_client import CollectorRegistry, Counter

from services.strategy.sessions.taking import SERVICE, Taking
from tradebus.bus.port import Bus
from tradebus.contracts.sessions import SessionStatus
from tradebus.contracts.streams import ORDERS
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.timers import Timers
from tradebus.runtime.consuming.chores import Job
from tradebus.runtime.patience import repeatedly
from tradebus.store.books import SessionsBook
from tradebus.store.books.sessions import MAY_TRADE
from tradebus.strategies.lane.sessions import ActiveSessions

_TAIL = 128
_log = structlog.get_logger()


class Lost(StrEnum):
    """The command that would have made it so."""

    START = "START_TRADING"
    STOP = "STOP_TRADING"
    PAUSE = "PAUSE_TRADING"
    RESUME = "RESUME_TRADING"


class SessionLoss(NamedTuple):
    session_id: str
    lost: Lost


class SessionRecovery:
    """`end` ends a session as STOP does, `post` has a job done between entries, `has_failed` says whether a session
    was paused by this service."""

    def __init__(
        self, sessions: SessionsBook, *, active: ActiveSessions, taking: Taking, bus: Bus,
        end: Callable[[str], Awaitable[object]], post: Callable[[Job], None], has_failed: Callable[[str], bool],
        timers: Timers, registry: CollectorRegistry, look_seconds: float,
    ) -> None:  # fmt: skip
        self._sessions, self._active, self._taking, self._bus = sessions, active, taking, bus
        self._has_failed = has_failed
        self._end, self._post, self._timers, self._look_seconds = end, post, timers, look_seconds
        self._found_again = Counter(
            "tradebus_strategy_found_again_total", "Commands the bus had lost, taken from the book", ["type"],
            registry=registry,
        )  # fmt: skip
        self._missing: set[SessionLoss] = set()  # at the last look
        self._tried: set[str] = set()  # sessions that were started once from the book, whatever came of it
        self._newest_order: str | None = None

    async def run(self, stop: asyncio.Event) -> None:
        await repeatedly(
            self.look, stop, timers=self._timers, every_seconds=self._look_seconds, what="looking for what was lost",
            at_once=False,
        )  # fmt: skip

    async def look(self) -> None:
        """Has done what was missing at the look before and still is, for the rest may be on its way."""
        missed, self._missing = self._missing, set(await self._differences())
        lost = missed & self._missing
        if lost:
            self._post(partial(self._mend, lost))
        if await self._lost_orders():
            self._post(self._taking.reload_positions)

    async def _differences(self) -> list[SessionLoss]:
        found: list[SessionLoss] = []
        standing = {one.session_id: one for one in await self._sessions.standing(SERVICE)}
        here = {session.spec.session_id: session for session in self._active.all()}
        for session_id in {**here, **dict.fromkeys(self._taking.loading)}:
            if session_id not in standing or standing[session_id].status not in MAY_TRADE:
                found.append(SessionLoss(session_id, Lost.STOP))
        for session_id, one in standing.items():
            session = here.get(session_id)
            if one.status not in MAY_TRADE:
                continue
            if session is None:
                if not one.is_taken_up and session_id not in {*self._taking.loading, *self._tried}:
                    found.append(SessionLoss(session_id, Lost.START))
            elif session.paused != one.paused:
                # Until it runs, the book does not say that a service has paused it.
                own_doing = one.status is SessionStatus.STARTING and self._has_failed(session_id)
                if not own_doing:
                    found.append(SessionLoss(session_id, Lost.PAUSE if one.paused else Lost.RESUME))
        return found

    async def _lost_orders(self) -> bool:
        """Whether entries may be gone that were there at the last look."""
        ids = [entry.entry_id for entry in await self._bus.tail(ORDERS.name, count=_TAIL)]
        seen, self._newest_order = self._newest_order, ids[-1] if ids else None
        return seen is not None and seen not in ids

    async def _mend(self, missed: Collection[SessionLoss]) -> None:
        """Asks once more: what was on its way has come."""
        for difference in await self._differences():
            if difference not in missed:
                continue
            session_id, lost = difference
            _log.warning("a command that was lost is taken from the book", session_id=session_id, type=lost.value)
            match lost:
                case Lost.START:
                    await self._start(session_id)
                case Lost.STOP:
                    await self._end(session_id)
                case Lost.PAUSE | Lost.RESUME:
                    self._taking.pause(session_id, paused=lost is Lost.PAUSE)
            self._found_again.labels(lost.value).inc()
        self._taking.changed()

    async def _start(self, session_id: str) -> None:
        spec = await self._sessions.spec(session_id)
        assert spec is not None, f"session {session_id} stands in the book without a spec"
        try:
            await self._taking.start(spec)
        except InvalidInput as error:
            _log.error("session not taken up", session_id=session_id, reason=str(error))
            await self._sessions.give_up(session_id, reason=str(error))
        self._tried.add(session_id)
