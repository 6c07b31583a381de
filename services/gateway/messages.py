"""The gateway's messages: one way to fill the envelope."""

from typing import Any, TypeVar

from tradebus.contracts.base import Message, event_id_for

M = TypeVar("M", bound=Message)
SOURCE = "gateway"


def message(model: type[M], *, now_ns: int, cause: str, trace_id: str | None = None, **fields: Any) -> M:
    """A message of the gateway. Its id derives from its type, time and `cause`; a command begins its own trace."""
    event_id = event_id_for(model.TYPE, now_ns, cause)
    return model(
        event_id=event_id,
        ts_event_ns=now_ns,
        ts_recorded_ns=now_ns,
        source=SOURCE,
        trace_id=trace_id or event_id,
        **fields,
    )
