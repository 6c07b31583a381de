"""SET_LIMITS in the book: what holds now is read, the change is audited and told, in one transaction."""

from dataclasses import dataclass
from typing import Any

from services.gateway.asking.answers import DeskAnswer
from services.gateway.domain.body import ExternalCommand
from services.gateway.domain.limit_changes import LimitsAsked, LimitsSet, decide_limits, read_limits_asked, spoken
from services.gateway.domain.problems import Problems
from services.gateway.messages import message
from tradebus.contracts.commands import SetLimits
from tradebus.contracts.sessions import LimitsChanged, SessionStatus, StrategyLimits
from tradebus.contracts.streams import COMMANDS, SESSIONS
from tradebus.kernel.clock import Clock
from tradebus.store.book import Book
from tradebus.store.books import LimitChangesBook, SessionRegister
from tradebus.store.books.limits.limit_changes import StoredChange, limits_in_force
from tradebus.trading.sessions import StoredSession


@dataclass(frozen=True, slots=True)
class LimitsDesk:
    """A `CommandDesk`. `consumer` keeps in the inbox what was carried out; `daily_max_loss_r` is the desk's own, None
    where it has none."""

    book: Book
    register: SessionRegister
    changes: LimitChangesBook
    clock: Clock
    consumer: str
    daily_max_loss_r: float | None = None

    async def carry_out(self, command: ExternalCommand, problems: Problems) -> DeskAnswer | None:
        assert command.user_id is not None
        assert command.command_id is not None
        asked = read_limits_asked(command.data, problems)
        if asked is None:
            return None
        user_id, command_id = command.user_id, command.command_id
        key, is_new = f"{user_id} {command_id}", False
        async with self.book.begin() as transaction:
            await transaction.lock(f"user {user_id}")
            session = await self.register.alive_of(transaction, user_id)
            if session is None or session.status is SessionStatus.STOPPING:
                problems.add("user_id", f"no session of user {user_id} runs: limits are part of its START_TRADING")
                return None
            if not await self.register.command_seen(transaction, self.consumer, key):
                is_new = await self._change(transaction, session, asked, command_id=command_id, problems=problems)
            if is_new:
                await transaction.first_time(self.consumer, key)
        return None if problems else DeskAnswer(session.session_id, session.status.value, is_new)

    async def _change(
        self, transaction: Any, session: StoredSession, asked: LimitsAsked, *, command_id: str, problems: Problems
    ) -> bool:  # fmt: skip
        changes, now_ns = await self.changes.of_session(session.session_id, transaction), self.clock.now_ns()
        limits, strategies = limits_in_force(session.spec, changes)
        decided = decide_limits(
            asked, spec=session.spec, limits=limits, strategies=strategies, desk_r=self.daily_max_loss_r,
            problems=problems,
        )  # fmt: skip
        if decided is None or not decided.moves:
            return False
        await self.changes.add(transaction, _rows(session, asked, decided, command_id=command_id, now_ns=now_ns))
        self._tell(transaction, session, asked, decided, command_id=command_id, now_ns=now_ns)
        return True

    def _tell(
        self, transaction: Any, session: StoredSession, asked: LimitsAsked, decided: LimitsSet, *, command_id: str,
        now_ns: int,
    ) -> None:  # fmt: skip
        about: dict[str, Any] = {"user_id": session.user_id, "session_id": session.session_id}
        strategies = tuple(StrategyLimits(strategy=name, limits=own) for name, own in decided.strategies.items())
        order = message(
            SetLimits, now_ns=now_ns, cause=f"{session.session_id} {command_id}", limits=decided.limits,
            strategies=strategies, **about,
        )  # fmt: skip
        transaction.emit(COMMANDS.name, order)
        transaction.emit(
            SESSIONS.name,
            message(
                LimitsChanged, now_ns=now_ns, cause=order.event_id, trace_id=order.trace_id,
                causation_id=order.event_id, changed_by=asked.by, reason=asked.reason,
                changes=tuple(spoken(move, asked.strategy) for move in decided.moves), **about,
            ),
        )  # fmt: skip


def _rows(
    session: StoredSession, asked: LimitsAsked, decided: LimitsSet, *, command_id: str, now_ns: int
) -> list[StoredChange]:  # fmt: skip
    return [
        StoredChange(
            session_id=session.session_id, user_id=session.user_id, changed_ns=now_ns, changed_by=asked.by,
            strategy=asked.strategy, field=move.field, before=move.before, after=move.after, widens=move.widens,
            reason=asked.reason, command_id=command_id,
        )
        for move in decided.moves
    ]  # fmt: skip
