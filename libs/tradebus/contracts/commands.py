"""Commands as the gateway publishes them after validation (`commands.v1`); the external form is the gateway's."""

from typing import ClassVar

from tradebus.contracts.base import Message
from tradebus.contracts.sessions import SessionSpec


class StartTrading(Message):
    """Begin a session as `spec` fixes it."""

    TYPE: ClassVar[str] = "START_TRADING"
    spec: SessionSpec


class StopTrading(Message):
    """Flatten the session, then end it."""

    TYPE: ClassVar[str] = "STOP_TRADING"
    reason: str = "command"


class PauseTrading(Message):
    """No new entries; exits and supervision go on."""

    TYPE: ClassVar[str] = "PAUSE_TRADING"
    reason: str = "command"


class ResumeTrading(Message):
    """Allow entries again after a pause."""

    TYPE: ClassVar[str] = "RESUME_TRADING"


class Flatten(Message):
    """Close every position of the session; the session goes on."""

    TYPE: ClassVar[str] = "FLATTEN"
    reason: str = "command"


class Kill(Message):
    """Close everything of every session and refuse entries until a person resets the switch."""

    TYPE: ClassVar[str] = "KILL"
    reason: str = "command"
