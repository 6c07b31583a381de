"""A kill pauses every session that runs: once the switch is released each enters again on a person's word alone."""

from services.gateway.domain.body import CommandAction
from services.gateway.domain.lifecycle import TABLE, LifecycleStep
from services.gateway.killswitch import killed_reason
from services.gateway.messages import message
from tradebus.contracts.commands import PauseTrading
from tradebus.contracts.sessions import SessionPaused, SessionStatus
from tradebus.contracts.streams import COMMANDS, SESSIONS
from tradebus.store.book import Book
from tradebus.store.books import KillSwitchBook, SessionRegister, sessions_book


async def pause_running(book: Book, register: SessionRegister, switch: KillSwitchBook, *, now_ns: int) -> int:
    """Pauses the sessions that run while the switch is engaged; how many. Each in a transaction of its own, under its
    user's lock as any command, and only where the switch is engaged still."""
    running = [one for one in await sessions_book(book).alive() if one.status is SessionStatus.RUNNING]
    paused = 0
    for one in running:
        async with book.begin() as transaction:
            await transaction.lock(f"user {one.user_id}")
            reason = await killed_reason(switch, transaction)
            stands = await register.alive_of(transaction, one.user_id)
            if reason is None or stands is None or stands.session_id != one.session_id:
                continue
            step = TABLE[CommandAction.PAUSE, stands.status]
            if not isinstance(step, LifecycleStep) or step.status is None:
                continue
            about = {"user_id": one.user_id, "session_id": one.session_id, "reason": f"kill switch: {reason}"}
            order = message(PauseTrading, now_ns=now_ns, cause=f"{one.session_id} killed {now_ns}", **about)
            transaction.emit(COMMANDS.name, order)
            transaction.emit(
                SESSIONS.name,
                message(
                    SessionPaused, now_ns=now_ns, cause=order.event_id, trace_id=order.trace_id,
                    causation_id=order.event_id, **about,
                ),
            )  # fmt: skip
            await register.set_status(transaction, one.session_id, step.status)
            paused += 1
    return paused
