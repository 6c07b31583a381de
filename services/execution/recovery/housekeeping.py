"""What is done every so often: kill switch and sessions as the book has them, orphans, strays, unknown outcomes, missed
deadlines, sessions whose command was lost, exits that stand, positions that nobody closes.

    look, beside the turn ─► keep_house, under the turn: what follows from what was seen

Questions to brokers are asked beside the turn, each in a task of its own: one that hangs holds up nobody else, not at
the start either. The paper broker answers at once and is asked in line.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from services.execution.accounts.manager import AccountManager
from services.execution.books.ports import Stale
from services.execution.positions.unanswered import UnansweredStops
from services.execution.recovery.recovery import TradeRecovery
from services.execution.sessions import PAPER, ExecutionSessions
from services.execution.trades.commanded import CommandedExits
from services.execution.trades.square_off import LastLine
from services.execution.trades.supervisor import TradeSupervisor
from tradebus.runtime.patience import PASSING
from tradebus.trading.exit_reasons import KILL_SWITCH

_ASKED_AT_ONCE = 4  # questions to one account
_log = structlog.get_logger()


class Housekeeping:
    """`orphan_seconds`: so long may an instance be silent before its trades are taken over."""

    def __init__(
        self, recovery: TradeRecovery, supervisor: TradeSupervisor, sessions: ExecutionSessions,
        unanswered: UnansweredStops, *, manager: AccountManager | None, last_line: LastLine, commanded: CommandedExits,
        orphan_seconds: float, paced: bool,
    ) -> None:  # fmt: skip
        self._recovery, self._supervisor, self._sessions = recovery, supervisor, sessions
        self._unanswered = unanswered
        self._manager, self._orphan_seconds, self._paced = manager, orphan_seconds, paced
        self._last_line, self._commanded = last_line, commanded
        self._strays: list[tuple[str, str]] = []
        self._asking: dict[tuple[str, str], asyncio.Task[None]] = {}  # by position and order ("" for all of it)
        self._narrow: dict[str, asyncio.Semaphore] = {}  # by session's account

    async def look(self) -> None:
        """What the book says, before each round. Under no turn: no order waits for these answers."""
        await self._sessions.refresh()
        await self._take_up_unheard()
        self._strays = await self._recovery.strays()

    async def keep_house(self) -> None:
        """One round, after a `look`. No tick passes between taking a trade over and following its orders."""
        adopted = await self._recovery.adopt_orphans(silent_seconds=self._orphan_seconds)
        for pos_id in adopted:
            _log.warning("adopted a trade whose instance is silent", pos_id=pos_id)
        if self._strays or adopted:  # those seen may be at hand by now
            await self.recover_strays()
        for pos_id, session_id, order_id in self._recovery.questions():
            asking = self._recovery.resolve(pos_id, order_id, now_ns=self._supervisor.now_ns)
            await self._ask(session_id, (pos_id, order_id), asking)
        await self._unanswered.look()
        await self._supervisor.meet_missed()
        if not self._paced:  # there everybody waits for risk
            await self._supervisor.tell_unprotected()
            await self._last_line.look()
            if self._sessions.killed:
                await self._supervisor.leave_all(KILL_SWITCH)  # also what was not known yet when the command came
            await self._commanded.look(adopted)

    async def recover_strays(self) -> None:
        """Trades of an earlier life, adopted, or forgotten in the middle of something that failed."""
        strays = await self._recovery.strays()
        for pos_id, session_id in strays:
            asking = self._recovery.recover(pos_id, now_ns=self._supervisor.now_ns)
            await self._ask(session_id, (pos_id, ""), asking)
        if strays:
            _log.info("recovering", trades=len(strays))

    async def close(self) -> None:
        """Ends the questions under way; the next life asks them."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take_up_unheard(self) -> None:
        for spec in await self._sessions.unheard():
            _log.warning("a session's start was lost on the bus, taking it up", session_id=spec.session_id)
            self._sessions.remember(spec)
            if spec.broker != PAPER and self._manager is not None:
                self._manager.attach(spec, new=True)
            else:
                await self._sessions.participate(spec.session_id)

    async def _ask(self, session_id: str, question: tuple[str, str], asking: Coroutine[Any, Any, None]) -> None:
        """Paper at once; a broker in a task, where it is not being asked already."""
        spec = await self._sessions.spec(session_id)
        if spec.broker == PAPER:
            await self._answered(question, asking)
            return
        if question in self._asking or (question[0], "") in self._asking:
            asking.close()
            return
        account = f"{spec.broker}:{spec.credential or spec.broker}"
        narrow = self._narrow.setdefault(account, asyncio.Semaphore(_ASKED_AT_ONCE))

        async def ask() -> None:
            async with narrow:
                await self._answered(question, asking)

        task = self._asking[question] = asyncio.create_task(ask())
        task.add_done_callback(lambda _: (self._asking.pop(question, None), asking.close()))

    async def _answered(self, question: tuple[str, str], asking: Coroutine[Any, Any, None]) -> None:
        pos_id, order_id = question
        try:
            await asking
            await self._unanswered.looked_up(pos_id, order_id)
        except (*PASSING, Stale) as error:
            _log.warning("not recovered, trying again", pos_id=pos_id, error=str(error))
        except Exception as error:  # noqa: BLE001 - whatever one trade does, the others are recovered
            self._recovery.set_aside(pos_id, error)
