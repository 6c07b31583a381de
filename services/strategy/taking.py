"""Sessions come and go: what of them is known here, and what stands for it in the book."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from services.strategy.adapters.sessions import Sessions
from services.strategy.adapters.tick_stream import TickStream
from services.strategy.desks import Desks
from tradebus.contracts.commands import StartTrading
from tradebus.contracts.sessions import SessionSpec
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.sessions import ActiveSession, ActiveSessions, Found, open_session

_log = structlog.get_logger()


class Taking:
    """Takes sessions up and lets go of them: runners, positions and the processes of strategy files."""

    def __init__(
        self, active: ActiveSessions, *, sessions: Sessions, book: PositionBook, desks: Desks, ticks: TickStream,
        clock: Clock, paced: bool,
    ) -> None:  # fmt: skip
        self._active, self._sessions, self._book, self._desks = active, sessions, book, desks
        self._ticks, self._clock, self._paced = ticks, clock, paced
        self._loading: dict[str, asyncio.Task[None]] = {}
        # Set by whoever has the loop: does a job between entries, and hears that what is listened to may be another.
        self.post: Callable[[Callable[[], Awaitable[object]]], None] = lambda job: None
        self.changed: Callable[[], None] = lambda: None

    async def resume(self) -> None:
        """Lets go of all, and takes up again those that were being traded."""
        for session_id in [*(session.spec.session_id for session in self._active.all()), *self._loading]:
            await self.let_go(session_id)
        for stored in await self._sessions.to_resume():
            session_id = stored.spec.session_id
            try:
                self._active.add(
                    await self._build(stored.spec, await self._desks.open(stored.spec), paused=stored.paused)
                )
            except InvalidInput as error:
                # A strategy file that is gone stops its own session, not the others; execution guards its positions.
                _log.error("session not resumed: it decides nothing", session_id=session_id, reason=str(error))
            else:
                _log.info("session resumed", session_id=session_id, paused=stored.paused)

    async def start(self, command: StartTrading) -> None:
        """Raises InvalidInput where the session's strategies or symbols cannot be loaded. Of strategy files in a live
        market that is said in the session's reason instead, once it is known."""
        spec = command.spec
        if not await self._is_wanted(spec):
            return
        if self._paced or all(one.path is None for one in spec.strategies):
            await self._take_up(command, await self._desks.open(spec))
        else:  # nobody else waits while a file is loaded
            self._loading[spec.session_id] = asyncio.create_task(self._load(command))

    async def _is_wanted(self, spec: SessionSpec) -> bool:
        session_id = spec.session_id
        if self._active.get(session_id) is not None or session_id in self._loading:
            return False
        return await self._sessions.may_trade(session_id)

    async def _load(self, command: StartTrading) -> None:
        """Starts the processes of a session's files; the rest is done by the loop, between entries."""
        session_id = command.spec.session_id
        try:
            found = await self._desks.open(command.spec)
        except InvalidInput as error:
            reason = str(error)
            _log.error("session not taken up", session_id=session_id, reason=reason)
            self.post(lambda: self._refuse(session_id, reason))
        else:
            self.post(lambda: self._loaded(command, found))

    async def _loaded(self, command: StartTrading, found: dict[int, Found]) -> None:
        session_id = command.spec.session_id
        if self._loading.get(session_id) is None:
            return  # it was let go of meanwhile
        if not await self._sessions.may_trade(session_id):
            await self.let_go(session_id)
            return
        try:
            await self._take_up(command, found)
        except InvalidInput as error:
            _log.error("session not taken up", session_id=session_id, reason=str(error))
            await self._refuse(session_id, str(error))
        else:
            del self._loading[session_id]
        self.changed()

    async def _refuse(self, session_id: str, reason: str) -> None:
        await self._sessions.refuse(session_id, reason=reason)
        self._loading.pop(session_id, None)

    async def _take_up(self, command: StartTrading, found: dict[int, Found]) -> None:
        spec = command.spec
        session = await self._build(spec, found, paused=False)
        if session.wants_ticks and not self._active.wants_ticks:
            await self._ticks.take()
        await self._sessions.participate(command)
        self._active.add(session)
        _log.info("session taken up", session_id=spec.session_id, strategies=[one.name for one in spec.strategies])

    async def let_go(self, session_id: str) -> bool:
        """Whether there was such a session."""
        loading = self._loading.pop(session_id, None)
        if loading is not None:
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)
        self._book.forget_session(session_id)
        await self._desks.close(session_id)
        return self._active.remove(session_id) is not None

    async def _build(self, spec: SessionSpec, found: dict[int, Found], *, paused: bool) -> ActiveSession:
        instruments = await self._sessions.instruments()
        day = None if self._paced else ist_date(self._clock.now_ns())
        try:
            session = open_session(
                spec, instruments=instruments, book=self._book, paused=paused, day=day, found=list(found.values())
            )
            for fact in await self._sessions.positions(spec.session_id):
                self._book.apply(fact)
        except BaseException:
            await self._desks.close(spec.session_id)
            raise
        return session
