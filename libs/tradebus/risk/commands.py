"""What a person or an application commands, as risk takes it."""

from dataclasses import dataclass
from enum import StrEnum

from tradebus.contracts.commands import WHOLE_SESSION, FlattenScope


class CommandKind(StrEnum):
    STOP = "STOP"  # close everything of the session, then it ends
    PAUSE = "PAUSE"  # no entries; exits go on
    RESUME = "RESUME"
    FLATTEN = "FLATTEN"  # close everything of the session, or what `scope` holds; it goes on
    KILL = "KILL"  # close everything of every session, and no entries until a person resets the switch


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`ts_event_ns` is when it was written, by the wall clock."""

    kind: CommandKind
    ts_event_ns: int
    event_id: str
    trace_id: str
    scope: FlattenScope = WHOLE_SESSION
