"""Entries from the bus to changes of trades.

intents ─► open / exit      md.ticks ─► supervise      commands ─► take sessions up, kill
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
import structlog
from prometheus_client import Counter, Gauge

from services.execution.keeper import CONSUMER, Keeper
from services.execution.sessions import Sessions
from services.execution.settings import ExecutionSettings
from services.execution.supervisor import Supervisor, exit_at
from tradebus.bus.port import Bus, Entry, Outgoing, Subscription, is_poison
from tradebus.bus.several import SeveralSubscriptions
from tradebus.contracts.base import Message
from tradebus.contracts.commands import Kill, StartTrading
from tradebus.contracts.records import TICK, decode
from tradebus.contracts.registry import parse
from tradebus.contracts.risk import EntryApproved, EntryReduced, ExitApproved
from tradebus.contracts.streams import COMMANDS, INTENTS, MD_TICKS, ORDERS
from tradebus.kernel.errors import TradebusError
from tradebus.runtime.merge import Gate, MergedInput
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store
from tradebus.trading.states import OrderState

_INTENTS, _TICKS = INTENTS.shard(0), MD_TICKS.shard(0)
GATES = (Gate(_INTENTS, 0, "event"), Gate(_TICKS, 1, "slice_start"))
_BLOCK_MS = 1000
# What a restarted server, a dropped connection or a conflict raise: worth another attempt, nothing is lost.
_TRANSIENT = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TradebusError, TimeoutError)
_log = structlog.get_logger()

_TAKEN = Counter("tradebus_execution_intents_total", "Intents taken", ["kind"])
_ALIVE = Gauge("tradebus_execution_trades_alive", "Trades this instance supervises")


class Execution:
    """The one entry point of all placements: entries are handled one after the other."""

    def __init__(
        self,
        settings: ExecutionSettings,
        *,
        bus: Bus,
        store: Store,
        keeper: Keeper,
        supervisor: Supervisor,
        sessions: Sessions,
    ) -> None:
        self._settings, self._bus, self._store = settings, bus, store
        self._keeper, self._supervisor, self._sessions = keeper, supervisor, sessions
        self._outbox = Outbox(store, bus)
        self._done: list[Entry] = []  # handled, to be acknowledged
        self._held: list[Entry] = []  # ticks whose effect on extremes is not stored yet
        self._turn = asyncio.Lock()
        self._handlers: dict[str, Callable[[Entry], Awaitable[None]]] = {
            _INTENTS: self._on_intent,
            _TICKS: self._on_ticks,
            COMMANDS.name: self._on_command,
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Recovers first, then handles entries until told to stop."""
        await self._recover()
        subscription = await self._subscribe()
        merged = MergedInput(subscription, bus=self._bus, gates=GATES, paced=self._settings.paced)
        keeping = asyncio.create_task(self._housekeep(stop, subscription))
        try:
            while not stop.is_set():
                entries = await _until(stop, merged.next(block_ms=_BLOCK_MS))
                await self._handle_all(entries, subscription, stop)
                if keeping.done():
                    keeping.result()
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await self._acknowledge(subscription)
            await subscription.close()

    async def _subscribe(self) -> SeveralSubscriptions:
        # Intents are shared by all instances; every instance sees all ticks and commands.
        name = f"{CONSUMER}-{self._settings.instance}"
        shared = await self._bus.subscribe([_INTENTS], group=CONSUMER, consumer=name)
        own = await self._bus.subscribe([_TICKS, COMMANDS.name], group=name, consumer=name)
        return SeveralSubscriptions({_INTENTS: shared, _TICKS: own, COMMANDS.name: own})

    async def _recover(self) -> None:
        await self._outbox.sweep()
        await self._sessions.load()
        self._supervisor.now_ns = (await self._bus.last_watermark(_TICKS) or 0) + 1
        positions = await self._keeper.load_alive()
        for pos_id in positions:
            await self._keeper.recover(pos_id, now_ns=self._supervisor.now_ns)
        await self._outbox.flush()
        if positions:
            _log.info("recovered", trades=len(positions))

    async def _handle_all(self, entries: Sequence[Entry], subscription: Subscription, stop: asyncio.Event) -> None:
        """One after the other; free-running ticks are acknowledged together, everything else as it is done."""
        for entry in entries if self._settings.paced else sorted(entries, key=_intents_first):
            if stop.is_set():
                break  # not acknowledged: delivered again
            async with self._turn:
                await self._handle(entry, subscription)
        if self._done:
            await self._acknowledge(subscription)

    async def _handle(self, entry: Entry, subscription: Subscription) -> None:
        if entry.body and is_poison(entry, deliveries_max=self._settings.deliveries_max):
            await subscription.dead_letter(entry, reason=f"not handled in {entry.deliveries} deliveries")
            return
        try:
            await self._handlers[entry.stream](entry)
        except ValueError as error:
            _log.error("unreadable entry", stream=entry.stream, entry_id=entry.entry_id, error=str(error))
            await subscription.dead_letter(entry, reason=str(error))
            return
        await self._finish(entry, subscription)

    async def _finish(self, entry: Entry, subscription: Subscription) -> None:
        """Publishes what the entry led to and the watermark it completes; acknowledges last."""
        if entry.stream != _TICKS:
            self._done.append(entry)
        elif await self._stored(entry):
            self._done += [*self._held, entry]
            self._held.clear()
        if self._settings.paced and entry.watermark_ns is not None:
            await self._acknowledge(subscription, [Outgoing(ORDERS.name, "watermark", watermark_ns=entry.watermark_ns)])
        elif entry.stream == _TICKS:
            await self._outbox.flush()  # what the ticks led to leaves at once, their acknowledgement may wait
        else:
            await self._acknowledge(subscription)

    async def _stored(self, entry: Entry) -> bool:
        """Whether the ticks' effect on open trades is stored; if not, the entry is held until it is."""
        unsaved = self._supervisor.unsaved()
        if unsaved:
            await self._keeper.save_extremes(unsaved)
        elif any(trade.entry_quantity for trade in self._keeper.alive.values()):
            self._held.append(entry)
            return False
        return True

    async def _acknowledge(self, subscription: Subscription, then: Sequence[Outgoing] = ()) -> None:
        entries, self._done = self._done, []
        await self._outbox.flush(then=then, ack=(subscription, entries))

    async def _on_intent(self, entry: Entry) -> None:
        if not entry.body:
            return
        message = parse(entry.body)
        if isinstance(message, EntryApproved | EntryReduced):
            _TAKEN.labels("entry").inc()
            await self._keeper.open(message, refusal=self._refusal(message))
        elif isinstance(message, ExitApproved):
            _TAKEN.labels("exit").inc()
            decide = exit_at(reason=message.rule, at_ns=message.ts_event_ns)
            known = await self._keeper.change(
                message.pos_id or "", decide, message=message, intent_id=message.intent_id
            )
            if not known:
                _log.warning("an exit for a position that is not in the book", pos_id=message.pos_id)
        else:
            raise ValueError(f"{message.TYPE} does not belong on {entry.stream}")
        _ALIVE.set(len(self._keeper.alive))

    def _refusal(self, approval: EntryApproved | EntryReduced) -> str | None:
        if self._sessions.killed:
            return "kill_switch"
        if self._supervisor.now_ns > approval.valid_until_ns:
            return "stale_approval"
        return None

    async def _on_ticks(self, entry: Entry) -> None:
        if entry.watermark_ns is None:
            raise ValueError("a tick batch without a watermark")
        await self._supervisor.apply(decode(entry.body, TICK), end_ns=entry.watermark_ns + 1)
        _ALIVE.set(len(self._keeper.alive))

    async def _on_command(self, entry: Entry) -> None:
        message = parse(entry.body)
        if isinstance(message, StartTrading):
            await self._sessions.take_up(message)
        elif isinstance(message, Kill):
            await self._kill(message)

    async def _kill(self, message: Message) -> None:
        """Risk asks for the same exits; whoever comes first, the other finds nothing to do."""
        self._sessions.killed = True
        # In the market's time: a command carries wall time, which a market that runs behind it would never reach.
        at_ns = self._supervisor.now_ns or message.ts_event_ns
        for pos_id in list(self._keeper.alive):
            await self._keeper.change(pos_id, exit_at(reason="kill_switch", at_ns=at_ns))

    async def _housekeep(self, stop: asyncio.Event, subscription: Subscription) -> None:
        """Heartbeat, orphans, unknown outcomes, messages another instance left behind."""
        while not stop.is_set():
            try:
                await self._keep_house(subscription)
            except _TRANSIENT as error:
                _log.warning("housekeeping failed, trying again", error=str(error))
            await _sleep(stop, self._settings.housekeeping_seconds)

    async def _keep_house(self, subscription: Subscription) -> None:
        await self._sessions.refresh_kill_switch()
        async with self._turn:  # no tick passes between taking a trade over and following its orders
            for pos_id in await self._keeper.adopt_orphans(silent_seconds=self._settings.orphan_seconds):
                _log.warning("adopted a trade whose instance is silent", pos_id=pos_id)
                await self._keeper.recover(pos_id, now_ns=self._supervisor.now_ns)
            for trade in list(self._keeper.alive.values()):
                for order in trade.orders:
                    if order.state is OrderState.UNKNOWN:
                        await self._keeper.resolve(trade.pos_id, order.order_id, now_ns=self._supervisor.now_ns)
        if not self._settings.paced:
            await self._claim_left(subscription)
            await self._outbox.sweep()
        await self._outbox.flush()

    async def _claim_left(self, subscription: Subscription) -> None:
        """Handles intents that another instance read and never finished."""
        for entry in await subscription.claim_idle(min_idle_ms=int(self._settings.orphan_seconds * 1000)):
            async with self._turn:
                await self._handle(entry, subscription)


def _intents_first(entry: Entry) -> bool:
    """Sorts stably: an order must not wait behind ticks that came in the same read."""
    return entry.stream != _INTENTS


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


async def _until(stop: asyncio.Event, reading: Awaitable[list[Entry]]) -> list[Entry]:
    """The entries, or nothing where the service is told to stop first; a read in flight is given up, not lost."""
    task = asyncio.ensure_future(reading)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else []
    finally:
        stopping.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
