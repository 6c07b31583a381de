"""Sends START and STOP when they are due, as any application would: with a command id of schedule and day.

What was carried out before a restart is only reported again. A START that is refused (a gate of preflight is closed, a
feed has not begun) is sent again each minute, some times: its events say why. A session that a person stopped meanwhile
stays stopped; one that a person started is not the schedule's to stop.
"""

import asyncio
import json
from datetime import date
from pathlib import Path
from typing import Protocol

import structlog

from services.gateway.domain.schedules import DueStep, ScheduledStep, SessionSchedule, due_steps, read_schedules
from services.gateway.handlers import CommandReply, CommandVerdict
from tradebus.contracts.sessions import SessionStatus
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date
from tradebus.kernel.timers import Timers
from tradebus.runtime.patience import repeatedly
from tradebus.store.book import Book
from tradebus.store.books import SessionRegister, sessions_book

_LOOK_SECONDS = 1.0
_AGAIN_NS = 60_000_000_000
_TRIES = 10
_BYTES_MAX = 1_000_000
_log = structlog.get_logger()


class Handle(Protocol):
    """`CommandHandler.handle`."""

    async def __call__(self, body: bytes, *, delivery_id: str | None = None) -> CommandReply: ...


class Scheduler:
    """A component. `clock` is the market's; in a paced run, whose market is in recorded time, no session is over by
    it."""

    def __init__(
        self, schedules: tuple[SessionSchedule, ...], handle: Handle, *, book: Book, register: SessionRegister,
        clock: Clock, timers: Timers, paced: bool = False,
    ) -> None:  # fmt: skip
        self._schedules, self._handle, self._book, self._register = schedules, handle, book, register
        self._clock, self._timers, self._paced = clock, timers, paced
        self._looked_on: date | None = None  # for sessions whose last day has gone by
        self._done: set[tuple[str, str]] = set()  # command id and step
        self._tries: dict[str, tuple[int, int]] = {}  # by command id: how many, and when the next one is due

    async def run(self, stop: asyncio.Event) -> None:
        await repeatedly(
            self.look, stop, timers=self._timers, every_seconds=_LOOK_SECONDS, what="looking at the schedules"
        )

    async def look(self) -> None:
        """Does what is due. Raises what the book's absence raises."""
        if not self._paced:
            await self._end_what_is_over(ist_date(self._clock.now_ns()))
        for due in due_steps(self._schedules, self._clock.now_ns()):
            number = due.schedule.command_id(due.day)
            if (number, due.step) in self._done:
                continue
            if due.step is ScheduledStep.STOP:
                await self._stop(due)
                self._done.add((number, due.step))
            elif self._timers.monotonic_ns() >= self._tries.get(number, (0, 0))[1]:
                await self._start(due)

    async def _end_what_is_over(self, today: date) -> None:
        """Ends sessions, once a day, whose own schedule has had its last day."""
        if self._looked_on == today:
            return
        for session in await sessions_book(self._book).alive():
            last = None if session.spec.schedule is None else session.spec.schedule.last_day
            if last is not None and last < today.isoformat() and session.status is not SessionStatus.STOPPING:
                number = f"schedule.over.{session.session_id}"
                body = _body("STOP_TRADING", session.user_id, number, {"reason": f"its last day was {last}"})
                reply = await self._handle(body, delivery_id=number)
                _log.info("schedule: over", session_id=session.session_id, last_day=last, verdict=reply.verdict)
        self._looked_on = today

    async def _start(self, due: DueStep) -> None:
        one, number = due.schedule, due.schedule.command_id(due.day)
        reply = await self._handle(
            _body("START_TRADING", one.user_id, number, one.data), delivery_id=number
        )  # fmt: skip
        _log.info("schedule: start", schedule=one.name, user_id=one.user_id, verdict=reply.verdict)
        tries = self._tries.get(number, (0, 0))[0] + 1
        self._tries[number] = tries, self._timers.monotonic_ns() + _AGAIN_NS
        if reply.verdict is not CommandVerdict.REJECTED or tries == _TRIES:
            self._done.add((number, due.step))

    async def _stop(self, due: DueStep) -> None:
        one, number = due.schedule, due.schedule.command_id(due.day)
        async with self._book.begin() as transaction:
            begun = await self._register.of_command(transaction, one.user_id, number)
            alive = await self._register.alive_of(transaction, one.user_id)
        if begun is None or alive is None or begun.session_id != alive.session_id:
            return
        reply = await self._handle(
            _body("STOP_TRADING", one.user_id, f"{number}.stop", {"reason": f"schedule {one.name}"}),
            delivery_id=f"{number}.stop",
        )
        _log.info("schedule: stop", schedule=one.name, user_id=one.user_id, verdict=reply.verdict)


def schedules_in(path: Path | None) -> tuple[SessionSchedule, ...]:
    """Of the file; none where none is named. Raises InvalidInput naming the file and every bad field."""
    if path is None or str(path) in ("", "."):
        return ()
    name = f"TRADEBUS_SCHEDULES: {path}"
    try:
        if not path.is_file() or path.stat().st_size > _BYTES_MAX:
            raise InvalidInput(f"{name}: is no file of at most {_BYTES_MAX:,} bytes")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidInput(f"{name}: cannot be read: {reason}") from None
    return read_schedules(text, name=name)


def _body(action: str, user_id: str, command_id: str, data: dict[str, object]) -> bytes:
    return json.dumps({"action": action, "user_id": user_id, "command_id": command_id, "data": data}).encode()
