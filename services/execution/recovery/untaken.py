"""Approvals that the book has and nobody has taken: the bus may lose everything, and risk may be dead by then.

    every few seconds ─► book: approvals without an intent ─► missing twice in a row? ─► taken like one from the bus

One that is put aside is refused where no order of it can have left, also one that is no message of this version.

Taking is once for each intent, whichever way and however often it comes: one that is on its way after all changes
nothing. What is outdated by now is refused, durably, as it would be from the bus.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from services.execution.books.approvals import ApprovalFields, UntakenApproval
from services.execution.books.ports import Ledger
from services.execution.metrics import ExecutionMetrics
from tradebus.bus.port import Bus
from tradebus.contracts.base import Message
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.timers import Timers
from tradebus.runtime.consuming.chores import Job
from tradebus.runtime.consuming.handling import reason_of
from tradebus.runtime.patience import PASSING, repeatedly

_AT_ONCE = 200  # posted by one look
_LETTERS = 10_000
_RESTS_MAX = 6
_FAILURES_MAX = 4
_log = structlog.get_logger()


class Refuse(Protocol):
    """`AsideApprovals.refuse`."""

    async def __call__(self, approval: ApprovalFields, *, reason: str) -> bool: ...


class Untaken:
    """`take` handles one approval, `post` has a job done between entries; `stream` is where approvals come from."""

    def __init__(
        self, ledger: Ledger, *, bus: Bus, stream: str, take: Callable[[Message], Awaitable[None]], refuse: Refuse,
        post: Callable[[Job], None], timers: Timers, metrics: ExecutionMetrics, look_seconds: float,
    ) -> None:  # fmt: skip
        self._refuse = refuse
        self._ledger, self._bus, self._stream, self._take, self._post = ledger, bus, stream, take, post
        self._timers, self._metrics, self._look_seconds = timers, metrics, look_seconds
        self._missing: dict[str, _Missing] = {}  # by event id

    async def run(self, stop: asyncio.Event) -> None:
        """Looks at the start, then every few seconds."""
        await repeatedly(
            self.look, stop, timers=self._timers, every_seconds=self._look_seconds,
            what="looking for approvals that nobody has taken",
        )  # fmt: skip

    async def look(self) -> None:
        """Has taken what was missing at the look before and still is: the rest may be on its way. One that fails is
        tried again after 2, 4, 8 … looks; one among the dead letters, one that cannot be read and one that goes on
        failing is refused."""
        found = await self._ledger.untaken()
        missed = self._missing
        self._missing = {one.approval.event_id: missed.get(one.approval.event_id, _Missing()) for one in found}
        due = [one for one in found if self._missing[one.approval.event_id].is_due()][:_AT_ONCE]
        if not due:
            return
        letters = [letter.entry.body for letter in await self._bus.dead_letters(self._stream, count=_LETTERS)]
        for one in due:
            missing = self._missing[one.approval.event_id]
            if any(one.approval.event_id.encode() in body for body in letters):
                missing.problem = missing.problem or "it lies among the dead letters"
            missing.is_posted = True
            self._post(partial(self._answer_one, one, missing))

    async def _answer_one(self, found: UntakenApproval, missing: "_Missing") -> None:
        about = {"type": found.approval.fields.get("type"), "event_id": found.approval.event_id}
        try:
            reason = found.problem or missing.problem
            if reason and await self._refuse(found.approval, reason=reason):
                self._metrics.put_aside.labels("refused").inc()
                return
            if found.message is None:
                raise InvalidInput(f"it cannot be read: {found.problem}")
            await self._take(found.message)
        except PASSING:
            raise  # the job waits for the server
        except Exception as error:  # noqa: BLE001 - one approval stops no other
            missing.failed(reason_of(error))
            _log.error("found in the book and not taken", **about, exc_info=error)
        else:
            _log.warning("taken from the book: nobody had", **about)
            self._metrics.found_again.labels(found.message.TYPE).inc()


@dataclass(slots=True)
class _Missing:
    """An approval that was missing at every look so far."""

    seen: bool = False
    is_posted: bool = False
    failures: int = 0
    rests: int = 0  # looks for which it is left alone
    problem: str = ""  # why it is put aside

    def is_due(self) -> bool:
        """Asked once a look."""
        if not self.seen or self.rests:
            self.seen, self.rests = True, max(0, self.rests - 1)
            return False
        return not self.is_posted

    def failed(self, problem: str) -> None:
        self.failures, self.is_posted = self.failures + 1, False
        if self.failures >= _FAILURES_MAX:
            self.problem = problem
        self.rests = 2 ** min(self.failures, _RESTS_MAX)
