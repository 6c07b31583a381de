"""The terms of instruments, as the book of record has them."""

from datetime import date

import asyncpg

from tradebus.calendar import Contract, contract_of
from tradebus.contracts.instruments import InstrumentMaster
from tradebus.store.instruments import load_instruments


class Contracts:
    """Reads the master when an instrument is new to it, and once a day: feeds register theirs while execution runs."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._master = InstrumentMaster([])
        self._day: date | None = None

    async def of(self, instrument: int, day: date) -> Contract:
        """Its terms on `day`. Raises InvalidInput for an instrument nobody registered, and for a contract whose lot is
        known nowhere."""
        if day != self._day or not self._master.has_id(instrument):
            self._master, self._day = await load_instruments(self._pool), day
        return contract_of(self._master.by_id(instrument), day)
