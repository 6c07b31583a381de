"""SET_SHARED_LIMITS in the book: what several sessions share is changed, audited and told, in one transaction.

Risk looks at the book every second and holds to it.
"""

from dataclasses import dataclass

from services.gateway.asking.answers import DeskAnswer
from services.gateway.domain.body import ExternalCommand
from services.gateway.domain.limit_changes import decide_shared, read_shared_asked, spoken
from services.gateway.domain.problems import Problems
from services.gateway.messages import message
from tradebus.contracts.sessions import LimitsChanged, ScopeLimits
from tradebus.contracts.streams import SESSIONS
from tradebus.kernel.clock import Clock
from tradebus.store.book import Book
from tradebus.store.books import SessionRegister, SharedLimitsBook
from tradebus.store.books.limits.shared_limits import SharedLimitChange, SharedLimitsRow


@dataclass(frozen=True, slots=True)
class SharedLimitsDesk:
    """A `CommandDesk`. `consumer` keeps in the inbox what was carried out."""

    book: Book
    register: SessionRegister
    shared: SharedLimitsBook
    clock: Clock
    consumer: str

    async def carry_out(self, command: ExternalCommand, problems: Problems) -> DeskAnswer | None:
        assert command.command_id is not None
        found = read_shared_asked(command.data, problems)
        if found is None:
            return None
        scope, asked = found
        key = f"shared {command.command_id}"
        async with self.book.begin() as transaction:
            await self.shared.lock(transaction)
            if await self.register.command_seen(transaction, self.consumer, key):
                return DeskAnswer(None, None, is_new=False)
            row = (await self.shared.rows(transaction)).get(scope, SharedLimitsRow(ScopeLimits()))
            decided = decide_shared(asked, row.limits, problems)
            if decided is None:
                return None
            limits, moves = decided
            if moves:
                await transaction.first_time(self.consumer, key)
                now_ns = self.clock.now_ns()
                changes = [
                    SharedLimitChange(
                        scope=scope, changed_ns=now_ns, changed_by=asked.by, field=move.field, before=move.before,
                        after=move.after, widens=move.widens, reason=asked.reason, command_id=command.command_id,
                    )
                    for move in moves
                ]  # fmt: skip
                await self.shared.put(transaction, scope, SharedLimitsRow(limits, row.file), changes)
                transaction.emit(
                    SESSIONS.name,
                    message(
                        LimitsChanged, now_ns=now_ns, cause=f"{scope} {command.command_id}", changed_by=asked.by,
                        reason=asked.reason, scope=scope, changes=tuple(spoken(move, None) for move in moves),
                    ),
                )  # fmt: skip
        return DeskAnswer(None, None, is_new=bool(moves))
