"""Entries from the bus to changes of trades.

    intents ─► open / exit      md.ticks ─► supervise      commands ─► take sessions up, close (KILL, FLATTEN, STOP)

Free-running, each has a consumer of its own: an order never waits for the reading or acknowledging of ticks, and a kill
for nothing. Paced, one consumer carries everything in the merged order.
"""

from collections.abc import Awaitable, Callable

import structlog

from services.execution.accounts.manager import AccountManager
from services.execution.metrics import ExecutionMetrics
from services.execution.positions.settling import HandSettlement
from services.execution.recovery.housekeeping import Housekeeping
from services.execution.sessions import PAPER, ExecutionSessions
from services.execution.trades.commanded import CommandedExits
from services.execution.trades.keeper import Keeper
from services.execution.trades.openings import Openings
from services.execution.trades.supervisor import TradeSupervisor
from tradebus.bus.port import Entry
from tradebus.contracts.base import Message
from tradebus.contracts.commands import Flatten, Kill, ResumeTrading, Settle, StartTrading, StopTrading
from tradebus.contracts.records import TICK, decode
from tradebus.contracts.registry import parse
from tradebus.contracts.risk import EntryApproved, EntryReduced, ExitApproved
from tradebus.contracts.streams import COMMANDS, INTENTS, MD_TICKS, key_of
from tradebus.execution.decisions import exit_at
from tradebus.kernel.errors import Unavailable
from tradebus.runtime.consumer import DONE, Answer, Done, Effect
from tradebus.runtime.consuming.chores import Job
from tradebus.runtime.consuming.handling import reason_of
from tradebus.runtime.market_time import MarketTime
from tradebus.runtime.patience import PASSING
from tradebus.trading.exit_reasons import KILL_SWITCH

INTENTS_STREAM, TICKS_STREAM = key_of(INTENTS), key_of(MD_TICKS)
_OPENINGS_MAX = 128  # under way: what comes after waits for them
_log = structlog.get_logger()


class Execution:
    """The one entry point of all placements. A handler for `tradebus.runtime.consumer`, of one consumer or several:
    the turn is held by whoever handles intents, ticks or housekeeping; what a command closes waits for it only where
    the market's order matters (paper)."""

    def __init__(
        self, keeper: Keeper, supervisor: TradeSupervisor, sessions: ExecutionSessions, housekeeping: Housekeeping,
        commanded: CommandedExits, settling: HandSettlement, *, manager: AccountManager | None, market: MarketTime,
        passed_ns: Callable[[str], int], metrics: ExecutionMetrics, paced: bool,
    ) -> None:  # fmt: skip
        self._keeper, self._supervisor, self._sessions, self._housekeeping = keeper, supervisor, sessions, housekeeping
        self._settling = settling
        self._commanded, self._manager, self._market, self._passed_ns = commanded, manager, market, passed_ns
        self._metrics, self._paced, self._roster = metrics, paced, keeper.roster
        self._handlers: dict[str, Callable[[Entry], Awaitable[Answer]]] = {
            INTENTS_STREAM: self._on_intent,
            TICKS_STREAM: self._on_ticks,
            COMMANDS.name: self._on_command,
        }

    async def handle(self, entry: Entry) -> Answer:
        """One entry. Raises ValueError for one that nobody can use."""
        answer = await self._handlers[entry.stream](entry)
        self._metrics.alive.set(len(self._roster.alive))
        return answer

    async def recover(self) -> None:
        """Trades back to what book and brokers say, market data from where it was applied."""
        self._supervisor.restart()
        await self.recover_strays()

    async def recover_strays(self) -> None:
        """Takes up what the book has of this instance and it does not know of."""
        await self._housekeeping.recover_strays()

    async def commit(self) -> bool:
        """Stores what market data has meant for open trades so far."""
        await self._keeper.commits.ledger.save_extremes(self._supervisor.held())
        return True

    async def _on_intent(self, entry: Entry) -> Answer:
        if not entry.body:
            return DONE
        await self.take(parse(entry.body))
        return DONE

    async def take(self, message: Message) -> None:
        """Takes an approval, once, wherever it comes from. Under the turn. Raises ValueError for anything else."""
        if not message.pos_id:
            raise ValueError(f"{message.TYPE} without a pos_id")
        if isinstance(message, EntryApproved | EntryReduced):
            self._metrics.taken.labels("entry").inc()
            await self._sessions.spec(message.session_id or "")
            await self._keeper.open(message, refusal=await self._refusal(message), at_ns=self._effective_ns(message))
        elif isinstance(message, ExitApproved):
            self._metrics.taken.labels("exit").inc()
            decide = exit_at(reason=message.rule, at_ns=self._effective_ns(message))
            await self._keeper.exit(message, decide)
        else:
            raise ValueError(f"{message.TYPE} does not belong on {INTENTS_STREAM}")

    async def begin(self, message: EntryApproved | EntryReduced, openings: Openings) -> int | None:
        """Begins to take an approved entry at a broker; how many are under way, None for an entry on paper."""
        await self._sessions.spec(message.session_id or "")
        if not self._sessions.is_at_broker(message.session_id or ""):
            return None
        self._metrics.taken.labels("entry").inc()
        return openings.begin(message, refusal=await self._refusal(message), at_ns=self._effective_ns(message))

    def _effective_ns(self, message: Message) -> int:
        """Paced, what was decided inside a slice takes effect at its end: the slice's ticks have gone by already."""
        return max(message.ts_event_ns, self._supervisor.now_ns) if self._paced else message.ts_event_ns

    async def _refusal(self, approval: EntryApproved | EntryReduced) -> str | None:
        if self._sessions.killed:
            return KILL_SWITCH
        if max(self._supervisor.now_ns, self._passed_ns(approval.session_id or "")) > approval.valid_until_ns:
            return "stale_approval"
        if not self._paced and (closed := self._sessions.closed.why(approval.session_id or "")):
            return closed
        if self._manager is None:
            return None
        return await self._manager.blocked(approval.session_id or "") or None

    async def _on_ticks(self, entry: Entry) -> Answer:
        if entry.watermark_ns is None:
            raise ValueError("a tick batch without a watermark")
        self._market.heard(entry.watermark_ns, entry.entry_id)
        await self._supervisor.apply(decode(entry.body, TICK), end_ns=entry.watermark_ns + 1)
        unsaved = self._supervisor.unsaved()
        if unsaved:
            await self._keeper.commits.ledger.save_extremes(unsaved)
        return DONE if unsaved or not self._roster.holds_any else Done(effect=Effect.HELD)

    async def _on_command(self, entry: Entry) -> Answer:
        message = parse(entry.body)
        if isinstance(message, StartTrading):
            if message.spec.broker != PAPER and self._manager is not None:
                self._manager.attach(message.spec, new=True)
            else:
                await self._sessions.take_up(message)
        elif isinstance(message, Kill):
            if await self._sessions.kill(message):
                await self._commanded.kill()
        elif isinstance(message, Settle):
            await self._settling.obey(message)
        elif isinstance(message, Flatten | StopTrading):
            await self._commanded.obey(message)
        # Who has one position closed has not looked at the account.
        acted = isinstance(message, ResumeTrading) or (isinstance(message, Flatten) and message.scope.is_whole)
        if acted and self._manager is not None and message.session_id:
            await self._manager.acted(message.session_id, given_ns=message.ts_recorded_ns)
        return DONE


class Intents:
    """Approvals on a consumer of their own: entries at brokers that come together are stored together. Whatever else
    comes finds them stored. `post` has a job done under the turn."""

    def __init__(self, execution: Execution, openings: Openings) -> None:
        self._execution, self._openings = execution, openings
        self.post: Callable[[Job], None] = lambda job: None

    async def handle(self, entry: Entry) -> Answer:
        """See `Execution`. Raises Unavailable where entries of before could not be stored: they are handled again."""
        message = parse(entry.body) if entry.body else None
        if isinstance(message, EntryApproved | EntryReduced) and message.pos_id:
            count = await self._execution.begin(message, self._openings)
            if count is not None:
                return Done(effect=Effect.COMMIT if count >= _OPENINGS_MAX else Effect.HELD)
        try:
            await self._openings.finish()
        except PASSING:
            raise
        except Exception as error:
            raise Unavailable(f"an entry of before could not be stored: {reason_of(error)}") from error
        return await self._execution.handle(entry)

    async def recover(self) -> None:
        await self._openings.drop()
        await self._execution.recover()

    async def commit(self) -> bool:
        await self._openings.finish()
        if self._openings.take_doubt():
            self.post(self._execution.recover_strays)
        return True


class Commands:
    """Commands on a consumer of their own, beside the turn: nothing of theirs is half done when one fails."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    async def handle(self, entry: Entry) -> Answer:
        return await self._execution.handle(entry)

    async def recover(self) -> None:
        return None

    async def commit(self) -> bool:
        return True
