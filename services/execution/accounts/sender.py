"""The way out of one broker account: a queue, its own task, its own health.

    commit ─► put ─► by priority ─► pacing ─► request ─► answer ─► the next decision of its trade

Invariants (tested): requests of one trade leave in the order they were decided, one at a time, but that a new exit
waits for no answer (it is decided only where nothing is under way that it could race, or what is may never come);
of different trades the more urgent goes first; entries never use up what exits need; a broker that hangs holds up
this account and no other.
What waits here is committed and has not left: after a crash it is looked up and sent by whoever recovers the trade.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from services.execution.accounts.pacing import Pacing, SenderMetrics
from tradebus.execution.decisions import Priority, is_new_exit, priority_of
from tradebus.execution.roster import Roster
from tradebus.execution.step import Request
from tradebus.kernel.timers import Timers

# Requests of an account that a broker may leave unanswered at once. Entries get half, so that those of exits and stops
# find a way out however many entries hang.
_UNDER_WAY_MAX = 8
_ENTRIES_MAX = 4
_log = structlog.get_logger()
Deliver = Callable[[str, Request], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Waiting:
    number: int
    pos_id: str
    request: Request


class Sender:
    """`deliver` sends one request and has its answer decided on; it does not raise."""

    def __init__(
        self, account: str, deliver: Deliver, *, roster: Roster, pacing: Pacing, timers: Timers, metrics: SenderMetrics
    ) -> None:
        self.account = account
        self._deliver, self._roster, self._pacing, self._timers = deliver, roster, pacing, timers
        self._metrics = metrics
        self._waiting: list[_Waiting] = []
        self._number = 0
        self._under_way: dict[int, tuple[str, Priority]] = {}  # by number: the position, how urgent
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    def put(self, pos_id: str, requests: Sequence[Request]) -> None:
        """Takes what was committed, in order. Returns at once."""
        for request in requests:
            self._number += 1
            self._waiting.append(_Waiting(self._number, pos_id, request))
        if requests:
            self._changed.set()

    def is_busy(self, pos_id: str) -> bool:
        """Whether anything of the position waits here or is under way: nobody else may send for it then."""
        return pos_id in self._busy() or any(one.pos_id == pos_id for one in self._waiting)

    async def run(self) -> None:
        """Sends until cancelled."""
        try:
            while True:
                self._changed.clear()
                while self._next() is not None:
                    await self._pacing.admit(self.account, self._urgency())
                    chosen = self._next()  # asked again: something more urgent may have come while pacing waited
                    if chosen is not None:
                        self._start(*chosen)
                self._show()
                await self._changed.wait()
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _urgency(self) -> Priority:
        found = self._next()
        return found[1] if found is not None else Priority.IN

    def _next(self) -> tuple[_Waiting, Priority] | None:
        """The most urgent request that may leave now: the first of its trade, and none of that trade is under way that
        it would have to wait for."""
        if len(self._under_way) >= _UNDER_WAY_MAX:
            return None
        entries = sum(priority is Priority.IN for _, priority in self._under_way.values())
        found: tuple[_Waiting, Priority] | None = None
        busy, seen = self._busy(), set[str]()
        for one in list(self._waiting):
            trade = self._roster.alive.get(one.pos_id)
            if trade is None:
                self._waiting.remove(one)  # a stray: whoever recovers it finds what was not sent
                continue
            if one.pos_id in seen:
                continue
            seen.add(one.pos_id)
            if one.pos_id in busy and not is_new_exit(trade, one.request):
                continue
            priority = priority_of(trade, one.request)
            if priority is Priority.IN and entries >= _ENTRIES_MAX:
                continue
            if found is None or priority < found[1]:
                found = one, priority
        return found

    def _start(self, one: _Waiting, priority: Priority) -> None:
        self._waiting.remove(one)
        self._under_way[one.number] = one.pos_id, priority
        task = asyncio.create_task(self._send(one))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, one: _Waiting) -> None:
        began_ns = self._timers.monotonic_ns()
        try:
            await self._deliver(one.pos_id, one.request)
        finally:
            self._metrics.seconds.labels(self.account).observe((self._timers.monotonic_ns() - began_ns) / 1e9)
            del self._under_way[one.number]
            self._changed.set()

    def _busy(self) -> set[str]:
        return {pos_id for pos_id, _ in self._under_way.values()}

    def _show(self) -> None:
        self._metrics.waiting.labels(self.account).set(len(self._waiting))
        self._metrics.under_way.labels(self.account).set(len(self._under_way))
