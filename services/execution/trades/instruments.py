"""The terms of instruments, as the book of record has them."""

import asyncio
from datetime import date

from tradebus.calendar import Contract, contract_of
from tradebus.contracts.instruments import InstrumentMaster
from tradebus.store.books.instruments import InstrumentsBook


class Contracts:
    """Reads the master when an instrument is new to it, and once a day: feeds register theirs while execution runs."""

    def __init__(self, instruments: InstrumentsBook) -> None:
        self._instruments = instruments
        self._master = InstrumentMaster([])
        self._day: date | None = None
        self._loading = asyncio.Lock()

    async def of(self, instrument: int, day: date, *, price_paise: int) -> Contract:
        """Its terms on `day`, near that price. Raises InvalidInput for an instrument nobody registered, and for a
        contract whose lot is known nowhere."""
        if not self._has(instrument, day):
            async with self._loading:  # once for all who wait: the first entries of a day come together
                if not self._has(instrument, day):
                    self._master, self._day = await self._instruments.load(), day
        return contract_of(self._master.by_id(instrument), day, price_paise=price_paise)

    def _has(self, instrument: int, day: date) -> bool:
        return day == self._day and self._master.has_id(instrument)
