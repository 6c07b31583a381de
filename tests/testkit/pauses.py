"""Small messages that are all different, for tests of what carries them."""

from tradebus.bus.port import Bus
from tradebus.contracts.commands import PauseTrading
from tradebus.contracts.streams import COMMANDS
from tradebus.kernel.ids import derive_id
from tradebus.store.book import Book


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


async def commit(book: Book, *numbers: int, stream: str = COMMANDS.name) -> None:
    """The messages of these numbers, emitted in one transaction."""
    async with book.begin() as transaction:
        for number in numbers:
            transaction.emit(stream, pause(number))


async def bodies(bus: Bus, stream: str = COMMANDS.name) -> list[bytes]:
    """What was published there, in order."""
    return [entry.body for entry in await bus.tail(stream, count=10_000)]


def expected(*numbers: int) -> list[bytes]:
    """What is published of the messages of these numbers."""
    return [pause(number).to_json() for number in numbers]
