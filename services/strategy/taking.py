"""Sessions come and go: what of them is known here, and what stands for it in the book."""

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
from tradebus.strategies.lane.sessions import ActiveSession, ActiveSessions, open_session

_log = structlog.get_logger()


class Taking:
    """Takes sessions up and lets go of them: runners, positions and the processes of strategy files."""

    def __init__(
        self, active: ActiveSessions, *, sessions: Sessions, book: PositionBook, desks: Desks, ticks: TickStream,
        clock: Clock, paced: bool,
    ) -> None:  # fmt: skip
        self._active, self._sessions, self._book, self._desks = active, sessions, book, desks
        self._ticks, self._clock, self._paced = ticks, clock, paced

    async def resume(self) -> None:
        """Lets go of all, and takes up again those that were being traded."""
        for session in self._active.all():
            await self.let_go(session.spec.session_id)
        for stored in await self._sessions.to_resume():
            session_id = stored.spec.session_id
            try:
                self._active.add(await self._open(stored.spec, paused=stored.paused))
            except InvalidInput as error:
                # A strategy file that is gone stops its own session, not the others; execution guards its positions.
                _log.error("session not resumed: it decides nothing", session_id=session_id, reason=str(error))
            else:
                _log.info("session resumed", session_id=session_id, paused=stored.paused)

    async def start(self, command: StartTrading) -> None:
        """Raises InvalidInput where the session's strategies or symbols cannot be loaded."""
        spec = command.spec
        if self._active.get(spec.session_id) is not None or not await self._sessions.may_trade(spec.session_id):
            return
        session = await self._open(spec, paused=False)
        if session.wants_ticks and not self._active.wants_ticks:
            await self._ticks.take()
        await self._sessions.participate(command)
        self._active.add(session)
        _log.info("session taken up", session_id=spec.session_id, strategies=[one.name for one in spec.strategies])

    async def let_go(self, session_id: str) -> bool:
        """Whether there was such a session."""
        self._book.forget_session(session_id)
        await self._desks.close(session_id)
        return self._active.remove(session_id) is not None

    async def _open(self, spec: SessionSpec, *, paused: bool) -> ActiveSession:
        instruments = await self._sessions.instruments()
        found = await self._desks.open(spec)
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
