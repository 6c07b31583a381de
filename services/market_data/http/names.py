"""From what a caller writes to an instrument: symbol, alias or SEC_<id>."""

from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.store.book import Book
from tradebus.store.books import instruments_book

_RELOAD_NS = NANOSECONDS_PER_SECOND


class UnknownSymbol(InvalidInput):
    """Nobody registered such an instrument."""


class InstrumentNames:
    """The instrument master, read again when somebody asks for what it lacks (once a second at most)."""

    def __init__(self, book: Book, *, timers: Timers) -> None:
        self._timers = timers
        self._instruments = instruments_book(book)
        self._master = InstrumentMaster([])
        self._loaded_ns: int | None = None

    async def find(self, name: str) -> Instrument:
        """Raises UnknownSymbol with the nearest name there is."""
        try:
            return self._look(name)
        except InvalidInput:
            if self._loaded_ns is None or self._timers.monotonic_ns() - self._loaded_ns >= _RELOAD_NS:
                await self.load()
        try:
            return self._look(name)
        except InvalidInput as error:
            raise UnknownSymbol(str(error)) from None

    async def search(self, query: str, *, limit: int) -> list[Instrument]:
        """Instruments whose symbol or an alias of theirs contains the text, whatever its case; by symbol."""
        await self.load()
        wanted = query.strip().upper()
        by_alias = {symbol for alias, symbol in self._master.aliases.items() if wanted in alias.upper()}
        found = [item for item in self._master if wanted in item.symbol.upper() or item.symbol in by_alias]
        return sorted(found, key=lambda item: item.symbol)[:limit]

    async def load(self) -> None:
        """Reads the master from the book."""
        master: InstrumentMaster = await self._instruments.load()
        self._master, self._loaded_ns = master, self._timers.monotonic_ns()

    def _look(self, name: str) -> Instrument:
        plain = name.strip()
        digits = plain[4:]
        if plain.upper().startswith("SEC_") and digits.isascii() and digits.isdigit() and len(digits) < 10:
            return self._master.by_id(int(digits))
        return self._master.find(plain)
