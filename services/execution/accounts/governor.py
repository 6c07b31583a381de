"""The order governor of one process: asks the budget that all processes of an account share, and stands alone where
that cannot be asked.

    ask ─► decide on a copy of the last budget seen ─► put it in its place ─┬─ done ─► admitted
               ▲                                                           └─ somebody was quicker: told what stands ─┐
               └─────────────────────────────────────────────────────────────────────────────────────────────────────┘

What has to wait, or is refused, needs no question: others can only have made the budget fuller. A process that dies
leaves what it has counted, and no more. Where the book does not answer in `_ANSWER_SECONDS` entries wait, and exits
have a share of the second so small that all processes together stay below the broker's limit.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import structlog

from services.execution.accounts.pacing import SenderMetrics
from tradebus.execution.governor.budget import Admission, OrderAsk, OrderBudget, read_budget
from tradebus.execution.governor.limits import OrderLane, OrderLimit
from tradebus.execution.governor.ratio import why_not_trail
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.rng import uniform
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.runtime.patience import PASSING
from tradebus.store.books.order_budget import KeptBudget, OrderBudgetBook
from tradebus.waiting.timers import deadline

T = TypeVar("T")
_ANSWER_SECONDS = 1.0
_GRACE_TURNS = 20
_HURRIED_SECONDS = 0.05  # so long an exit waits for what an entry is told
_AWAY_NS = NANOSECONDS_PER_SECOND  # between two questions to a book that did not answer
_STALE_NS = 100_000_000  # an admission that took longer may be of a second that is over
_ATTEMPTS, _ENTRY_ATTEMPTS = 20, 2  # an entry lets others go first, and an exit behind it be asked for
_JITTER_NS = 100_000_000  # entries of all processes do not come back in the same moment
_WAIT_NS = 100_000_000  # where all attempts came too late
_ENTRY_WAIT_NS = 250_000_000  # while the book is away
_RECENT_NS = 3 * NANOSECONDS_PER_SECOND
_log = structlog.get_logger()


class Governor:
    """See `Pacing`. `limits` are an account's caps, `name` is this process's.

    `alone_per_second` exits leave while the budget cannot be asked: one, so that eight processes stay below the limit.
    Who knows that nobody else sends may take more.
    """

    def __init__(
        self, budgets: OrderBudgetBook, limits: Callable[[str], Sequence[OrderLimit]], *, name: str,
        timers: Timers, metrics: SenderMetrics, alone_per_second: int = 1,
    ) -> None:  # fmt: skip
        self._budgets, self._limits, self._name, self._timers = budgets, limits, name, timers
        self.metrics, self._alone_per_second = metrics, alone_per_second
        self._accounts: dict[str, AccountBudget] = {}

    async def admit(self, account: str, ask: OrderAsk, *, more: int = 0) -> Admission:
        """See `Pacing`."""
        return await self._of(account).admit(ask, more=more)

    def unused(self, account: str, ask: OrderAsk, count: int) -> None:
        """See `Pacing`."""
        self._of(account).unused(ask, count)

    def hurry(self, account: str) -> None:
        """See `Pacing`."""
        if account in self._accounts:
            self._accounts[account].hurry()

    def traded(self, account: str, count: int) -> None:
        """So many trades were made in the account: counted with the next request that leaves."""
        self._of(account).trades += count

    def why_not_trail(self, account: str, ask: OrderAsk, *, changes: int) -> str:
        """Why a stop, changed `changes` times so far, had better stay where it is; "" where it may be trailed. By the
        last budget seen."""
        return self._of(account).why_not_trail(ask, changes=changes)

    def _of(self, account: str) -> "AccountBudget":
        found = self._accounts.get(account)
        if found is None:
            found = self._accounts[account] = AccountBudget(
                account, self._budgets, tuple(self._limits(account)), name=self._name, timers=self._timers,
                metrics=self.metrics, alone_per_second=self._alone_per_second,
            )  # fmt: skip
        return found


@dataclass(frozen=True, slots=True)
class _Reported:
    """What of that which this process alone knows a replacement tells the book."""

    trades: int
    unreported: Sequence[tuple[int, OrderAsk]]
    stayed: Sequence[tuple[int, OrderAsk]]


class _GaveWay(Exception):
    """Something more urgent has come: the question is left to itself."""


class AccountBudget:
    """Of one account, as this process sees it. One question at a time. `trades` are not counted in the book yet."""

    def __init__(
        self, account: str, budgets: OrderBudgetBook, limits: Sequence[OrderLimit], *, name: str,
        timers: Timers, metrics: SenderMetrics, alone_per_second: int,
    ) -> None:  # fmt: skip
        self._account, self._budgets, self._limits = account, budgets, limits
        self._name, self._spreads = name, 0
        self._timers, self._metrics, self._alone_per_second = timers, metrics, alone_per_second
        self._used = [(one, metrics.used.labels(account, one.name)) for one in limits if one.scope == "account"]
        for limit, _ in self._used:
            metrics.kept.labels(account, limit.name).set(limit.kept)
        self.trades = 0
        self._is_seen = False  # since the book was away, if it ever was
        self._last, self._version = OrderBudget(), 0  # as the book had it when it was last asked
        self._offset_ns: int | None = None  # from our monotonic time to the book's, which all processes share
        self._unreported: list[tuple[int, OrderAsk]] = []  # has left without being counted in the book (monotonic)
        self._stayed: list[tuple[int, OrderAsk]] = []  # was counted in the book (its time) and has not left
        self._admitted_ns = 0  # the book's time at which the last admission was counted
        self._recent: deque[tuple[int, OrderAsk]] = deque()
        self._alone: OrderBudget | None = None
        self._ask_again_ns = 0
        self._entry: asyncio.Future[Any] | None = None  # the answer that an entry waits for
        self._is_hurried = False  # since an entry is being asked for

    def hurry(self) -> None:
        """See `Pacing`."""
        self._is_hurried = True
        if self._entry is not None:  # what it is told in a moment, an exit may use
            self._timers.after(_HURRIED_SECONDS, partial(_give_up, self._entry))

    def unused(self, ask: OrderAsk, count: int) -> None:
        """See `Pacing`. Of the last admission."""
        self._stayed += [(self._admitted_ns, ask)] * count

    async def admit(self, ask: OrderAsk, *, more: int = 0) -> Admission:
        """See `Pacing`."""
        if self._timers.monotonic_ns() < self._ask_again_ns:
            return self._admit_alone(ask)
        try:
            admission = await self._admit_shared(ask, more=more)
        except _GaveWay:
            return Admission(wait_ns=1)
        except (*PASSING, InvalidInput) as error:
            if self._alone is None:
                _log.error(
                    "the order budget cannot be asked: entries wait, exits leave one by one",
                    account=self._account, problem=f"{type(error).__name__}: {error}",
                )  # fmt: skip
            self._is_seen, self._ask_again_ns = False, self._timers.monotonic_ns() + _AWAY_NS
            self._metrics.shared.labels(self._account).set(0)
            return self._admit_alone(ask)
        if self._alone is not None:
            self._alone = None
            _log.info("the order budget is shared again", account=self._account)
        self._metrics.shared.labels(self._account).set(1)
        return admission

    def why_not_trail(self, ask: OrderAsk, *, changes: int) -> str:
        """See `Governor`."""
        budget = self._last.copy()
        budget.trades += self.trades
        return why_not_trail(budget, self._limits, ask, changes=changes, now_ns=self._now_ns())

    async def _admit_shared(self, ask: OrderAsk, *, more: int) -> Admission:
        if not self._is_seen:
            sent_ns = self._timers.monotonic_ns()
            self._see(await self._answered(self._budgets.read(self._account)), sent_ns=sent_ns)
        is_entry, self._is_hurried = ask.lane is OrderLane.ENTRY, False
        for _ in range(_ENTRY_ATTEMPTS if is_entry else _ATTEMPTS):
            sent_ns, now_ns = self._timers.monotonic_ns(), self._now_ns()
            budget = self._as_of_now()
            admission = budget.take(self._limits, ask, now_ns=now_ns, more=more)
            if not admission.admitted:
                return self._spread(admission) if is_entry and admission.wait_ns else admission
            counted = [(now_ns, ask)] * (1 + admission.more)
            reported = _Reported(self.trades, tuple(self._unreported), tuple(self._stayed))
            replacing = asyncio.ensure_future(
                self._budgets.replace(
                    self._account,
                    budget.to_json(self._limits),
                    version=self._version,
                    decided_ns=now_ns,
                    urgent=not is_entry,
                )
            )
            try:
                kept = await self._answered(replacing, gives_way=is_entry)
            except (TimeoutError, _GaveWay):
                replacing.add_done_callback(partial(self._late, reported=reported, counted=counted))
                raise
            self._see(kept, sent_ns=sent_ns, put=budget)
            if not kept.replaced:
                if is_entry and self._is_hurried:
                    return Admission(wait_ns=1)
                continue
            self._settle(reported)
            if self._timers.monotonic_ns() - sent_ns <= _STALE_NS:
                _remember(self._recent, sent_ns, ask, count=len(counted))
                self._admitted_ns = now_ns
                return admission
            self._stayed += counted
        return self._spread(Admission(wait_ns=_WAIT_NS)) if is_entry else Admission(wait_ns=_WAIT_NS // 10)

    def _spread(self, admission: Admission) -> Admission:
        self._spreads += 1
        jitter_ns = int(_JITTER_NS * uniform(0, self._name, self._account, self._spreads))
        return replace(admission, wait_ns=admission.wait_ns + jitter_ns)

    def _settle(self, reported: "_Reported") -> None:
        """The book has counted it."""
        self.trades -= reported.trades
        for known, told in ((self._unreported, reported.unreported), (self._stayed, reported.stayed)):
            for one in told:
                if one in known:  # an answer that came late may have told of it as well
                    known.remove(one)

    def _late(
        self, asking: "asyncio.Future[KeptBudget]", *, reported: "_Reported", counted: Sequence[tuple[int, OrderAsk]]
    ) -> None:
        """An answer nobody waits for any more: what it counted has not left."""
        if not asking.cancelled() and asking.exception() is None and asking.result().replaced:
            self._settle(reported)
            self._stayed += counted

    def _see(self, kept: KeptBudget, *, sent_ns: int, put: OrderBudget | None = None) -> None:
        """`put` is what was to be put there."""
        self._last = put if put is not None and kept.replaced else read_budget(kept.body)
        if kept.version < self._version:  # the server has crashed, and lost the last moments
            self._unreported += [one for one in self._recent if one[0] > sent_ns - _RECENT_NS]
        self._is_seen, self._version, self._offset_ns = True, kept.version, kept.now_ns - sent_ns
        for limit, used in self._used:
            used.set(self._last.used(limit, "", now_ns=kept.now_ns))

    def _as_of_now(self) -> OrderBudget:
        """The last budget seen, with what this process alone knows."""
        budget = self._last.copy()
        for at_ns, ask in self._stayed:
            budget.stayed(self._limits, ask, at_ns=at_ns)
        for monotonic_ns, ask in self._unreported:
            budget.left(self._limits, ask, at_ns=min(monotonic_ns + (self._offset_ns or 0), self._now_ns()))
        budget.traded(self.trades, at_ns=self._now_ns())
        return budget

    def _admit_alone(self, ask: OrderAsk) -> Admission:
        if ask.lane is OrderLane.ENTRY:
            return Admission(wait_ns=_ENTRY_WAIT_NS)
        if self._alone is None:
            self._alone = self._as_of_now()
        shares = [_share(limit, alone_per_second=self._alone_per_second) for limit in self._limits]
        admission = self._alone.take(shares, ask, now_ns=self._now_ns())
        if admission.admitted:
            now_ns = self._timers.monotonic_ns()
            self._unreported.append((now_ns, ask))
            _remember(self._recent, now_ns, ask)
        return admission

    def _now_ns(self) -> int:
        """The book's time, for all we know; our own before it was ever asked."""
        if self._offset_ns is None:
            return self._timers.now_ns()
        return self._timers.monotonic_ns() + self._offset_ns

    async def _answered(self, question: Awaitable[T], *, gives_way: bool = False) -> T:
        """The book's answer. Raises TimeoutError where it is too long in coming, and _GaveWay where it is an entry's
        and `hurry` is called: it is left to itself then, for a statement that is given up must end before its
        connection serves anybody else."""
        asking = asyncio.ensure_future(question)  # itself, where it is one
        try:
            async with deadline(self._timers, _ANSWER_SECONDS):
                return await (self._unless_hurried(asking) if gives_way else asyncio.shield(asking))
        except TimeoutError:
            for _ in range(_GRACE_TURNS):  # it was perhaps this process that stood still: the answer lies there
                await asyncio.sleep(0)
                if asking.done():
                    return asking.result()
            asking.add_done_callback(_retrieve)
            raise

    async def _unless_hurried(self, asking: "asyncio.Future[T]") -> T:
        waiting = asyncio.shield(asking)
        self._entry, task = waiting, asyncio.current_task()
        try:
            return await waiting
        except asyncio.CancelledError:
            if not waiting.cancelled() or (task is not None and task.cancelling()):
                raise  # not (only) `hurry`
            asking.add_done_callback(_retrieve)
            raise _GaveWay from None
        finally:
            self._entry = None


def _share(limit: OrderLimit, *, alone_per_second: int) -> OrderLimit:
    """What of a limit a process may use while it cannot ask how much the others use: of a second so much, longer spans
    go on from what was last seen."""
    if limit.seconds > 1:
        return limit
    return replace(limit, kept=min(limit.kept, alone_per_second), reserve=0)


def _remember(recent: deque[tuple[int, OrderAsk]], now_ns: int, ask: OrderAsk, *, count: int = 1) -> None:
    """So many have left now; what is no longer recent is forgotten."""
    recent.extend([(now_ns, ask)] * count)
    while recent[0][0] <= now_ns - _RECENT_NS:
        recent.popleft()


def _give_up(waiting: "asyncio.Future[Any]") -> None:
    waiting.cancel()


def _retrieve(asking: "asyncio.Future[T]") -> None:
    """Looks at the end of a question that was given up, so that the loop does not complain that nobody did."""
    if not asking.cancelled():
        asking.exception()
