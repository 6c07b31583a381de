"""The way out of one broker account: a queue, its own task, its own health.

    commit ─► put ─► by lane and priority ─► pacing ─► request ─► answer ─► the next decision of its trade

Invariants (tested): requests of one order leave in the order they were decided, one at a time; those of different
orders, of one trade too, wait for no answer of each other (one that has to is decided on that answer), so that the
parts of an entry leave together and a stop waits for none of them; the more urgent goes first; entries never use up
what exits need; a broker that hangs holds up this account and no other; whatever its governor or one request raises,
the account goes on sending: entries wait for a governor that fails, exits leave without it.
What waits here is committed and has not left: after a crash it is looked up and sent by whoever recovers the trade.
"""

import asyncio
from collections.abc import Awaitable, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import structlog
from prometheus_client import Histogram

from services.execution.accounts.pacing import AGAIN_NS, Pacing, SenderMetrics, SurePacing, is_counted_alike
from tradebus.execution.decisions import Priority, is_new_exit, priority_of
from tradebus.execution.governor.budget import Admission, OrderAsk
from tradebus.execution.governor.lanes import ask_of
from tradebus.execution.governor.limits import OrderLane
from tradebus.execution.governor.waiting import UnderWay, WaitingRequest, WaitingRequests
from tradebus.execution.roster import Roster
from tradebus.execution.step import Request
from tradebus.execution.trade import Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import sleep

# Requests of an account that a broker may leave unanswered at once. Entries get half, so that those of exits and stops
# find a way out however many entries hang; new exits have as many again, however many stops hang.
_UNDER_WAY_MAX = 8
_ENTRIES_MAX = 4
_WITH_EXITS_MAX = 16
_log = structlog.get_logger()


class Delivery(Protocol):
    """What becomes of a request. None of it raises."""

    async def deliver(self, pos_id: str, request: Request) -> None:
        """Sends it and has its answer decided on."""

    async def refuse(self, pos_id: str, request: Request, reason: str) -> None:
        """It is not sent, for this reason, and has that decided on."""

    def leaves(self, pos_id: str, request: Request) -> bool:
        """Whether anything would be sent, as its trade stands."""


@dataclass(frozen=True, slots=True)
class _Next:
    """`ask` is None where nothing leaves and nobody needs to be asked."""

    one: WaitingRequest
    ask: OrderAsk | None
    priority: Priority

    @property
    def is_entry(self) -> bool:
        """Whether it is one that leaves."""
        return self.ask is not None and self.ask.lane is OrderLane.ENTRY

    def is_among(self, shut: Set[tuple[OrderLane, str]]) -> bool:
        """Whether its lane and segment are one of these."""
        return self.ask is not None and (self.ask.lane, self.ask.segment) in shut

    @property
    def rank(self) -> tuple[int, int]:
        """The lower goes first."""
        return (-1, 0) if self.ask is None else (self.ask.lane, self.priority)


class Sender:
    """`delivery` sends requests one by one."""

    def __init__(
        self, account: str, delivery: Delivery, *, roster: Roster, pacing: Pacing, timers: Timers,
        metrics: SenderMetrics,
    ) -> None:  # fmt: skip
        self.account = account
        self._delivery, self._roster, self._timers = delivery, roster, timers
        self.metrics, self._pacing = metrics, SurePacing(pacing, account, timers=timers, metrics=metrics)
        self.trouble, self._seconds = self._pacing.trouble, metrics.seconds.labels(account)
        self._waiting = WaitingRequests()
        self._is_new = False  # something came, or was answered, while a request was asked for
        self._under_way = UnderWay()
        self._tasks: set[asyncio.Task[None]] = set()
        self._aside: dict[int, int] = {}  # requests that failed, by number: until when (monotonic)
        self._changed = asyncio.Event()

    def foresee(self, trade: Trade, requests: Sequence[Request]) -> None:
        """These come as soon as they are stored, an entry's: where nothing else waits to leave, the first is asked for
        meanwhile. Returns at once."""
        if requests and not len(self._waiting) and len(self._under_way) < _ENTRIES_MAX:
            self._pacing.foresee(ask_of(trade, requests[0]))

    def put(self, pos_id: str, requests: Sequence[Request]) -> None:
        """Takes what was committed, in order. Returns at once."""
        now_ns, trade = self._timers.monotonic_ns(), self._roster.alive.get(pos_id)
        for request in requests:
            if not self._waiting.put(pos_id, request, trade=trade, since_ns=now_ns):
                self._pacing.hurry()
        if requests:
            self._is_new = True
            self._changed.set()

    def is_busy(self, pos_id: str) -> bool:
        """Whether anything of the position waits here or is under way: nobody else may send for it then."""
        return self._waiting.holds(pos_id) or self._under_way.holds(pos_id)

    async def run(self) -> None:
        """Sends until cancelled. Run again, it goes on with what waits."""
        self.trouble.problem = None
        waiting, under_way = self.metrics.waiting.labels(self.account), self.metrics.under_way.labels(self.account)
        try:
            while True:
                self._changed.clear()
                began_ns = self._timers.monotonic_ns()
                held_ns = await self._let_out()
                self._pacing.release()
                waiting.set(len(self._waiting))
                under_way.set(len(self._under_way))
                if self._aside:
                    held_ns = min(held_ns or AGAIN_NS, AGAIN_NS)
                if self._waiting.is_unswept_since(began_ns):
                    left_ns = max(1, self._waiting.unswept_ns(self._timers.monotonic_ns()))
                    held_ns = min(held_ns or left_ns, left_ns)
                if held_ns:
                    await sleep(self._timers, held_ns / NANOSECONDS_PER_SECOND, unless=self._changed)
                else:
                    await self._changed.wait()
        finally:
            self._pacing.close()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _let_out(self) -> int:
        """Starts what may leave; how long the first of the rest is held back (ns), 0 where nothing is."""
        held_ns, shut = 0, set[tuple[OrderLane, str]]()
        while (chosen := self._next(shut)) is not None:
            if chosen.ask is None:
                self._start(chosen, self._delivery.deliver(chosen.one.pos_id, chosen.one.request))
                continue
            self._is_new = False
            admission = await self._pacing.admit(chosen.ask, more=self._alike_behind(chosen))
            if admission.wait_ns:
                # Others are asked for all the same: what is held by its segment or its lane holds up nobody else.
                shut.add((chosen.ask.lane, chosen.ask.segment))
                held_ns = min(held_ns or admission.wait_ns, admission.wait_ns)
            elif admission.reason:
                self._refuse(chosen, chosen.ask, admission)
            elif chosen.one.pos_id not in self._roster.alive:
                continue  # forgotten while it was asked for: whoever recovers it finds what was not sent
            else:
                urgent = self._next(shut) if self._is_new else None  # it may use this admission
                if urgent is not None and urgent.ask is not None and is_counted_alike(urgent.ask, chosen.ask):
                    chosen = urgent
                self._send(chosen)
        return held_ns

    def _alike_behind(self, chosen: _Next) -> int:
        """How many entries that are counted as this one may leave with it: they are asked for together."""
        if not chosen.is_entry or self._pacing.has_spare:
            return 0
        room = _ENTRIES_MAX - 1 - self._under_way.entries
        behind = [one for one in islice(self._waiting.entries.values(), room + 1) if one is not chosen.one][:room]
        return sum(new is not None and new.ask == chosen.ask for new in map(self._looked_at, behind))

    def _next(self, shut: Set[tuple[OrderLane, str]]) -> _Next | None:
        """The most urgent request that may leave now: the first of its order, none of that order is under way that it
        would have to wait for, and its lane and segment are not `shut`."""
        if len(self._under_way) >= _WITH_EXITS_MAX:
            return None
        exits_only = len(self._under_way) >= _UNDER_WAY_MAX
        is_full = self._under_way.entries >= _ENTRIES_MAX
        found: _Next | None = None
        asked = self._under_way.orders()
        for one in list(self._waiting.others.values()):
            waits = exits_only or one.order in asked or self._waiting.is_behind(one)
            asked.add(one.order)  # what comes after it waits for it
            new = self._looked_at(one, new_exits_only=waits)
            if new is None or new.is_among(shut) or (is_full and new.is_entry):
                continue
            if found is None or new.rank < found.rank:
                found = new
        return found if exits_only else self._or_entry(found, shut, is_full=is_full)

    def _or_entry(self, found: _Next | None, shut: Set[tuple[OrderLane, str]], *, is_full: bool) -> _Next | None:
        """The first entry that may leave, where nothing else goes before it; one that nobody wants any more goes before
        everything: it does not leave."""
        now_ns = self._timers.monotonic_ns()
        sweeps = self._waiting.unswept_ns(now_ns) == 0
        for one in list(self._waiting.entries.values()) if sweeps or not (found or is_full) else ():
            new = self._looked_at(one, unwanted_only=found is not None or is_full)
            if new is None:
                continue
            if new.ask is None:
                return new
            if found is None and not is_full and not new.is_among(shut):
                found = new
            if found is not None and not sweeps:
                return found
        if sweeps:
            self._waiting.swept(now_ns)
        return found

    def _looked_at(
        self, one: WaitingRequest, *, new_exits_only: bool = False, unwanted_only: bool = False
    ) -> _Next | None:
        """None for a stray, which is dropped: whoever recovers it finds what was not sent. And where looking fails: it
        is left alone for a while, and the others of the account go on. `unwanted_only`: None for what would leave."""
        trade, now_ns = self._roster.alive.get(one.pos_id), self._timers.monotonic_ns()
        if trade is None:
            self._drop(one)
            return None
        if (new_exits_only and not is_new_exit(trade, one.request)) or self._aside.get(one.number, 0) > now_ns:
            return None
        try:
            leaves = self._delivery.leaves(one.pos_id, one.request)
            if leaves and unwanted_only:
                return None
            new = _Next(one, ask_of(trade, one.request) if leaves else None, priority_of(trade, one.request))
        except Exception as error:  # noqa: BLE001 - whatever one request is, the others leave
            self._aside[one.number] = now_ns + AGAIN_NS
            self.metrics.failed(self.account, error, of="request", pos_id=one.pos_id)
            return None
        self._aside.pop(one.number, None)
        return new

    def _refuse(self, chosen: _Next, ask: OrderAsk, admission: Admission) -> None:
        one = chosen.one
        self.metrics.refused.labels(self.account, admission.span).inc()
        _log.warning("not sent", account=self.account, pos_id=one.pos_id, lane=ask.lane.name, reason=admission.reason)
        self._start(chosen, self._delivery.refuse(one.pos_id, one.request, admission.reason))

    def _send(self, chosen: _Next) -> None:
        one = chosen.one
        waited_ns = self._timers.monotonic_ns() - one.since_ns
        assert chosen.ask is not None  # it was admitted
        self.metrics.waited_seconds.labels(self.account, chosen.ask.lane.name).observe(waited_ns / 1e9)
        self.metrics.admitted.labels(self.account, chosen.priority.name).inc()
        delivering = self._delivery.deliver(one.pos_id, one.request)
        self._start(chosen, _timed(delivering, self._seconds, self._timers))

    def _start(self, chosen: _Next, work: Awaitable[None]) -> None:
        one = chosen.one
        self._drop(one)
        self._under_way.add(one, is_entry=chosen.priority is Priority.IN)
        task = asyncio.create_task(self._done(one, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _done(self, one: WaitingRequest, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the others of the account go on
            self.metrics.failed(self.account, error, of="request", pos_id=one.pos_id)
        finally:
            self._under_way.drop(one)
            self._is_new = True
            self._changed.set()

    def _drop(self, one: WaitingRequest) -> None:
        self._waiting.drop(one)
        self._aside.pop(one.number, None)


async def _timed(work: Awaitable[None], seconds: Histogram, timers: Timers) -> None:
    began_ns = timers.monotonic_ns()
    try:
        await work
    finally:
        seconds.observe((timers.monotonic_ns() - began_ns) / 1e9)
