"""The one seam before a request of an account leaves, and what senders count."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tradebus.execution.governor.budget import ADMITTED, Admission, OrderAsk
from tradebus.execution.governor.limits import OrderLane
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.runtime.consuming.trouble import Trouble

AGAIN_NS = NANOSECONDS_PER_SECOND  # after a failure
_FORESEEN_NS = 50_000_000  # so long an answer serves that was asked for ahead: its second is perhaps over by then
_log = structlog.get_logger()


class Pacing(Protocol):
    """Asked by the account's sender, in the order in which requests may leave."""

    async def admit(self, account: str, ask: OrderAsk, *, more: int = 0) -> Admission:
        """Whether this request may leave now; where it may, it counts as one that has left, and with it up to `more`
        others like it, as the answer says. It does not wait for room: the sender asks again, for what is most urgent by
        then. Does not raise."""

    def unused(self, account: str, ask: OrderAsk, count: int) -> None:
        """So many of the last admission, of `ask`, have not left: they count no longer."""

    def hurry(self, account: str) -> None:
        """Something has come that no entry's question is to hold up: one that is not answered soon is given up."""


class PassThrough:
    """Lets everything through."""

    async def admit(self, account: str, ask: OrderAsk, *, more: int = 0) -> Admission:
        return ADMITTED

    def unused(self, account: str, ask: OrderAsk, count: int) -> None:
        """Nothing is counted."""

    def hurry(self, account: str) -> None:
        """Nothing is being asked."""


@dataclass(frozen=True, slots=True)
class _Foreseen:
    """A question that was asked ahead, `since_ns` monotonic."""

    ask: OrderAsk
    answer: asyncio.Task[Admission]
    since_ns: int

    def serves(self, ask: OrderAsk, admission: Admission) -> bool:
        """Whether the answer is one to `ask` as well."""
        return is_counted_alike(self.ask, ask) if admission.admitted else self.ask == ask


@dataclass(slots=True)
class _Spare:
    """What was admitted with another and has not left, `since_ns` monotonic."""

    ask: OrderAsk
    count: int
    since_ns: int


class SurePacing:
    """An account's pacing that raises nothing, whatever the one behind it does: entries wait then, exits leave, and
    `trouble` says so. One question at a time; what was admitted beyond it serves those that come next, until
    `release`."""

    def __init__(self, pacing: Pacing, account: str, *, timers: Timers, metrics: "SenderMetrics") -> None:
        self._pacing, self._account, self._timers, self._metrics = pacing, account, timers, metrics
        self._foreseen: _Foreseen | None = None
        self._spare: _Spare | None = None
        self._is_asking = False
        self.trouble = Trouble()

    def foresee(self, ask: OrderAsk) -> None:
        """What will be asked for in a moment is asked for now, where nothing else is. Returns at once. Should it not
        come after all, it is counted nevertheless, or what comes in its place uses it."""
        if self._foreseen is None and not self._is_asking:
            self._foreseen = _Foreseen(ask, asyncio.create_task(self._asked(ask)), self._timers.monotonic_ns())

    @property
    def has_spare(self) -> bool:
        """Whether something is admitted beyond what has left."""
        return self._spare is not None

    async def admit(self, ask: OrderAsk, *, more: int = 0) -> Admission:
        """See `Pacing`."""
        if self._takes_spare(ask):
            return ADMITTED
        self.release()
        self._is_asking = True
        try:
            foreseen, self._foreseen = self._foreseen, None
            if foreseen is not None:
                admission = await foreseen.answer
                is_fresh = self._timers.monotonic_ns() - foreseen.since_ns <= _FORESEEN_NS
                if is_fresh and foreseen.serves(ask, admission):
                    return admission
            asked_ns = self._timers.monotonic_ns()
            admission = await self._asked(ask, more=more)
            if admission.more:
                self._spare = _Spare(ask, admission.more, asked_ns)
            return admission
        finally:
            self._is_asking = False

    def release(self) -> None:
        """What was admitted and has not left is given back."""
        spare, self._spare = self._spare, None
        if spare is not None:
            self._pacing.unused(self._account, spare.ask, spare.count)

    def hurry(self) -> None:
        """See `Pacing`."""
        self._pacing.hurry(self._account)

    def close(self) -> None:
        """Whoever asks has ended."""
        self.release()
        if self._foreseen is not None:
            self._foreseen.answer.cancel()
            self._foreseen = None

    def _takes_spare(self, ask: OrderAsk) -> bool:
        spare = self._spare
        if spare is None or not is_counted_alike(spare.ask, ask):
            return False
        if self._timers.monotonic_ns() - spare.since_ns > _FORESEEN_NS:
            return False
        spare.count -= 1
        if not spare.count:
            self._spare = None
        return True

    async def _asked(self, ask: OrderAsk, *, more: int = 0) -> Admission:
        try:
            admission = await self._pacing.admit(self._account, ask, more=more)
        except Exception as error:  # noqa: BLE001 - whatever it raises, exits find their way out
            self.trouble.problem = f"the order governor of {self._account} fails: entries wait, exits leave without it"
            self._metrics.failed(self._account, error, of="governor")
            return Admission(wait_ns=AGAIN_NS) if ask.lane is OrderLane.ENTRY else ADMITTED
        self.trouble.problem = None
        return admission


def is_counted_alike(one: OrderAsk, other: OrderAsk) -> bool:
    """Whether an admission of one may be used by the other: it is counted as what it is, but for the lane."""
    return (one.segment, one.counted) == (other.segment, other.counted)


class SenderMetrics:
    """One per registry, shared by all senders and the governor."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.admitted = Counter(
            "tradebus_execution_requests_total", "Requests that left for a broker", ["account", "priority"],
            registry=registry,
        )  # fmt: skip
        self.failures = Counter(
            "tradebus_execution_sender_failures_total",
            "Failures of a sender that it lived through: of the order governor, of one request, of its task",
            ["account", "of"], registry=registry,
        )  # fmt: skip
        self.waiting = Gauge(
            "tradebus_execution_requests_waiting", "Requests that wait for their account", ["account"],
            registry=registry,
        )  # fmt: skip
        self.under_way = Gauge(
            "tradebus_execution_requests_under_way", "Requests a broker has not answered yet", ["account"],
            registry=registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "tradebus_execution_request_seconds", "From leaving to the answer", ["account"], registry=registry,
            buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20),
        )  # fmt: skip
        self.waited_seconds = Histogram(
            "tradebus_execution_request_wait_seconds", "From the decision to leaving", ["account", "lane"],
            registry=registry, buckets=(0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
        )  # fmt: skip
        self.refused = Counter(
            "tradebus_execution_entries_over_limit_total", "Entries refused because a broker's limit is used up",
            ["account", "span"], registry=registry,
        )  # fmt: skip
        self.used = Gauge(
            "tradebus_execution_order_limit_used", "Requests that have left, of a broker's limit", ["account", "span"],
            registry=registry,
        )  # fmt: skip
        self.kept = Gauge(
            "tradebus_execution_order_limit", "Requests that may leave in a span", ["account", "span"],
            registry=registry,
        )  # fmt: skip
        self.shared = Gauge(
            "tradebus_execution_order_budget_shared",
            "Whether the account's order budget is counted with all its processes (1), or by this one alone (0)",
            ["account"], registry=registry,
        )  # fmt: skip

    def failed(self, account: str, error: BaseException | None, *, of: str, **about: str) -> None:
        """A failure that a sender lives through, of its governor, a request or its task."""
        self.failures.labels(account, of).inc()
        _log.error("a sender goes on after a failure", account=account, of=of, **about, exc_info=error)
