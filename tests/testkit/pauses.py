"""Small messages that are all different, for tests of what carries them."""

from tradebus.contracts.commands import PauseTrading
from tradebus.kernel.ids import derive_id


def pause(number: int, *, session_id: str = "session", pos_id: str | None = None, reason: str = "") -> PauseTrading:
    """The message of this number: equal arguments give equal messages."""
    return PauseTrading(
        event_id=derive_id(number, "pause", number),
        ts_event_ns=number,
        ts_recorded_ns=number,
        source="test",
        trace_id="trace",
        session_id=session_id,
        pos_id=pos_id,
        reason=reason or f"reason {number}",
    )
