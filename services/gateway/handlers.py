"""Commands: bytes in, one transaction, one reply. The same handler stands behind all three doors.

    bytes ─► read_command ─► [user's lock] decide ─► row + command for the services + inbox, one commit ─► outbox
                 └─► COMMAND_REJECTED, nothing else

A command id that was carried out before is only reported again; so is a START that asks for what already runs.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog

from services.gateway.adapters import sessions
from services.gateway.announce import announce_again
from services.gateway.domain.body import Action, ExternalCommand, Refused, read_command
from services.gateway.domain.lifecycle import Create, Reject, Report, Session, Status, Step, decide_start, decide_step
from services.gateway.domain.problems import Problems, kind_of
from services.gateway.domain.start import Catalogue, read_start
from services.gateway.killswitch import engage, killed_reason
from services.gateway.messages import message
from tradebus.bus.port import Bus
from tradebus.contracts.commands import StartTrading
from tradebus.contracts.sessions import CommandRejected, FieldError, SessionSpec
from tradebus.contracts.streams import COMMANDS, SESSIONS
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store, Transaction

_log = structlog.get_logger()
_START_REPORTS = ("SESSION_STARTED", "SESSION_STOPPED", "SESSION_FAILED")
_ALL_REPORTS = (*_START_REPORTS, "SESSION_PAUSED", "SESSION_RESUMED")
_MAX_REASON = 200


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    REPEATED = "repeated"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a command. `session_status` is how the session stands now."""

    verdict: Verdict
    action: str | None
    user_id: str | None
    command_id: str | None
    session_id: str | None = None
    session_status: str | None = None
    errors: tuple[FieldError, ...] = ()


class CommandHandler:
    """`catalogue` loads what a session may name, `keep_token` stores the token a START carried (InvalidInput where it
    cannot). `changed` is called when a session waits for its services."""

    def __init__(
        self, *, bus: Bus, store: Store, outbox: Outbox, clock: Clock, ids: IdSource,
        catalogue: Callable[[], Awaitable[Catalogue]], keep_token: Callable[[SessionSpec, dict[str, Any]], None],
        changed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._bus, self._store, self._outbox = bus, store, outbox
        self._clock, self._ids = clock, ids
        self._catalogue, self._keep_token, self._changed = catalogue, keep_token, changed

    async def handle(self, body: bytes, *, delivery_id: str | None = None) -> Reply:
        """Carries out one command. `delivery_id` names the delivery where the door has one that outlives a crash.

        Raises Unavailable where Postgres or Redis does not answer; then nothing or everything was done.
        """
        command = read_command(body)
        if isinstance(command, Refused):
            return await self._reject(command, command.errors)
        if command.command_id is None:
            command_id = delivery_id or self._ids.new_id()
            command = ExternalCommand(command.action, command.user_id, command.data, command_id)
        match command.action:
            case Action.START:
                return await self._start(command)
            case Action.KILL:
                return await self._kill(command)
            case _:
                return await self._step(command)

    async def _start(self, command: ExternalCommand) -> Reply:
        user_id, command_id = _whose(command)
        problems = Problems()
        catalogue = await self._catalogue()
        # A user's own strategy file may be imported to check its parameters: not on the event loop.
        spec = await asyncio.to_thread(
            read_start, command.data, user_id=user_id, catalogue=catalogue, problems=problems
        )
        if spec is None:
            return await self._reject(command, problems.errors)
        async with self._store.begin() as transaction:
            await transaction.lock(f"user {user_id}")
            known = await sessions.session_of_command(transaction.connection, user_id, command_id)
            alive = await sessions.alive_session(transaction.connection, user_id)
            decision: Create | Report | Reject = (
                Report(known) if known is not None
                else decide_start(spec, alive=alive, killed_reason=await killed_reason(transaction))
            )  # fmt: skip
            if isinstance(decision, Create) or (isinstance(decision, Report) and known is None):
                # Before the commit: nobody is told of a login that is not there. A repeated START renews its token.
                await asyncio.to_thread(self._keep_token, spec, command.data)
            if isinstance(decision, Create):
                session = await self._create(transaction, spec, command_id=command_id)
        if isinstance(decision, Reject):
            return await self._reject(command, decision.errors)
        if isinstance(decision, Report):
            return await self._report(command, decision.session, _START_REPORTS)
        await self._published(command, session.session_id)
        return _reply(Verdict.ACCEPTED, command, session)

    async def _create(self, transaction: Transaction, spec: SessionSpec, *, command_id: str) -> Session:
        now_ns = self._clock.now_ns()
        spec = spec.model_copy(update={"session_id": self._ids.new_id()})
        await sessions.insert_session(transaction.connection, spec, command_id=command_id, now_ns=now_ns)
        await transaction.first_time(sessions.CONSUMER, f"{spec.user_id} {command_id}")
        transaction.emit(
            COMMANDS.name,
            message(
                StartTrading, now_ns=now_ns, cause=spec.session_id, user_id=spec.user_id, session_id=spec.session_id,
                spec=spec,
            ),
        )  # fmt: skip
        return Session(spec.session_id, spec.user_id, Status.STARTING, spec)

    async def _step(self, command: ExternalCommand) -> Reply:
        user_id, command_id = _whose(command)
        problems = Problems()
        reason = _reason(command.data, problems)
        if problems:
            return await self._reject(command, problems.errors)
        key = f"{user_id} {command_id}"
        async with self._store.begin() as transaction:
            connection = transaction.connection
            await transaction.lock(f"user {user_id}")
            latest = await sessions.latest_session(connection, user_id)
            if latest is not None and await connection.fetchval(sessions.SQL["command_seen"], sessions.CONSUMER, key):
                decision: Step | Report | Reject = Report(latest)
            else:
                alive = await sessions.alive_session(connection, user_id)
                decision = decide_step(command.action, user_id=user_id, alive=alive, latest=latest)
                if isinstance(decision, Step) and alive is not None:
                    await transaction.first_time(sessions.CONSUMER, key)
                    latest = await self._apply(transaction, alive, decision, command_id=command_id, reason=reason)
        if isinstance(decision, Reject):
            return await self._reject(command, decision.errors)
        if isinstance(decision, Report):
            return await self._report(command, decision.session, _ALL_REPORTS)
        assert latest is not None
        await self._published(command, latest.session_id)
        return _reply(Verdict.ACCEPTED, command, latest)

    async def _apply(
        self, transaction: Transaction, session: Session, step: Step, *, command_id: str, reason: str
    ) -> Session:
        now_ns = self._clock.now_ns()
        about: dict[str, Any] = {"user_id": session.user_id, "session_id": session.session_id}
        fields = {"reason": reason} if "reason" in step.command.model_fields else {}
        order = message(step.command, now_ns=now_ns, cause=f"{session.session_id} {command_id}", **about, **fields)
        transaction.emit(COMMANDS.name, order)
        if step.event is not None:
            fields = {"reason": reason} if "reason" in step.event.model_fields else {}
            transaction.emit(
                SESSIONS.name,
                message(
                    step.event, now_ns=now_ns, cause=order.event_id, trace_id=order.trace_id,
                    causation_id=order.event_id, **about, **fields,
                ),
            )  # fmt: skip
        status = step.status or session.status
        await transaction.connection.execute(
            sessions.SQL["set_status"], session.session_id, status, reason if status is Status.STOPPING else None
        )
        return Session(session.session_id, session.user_id, status, session.spec)

    async def _kill(self, command: ExternalCommand) -> Reply:
        problems = Problems()
        reason = _reason(command.data, problems)
        if problems:
            return await self._reject(command, problems.errors)
        async with self._store.begin() as transaction:
            await transaction.lock("kill switch")
            first = await engage(transaction, reason=reason, now_ns=self._clock.now_ns())
        await self._published(command, None)
        return _reply(Verdict.ACCEPTED if first else Verdict.REPEATED, command, None)

    async def _report(self, command: ExternalCommand, session: Session, types: tuple[str, ...]) -> Reply:
        # The first time may have ended between commit and publishing.
        await self._outbox.flush()
        said = await sessions.last_report(self._store.pool, session.session_id, types)
        await announce_again(self._bus, [said] if said is not None else [])
        _log.info("command repeated", action=command.action, user_id=session.user_id, session_id=session.session_id)
        return _reply(Verdict.REPEATED, command, session)

    async def _reject(self, command: ExternalCommand | Refused, errors: tuple[FieldError, ...]) -> Reply:
        action = None if command.action is None else str(command.action)
        async with self._store.begin() as transaction:
            transaction.emit(
                SESSIONS.name,
                message(
                    CommandRejected, now_ns=self._clock.now_ns(), cause=self._ids.new_id(), user_id=command.user_id,
                    causation_id=command.command_id, action=action, errors=errors,
                ),
            )  # fmt: skip
        await self._outbox.flush()
        _log.warning("command rejected", action=action, user_id=command.user_id, fields=[one.field for one in errors])
        return Reply(Verdict.REJECTED, action, command.user_id, command.command_id, errors=errors)

    async def _published(self, command: ExternalCommand, session_id: str | None) -> None:
        await self._outbox.flush()
        self._changed()
        _log.info("command accepted", action=command.action, user_id=command.user_id, session_id=session_id)


def _whose(command: ExternalCommand) -> tuple[str, str]:
    assert command.user_id is not None
    assert command.command_id is not None
    return command.user_id, command.command_id


def _reason(data: dict[str, Any], problems: Problems) -> str:
    problems.unknown_keys("data", data, ("reason",))
    value = data.get("reason", "command")
    if not isinstance(value, str):
        problems.add("data.reason", f"must be text, not {kind_of(value)}")
    elif not value.strip() or len(value) > _MAX_REASON:
        problems.add("data.reason", f"must be 1 to {_MAX_REASON} characters")
    return str(value)


def _reply(verdict: Verdict, command: ExternalCommand, session: Session | None) -> Reply:
    return Reply(
        verdict, command.action.value, command.user_id, command.command_id,
        None if session is None else session.session_id, None if session is None else session.status.value,
    )  # fmt: skip
