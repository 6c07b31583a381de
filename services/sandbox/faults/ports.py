"""What can be made to go wrong, and who decides it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from services.sandbox.ports import BrokerName


class FaultKind(StrEnum):
    """What can be made to go wrong. Requests: DROP … HTML; sockets: DISCONNECT … SHUFFLE_UPDATES."""

    DROP = "DROP"  # the connection is cut, nothing was done
    DELAY = "DELAY"
    ACCEPT_THEN_DROP = "ACCEPT_THEN_DROP"  # done, and the connection is cut instead of an answer
    SERVER_ERROR = "SERVER_ERROR"  # nothing was done
    ACCEPT_THEN_ERROR = "ACCEPT_THEN_ERROR"  # done, and a server error instead of an answer
    HTML = "HTML"
    EMPTY = "EMPTY"
    TRUNCATED = "TRUNCATED"
    TOO_MANY = "TOO_MANY"  # 429
    DISCONNECT = "DISCONNECT"
    SILENT = "SILENT"  # open, pings answered, no data
    HALF_OPEN = "HALF_OPEN"  # nothing at all comes any more, not even pongs
    STACKED = "STACKED"  # several packets or frames run together where the protocol allows it
    TRUNCATED_FRAME = "TRUNCATED_FRAME"
    DUPLICATE = "DUPLICATE"
    SHUFFLE_UPDATES = "SHUFFLE_UPDATES"


@dataclass(frozen=True, slots=True)
class Fault:
    """One decision: do this to this request or frame."""

    kind: FaultKind
    seconds: float = 0.0
    status: int = 500


class Faults(Protocol):
    """Asked by the shared HTTP middleware and by the faces' sockets; never by a face's handlers."""

    def for_request(self, broker: BrokerName, *, endpoint: str, account: str | None) -> Fault | None: ...

    def for_frame(self, broker: BrokerName, *, stream: str, account: str | None) -> Fault | None:
        """`stream` is "feed" or "orders"."""
