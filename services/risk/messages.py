"""Between the bus and the core: commands as the core takes them, and where what it decides goes."""

from tradebus.contracts.base import Message
from tradebus.contracts.commands import (
    WHOLE_SESSION,
    ApproveEntry,
    Flatten,
    Kill,
    PauseTrading,
    RefuseEntry,
    ResumeTrading,
    StopTrading,
)
from tradebus.contracts.streams import INTENTS, RISK, key_of
from tradebus.risk.commands import Command, CommandKind
from tradebus.risk.people.waiting import PersonsWord
from tradebus.runtime.rendering import message_of
from tradebus.trading.facts import EntryAwaitsApproval, EntryBlocked, RiskFact, SessionHalted

INTENTS_STREAM = key_of(INTENTS)
SOURCE = "risk"

_KINDS: dict[type[Message], CommandKind] = {
    StopTrading: CommandKind.STOP,
    PauseTrading: CommandKind.PAUSE,
    ResumeTrading: CommandKind.RESUME,
    Flatten: CommandKind.FLATTEN,
    Kill: CommandKind.KILL,
}


def command_of(message: StopTrading | PauseTrading | ResumeTrading | Flatten | Kill) -> Command:
    return Command(
        kind=_KINDS[type(message)],
        ts_event_ns=message.ts_event_ns,
        event_id=message.event_id,
        trace_id=message.trace_id,
        scope=message.scope if isinstance(message, Flatten) else WHOLE_SESSION,
    )


def word_of(message: ApproveEntry | RefuseEntry) -> PersonsWord:
    return PersonsWord(
        message.approval_id, is_yes=isinstance(message, ApproveEntry), by=message.decided_by, reason=message.reason
    )


def outgoing(fact: RiskFact, *, recorded_ns: int) -> tuple[str, Message]:
    """The stream and the message of what was decided: approvals and exits to execution, the rest to who listens."""
    stream = RISK.name if isinstance(fact, EntryAwaitsApproval | EntryBlocked | SessionHalted) else INTENTS_STREAM
    return stream, message_of(fact, source=SOURCE, recorded_ns=recorded_ns)
