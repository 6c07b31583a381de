"""Between the bus and the core: commands as the core takes them, and where what it decides goes."""

from tradebus.contracts.base import Message
from tradebus.contracts.commands import Flatten, Kill, PauseTrading, ResumeTrading, StopTrading
from tradebus.contracts.streams import INTENTS, RISK, key_of
from tradebus.risk.commands import Command, CommandKind
from tradebus.runtime.rendering import message_of
from tradebus.trading.facts import EntryBlocked, RiskFact, SessionHalted

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
    )


def outgoing(fact: RiskFact, *, recorded_ns: int) -> tuple[str, Message]:
    """The stream and the message of what was decided: approvals and exits to execution, the rest to who listens."""
    stream = RISK.name if isinstance(fact, EntryBlocked | SessionHalted) else INTENTS_STREAM
    return stream, message_of(fact, source=SOURCE, recorded_ns=recorded_ns)
