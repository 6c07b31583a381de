"""One entry, brought to an answer: tried, tried again, given up.

    handle ─┬─ an answer ──────────────────────────────────────────► done, or put aside
            ├─ a server is away ─► wait, recover, again ──► all servers answer all the same? put aside
            ├─ bad input (ValueError, TradebusError) ────────────────► put aside
            └─ anything else ─► recover, again, a few times ─────────► put aside

Invariants (tested): a handler's exception never leaves this; state in memory that an attempt may have left half
changed is built anew from the book before anything else is handled; nothing is tried without a pause between.
"""

import asyncio
from collections.abc import Callable

import structlog

from tradebus.bus.port import Entry, Subscription
from tradebus.kernel.errors import TradebusError
from tradebus.kernel.timers import Timers
from tradebus.runtime.consuming.handling import Done, Handler, Policy, Publisher, PutAside, TryLater, reason_of
from tradebus.runtime.metrics import ConsumerMetrics
from tradebus.runtime.patience import PASSING, back_off_seconds, patiently
from tradebus.waiting.timers import sleep

_log = structlog.get_logger()


class Attempts:
    """Asks the handler. `turn` is held while it works: consumers that share one never handle at the same time."""

    def __init__(
        self, name: str, *, handler: Handler, publisher: Publisher, timers: Timers, metrics: ConsumerMetrics,
        policy: Policy, turn: asyncio.Lock,
    ) -> None:  # fmt: skip
        self._name, self._handler, self._publisher = name, handler, publisher
        self._timers, self._metrics, self._policy, self._turn = timers, metrics, policy, turn
        self._is_stale = True  # nothing was taken from the book yet
        self.recovering: Callable[[], None] = lambda: None  # called when the handler is to drop what it holds in memory

    def spoilt(self) -> None:
        """The handler's state may be half changed: it recovers before it handles anything more."""
        self._is_stale = True

    async def recover(self) -> bool:
        """Publishes what is committed, and brings the handler back to what the book says, where it may not be there.

        Raises what the servers' absence raises, and what the handler cannot recover from.
        """
        if self._is_stale:
            await self._publisher.sweep()
            async with self._turn:
                self.recovering()
                await self._handler.recover()
            self._is_stale = False
        return True

    async def answer(self, entry: Entry, subscription: Subscription, stop: asyncio.Event) -> Done | PutAside | None:
        """What becomes of the entry; None where `stop` was set first (it is delivered again)."""
        if entry.deliveries > 1:
            lives = await patiently(lambda: subscription.take_in_hand(entry), stop, timers=self._timers, what="bus")
            if lives is None:
                return None
            if lives >= self._policy.lives_max:
                return PutAside(f"{lives} processes ended while they handled it")
        tries = _Tries(self._policy)
        while await patiently(self.recover, stop, timers=self._timers, what="recovering"):
            answer = await self._ask(entry, tries)
            if not isinstance(answer, TryLater):
                return answer
            self._metrics.tried_again.labels(self._name, entry.stream).inc()
            _log.warning(
                "trying again", consumer=self._name, stream=entry.stream, entry_id=entry.entry_id, kind=entry.kind,
                attempt=tries.count, problem=answer.reason,
            )  # fmt: skip
            if await sleep(self._timers, tries.delay_seconds(), unless=stop):
                return None
        return None

    async def _ask(self, entry: Entry, tries: "_Tries") -> Done | PutAside | TryLater:
        tries.count += 1
        try:
            async with self._turn:
                return await self._handler.handle(entry)
        except PASSING as error:
            self.spoilt()
            return await self._server_is_away(error, tries)
        except (ValueError, TradebusError) as error:
            self.spoilt()
            _log.warning("cannot be handled", stream=entry.stream, entry_id=entry.entry_id, exc_info=error)
            return PutAside(reason_of(error))
        except Exception as error:  # noqa: BLE001 - whatever one entry does, the service goes on
            self.spoilt()
            tries.failures += 1
            _log.error("handler failed", stream=entry.stream, entry_id=entry.entry_id, exc_info=error)
            if tries.failures >= self._policy.attempts_max:
                return PutAside(reason_of(error))
            return TryLater(reason_of(error))

    async def _server_is_away(self, error: Exception, tries: "_Tries") -> PutAside | TryLater:
        """Not for ever where it only looks so: a file that is missing is an OSError too."""
        tries.away += 1
        if tries.away % self._policy.server_attempts_max == 0:
            try:
                await self._publisher.check_servers()
            except PASSING:
                return TryLater(reason_of(error))
            return PutAside(f"failed {tries.away} times while every server answers: {reason_of(error)}")
        return TryLater(reason_of(error))


class _Tries:
    """How often one entry was tried, and with what outcome."""

    def __init__(self, policy: Policy) -> None:
        self.count = self.failures = self.away = 0
        self._policy = policy

    def delay_seconds(self) -> float:
        first, last = self._policy.first_delay_seconds, self._policy.last_delay_seconds
        return back_off_seconds(self.count, first=first, last=last)
