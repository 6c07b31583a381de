"""Sessions whose orders go to a broker: opens their accounts off the way of orders, and follows each account.

START_TRADING ─► attach ─► account open? ─┬─ yes: takes part ─► Reconciler
                                          └─ no: the session is told why, and ends
"""

import asyncio
from collections.abc import Callable

import asyncpg
import structlog

from services.execution.accounts.accounts import Accounts, TradingAccount
from services.execution.recovery.reconciler import Reconciler
from services.execution.sessions import ExecutionSessions
from tradebus.contracts.sessions import SessionSpec
from tradebus.kernel.errors import TradebusError
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import sleep

_RETRY_SECONDS = 2.0
_LISTED_SECONDS = 20.0
_POSTGRES = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
_log = structlog.get_logger()


class AccountManager:
    """`follow` makes an account's reconciler."""

    def __init__(
        self, accounts: Accounts, sessions: ExecutionSessions, follow: Callable[[TradingAccount], Reconciler],
        *, timers: Timers,
    ) -> None:  # fmt: skip
        self._accounts, self._sessions, self._follow, self._timers = accounts, sessions, follow, timers
        self._attaching: set[asyncio.Task[None]] = set()
        self._wanted: asyncio.Queue[tuple[SessionSpec, bool]] = asyncio.Queue()

    def attach(self, spec: SessionSpec, *, new: bool) -> None:
        """Opens the session's account soon. A `new` session that cannot be served ends; an old one is tried again."""
        self._sessions.remember(spec)
        self._wanted.put_nowait((spec, new))

    async def blocked(self, session_id: str) -> str:
        """Why no entry is made for the session, "" where one may be. Raises InvalidInput for one that is not in the
        book."""
        if not self._sessions.is_at_broker(session_id):
            return ""
        return await self._accounts.blocked(await self._sessions.spec(session_id))

    async def acted(self, session_id: str, *, given_ns: int) -> None:
        """A person has told a session to be flat or to go on, at that time of the machine's clock: its account is
        degraded no more. Raises InvalidInput for a session that is not in the book."""
        await self._accounts.acted(await self._sessions.spec(session_id), given_ns=given_ns)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Raises what a reconciler raises that it cannot live with."""
        tasks: set[asyncio.Task[None]] = {
            asyncio.create_task(self._attach_all()), asyncio.create_task(self._keep_listed()),
            asyncio.create_task(_until(stop)),
        }  # fmt: skip
        opened = asyncio.create_task(self._accounts.opened.get())
        try:
            while not stop.is_set():
                done, _ = await asyncio.wait({*tasks, opened}, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {opened}:
                    task.result()
                if opened in done:
                    tasks.add(asyncio.create_task(self._follow(opened.result()).run(stop)))
                    opened = asyncio.create_task(self._accounts.opened.get())
        finally:
            ending = (*tasks, *self._attaching, opened)
            for each in ending:
                each.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
            self._accounts.close()

    async def _attach_all(self) -> None:
        """Each account in a task of its own: one whose broker hangs holds up no other."""
        while True:
            spec, new = await self._wanted.get()
            task = asyncio.create_task(self._attach(spec, new=new))
            self._attaching.add(task)
            task.add_done_callback(self._attaching.discard)

    async def _keep_listed(self) -> None:
        while True:
            await sleep(self._timers, _LISTED_SECONDS)
            try:
                await self._accounts.keep_listed()
            except _POSTGRES as error:
                _log.warning("what brokers list today is not known", error=str(error))

    async def _attach(self, spec: SessionSpec, *, new: bool) -> None:
        try:
            await self._accounts.of(spec, starting=new)
            await self._sessions.participate(spec.session_id)
        except (*_POSTGRES, TradebusError) as error:
            _log.error("account not opened", session_id=spec.session_id, broker=spec.broker, error=str(error))
            if new and isinstance(error, TradebusError):
                await self._give_up(spec, str(error))
            else:
                self._timers.after(_RETRY_SECONDS, lambda: self._wanted.put_nowait((spec, new)))
        except Exception as error:  # noqa: BLE001 - one session that cannot be served keeps no other from being served
            _log.error("account not opened", session_id=spec.session_id, broker=spec.broker, exc_info=error)
            await self._give_up(spec, f"{type(error).__name__}: look into the log of execution")

    async def _give_up(self, spec: SessionSpec, reason: str) -> None:
        try:
            await self._sessions.give_up(spec.session_id, reason=reason)
        except _POSTGRES as error:
            _log.warning("the reason is not stored; the session ends without it", error=str(error))


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()
