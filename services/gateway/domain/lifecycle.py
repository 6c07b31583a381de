"""What a command does to a user's session.

    START ─► STARTING ─► RUNNING ◄─► PAUSED          STARTING, RUNNING, PAUSED ─ STOP ─► STOPPING ─► STOPPED
                 └─► FAILED

Invariants (property-tested): a user has at most one session that is alive; a command repeated changes nothing the
second time; STOP is never refused to a session that is alive; every pair of command and status has a row in TABLE.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from services.gateway.domain.body import CommandAction
from services.gateway.domain.brokers import PAPER
from tradebus.contracts.base import Message
from tradebus.contracts.commands import Flatten, PauseTrading, ResumeTrading, Settle, StopTrading
from tradebus.contracts.sessions import FieldError, SessionPaused, SessionResumed, SessionSpec, SessionStatus
from tradebus.trading.sessions import StoredSession

ALIVE = (SessionStatus.STARTING, SessionStatus.RUNNING, SessionStatus.PAUSED, SessionStatus.STOPPING)


@dataclass(frozen=True, slots=True)
class Create:
    """Begin the session that was asked for."""


@dataclass(frozen=True, slots=True)
class LifecycleStep:
    """Move an alive session: its new status (None: unchanged), the command for the services, the event to report."""

    status: SessionStatus | None
    command: type[Message]
    event: type[Message] | None = None


@dataclass(frozen=True, slots=True)
class LifecycleReport:
    """Nothing to do: say again how the session stands."""

    session: StoredSession


@dataclass(frozen=True, slots=True)
class Reject:
    errors: tuple[FieldError, ...]


class _Again:
    """The session is already where the command would bring it."""


_STOP = LifecycleStep(SessionStatus.STOPPING, StopTrading)
# A session that is still STARTING takes PAUSE and RESUME without a status of its own: the services get the command
# in order, and the one that came last decides whether the session begins as RUNNING or as PAUSED.
TABLE: Mapping[tuple[CommandAction, SessionStatus], LifecycleStep | _Again | str] = {
    (CommandAction.STOP, SessionStatus.STARTING): _STOP,
    (CommandAction.STOP, SessionStatus.RUNNING): _STOP,
    (CommandAction.STOP, SessionStatus.PAUSED): _STOP,
    (CommandAction.STOP, SessionStatus.STOPPING): _Again(),
    (CommandAction.PAUSE, SessionStatus.STARTING): LifecycleStep(None, PauseTrading),
    (CommandAction.PAUSE, SessionStatus.RUNNING): LifecycleStep(SessionStatus.PAUSED, PauseTrading, SessionPaused),
    (CommandAction.PAUSE, SessionStatus.PAUSED): _Again(),
    (CommandAction.PAUSE, SessionStatus.STOPPING): "is stopping: no entry is made in it any more",
    (CommandAction.RESUME, SessionStatus.STARTING): LifecycleStep(None, ResumeTrading),
    (CommandAction.RESUME, SessionStatus.RUNNING): _Again(),
    (CommandAction.RESUME, SessionStatus.PAUSED): LifecycleStep(SessionStatus.RUNNING, ResumeTrading, SessionResumed),
    (CommandAction.RESUME, SessionStatus.STOPPING): "is stopping: start a new one once it has stopped",
    (CommandAction.FLATTEN, SessionStatus.STARTING): LifecycleStep(None, Flatten),
    (CommandAction.FLATTEN, SessionStatus.RUNNING): LifecycleStep(None, Flatten),
    (CommandAction.FLATTEN, SessionStatus.PAUSED): LifecycleStep(None, Flatten),
    (CommandAction.FLATTEN, SessionStatus.STOPPING): _Again(),  # stopping flattens
    **{(CommandAction.SETTLE, status): LifecycleStep(None, Settle) for status in ALIVE},
}


def decide_start(
    spec: SessionSpec, *, alive: StoredSession | None, killed_reason: str | None
) -> Create | LifecycleReport | Reject:
    """`spec` carries an empty session id. The same spec as the alive session's is a repetition, another is refused."""
    if alive is not None and alive.spec.model_copy(update={"session_id": ""}) == spec:
        return LifecycleReport(alive)
    if alive is not None:
        return _reject(
            "user_id",
            f"session {alive.session_id} of user {spec.user_id} is {alive.status} with another spec; "
            "send STOP_TRADING first",
        )
    if killed_reason is not None:
        return _reject("action", _KILLED.format(killed_reason))
    return Create()


def decide_step(
    action: CommandAction, *, user_id: str, alive: StoredSession | None, latest: StoredSession | None,
    killed_reason: str | None = None,
) -> LifecycleStep | LifecycleReport | Reject:  # fmt: skip
    """STOP, PAUSE, RESUME, FLATTEN or SETTLE. `latest` is the user's newest session, ended or not; nothing is resumed
    while the kill switch is engaged."""
    if alive is None:
        if action is CommandAction.STOP and latest is not None:
            return LifecycleReport(latest)
        return _reject("user_id", f"no session of user {user_id} is alive: there is nothing to {_VERBS[action]}")
    if action is CommandAction.RESUME and killed_reason is not None:
        return _reject("action", _KILLED.format(killed_reason))
    if action is CommandAction.SETTLE and alive.spec.broker == PAPER:
        return _reject("action", "a position on paper is at no broker: `tradebus flatten` closes it")
    row = TABLE[action, alive.status]
    if isinstance(row, LifecycleStep):
        return row
    if isinstance(row, str):
        return _reject("action", f"session {alive.session_id} {row}")
    return LifecycleReport(alive)


_KILLED = "the kill switch is engaged ({}); `tradebus kill --reset` releases it"
_VERBS = {
    CommandAction.STOP: "stop",
    CommandAction.PAUSE: "pause",
    CommandAction.RESUME: "resume",
    CommandAction.FLATTEN: "flatten",
    CommandAction.SETTLE: "settle",
}


def _reject(field: str, problem: str) -> Reject:
    return Reject((FieldError(field=field, problem=problem),))
