"""What risk decides: approvals on `intents.v1`, refusals and halts on `risk.v1`."""

from typing import ClassVar

from pydantic import Field

from tradebus.contracts.base import Message
from tradebus.contracts.signals import Side


class _EntryVerdict(Message):
    signal_id: str
    strategy: str
    symbol: str
    instrument: int
    side: Side
    rule: str  # the rule that decided: "all_passed" for an approval


class _EntryGo(_EntryVerdict):
    intent_id: str
    quantity: int = Field(gt=0)
    lot_size: int = Field(gt=0)
    tick_size_paise: int = Field(gt=0)
    price_paise: int = Field(gt=0)
    stop_paise: int = Field(gt=0)
    target_paise: int | None = None
    valid_until_ns: int  # execution refuses an approval it reads after this instant
    max_slippage_pct: float
    order_timeout_seconds: int


class EntryApproved(_EntryGo):
    """Enter with the full size; execution may place it until `valid_until_ns`."""

    TYPE: ClassVar[str] = "ENTRY_APPROVED"


class EntryReduced(_EntryGo):
    """Approved for less than sizing asked; `rule` names the limit that cut it."""

    TYPE: ClassVar[str] = "ENTRY_REDUCED"
    quantity_requested: int


class EntryAwaitsApproval(_EntryVerdict):
    """The rules let it in, and a person must: APPROVE_ENTRY or REFUSE_ENTRY with its `approval_id`, before
    `expires_ns`. The size is what it would be now."""

    TYPE: ClassVar[str] = "ENTRY_AWAITS_APPROVAL"
    approval_id: str
    quantity: int = Field(gt=0)
    price_paise: int = Field(gt=0)
    stop_paise: int = Field(gt=0)
    target_paise: int | None = None
    expires_ns: int


class EntryBlocked(_EntryVerdict):
    """No entry; `rule` and `detail` say why."""

    TYPE: ClassVar[str] = "ENTRY_BLOCKED"
    detail: str


class ExitApproved(Message):
    """Close `pos_id`. Exits are never blocked; `rule` says who asked (a strategy's signal, a limit, a command)."""

    TYPE: ClassVar[str] = "EXIT_APPROVED"
    intent_id: str
    strategy: str
    symbol: str
    instrument: int
    side: Side
    rule: str
    reason: str


class SessionHalted(Message):
    """No more entries this trading day; positions are being closed."""

    TYPE: ClassVar[str] = "SESSION_HALTED"
    rule: str
    detail: str
