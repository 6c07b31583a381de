"""What people command in a run, as the gateway tells it: FLATTEN of a session or a part of it, KILL of everything; and
what must be so when the run's sessions are about to stop.

Where Postgres or Redis was away, or lost something, a command may have reached nobody in time: that is not judged here.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from services.cli.drill.running.invariants import Invariant, Violation
from services.cli.drill.running.lives import DrillWorld
from services.cli.drill.running.parts import PlayedParts
from services.cli.drill.running.plan import POSITION, SYMBOL, DrillPlan, PlannedEvent
from services.gateway.killswitch import engage
from tradebus.contracts.commands import Flatten
from tradebus.contracts.streams import COMMANDS
from tradebus.execution.trade import Trade
from tradebus.kernel.ids import derive_id
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.store.books import kill_switch_book
from tradebus.store.memory_book import MemoryBook, MemoryTransaction
from tradebus.trading.exit_reasons import FLATTEN

FLATTENED, KILLED = "session flattened", "kill switch"
HEARD_NS = 3 * NANOSECONDS_PER_SECOND  # by then execution knows, by the bus or by the book


@dataclass(slots=True)
class People:
    """`killed_ns` is when everything was killed, 0 where it was not; `flattened` what each FLATTEN meant, `spared` what
    of its session it did not mean."""

    plan: DrillPlan
    world: DrillWorld
    parts: PlayedParts
    killed_ns: int = 0
    flattened: set[str] = field(default_factory=set)
    spared: set[str] = field(default_factory=set)

    async def flatten(self, event: PlannedEvent) -> None:
        """Every position of a session, or of its first one's symbol, or that one, is to be closed, and it goes on."""
        sessions = list(self.plan.sessions)
        session, now_ns = sessions[event.number % len(sessions)], self._now_ns()
        held = [trade for trade in self._trades().values() if trade.session_id == session and is_held(trade)]
        first = held[0] if held else None
        command = Flatten(
            event_id=derive_id(now_ns, "flatten", session), ts_event_ns=now_ns, ts_recorded_ns=now_ns,
            source="gateway", trace_id="flatten", session_id=session, user_id=f"user-{session}",
            symbol=first.symbol if first is not None and event.scope == SYMBOL else None,
            pos_id=first.pos_id if first is not None and event.scope == POSITION else None,
        )  # fmt: skip
        meant = {trade.pos_id for trade in held if is_meant(trade, command)}
        self.world.story.tell(f"{session} is to be flat ({event.scope}): {len(meant)} of {len(held)} positions")
        await self.parts.say(COMMANDS.name, command)
        self.flattened |= meant
        self.spared |= {trade.pos_id for trade in held} - meant

    async def kill(self, event: PlannedEvent) -> None:
        """Everything is to be closed, and no entry taken any more."""
        del event
        book = MemoryBook(self.world.database, producer="gateway-1")

        async def engaged(transaction: MemoryTransaction) -> None:
            await engage(kill_switch_book(book), transaction, reason="drill", now_ns=self._now_ns())

        self.world.story.tell("the kill switch is engaged")
        await self.parts.commit(engaged)
        self.killed_ns = self.killed_ns or self._now_ns()

    def disobeyed(self) -> Iterator[Violation]:
        """See `disobeyed`."""
        yield from disobeyed(self._trades(), killed_ns=self.killed_ns, flattened=self.flattened, spared=self.spared)

    def _trades(self) -> Mapping[str, Trade]:
        return self.world.database.table("trades")

    def _now_ns(self) -> int:
        return self.world.loop.machine.now_ns()


def disobeyed(
    trades: Mapping[str, Trade], *, killed_ns: int, flattened: Collection[str], spared: Collection[str]
) -> Iterator[Violation]:
    """What nobody has asked to leave, what a FLATTEN closed and did not mean, and entries after a KILL."""
    for trade in trades.values():
        stays = is_held(trade) and trade.exit_reason is None
        if stays and (killed_ns or trade.pos_id in flattened):
            yield Violation(Invariant.DISOBEYED, f"position {trade.pos_id} of {trade.session_id} is held as before")
        if trade.pos_id in spared and trade.exit_reason == FLATTEN:
            yield Violation(Invariant.DISOBEYED, f"position {trade.pos_id} was closed by a FLATTEN of another")
        if killed_ns and trade.created_ns > killed_ns + HEARD_NS and trade.entry_quantity:
            yield Violation(Invariant.DISOBEYED, f"position {trade.pos_id} was entered after the kill switch")


def is_meant(trade: Trade, command: Flatten) -> bool:
    """Whether a FLATTEN of its session is of it too."""
    return command.scope.holds(
        strategy=trade.strategy, symbol=trade.symbol, underlying=trade.contract.underlying, pos_id=trade.pos_id
    )


def is_held(trade: Trade) -> bool:
    """Whether it is a position."""
    return not trade.ended and trade.open_quantity > 0
