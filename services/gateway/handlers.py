"""Commands: bytes in, one transaction, one reply. The same handler stands behind all three doors.

    bytes ─► read_command ─► [user's lock] decide ─► row + command for the services + inbox, one commit ─► outbox
                 ├─► COMMAND_REJECTED, nothing else
                 └─► KILL: its own way (`killswitch`), past everything that waits here

What a START names is checked before it takes one of the few places at the book: a check that hangs holds up nobody.

A command id that was carried out before is only reported again; so is a START that asks for what already runs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import structlog

from services.gateway.adapters.stepping import decide_from, name_symbol
from services.gateway.announce import announce_again
from services.gateway.asking.answers import CommandDesk, DeskAnswer
from services.gateway.domain.body import WHOLE, CommandAction, ExternalCommand, RefusedCommand, read_command
from services.gateway.domain.lifecycle import (
    Create,
    LifecycleReport,
    LifecycleStep,
    Reject,
    decide_start,
)
from services.gateway.domain.problems import Problems, without_secrets
from services.gateway.domain.start import StartCatalogue, read_start, strategies_in
from services.gateway.domain.step_fields import step_fields
from services.gateway.killswitch import KillWay, killed_reason
from services.gateway.messages import message
from tradebus.bus.port import Bus
from tradebus.contracts.commands import StartTrading
from tradebus.contracts.sessions import CommandRejected, FieldError, SessionSpec, SessionStatus, StrategySpec
from tradebus.contracts.streams import COMMANDS, SESSIONS
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.store.book import Book
from tradebus.store.books import KillSwitchBook, SessionRegister
from tradebus.store.outbox import Outbox
from tradebus.trading.sessions import StoredSession

CONSUMER = "gateway.commands"
# Fewer than the book has connections: KILL finds one free.
_PLACES = 3
_log = structlog.get_logger()
_START_REPORTS = ("SESSION_STARTED", "SESSION_STOPPED", "SESSION_FAILED")
_ALL_REPORTS = (*_START_REPORTS, "SESSION_PAUSED", "SESSION_RESUMED")


AskGates = Callable[[SessionSpec, Problems], Awaitable[SessionSpec]]
CheckStrategies = Callable[[str, Sequence[tuple[str, StrategySpec]]], Awaitable[Collection[FieldError]]]


class CommandVerdict(StrEnum):
    ACCEPTED = "accepted"
    REPEATED = "repeated"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class CommandReply:
    """What became of a command. `session_status` is how the session stands now."""

    verdict: CommandVerdict
    action: str | None
    user_id: str | None
    command_id: str | None
    session_id: str | None = None
    session_status: str | None = None
    errors: tuple[FieldError, ...] = ()
    signal_id: str | None = None  # of what was asked for, and of its position
    pos_id: str | None = None


class CommandHandler:
    """`catalogue` loads what a session may name, `check_strategies` says what is wrong with a user's strategies,
    `preflight` adds the gates that are closed to a session, `keep_token` stores the token a START carried
    (InvalidInput where it cannot), `desks` carry out what is no step of a session's life. `changed` is called when a
    session waits for its services."""

    def __init__(
        self, *, bus: Bus, book: Book, register: SessionRegister, switch: KillSwitchBook, outbox: Outbox, clock: Clock,
        ids: IdSource, kill_way: KillWay, catalogue: Callable[[], Awaitable[StartCatalogue]],
        check_strategies: CheckStrategies, preflight: AskGates,
        keep_token: Callable[[SessionSpec, dict[str, Any]], None], desks: Mapping[CommandAction, CommandDesk],
        changed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._bus, self._book, self._register, self._switch, self._outbox = bus, book, register, switch, outbox
        self._clock, self._ids, self._kill_way = clock, ids, kill_way
        self._catalogue, self._check_strategies, self._preflight = catalogue, check_strategies, preflight
        self._keep_token, self._desks, self._changed = keep_token, desks, changed
        self._places = asyncio.Semaphore(_PLACES)

    async def handle(self, body: bytes, *, delivery_id: str | None = None) -> CommandReply:
        """Carries out one command. `delivery_id` names the delivery where the door has one that outlives a crash.

        Raises Unavailable where Postgres or Redis does not answer; then nothing or everything was done.
        """
        return await self.carry_out(read_command(body), delivery_id=delivery_id)

    async def carry_out(
        self, command: ExternalCommand | RefusedCommand, *, delivery_id: str | None = None
    ) -> CommandReply:
        """The same for a body that is read already."""
        if isinstance(command, RefusedCommand):
            return await self._reject(command, command.errors)
        if command.command_id is None:
            command_id = delivery_id or self._ids.new_id()
            command = ExternalCommand(command.action, command.user_id, command.data, command_id)
        match command.action:
            case CommandAction.START:
                return await self._start(command)
            case CommandAction.KILL:
                return await self._kill(command)
            case _ if (desk := self._desks.get(command.action)) is not None:
                return await self._at_desk(desk, command)
            case _:
                return await self._step(command)

    async def _start(self, command: ExternalCommand) -> CommandReply:
        problems = Problems()
        async with self._places:
            catalogue = await self._catalogue()
        # Stored logins are opened to be looked at: not on the event loop.
        user_id, _ = _whose(command)
        spec = await asyncio.to_thread(
            read_start, command.data, user_id=user_id, catalogue=catalogue, problems=problems
        )
        for error in await self._check_strategies(user_id, strategies_in(command.data)):
            problems.add(error.field, error.problem)
        if spec is not None and not problems:
            spec = await self._preflight(spec, problems)
        if spec is None or problems:
            return await self._reject(command, problems.errors)
        async with self._places:
            decision, session = await self._decide_start(command, spec)
        if isinstance(decision, Reject):
            return await self._reject(command, decision.errors)
        if isinstance(decision, LifecycleReport):
            return await self._report(command, decision.session, _START_REPORTS)
        assert session is not None
        await self._published(command, session.session_id)
        return _reply(CommandVerdict.ACCEPTED, command, session)

    async def _decide_start(
        self, command: ExternalCommand, spec: SessionSpec
    ) -> tuple[Create | LifecycleReport | Reject, StoredSession | None]:
        user_id, command_id = _whose(command)
        async with self._book.begin() as transaction:
            await transaction.lock(f"user {user_id}")
            known = await self._register.of_command(transaction, user_id, command_id)
            alive = await self._register.alive_of(transaction, user_id)
            killed = await killed_reason(self._switch, transaction)
            decision: Create | LifecycleReport | Reject = (
                LifecycleReport(known) if known is not None else decide_start(spec, alive=alive, killed_reason=killed)
            )
            if isinstance(decision, Create) or (isinstance(decision, LifecycleReport) and known is None):
                # Before the commit: nobody is told of a login that is not there. A repeated START renews its token.
                await asyncio.to_thread(self._keep_token, spec, command.data)
            if isinstance(decision, Create):
                spec = spec.model_copy(update={"session_id": self._ids.new_id()})
                now_ns = self._clock.now_ns()
                return decision, await _create(
                    self._register, transaction, spec, command_id=command_id, now_ns=now_ns
                )  # fmt: skip
        return decision, None

    async def _step(self, command: ExternalCommand) -> CommandReply:
        user_id, command_id = _whose(command)
        problems = Problems()
        fields = step_fields(command.action, command.data, problems)
        if "symbol" in fields and not problems:
            async with self._places:  # before it takes a connection for long
                await name_symbol(self._book, fields, problems)
        if problems:
            return await self._reject(command, problems.errors)
        key = f"{user_id} {command_id}"
        async with self._places, self._book.begin() as transaction:
            await transaction.lock(f"user {user_id}")
            latest = await self._register.latest_of(transaction, user_id)
            if latest is not None and await self._register.command_seen(transaction, CONSUMER, key):
                decision: LifecycleStep | LifecycleReport | Reject = LifecycleReport(latest)
            else:
                alive = await self._register.alive_of(transaction, user_id)
                decision = await decide_from(
                    self._book, self._switch, transaction, command, alive=alive, latest=latest, asked=fields
                )
                if isinstance(decision, LifecycleStep) and alive is not None:
                    await transaction.first_time(CONSUMER, key)
                    latest = await self._apply(transaction, alive, decision, command_id=command_id, asked=fields)
        if isinstance(decision, Reject):
            return await self._reject(command, decision.errors)
        if isinstance(decision, LifecycleReport):
            return await self._report(command, decision.session, _ALL_REPORTS)
        assert latest is not None
        await self._published(command, latest.session_id)
        return _reply(CommandVerdict.ACCEPTED, command, latest)

    async def _apply(
        self, transaction: Any, session: StoredSession, step: LifecycleStep, *, command_id: str, asked: dict[str, Any]
    ) -> StoredSession:
        now_ns = self._clock.now_ns()
        about: dict[str, Any] = {"user_id": session.user_id, "session_id": session.session_id}
        fields = {name: value for name, value in asked.items() if name in step.command.model_fields}
        order = message(step.command, now_ns=now_ns, cause=f"{session.session_id} {command_id}", **about, **fields)
        transaction.emit(COMMANDS.name, order)
        if step.event is not None:
            fields = {name: value for name, value in asked.items() if name in step.event.model_fields}
            transaction.emit(
                SESSIONS.name,
                message(
                    step.event, now_ns=now_ns, cause=order.event_id, trace_id=order.trace_id,
                    causation_id=order.event_id, **about, **fields,
                ),
            )  # fmt: skip
        status = step.status or session.status
        ending = asked["reason"] if status is SessionStatus.STOPPING else None
        await self._register.set_status(transaction, session.session_id, status, reason=ending)
        return replace(session, status=status, reason=ending or session.reason)

    async def _at_desk(self, desk: CommandDesk, command: ExternalCommand) -> CommandReply:
        problems = Problems()
        async with self._places:
            done = await desk.carry_out(command, problems)
        if done is None:
            return await self._reject(command, problems.errors)
        if done.is_new:
            await self._published(command, done.session_id)
        return _desk_reply(command, done)

    async def _kill(self, command: ExternalCommand) -> CommandReply:
        problems = Problems()
        reason = step_fields(command.action, command.data, problems)["reason"]
        if problems:
            return await self._reject(command, problems.errors)
        first = await self._kill_way.kill(reason)
        _log.info("command accepted", action=command.action, user_id=command.user_id, session_id=None)
        return _reply(CommandVerdict.ACCEPTED if first else CommandVerdict.REPEATED, command, None)

    async def _report(self, command: ExternalCommand, session: StoredSession, types: tuple[str, ...]) -> CommandReply:
        # The first time may have ended between commit and publishing.
        await self._outbox.flush()
        async with self._places:
            said = await self._register.last_report(session.session_id, types)
        await announce_again(self._bus, [said] if said is not None else [])
        _log.info("command repeated", action=command.action, user_id=session.user_id, session_id=session.session_id)
        return _reply(CommandVerdict.REPEATED, command, session)

    async def _reject(self, command: ExternalCommand | RefusedCommand, errors: tuple[FieldError, ...]) -> CommandReply:
        action = None if command.action is None else str(command.action)
        errors = without_secrets(errors, command.data if isinstance(command, ExternalCommand) else {})
        async with self._places, self._book.begin() as transaction:
            transaction.emit(
                SESSIONS.name,
                message(
                    CommandRejected, now_ns=self._clock.now_ns(), cause=self._ids.new_id(), user_id=command.user_id,
                    causation_id=command.command_id, action=action, errors=errors,
                ),
            )  # fmt: skip
        await self._outbox.flush()
        _log.warning("command rejected", action=action, user_id=command.user_id, fields=[one.field for one in errors])
        return CommandReply(CommandVerdict.REJECTED, action, command.user_id, command.command_id, errors=errors)

    async def put_aside(self, command: ExternalCommand | RefusedCommand, what: str) -> None:
        """Tells who sent it that a command could not be carried out. What it held is not repeated."""
        problem = f"could not be carried out and was put aside ({what}); the gateway's log says why"
        errors = (FieldError(field=WHOLE, problem=problem),)
        action = None if command.action is None else str(command.action)
        await self._reject(RefusedCommand(errors, action, command.user_id, command.command_id), errors)

    async def _published(self, command: ExternalCommand, session_id: str | None) -> None:
        await self._outbox.flush()
        self._changed()
        _log.info("command accepted", action=command.action, user_id=command.user_id, session_id=session_id)


async def _create(
    register: SessionRegister, transaction: Any, spec: SessionSpec, *, command_id: str, now_ns: int
) -> StoredSession:
    await register.insert(transaction, spec, command_id=command_id, now_ns=now_ns)
    await transaction.first_time(CONSUMER, f"{spec.user_id} {command_id}")
    transaction.emit(
        COMMANDS.name,
        message(
            StartTrading, now_ns=now_ns, cause=spec.session_id, user_id=spec.user_id, session_id=spec.session_id,
            spec=spec,
        ),
    )  # fmt: skip
    return StoredSession(spec.session_id, spec.user_id, SessionStatus.STARTING, spec, now_ns)


def _whose(command: ExternalCommand) -> tuple[str, str]:
    assert command.user_id is not None
    assert command.command_id is not None
    return command.user_id, command.command_id


def _reply(verdict: CommandVerdict, command: ExternalCommand, session: StoredSession | None) -> CommandReply:
    return CommandReply(
        verdict, command.action.value, command.user_id, command.command_id,
        None if session is None else session.session_id, None if session is None else session.status.value,
    )  # fmt: skip


def _desk_reply(command: ExternalCommand, done: DeskAnswer) -> CommandReply:
    return CommandReply(
        CommandVerdict.ACCEPTED if done.is_new else CommandVerdict.REPEATED, command.action.value, command.user_id,
        command.command_id, done.session_id, done.session_status, signal_id=done.signal_id, pos_id=done.pos_id,
    )  # fmt: skip
