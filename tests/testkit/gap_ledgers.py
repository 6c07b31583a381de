"""A gap ledger on the twins, and what it has told."""

from services.market_data.books import market_books
from services.market_data.gaps.ledger import GapLedger
from testkit.feeds import memory_book
from testkit.waiting import WALL_TIMERS
from tradebus.bus.memory.bus import MemoryBus
from tradebus.contracts.base import Message
from tradebus.contracts.registry import parse
from tradebus.contracts.streams import MD_GAPS


class TwinLedger(GapLedger):
    """On a book and a bus of its own."""

    def __init__(self) -> None:
        own, self.bus = market_books(memory_book(), namespace="twin"), MemoryBus(timers=WALL_TIMERS)
        super().__init__(own.book, own.gaps, self.bus, timers=WALL_TIMERS)

    @property
    def told(self) -> list[Message]:
        """In their order."""
        return [parse(entry.body) for entry in self.bus.stream(MD_GAPS.name).newest(100)]
