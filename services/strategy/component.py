"""The loop of the strategy service: what is read, in which order, and when it is published, stored and acknowledged.

    md.candles, (md.ticks), orders ─► merged order ─► handlers ─┬─ signals? published, stored, watermark, acked
    commands, sessions ─► as read ─► handlers ─► ack            └─ none? watermark published, ack waits for the journal

A signal leaves before it is stored: it is decided again, with the same id, from an entry that is not acknowledged, and
nobody acts on it before risk has committed its verdict (decision 9). What is decided then may be something else, where
the session was stopped or paused meanwhile: so the next life first stores what this one had published.

Invariants (tested on real servers):
- Every md.candles entry leads to its watermark on signals.v1, at once, after the signals it led to.
- An entry is acknowledged only after its decisions and signals are stored and its signals and watermark published.
- In a paced run orders and ticks are acknowledged only together with a later candles entry: their watermarks hold that
  entry's place in the merge, and must be read again where it is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from services.strategy.adapters.journal import Journal
from services.strategy.adapters.published import perhaps_not_stored
from services.strategy.adapters.tick_stream import TICKS, TickStream
from services.strategy.handlers import Handlers, Outcome
from services.strategy.messages import SignalMessage, row_of_message
from tradebus.bus.port import Bus, Entry, Outgoing, Subscription
from tradebus.contracts.streams import COMMANDS, MD_CANDLES, ORDERS, SESSIONS, SIGNALS
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import InvalidInput
from tradebus.runtime.merge import Gate, MergedInput
from tradebus.strategies.lane.decisions import DecisionRow

_log = structlog.get_logger()

GROUP = "strategy"
CANDLES = MD_CANDLES.shard(0)
_GATES = (Gate(CANDLES, 0, "watermark"), Gate(ORDERS.name, 2, "event"))
_TICK_GATE = Gate(TICKS, 1, "watermark")
_UNORDERED = (COMMANDS.name, SESSIONS.name)
_BATCH = "candles"
_BLOCK_MS = 100


@dataclass(frozen=True, slots=True)
class FlushLimits:
    """How much may wait for the journal: candles entries, and seconds of wall time."""

    entries: int
    seconds: float


class StrategyComponent:
    """One per process. `consumer` names it in the group; the same name after a restart finds what was left."""

    def __init__(
        self,
        *,
        bus: Bus,
        journal: Journal,
        handlers: Handlers,
        ticks: TickStream,
        consumer: str,
        paced: bool,
        limits: FlushLimits,
    ) -> None:
        self._bus, self._journal, self._handlers = bus, journal, handlers
        self._ticks = ticks
        self._consumer, self._paced, self._limits = consumer, paced, limits
        self._input: MergedInput | None = None
        self._hears_ticks = False
        self._rows: list[DecisionRow] = []
        self._handled: list[Entry] = []  # handled, not acknowledged, in order
        self._ackable = 0  # how many of them, from the front, may be acknowledged once the rows are stored
        self._candles_waiting = 0
        self._feed_ended = False  # the last candles entry said that no more come
        self._flushed_ns = self._worked_ns = monotonic_ns()
        self._handlers_by_stream: dict[str, Callable[[Entry], Awaitable[Outcome]]] = {
            COMMANDS.name: handlers.on_command,
            SESSIONS.name: handlers.on_session,
            ORDERS.name: handlers.on_order,
            CANDLES: handlers.on_candles,
            TICKS: handlers.on_ticks,
        }

    async def start(self) -> None:
        """Stores what the last life published last, takes the sessions up again and opens the input."""
        published = await perhaps_not_stored(self._bus)
        if published:
            await self._journal.write_with_signals([row_of_message(one) for one in published], published)
        await self._handlers.resume()
        await self._open_input()

    async def run(self, stop: asyncio.Event) -> None:
        if self._input is None:
            await self.start()
        while not stop.is_set():
            await self.turn()
        await self._flush()

    async def turn(self, *, block_ms: int = _BLOCK_MS) -> int:
        """Handles what is there, waiting up to `block_ms` for something; returns how many entries it handled."""
        assert self._input is not None
        entries = await self._input.next(block_ms=block_ms)
        for number, entry in enumerate(entries):
            await self._handle(entry, self._input.subscription)
            if self._handlers.active.wants_ticks != self._hears_ticks:
                await self._open_input()  # what the old input had not yet given out comes again
                return number + 1
        if entries:
            self._worked_ns = monotonic_ns()
        # An empty answer may come at once, when what was read waits for another stream: idle is only who waited.
        idle = monotonic_ns() - self._worked_ns >= block_ms * 1_000_000
        if idle or self._is_due():
            await self._flush()
        return len(entries)

    async def _open_input(self) -> None:
        """Subscribes: to ticks only while some strategy wants them."""
        await self._flush()
        self._handled, self._ackable = [], 0
        self._hears_ticks = self._handlers.active.wants_ticks
        streams, gates = [CANDLES, ORDERS.name, *_UNORDERED], list(_GATES)
        if self._hears_ticks:
            streams.append(TICKS)
            gates.append(_TICK_GATE)
        else:
            await self._ticks.leave()
        subscription = await self._bus.subscribe(streams, group=GROUP, consumer=self._consumer)
        self._input = MergedInput(subscription, bus=self._bus, gates=gates, paced=self._paced)

    async def _handle(self, entry: Entry, subscription: Subscription) -> None:
        try:
            outcome = await self._handlers_by_stream[entry.stream](entry)
        except (ValueError, InvalidInput) as error:
            await self._set_aside(entry, subscription, error)
            return
        if entry.stream in _UNORDERED:
            if outcome.session_ended:
                await self._flush()
            await subscription.ack([entry])
            return
        self._keep(entry, outcome)
        then = _watermark_of(entry)
        if outcome.signals:
            await self._bus.publish(signals_out(outcome.signals))
            await self._journal.write_with_signals(self._rows, outcome.signals)
            await self._publish(then, stored=True)
        elif self._is_due():
            await self._journal.write(self._rows)
            await self._publish(then, stored=True)
        elif then:
            await self._publish(then, stored=False)

    def _keep(self, entry: Entry, outcome: Outcome) -> None:
        self._rows += outcome.rows
        self._handled.append(entry)
        if entry.stream == CANDLES:
            self._candles_waiting += 1
            self._feed_ended = entry.kind != _BATCH
        if entry.stream == CANDLES or not self._paced:
            self._ackable = len(self._handled)

    async def _publish(self, then: list[Outgoing], *, stored: bool) -> None:
        """Publishes `then`; acknowledges what may be where the rows are `stored`."""
        if not stored:
            await self._bus.publish(then)
            return
        self._rows = []
        acknowledged, self._handled = self._handled[: self._ackable], self._handled[self._ackable :]
        self._ackable = self._candles_waiting = 0
        self._flushed_ns = monotonic_ns()
        if then or acknowledged:
            assert self._input is not None
            await self._input.subscription.publish_and_ack(then, acknowledged)

    async def _flush(self) -> None:
        if self._rows or self._ackable:
            await self._journal.write(self._rows)
            await self._publish([], stored=True)

    def _is_due(self) -> bool:
        if not self._handled:
            return False
        waited_ns = monotonic_ns() - self._flushed_ns
        return (
            self._feed_ended or self._candles_waiting >= self._limits.entries or waited_ns >= self._limits.seconds * 1e9
        )

    async def _set_aside(self, entry: Entry, subscription: Subscription, error: Exception) -> None:
        """An entry nobody can handle must not stop the others: it goes to the dead letters, its watermark goes on."""
        reason = f"{type(error).__name__}: {error}"
        _log.error("entry set aside", stream=entry.stream, entry_id=entry.entry_id, kind=entry.kind, reason=reason)
        then = _watermark_of(entry)
        if then:
            await self._bus.publish(then)
        await subscription.dead_letter(entry, reason=reason)


def signals_out(signals: Sequence[SignalMessage]) -> list[Outgoing]:
    """The signals as they go on the bus; decided twice alike, it is one signal."""
    once = {signal.event_id: signal for signal in signals}
    return [Outgoing(SIGNALS.name, signal.TYPE, signal.to_json()) for signal in once.values()]


def _watermark_of(entry: Entry) -> list[Outgoing]:
    """The promise that an md.candles entry leads to: no signal at or before its end comes after this."""
    if entry.stream != CANDLES or entry.watermark_ns is None:
        return []
    return [Outgoing(SIGNALS.name, "watermark", watermark_ns=entry.watermark_ns)]
