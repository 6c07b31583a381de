"""What a broker calls the registered instruments, kept in memory for a day: orders ask for it without waiting."""

from collections.abc import Sequence
from datetime import date

import structlog

from services.execution.books import Books
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.registry import Broker, Known
from tradebus.contracts.instrument_key import InstrumentKey
from tradebus.store.broker_instruments import BrokerInstrument

_log = structlog.get_logger()


class BrokerNames:
    """One broker's names. Read from the book where its master was read today, from its master else."""

    def __init__(self, books: Books, broker: Broker) -> None:
        self._books, self._broker = books, broker
        self._by_id: dict[int, ListedInstrument] = {}
        self._by_token: dict[tuple[str, str], int] = {}
        self.day: date | None = None

    @property
    def known(self) -> Known:
        return Known(
            listing_of=lambda instrument: self._by_id[instrument],
            instrument_of=lambda segment, token: self._by_token.get((segment, token)),
            listings=lambda: list(self._by_id.items()),
        )

    def get(self, instrument: int) -> ListedInstrument | None:
        return self._by_id.get(instrument)

    async def refresh(self, today: date) -> None:
        """Knows every registered instrument that the broker lists. Raises BrokerError where the master is needed and
        cannot be read."""
        registered = {
            one.instrument_id: one.instrument_key for one in await self._books.instruments.load()
            if one.instrument_key
        }  # fmt: skip
        rows: Sequence[BrokerInstrument] = await self._books.listings.listed(self._broker.name, listed_on=today)
        if registered.keys() - {row.instrument_id for row in rows}:
            rows = await self._from_master(registered, today)
        self._by_id = {row.instrument_id: _listing(row) for row in rows}
        self._by_token = {(row.broker_segment, row.token): row.instrument_id for row in rows}
        self.day = today

    async def _from_master(self, registered: dict[int, str], today: date) -> Sequence[BrokerInstrument]:
        by_key = {str(row.key): row for row in await self._broker.reference.instruments()}
        found = [
            BrokerInstrument(
                instrument, key, row.token, row.broker_segment, row.symbol, row.lot_size, row.tick_size_paise,
                row.freeze_quantity,
            )
            for instrument, key in registered.items()
            if (row := by_key.get(key)) is not None
        ]  # fmt: skip
        await self._books.listings.put_listed(self._broker.name, found, listed_on=today)
        missing = [key for key in registered.values() if key not in by_key]
        if missing:
            _log.warning("not listed at the broker", broker=self._broker.name, instruments=missing)
        return found


def _listing(row: BrokerInstrument) -> ListedInstrument:
    return ListedInstrument(
        InstrumentKey.parse(row.instrument_key), row.token, row.broker_segment, row.symbol, row.lot_size,
        row.tick_size_paise, row.freeze_quantity,
    )  # fmt: skip
