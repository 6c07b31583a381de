"""The way out of a service that publishes directly, and needs both servers."""

from tradebus.bus.port import Bus
from tradebus.runtime.consumer import BusPublisher
from tradebus.store.book import Book


class ServersPublisher(BusPublisher):
    """Publishes on the bus; both servers are looked at where one may be away."""

    def __init__(self, bus: Bus, book: Book) -> None:
        super().__init__(bus)
        self._book = book

    async def check_servers(self) -> None:
        await super().check_servers()
        await self._book.check()
