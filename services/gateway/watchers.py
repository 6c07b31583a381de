"""What the gateway watches: sessions that wait for their services, the kill switch, and outbox rows a crash left."""

import asyncio
from pathlib import Path
from typing import Any

import structlog

from services.gateway.killswitch import announce, engage, killed_reason
from services.gateway.messages import message
from services.gateway.pausing import pause_running
from tradebus.contracts.base import Message
from tradebus.contracts.commands import StopTrading
from tradebus.contracts.sessions import SessionFailed, SessionPaused, SessionStarted, SessionStatus, SessionStopped
from tradebus.contracts.streams import COMMANDS, SESSIONS
from tradebus.kernel.timers import Timers
from tradebus.runtime.patience import patiently
from tradebus.store.book import Book
from tradebus.store.books import KillSwitchBook, SessionRegister
from tradebus.store.books.kill_switch import reasons_in
from tradebus.store.books.sessions import Changing
from tradebus.store.outbox import Outbox
from tradebus.waiting.timers import sleep

_log = structlog.get_logger()
_POLL_SECONDS = 0.025
_IDLE_SECONDS = 1.0
_SWEEP_SECONDS = 5.0


class SessionWatcher:
    """STARTING → RUNNING once every participant has taken the session up, → FAILED where one does not in time;
    STOPPING → STOPPED once risk has let go of it, nothing of it is alive, and where it traded at a broker, the broker's
    own book was read since and has nothing of it.

    Polls closely only while a session waits; `changed` wakes it.
    """

    def __init__(
        self, *, book: Book, register: SessionRegister, outbox: Outbox, timers: Timers, start_timeout_seconds: float
    ) -> None:
        self._book, self._register, self._outbox, self._timers = book, register, outbox, timers
        self._start_timeout_ns = int(start_timeout_seconds * 1e9)
        self._first_seen_ns: dict[str, int] = {}
        self._awaited = set[str]()  # sessions that wait for a look at their broker's book
        self._wake = asyncio.Event()

    def changed(self) -> None:
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._wake.clear()
            if not await patiently(self.check, stop, timers=self._timers, what="watching"):
                await _first_of(self._timers, _IDLE_SECONDS, stop, self._wake)
            else:
                await sleep(self._timers, _POLL_SECONDS, unless=stop)

    async def check(self) -> int:
        """Moves every session that can move; how many still wait."""
        found = await self._register.changing()
        now_ns, ids = self._timers.monotonic_ns(), [one.session.session_id for one in found]
        self._first_seen_ns = {one: self._first_seen_ns.get(one, now_ns) for one in ids}
        moved = 0
        for one in found:
            moved += await (
                self._starting(one) if one.session.status is SessionStatus.STARTING else self._stopping(one)
            )
        if moved:
            await self._outbox.flush()
        return len(found) - moved

    async def _starting(self, one: Changing) -> bool:
        missing = [name for name in one.session.spec.participants if name not in one.participants]
        if not missing:
            return await self._begin(one)
        if one.session.reason:  # a service says that it cannot, and why
            return await self._fail(one, missing, reason=one.session.reason)
        waited_ns = self._timers.monotonic_ns() - self._first_seen_ns[one.session.session_id]
        return waited_ns > self._start_timeout_ns and await self._fail(one, missing)

    async def _begin(self, one: Changing) -> bool:
        session = one.session
        async with self._book.begin() as transaction:
            await transaction.lock(f"user {session.user_id}")
            paused = await self._register.paused_while_starting(transaction, session.session_id)
            status = SessionStatus.PAUSED if paused else SessionStatus.RUNNING
            if not await self._register.begin(transaction, session.session_id, status):
                return False
            self._emit(transaction, one, SessionStarted, spec=session.spec)
            if paused:
                self._emit(transaction, one, SessionPaused, reason="command")
        _log.info("session started", session_id=session.session_id, user_id=session.user_id, status=status)
        return True

    async def _fail(self, one: Changing, missing: list[str], *, reason: str = "") -> bool:
        seconds = self._start_timeout_ns / 1e9
        reason = reason or f"not taken up within {seconds:g} s by {', '.join(missing)}: is the service running?"
        if not await self._end(one, SessionStatus.FAILED, reason):
            return False
        _log.error("session failed", session_id=one.session.session_id, missing=missing)
        return True

    async def _stopping(self, one: Changing) -> bool:
        session_id = one.session.session_id
        if await self._register.unfinished(session_id):
            return False
        if await self._register.awaits_look(session_id):
            if session_id not in self._awaited:
                self._awaited.add(session_id)
                _log.info("a session is over once its broker's book was read", session_id=session_id)
            return False
        self._awaited.discard(session_id)
        if not await self._end(one, SessionStatus.STOPPED, one.session.reason or "command"):
            return False
        _log.info("session stopped", session_id=one.session.session_id, user_id=one.session.user_id)
        return True

    async def _end(self, one: Changing, status: SessionStatus, reason: str) -> bool:
        session = one.session
        async with self._book.begin() as transaction:
            await transaction.lock(f"user {session.user_id}")
            if not await self._register.end(
                transaction, session.session_id, status, seen=session.status, now_ns=self._timers.now_ns(),
                reason=reason,
            ):  # fmt: skip
                return False
            if status is SessionStatus.FAILED:
                # Whoever did take it up lets go of it again.
                self._emit(transaction, one, StopTrading, stream=COMMANDS.name, reason=reason)
                self._emit(transaction, one, SessionFailed, reason=reason)
            else:
                outcome = await self._register.outcome(transaction, session.session_id)
                self._emit(
                    transaction, one, SessionStopped, reason=reason, trades=outcome.trades,
                    net_pnl_paise=outcome.net_pnl_paise,
                )  # fmt: skip
        return True

    def _emit(
        self,
        transaction: Any,
        one: Changing,
        model: type[Message],
        *,
        stream: str = SESSIONS.name,
        **fields: Any,
    ) -> None:
        session = one.session
        transaction.emit(
            stream,
            message(
                model, now_ns=self._timers.now_ns(), cause=session.session_id, user_id=session.user_id,
                session_id=session.session_id, **fields,
            ),
        )  # fmt: skip


class KillWatcher:
    """Engages the kill switch when its file appears, tells the services about a row somebody else engaged, and pauses
    what runs while it is engaged."""

    def __init__(
        self, *, book: Book, register: SessionRegister, switch: KillSwitchBook, outbox: Outbox, timers: Timers,
        path: Path,
    ) -> None:  # fmt: skip
        self._book, self._register, self._switch = book, register, switch
        self._outbox, self._timers, self._path = outbox, timers, path

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await patiently(self.check, stop, timers=self._timers, what="watching")
            await sleep(self._timers, _IDLE_SECONDS, unless=stop)

    async def check(self) -> bool:
        """True where this call told the services."""
        reasons = await asyncio.to_thread(reasons_in, self._path)
        async with self._book.begin() as transaction:
            told = await announce(self._switch, transaction)
            for reason in reasons:
                told |= await engage(self._switch, transaction, reason=reason, now_ns=self._timers.now_ns())
            engaged = await killed_reason(self._switch, transaction) is not None
        paused = 0
        if engaged:
            paused = await pause_running(self._book, self._register, self._switch, now_ns=self._timers.now_ns())
        if told or paused:
            await self._outbox.flush()
            _log.warning("kill switch engaged", reason=reasons[0] if reasons else "the kill_switch row", paused=paused)
        return told


class Sweeper:
    """Publishes what a crash left in the outbox."""

    def __init__(self, outbox: Outbox, *, timers: Timers) -> None:
        self._outbox, self._timers = outbox, timers

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await sleep(self._timers, _SWEEP_SECONDS, unless=stop)
            await patiently(self._publish, stop, timers=self._timers, what="sweeping the outbox")

    async def _publish(self) -> None:
        """Also what this process committed and could not publish while Redis was away."""
        await self._outbox.sweep()
        await self._outbox.flush()


async def _first_of(timers: Timers, seconds: float, *events: asyncio.Event) -> None:
    """Returns when one of the events is set, or after `seconds`."""
    over = asyncio.Event()
    timer = timers.after(seconds, over.set)
    waits = [asyncio.create_task(event.wait()) for event in (*events, over)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
        for wait in waits:
            wait.cancel()
