"""Signals that a life published and did not live to store."""

import structlog

from services.strategy.messages import SignalMessage
from tradebus.bus.port import Bus, Entry
from tradebus.contracts.registry import parse
from tradebus.contracts.streams import SIGNALS

_log = structlog.get_logger()
_WATERMARK = "watermark"
# An entry leads to hundreds; those of a few dozen entries can be missing. More than that is looked at only where no
# watermark was found among fewer.
_LOOKED_BACK = (2_000, 20_000, 100_000)


async def perhaps_not_stored(bus: Bus) -> list[SignalMessage]:
    """The signals at the end of the stream that no watermark follows, oldest first: a watermark leaves only once the
    signals before it are stored."""
    found: list[SignalMessage] = []
    for entry in reversed(await _end_of_stream(bus)):
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


async def _end_of_stream(bus: Bus) -> list[Entry]:
    entries: list[Entry] = []
    for count in _LOOKED_BACK:
        entries = await bus.tail(SIGNALS.name, count=count)
        if len(entries) < count or any(entry.kind == _WATERMARK for entry in entries):
            break
    return entries
