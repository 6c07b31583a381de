"""Kinds of instruments, as the book of record has them."""

import asyncpg

from tradebus.store.instruments import load_instruments


class InstrumentKinds:
    """Reads the master when an instrument is new to it: feeds register theirs while execution runs."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._kinds: dict[int, str] = {}

    async def of(self, instrument: int) -> str:
        """The kind (EQUITY, INDEX, FUTURE, OPTION). Raises InvalidInput for an instrument nobody registered."""
        if instrument not in self._kinds:
            master = await load_instruments(self._pool)
            self._kinds = {each.instrument_id: each.kind for each in master}
            return master.by_id(instrument).kind
        return self._kinds[instrument]
