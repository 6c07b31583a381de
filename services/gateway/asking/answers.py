"""What is no step of a session's life is a desk's: it carries a command out in one transaction, once for its id."""

from dataclasses import dataclass
from typing import Protocol

from services.gateway.domain.body import ExternalCommand
from services.gateway.domain.problems import Problems


@dataclass(frozen=True, slots=True)
class DeskAnswer:
    """`is_new` is False for a repetition, which changes nothing. `signal_id` and `pos_id` are those of what was asked
    for, where the command asks for a position or its end; a command that concerns several has no session."""

    session_id: str | None
    session_status: str | None
    is_new: bool
    signal_id: str | None = None
    pos_id: str | None = None


class CommandDesk(Protocol):
    async def carry_out(self, command: ExternalCommand, problems: Problems) -> DeskAnswer | None:
        """None, and nothing changed, after adding to `problems`. `command` has an id, and a user unless it
        concerns several."""
