"""Entries from the bus to changes of trades.

intents ─► open / exit      md.ticks ─► supervise      commands ─► take sessions up, kill
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
import structlog
from prometheus_client import Counter, Gauge

from services.execution.accounts.desk import Desk
from services.execution.lane import Lane
from services.execution.recovery.recovery import Recovery
from services.execution.sessions import PAPER, Sessions
from services.execution.settings import ExecutionSettings
from services.execution.trades.commits import CONSUMER
from services.execution.trades.keeper import Keeper
from services.execution.trades.pulse import Pulse
from services.execution.trades.supervisor import Supervisor
from tradebus.bus.port import Bus, Entry, Outgoing, Subscription, is_poison
from tradebus.bus.several import SeveralSubscriptions
from tradebus.contracts.base import Message
from tradebus.contracts.commands import Kill, StartTrading
from tradebus.contracts.records import TICK, decode
from tradebus.contracts.registry import parse
from tradebus.contracts.risk import EntryApproved, EntryReduced, ExitApproved
from tradebus.contracts.streams import COMMANDS, INTENTS, MD_TICKS, ORDERS
from tradebus.execution.decisions import exit_at
from tradebus.kernel.errors import InvalidInput, TradebusError
from tradebus.runtime.merge import Gate, MergedInput
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store

_INTENTS, _TICKS = INTENTS.shard(0), MD_TICKS.shard(0)
GATES = (Gate(_INTENTS, 0, "event"), Gate(_TICKS, 1, "slice_start"))
# What a restarted server, a dropped connection or a conflict raise: worth another attempt, nothing is lost.
_TRANSIENT = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TradebusError, TimeoutError)
# What an entry raises that will never be of use: unreadable, or about something nobody registered.
_UNUSABLE = (ValueError, InvalidInput, asyncpg.ForeignKeyViolationError)
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
        recovery: Recovery,
        pulse: Pulse,
        supervisor: Supervisor,
        sessions: Sessions,
        outbox: Outbox,
        passed_ns: Callable[[str], int],
        desk: Desk | None = None,
    ) -> None:
        self._settings, self._bus, self._store = settings, bus, store
        self._keeper, self._supervisor, self._sessions = keeper, supervisor, sessions
        self._recovery, self._pulse, self.roster = recovery, pulse, keeper.roster
        self._outbox, self._desk, self._passed_ns = outbox, desk, passed_ns
        self._several: SeveralSubscriptions | None = None
        self._claimed: list[Entry] = []  # taken over from another instance, to be handled
        self._turn = asyncio.Lock()
        self._asking: dict[tuple[str, str], asyncio.Task[None]] = {}  # look-ups at brokers, by position and order
        self._handlers: dict[str, Callable[[Entry], Awaitable[None]]] = {
            _INTENTS: self._on_intent,
            _TICKS: self._on_ticks,
            COMMANDS.name: self._on_command,
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Recovers first, then handles entries until told to stop."""
        await self._recover()
        # Intents are shared by all instances; every instance sees all ticks and commands.
        name = f"{CONSUMER}-{self._settings.instance}"
        shared = await self._bus.subscribe([_INTENTS], group=CONSUMER, consumer=name)
        own = await self._bus.subscribe([_TICKS, COMMANDS.name], group=name, consumer=name)
        lanes = self._paced_lane(shared, own) if self._settings.paced else self._free_lanes(shared, own)
        tasks = [asyncio.create_task(self._work(lane, stop)) for lane in lanes]
        tasks.append(asyncio.create_task(_interrupt(lanes, stop)))
        tasks.append(asyncio.create_task(self._repeat(stop, lambda: self._keep_house(lanes[0]))))
        tasks.append(asyncio.create_task(self._repeat(stop, self._pulse.beat)))  # however long a turn takes
        if self._desk is not None:
            tasks.append(asyncio.create_task(self._desk.run(stop)))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in (*tasks, *self._asking.values()):
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*self._asking.values(), return_exceptions=True)
            if self._several is not None:
                await self._several.close()
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _paced_lane(self, shared: Subscription, own: Subscription) -> list[Lane]:
        self._several = SeveralSubscriptions({_INTENTS: shared, _TICKS: own, COMMANDS.name: own})
        merged = MergedInput(self._several, bus=self._bus, gates=GATES, paced=True)
        return [Lane(self._several, self._outbox, lambda block_ms: merged.next(block_ms=block_ms))]

    def _free_lanes(self, shared: Subscription, own: Subscription) -> list[Lane]:
        return [Lane(shared, self._outbox), Lane(own, self._outbox)]

    async def _work(self, lane: Lane, stop: asyncio.Event) -> None:
        """Handles the lane's entries; free-running ticks are acknowledged together, everything else as it is done."""
        while not stop.is_set():
            for entry in await lane.next(stop):
                if stop.is_set():
                    break  # not acknowledged: delivered again
                async with self._turn:
                    await self._handle(entry, lane)
            if lane.done:
                await lane.acknowledge()
        await lane.acknowledge()

    async def _recover(self) -> None:
        await self._outbox.sweep()
        await self._sessions.load()
        self._supervisor.begin((await self._bus.last_watermark(_TICKS) or 0) + 1)
        if self._desk is not None:
            for spec in self._sessions.at_brokers:
                self._desk.attach(spec, new=False)
        await self._pulse.beat()  # before the first trade: without a heart that stops, nobody would adopt it
        await self._recover_strays()
        await self._outbox.flush()

    async def _recover_strays(self) -> None:
        positions = await self._recovery.strays()
        for pos_id in positions:
            await self._recovery.recover(pos_id, now_ns=self._supervisor.now_ns)
        if positions:
            _log.info("recovered", trades=len(positions))

    async def _handle(self, entry: Entry, lane: Lane) -> None:
        if entry.body and is_poison(entry, deliveries_max=self._settings.deliveries_max):
            await self._put_aside(entry, lane, reason=f"not handled in {entry.deliveries} deliveries")
            return
        try:
            await self._handlers[entry.stream](entry)
        except _UNUSABLE as error:
            await self._put_aside(entry, lane, reason=str(error))
            return
        await self._finish(entry, lane)

    async def _put_aside(self, entry: Entry, lane: Lane, *, reason: str) -> None:
        """Into the dead letters. Others wait for its watermark all the same."""
        _log.error("unusable entry", stream=entry.stream, entry_id=entry.entry_id, error=reason)
        await lane.subscription.dead_letter(entry, reason=reason)
        if self._settings.paced and entry.watermark_ns is not None:
            await lane.acknowledge([Outgoing(ORDERS.name, "watermark", watermark_ns=entry.watermark_ns)])

    async def _finish(self, entry: Entry, lane: Lane) -> None:
        """Publishes what the entry led to and the watermark it completes; acknowledges last."""
        if entry.stream != _TICKS:
            lane.done.append(entry)
        elif await self._stored():
            lane.store_held()
            lane.done.append(entry)
        else:
            lane.hold(entry)
        if self._settings.paced and entry.watermark_ns is not None:
            await lane.acknowledge([Outgoing(ORDERS.name, "watermark", watermark_ns=entry.watermark_ns)])
        elif entry.stream == _TICKS:
            await self._outbox.flush()  # what the ticks led to leaves at once, their acknowledgement may wait
        else:
            await lane.acknowledge()

    async def _stored(self) -> bool:
        """Whether the ticks' effect on open trades is stored, or there is none."""
        unsaved = self._supervisor.unsaved()
        if unsaved:
            await self._keeper.commits.ledger.save_extremes(unsaved)
            return True
        return not self.roster.holds_any

    async def _on_intent(self, entry: Entry) -> None:
        if not entry.body:
            return
        message = parse(entry.body)
        if not message.pos_id:
            raise ValueError(f"{message.TYPE} without a pos_id")
        if isinstance(message, EntryApproved | EntryReduced):
            _TAKEN.labels("entry").inc()
            await self._keeper.open(message, refusal=self._refusal(message), at_ns=self._effective_ns(message))
        elif isinstance(message, ExitApproved):
            _TAKEN.labels("exit").inc()
            decide = exit_at(reason=message.rule, at_ns=self._effective_ns(message))
            await self._keeper.exit(message, decide)
        else:
            raise ValueError(f"{message.TYPE} does not belong on {entry.stream}")
        _ALIVE.set(len(self.roster.alive))

    def _effective_ns(self, message: Message) -> int:
        """Paced, what was decided inside a slice takes effect at its end: the slice's ticks have gone by already."""
        return max(message.ts_event_ns, self._supervisor.now_ns) if self._settings.paced else message.ts_event_ns

    def _refusal(self, approval: EntryApproved | EntryReduced) -> str | None:
        if self._sessions.killed:
            return "kill_switch"
        if max(self._supervisor.now_ns, self._passed_ns(approval.session_id or "")) > approval.valid_until_ns:
            return "stale_approval"
        return (self._desk.blocked(approval.session_id) or None) if self._desk is not None else None

    async def _on_ticks(self, entry: Entry) -> None:
        if entry.watermark_ns is None:
            raise ValueError("a tick batch without a watermark")
        await self._supervisor.apply(decode(entry.body, TICK), end_ns=entry.watermark_ns + 1)
        _ALIVE.set(len(self.roster.alive))

    async def _on_command(self, entry: Entry) -> None:
        message = parse(entry.body)
        if isinstance(message, StartTrading):
            if message.spec.broker != PAPER and self._desk is not None:
                self._desk.attach(message.spec, new=True)
            else:
                await self._sessions.take_up(message)
        elif isinstance(message, Kill) and await self._sessions.kill(message):
            await self._kill(message)

    async def _kill(self, message: Message) -> None:
        """Risk asks for the same exits; whoever comes first, the other finds nothing to do."""
        # In the market's time: a command carries wall time, which a market that runs behind it would never reach.
        at_ns = self._supervisor.now_ns or message.ts_event_ns
        for pos_id in list(self.roster.alive):
            await self._keeper.change(pos_id, exit_at(reason="kill_switch", at_ns=at_ns))

    async def _repeat(self, stop: asyncio.Event, chore: Callable[[], Awaitable[None]]) -> None:
        """A chore every so often. One that fails finds what it left when it is done again."""
        while not stop.is_set():
            try:
                await chore()
            except _TRANSIENT as error:
                _log.warning("housekeeping failed, trying again", error=str(error))
            await _sleep(stop, self._settings.housekeeping_seconds)

    async def _keep_house(self, lane: Lane) -> None:
        """Kill switch, orphans, strays, unknown outcomes, missed deadlines, messages another instance left behind."""
        async with self._turn:  # no tick passes between taking a trade over and following its orders
            await self._sessions.refresh_kill_switch()
            for pos_id in await self._recovery.adopt_orphans(silent_seconds=self._settings.orphan_seconds):
                _log.warning("adopted a trade whose instance is silent", pos_id=pos_id)
            await self._recover_strays()
            await self._look_up(self._recovery.questions())
            await self._supervisor.meet_missed()
        if not self._settings.paced:
            await self._claim_left(lane)
            await self._outbox.sweep()
        await self._outbox.flush()

    async def _look_up(self, questions: Sequence[tuple[str, str]]) -> None:
        """Asks for orders whose outcome is not known. Brokers are asked beside: one that hangs would hold up the exits
        of everybody else, and the order's own lock is enough."""
        for question, task in list(self._asking.items()):
            if task.done():
                del self._asking[question]
                task.result()
        for pos_id, order_id in questions:
            trade = self.roster.alive.get(pos_id)
            if (pos_id, order_id) in self._asking:
                continue
            asking = self._recovery.resolve(pos_id, order_id, now_ns=self._supervisor.now_ns)
            if trade is not None and self._sessions.is_at_broker(trade.session_id):
                self._asking[pos_id, order_id] = asyncio.create_task(asking)
            else:
                await asking

    async def _claim_left(self, lane: Lane) -> None:
        """Handles intents that another instance read and never finished."""
        self._claimed += await lane.subscription.claim_idle(min_idle_ms=int(self._settings.orphan_seconds * 1000))
        while self._claimed:
            async with self._turn:
                await self._handle(self._claimed[0], lane)
            self._claimed.pop(0)  # not before: it is delivered once in a process's life


async def _interrupt(lanes: Sequence[Lane], stop: asyncio.Event) -> None:
    """Ends the lanes' waits once the service is told to stop."""
    await stop.wait()
    for lane in lanes:
        lane.interrupt()


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
