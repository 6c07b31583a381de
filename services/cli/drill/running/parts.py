"""The parts of the services that are not drilled, played by the world: approvals as risk gives them, and a session's
start, stop and end as the gateway moves it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np

from services.cli.drill.exchange.market import STEP_SECONDS, listing, registered
from services.cli.drill.running.lives import DrillWorld
from services.cli.drill.running.plan import DrillPlan, PlannedTrade
from services.cli.drill.twins.bus import DrilledBus
from services.sandbox.exchange import SandboxExchange
from tradebus.bus.port import Outgoing
from tradebus.contracts.base import Message
from tradebus.contracts.commands import StartTrading, StopTrading
from tradebus.contracts.records import TICK
from tradebus.contracts.risk import EntryApproved, ExitApproved
from tradebus.contracts.sessions import Mode, SessionSpec, SessionStatus, StrategySpec
from tradebus.contracts.signals import Side
from tradebus.contracts.streams import COMMANDS, INTENTS, MD_TICKS, key_of
from tradebus.kernel.ids import derive_id
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.runtime.patience import PASSING
from tradebus.store.books import instruments_book, session_register
from tradebus.store.memory_book import MemoryBook, MemoryTransaction
from tradebus.store.outbox import Outbox
from tradebus.waiting.timers import sleep

_PLACES = {"future": "NIFTY NFO", "call": "NIFTY CE", "put": "NIFTY PE", "share": "INFY NSE"}
_VALID_SECONDS = 20
_TIMEOUT_SECONDS = 8
_SHARES = 100  # of a lot of the share that has none
_OPTION_TIMES = 8.0  # an option moves so many times as far
_LOOK_SECONDS = 0.5


def place_of(name: str) -> int:
    """The number at the exchange of what the plan calls future, call, put or share."""
    instruments, _ = listing()
    for one in instruments:
        sort = f"{one.key.name} {one.key.right}" if one.key.is_option else f"{one.key.name} {one.key.segment}"
        if sort == _PLACES[name]:
            return one.index
    raise LookupError(name)


@dataclass(slots=True)
class PlayedParts:
    """Risk's and the gateway's. `over_ns` is when each session was said to be STOPPED."""

    plan: DrillPlan
    world: DrillWorld
    exchange: SandboxExchange
    approvals: dict[int, EntryApproved] = field(default_factory=dict)
    over_ns: dict[str, int] = field(default_factory=dict)
    _book: MemoryBook = field(init=False)
    _outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        world = self.world
        self._book = MemoryBook(world.database, producer="risk-1")
        bus = DrilledBus(world.bus, world.loop.world, points=world.points, draws=world.draws)
        self._outbox = Outbox(self._book, bus, timers=world.loop.world.timers)

    async def open(self) -> None:
        """Instruments and sessions are in the book, and every session was told to start."""
        instruments, _ = listing()
        async with self._book.begin() as transaction:
            await instruments_book(self._book).register(transaction, [registered(one) for one in instruments])
        for session in self.plan.sessions:
            await self._start(session)
        await self._until_done(self._outbox.flush)

    async def enter(self, planned: PlannedTrade) -> None:
        """Approves the entry at the price of now."""
        one, now_ns = self.exchange.instruments[place_of(planned.name)], self._now_ns()
        quote = self.exchange.quotes[one.index]
        side = Side.LONG if planned.is_long else Side.SHORT
        price = int(quote["ask_paise" if planned.is_long else "bid_paise"][0]) or int(quote["price_paise"])
        tick, lot = one.tick_size_paise, one.lot_size
        far = planned.stop_share * (_OPTION_TIMES if one.key.is_option else 1.0)
        pos_id = derive_id(now_ns, "drill", planned.number)
        group_id = derive_id(now_ns, "drill", planned.set_name) if planned.set_name is not None else None
        approved = EntryApproved(
            event_id=derive_id(now_ns, "approval", planned.number), ts_event_ns=now_ns, ts_recorded_ns=now_ns,
            source="risk", trace_id=f"t{planned.number}", session_id=planned.session,
            user_id=f"user-{planned.session}", pos_id=pos_id, signal_id=f"g{planned.number}", strategy="drill",
            symbol=one.symbol, instrument=one.index, side=side, rule="all_passed",
            intent_id=f"i{planned.number}", quantity=planned.lots * (lot if lot > 1 else _SHARES), lot_size=lot,
            tick_size_paise=tick, price_paise=price, stop_paise=int(price * (1 - side.sign * far)) // tick * tick,
            valid_until_ns=now_ns + _VALID_SECONDS * NANOSECONDS_PER_SECOND, max_slippage_pct=0.5,
            order_timeout_seconds=_TIMEOUT_SECONDS, group_id=group_id,
        )  # fmt: skip
        self.approvals[planned.number] = approved
        what = f"{side} {approved.quantity} {one.symbol} for {planned.session}"
        self.world.story.tell(f"risk approves entry {planned.number}: {what}")
        await self.say(key_of(INTENTS), approved)

    async def leave(self, planned: PlannedTrade) -> None:
        """Approves the exit of an entry that was approved."""
        entry, now_ns = self.approvals[planned.number], self._now_ns()
        approved = ExitApproved(
            event_id=derive_id(now_ns, "exit", planned.number), ts_event_ns=now_ns, ts_recorded_ns=now_ns,
            source="risk", trace_id=entry.trace_id, session_id=entry.session_id, user_id=entry.user_id,
            pos_id=entry.pos_id, intent_id=f"x{planned.number}", strategy=entry.strategy, symbol=entry.symbol,
            instrument=entry.instrument, side=entry.side, rule="exit_signal", reason="drill",
            group_id=entry.group_id,
        )  # fmt: skip
        self.world.story.tell(f"risk approves exit {planned.number}")
        await self.say(key_of(INTENTS), approved)

    async def publish_prices(self) -> None:
        """One slice of ticks, as market data makes it of every price of now. Lost where the bus is away."""
        now_ns = self._now_ns()
        quotes = self.exchange.quotes
        ticks = np.zeros(len(quotes), TICK)
        for name in ("price_paise", "instrument"):
            ticks[name] = quotes[name]
        ticks["bid_paise"], ticks["ask_paise"] = quotes["bid_paise"][:, 0], quotes["ask_paise"][:, 0]
        ticks["ts_event_ns"] = ticks["ts_received_ns"] = now_ns
        slice_ns = round(STEP_SECONDS * NANOSECONDS_PER_SECOND)
        outgoing = Outgoing(
            key_of(MD_TICKS), "ticks", ticks.tobytes(), watermark_ns=now_ns, slice_start_ns=now_ns + 1 - slice_ns
        )
        if not self.world.bus.is_away:
            await self.world.bus.bus.publish([outgoing])

    async def stop(self, session: str) -> None:
        """STOP_TRADING, as the gateway gives it and risk takes it."""
        now_ns = self._now_ns()
        command = StopTrading(
            event_id=derive_id(now_ns, "stop", session), ts_event_ns=now_ns, ts_recorded_ns=now_ns, source="gateway",
            trace_id="stop", session_id=session, user_id=f"user-{session}",
        )  # fmt: skip
        self.world.story.tell(f"{session} is told to stop")

        async def stopping(transaction: MemoryTransaction) -> None:
            await session_register(self._book).set_status(transaction, session, SessionStatus.STOPPING)
            await transaction.first_time("risk", command.event_id)
            transaction.emit(COMMANDS.name, command)

        await self.commit(stopping)

    async def end(self, session: str) -> None:
        """Waits until nothing more may happen in it, and says STOPPED, as the gateway does."""
        register = session_register(self._book)
        while await register.unfinished(session) or await register.awaits_look(session):
            await sleep(self.world.loop.world.timers, _LOOK_SECONDS)

        async def ended() -> None:
            async with self._book.begin() as transaction:
                await register.end(
                    transaction, session, SessionStatus.STOPPED, seen=SessionStatus.STOPPING, now_ns=self._now_ns(),
                    reason="drill",
                )  # fmt: skip

        await self._until_done(ended)
        self.over_ns[session] = self._now_ns()
        self.world.story.tell(f"{session} is STOPPED")

    async def _start(self, session: str) -> None:
        now_ns, broker = self._now_ns(), self.plan.sessions[session]
        instruments, _ = listing()
        spec = SessionSpec(
            session_id=session, user_id=f"user-{session}", mode=Mode.LIVE, broker=broker, credential=broker,
            data_broker=broker, symbols=tuple(one.symbol for one in instruments if one.key.segment.value != "INDEX"),
            strategies=(StrategySpec(name="drill"),), capital_paise=10**9,
            trailing=self.plan.trailing.get(session),
        )  # fmt: skip
        register = session_register(self._book)
        async with self._book.begin() as transaction:
            await register.insert(transaction, spec, command_id=f"c-{session}", now_ns=now_ns)
            await register.begin(transaction, session, SessionStatus.RUNNING)
            transaction.emit(
                COMMANDS.name,
                StartTrading(
                    event_id=derive_id(now_ns, "start", session), ts_event_ns=now_ns, ts_recorded_ns=now_ns,
                    source="gateway", trace_id="start", session_id=session, user_id=spec.user_id, spec=spec,
                ),
            )  # fmt: skip

    async def say(self, stream: str, message: Message) -> None:
        """Commits the message, and has it published."""

        async def emitted(transaction: MemoryTransaction) -> None:
            transaction.emit(stream, message)

        await self.commit(emitted)

    async def commit(self, work: Callable[[MemoryTransaction], Awaitable[None]]) -> None:
        """Commits what `work` does, and has published what it emits."""

        async def done() -> None:
            async with self._book.begin() as transaction:
                await work(transaction)

        await self._until_done(done)
        await self._until_done(self._outbox.flush)

    async def _until_done(self, work: Callable[[], Awaitable[None]]) -> None:
        """As its service does it: until the servers have it."""
        while True:
            try:
                await work()
                return
            except PASSING:
                await sleep(self.world.loop.world.timers, _LOOK_SECONDS)

    def _now_ns(self) -> int:
        return self.world.loop.machine.now_ns()
