"""The loop around the handlers: read in merged order, handle, publish, acknowledge last.

Paced, nothing of a gating stream is acknowledged before the watermark it led to is out: a restart finds every watermark
that the merge needs among what is delivered again. Free-running, entries are acknowledged as soon as their effect is
published.

A message that fails is tried again, from the state in the book, up to a limit; then it goes to the dead letters with
the reason and the service goes on. A database or bus that does not answer is waited for, and counts against no message.
"""

import asyncio
from collections.abc import Sequence

import asyncpg
import structlog

from services.risk.adapters.ledger import CONSUMER, StateConflict
from services.risk.handlers import TICKS_STREAM, Risk
from services.risk.messages import INTENTS_STREAM
from services.risk.metrics import DEAD_LETTERS
from tradebus.bus.port import Bus, Entry, Outgoing, Subscription
from tradebus.contracts.commands import Kill
from tradebus.contracts.streams import COMMANDS, ORDERS, SESSIONS, SIGNALS
from tradebus.kernel.clock import Clock, monotonic_ns
from tradebus.kernel.errors import Unavailable
from tradebus.kernel.ids import IdSource
from tradebus.kernel.rng import jittered
from tradebus.runtime.merge import Gate, MergedInput
from tradebus.store.outbox import Outbox

GATES = (Gate(SIGNALS.name, 0, "event"), Gate(TICKS_STREAM, 1, "watermark"), Gate(ORDERS.name, 2, "event"))
STREAMS = (SIGNALS.name, TICKS_STREAM, ORDERS.name, COMMANDS.name, SESSIONS.name)
_BLOCK_MS = 200
_SWEEP_EVERY_NS = 5_000_000_000
_FIRST_DELAY_SECONDS, _LAST_DELAY_SECONDS = 0.05, 2.0
# The server's trouble, not the message's.
_PASSING = (
    OSError, TimeoutError, Unavailable, asyncpg.InterfaceError, asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError, asyncpg.InsufficientResourcesError, asyncpg.TransactionRollbackError,
)  # fmt: skip
_log = structlog.get_logger()


class RiskConsumer:
    """The component that decides. One per namespace: a second one would fail on the first state it saves."""

    def __init__(
        self, risk: Risk, *, bus: Bus, outbox: Outbox, clock: Clock, ids: IdSource, paced: bool, attempts_max: int,
    ) -> None:  # fmt: skip
        self.risk, self._bus, self.outbox, self._clock, self._ids = risk, bus, outbox, clock, ids
        self._paced, self._attempts_max = paced, attempts_max
        self._swept_ns = 0
        self._done: list[Entry] = []  # handled and published, not acknowledged yet

    async def run(self, stop: asyncio.Event) -> None:
        await self.outbox.sweep()
        await self.risk.kill_switch.look()
        await self.risk.load()
        # One name for every instance: whoever comes next finds what the last one left.
        subscription = await self._bus.subscribe(STREAMS, group=CONSUMER, consumer=CONSUMER)
        merged = MergedInput(subscription, bus=self._bus, gates=GATES, paced=self._paced)
        _log.info("sessions taken up", sessions=len(self.risk.book.sessions))
        while not stop.is_set():
            if self.risk.kill_switch.pending is not None:
                await self._close_killed(self.risk.kill_switch.pending, stop)
            for entry in await merged.next(block_ms=_BLOCK_MS):
                if stop.is_set():
                    break  # not acknowledged: delivered again
                await self.take(entry, subscription, stop)
            await self._acknowledge_free(subscription)
            await self._sweep_at_times()
        await self._acknowledge_free(subscription)

    async def take(self, entry: Entry, subscription: Subscription, stop: asyncio.Event) -> None:
        """Handles one entry to its end: handled, or among the dead letters. Returns early only when told to stop."""
        attempt, failures = 0, 0
        while True:
            try:
                if attempt:
                    await self._recover()
                await self.risk.handle(entry)
                await self._finish(entry, subscription)
                return
            except StateConflict:
                raise
            except _PASSING as error:
                _log.warning("trying again", stream=entry.stream, entry_id=entry.entry_id, error=str(error))
            except ValueError as error:  # no message, or one that lacks what its kind needs: no retry mends it
                await self._give_up(entry, subscription, reason=f"{type(error).__name__}: {error}")
                return
            except Exception as error:  # noqa: BLE001 - whatever one message does, the service goes on
                failures += 1
                _log.exception("message failed", stream=entry.stream, entry_id=entry.entry_id, failures=failures)
                if failures >= self._attempts_max:
                    await self._give_up(entry, subscription, reason=f"{type(error).__name__}: {error}")
                    return
            attempt += 1
            if await _stopped(stop, seconds=_delay_seconds(attempt)):
                return

    async def _finish(self, entry: Entry, subscription: Subscription) -> None:
        """Publishes what the entry led to, and the watermark it carries; acknowledges last."""
        if entry.stream == SIGNALS.name and entry.watermark_ns is not None:
            await self._publish_watermark(entry.watermark_ns, subscription, [*self._done, entry])
            return
        gating = self._paced and entry.stream in (SIGNALS.name, TICKS_STREAM, ORDERS.name)
        if gating or entry.stream == TICKS_STREAM:
            await self.outbox.flush()
            self._done.append(entry)
        else:
            free = [] if self._paced else self._done
            await self.outbox.flush(ack=(subscription, [*free, entry]))
            if not self._paced:
                self._done = []

    async def _publish_watermark(self, watermark_ns: int, subscription: Subscription, entries: Sequence[Entry]) -> None:
        watermark = Outgoing(INTENTS_STREAM, "watermark", watermark_ns=watermark_ns)
        await self.outbox.flush(then=[watermark], ack=(subscription, entries))
        self._done = []

    async def _acknowledge_free(self, subscription: Subscription) -> None:
        if self._done and not self._paced:
            await subscription.ack(self._done)
            self._done = []

    async def _sweep_at_times(self) -> None:
        """Publishes what an instance of another name left; own rows are published as they are committed."""
        if self._paced or monotonic_ns() - self._swept_ns < _SWEEP_EVERY_NS:
            return
        self._swept_ns = monotonic_ns()
        try:
            await self.outbox.sweep()
        except _PASSING as error:
            _log.warning("outbox not swept, trying again", error=str(error))

    async def _give_up(self, entry: Entry, subscription: Subscription, *, reason: str) -> None:
        """To the dead letters; the others must not wait for the watermark that came with it."""
        DEAD_LETTERS.labels(entry.stream).inc()
        await self._recover()
        await self.outbox.flush(ack=(subscription, self._done))  # entries of a stream are done with in order
        self._done = []
        await subscription.dead_letter(entry, reason=reason)
        if entry.stream == SIGNALS.name and entry.watermark_ns is not None:
            await self._publish_watermark(entry.watermark_ns, subscription, self._done)

    async def _recover(self) -> None:
        """Back to what the book says. What was committed without our hearing of it is published from the outbox."""
        await self.outbox.sweep()
        await self.risk.load()

    async def _close_killed(self, reason: str, stop: asyncio.Event) -> None:
        """Closes everything because the switch was found engaged without a command."""
        now_ns, command_id, attempt = self._clock.now_ns(), self._ids.new_id(), 0
        command = Kill(
            event_id=command_id, ts_event_ns=now_ns, ts_recorded_ns=now_ns, source="risk", trace_id=command_id,
            reason=reason,
        )  # fmt: skip
        while True:
            try:
                if attempt:
                    await self._recover()
                await self.risk.on_kill(command)
                await self.outbox.flush()
                self.risk.kill_switch.pending = None
                _log.warning("kill switch engaged", reason=reason)
                return
            except _PASSING as error:
                _log.warning("kill switch: trying again", error=str(error))
            attempt += 1
            if await _stopped(stop, seconds=_delay_seconds(attempt)):
                return


def _delay_seconds(attempt: int) -> float:
    return jittered(min(_LAST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2 ** min(attempt, 10)), attempt, seed=0)


async def _stopped(stop: asyncio.Event, *, seconds: float) -> bool:
    """Waits; True where the service is told to stop meanwhile."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True
