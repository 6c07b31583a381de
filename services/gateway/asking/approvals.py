"""APPROVE_ENTRY and REFUSE_ENTRY: a person's word on an entry that waits, told to risk once for a command's id.

What is said here is kept for ever: the command, with who said it and why, is a row of `events`.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from services.gateway.asking.answers import DeskAnswer
from services.gateway.domain.asked_orders import read_word
from services.gateway.domain.body import CommandAction, ExternalCommand
from services.gateway.domain.problems import Problems
from services.gateway.messages import message
from tradebus.contracts.commands import ApproveEntry, RefuseEntry
from tradebus.contracts.streams import COMMANDS
from tradebus.kernel.clock import Clock
from tradebus.store.book import Book
from tradebus.store.books import SessionRegister


class WaitingBook(Protocol):
    async def waits(self, transaction: Any, session_id: str, approval_id: str) -> bool:
        """Whether risk has an entry waiting under this id, as it has stored it last."""


@dataclass(frozen=True, slots=True)
class ApprovalsDesk:
    """A `CommandDesk`. `consumer` keeps in the inbox what was carried out."""

    book: Book
    register: SessionRegister
    waiting: WaitingBook
    clock: Clock
    consumer: str

    async def carry_out(self, command: ExternalCommand, problems: Problems) -> DeskAnswer | None:
        assert command.user_id is not None
        assert command.command_id is not None
        word = read_word(command.data, problems)
        if word is None:
            return None
        user_id, key = command.user_id, f"{command.user_id} {command.command_id}"
        async with self.book.begin() as transaction:
            await transaction.lock(f"user {user_id}")
            session = await self.register.latest_of(transaction, user_id)
            if session is not None and await self.register.command_seen(transaction, self.consumer, key):
                return DeskAnswer(session.session_id, session.status.value, False)
            if session is None or not await self.waiting.waits(transaction, session.session_id, word.approval_id):
                problems.add(
                    "data.approval_id", f"no entry of user {user_id} waits under this id: it was answered, has expired "
                    "or its session has ended; /api/approvals lists what waits",
                )  # fmt: skip
                return None
            await transaction.first_time(self.consumer, key)
            model: type[ApproveEntry | RefuseEntry] = (
                ApproveEntry if command.action is CommandAction.APPROVE else RefuseEntry
            )
            told = message(
                model, now_ns=self.clock.now_ns(), cause=f"{session.session_id} {command.command_id}",
                user_id=user_id, session_id=session.session_id, approval_id=word.approval_id, decided_by=word.by,
                reason=word.reason,
            )  # fmt: skip
            transaction.emit(COMMANDS.name, told)
        return DeskAnswer(session.session_id, session.status.value, True)
