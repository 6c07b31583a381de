"""What risk answers. A verdict is journalled always and published where the others must hear of it."""

from dataclasses import dataclass
from enum import StrEnum

from tradebus.risk.state import RiskHolding, WaitingEntry
from tradebus.trading.facts import EntrySignal, ExitSignal


class VerdictKind(StrEnum):
    ALLOW = "ALLOW"
    REDUCE = "REDUCE"  # approved for less than sizing asked
    BLOCK = "BLOCK"
    HALT = "HALT"  # no more entries this day, and every position is closed
    EXIT = "EXIT"
    WAIT = "WAIT"  # the rules let it in, and a person must
    IGNORED = "IGNORED"  # an exit of what is not there or already closing: nothing is published


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """What one rule says against an entry: BLOCK or HALT, its name, and the figures."""

    kind: VerdictKind
    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class Approval:
    """The terms on which an entry may be made; `holding` is its reservation. Prices rounded to the tick."""

    holding: RiskHolding
    stop_paise: int
    target_paise: int | None
    lot_size: int
    tick_size_paise: int
    quantity_requested: int
    valid_until_ns: int
    max_slippage_pct: float | None = None  # where a scope's is narrower than the session's


@dataclass(frozen=True, slots=True)
class Verdict:
    """`cause_id` is the message that led to it, None where a tick did. ALLOW and REDUCE carry signal and approval,
    BLOCK and IGNORED the signal, EXIT the holding (and the signal that asked), WAIT the signal and what waits, HALT
    nothing."""

    kind: VerdictKind
    rule: str
    detail: str
    ts_event_ns: int
    cause_id: str | None
    trace_id: str | None
    signal: EntrySignal | ExitSignal | None = None
    approval: Approval | None = None
    holding: RiskHolding | None = None
    waiting: WaitingEntry | None = None

    @property
    def pos_id(self) -> str | None:
        if self.holding is not None:
            return self.holding.pos_id
        return self.signal.pos_id if self.signal is not None else None


@dataclass(frozen=True, slots=True)
class Cause:
    """Why and when something is decided: an event time and, where a message led to it, its ids."""

    ts_event_ns: int
    event_id: str | None = None
    trace_id: str | None = None
