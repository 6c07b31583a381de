"""Signals that a life published and did not live to store."""

import structlog

from services.strategy.messages import SignalMessage
from tradebus.bus.port import Bus
from tradebus.contracts.registry import parse
from tradebus.contracts.streams import SIGNALS

_log = structlog.get_logger()
_WATERMARK = "watermark"
# Far more than one entry leads to, and only the last entry's signals can be missing.
_LOOKED_BACK = 2000


async def perhaps_not_stored(bus: Bus) -> list[SignalMessage]:
    """The signals at the end of the stream that no watermark follows, oldest first: a watermark leaves only once the
    signals before it are stored."""
    found: list[SignalMessage] = []
    for entry in reversed(await bus.tail(SIGNALS.name, count=_LOOKED_BACK)):
        if entry.kind == _WATERMARK:
            break
        try:
            message = parse(entry.body)
        except ValueError as error:  # of another version: it must not keep this one from starting
            _log.error("signal not readable", entry_id=entry.entry_id, kind=entry.kind, reason=str(error)[:200])
            continue
        if isinstance(message, SignalMessage):
            found.append(message)
    return found[::-1]
