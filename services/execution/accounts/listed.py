"""What a broker calls the registered instruments, kept in memory for a day: orders ask for it without waiting."""

import asyncio
from collections.abc import Sequence
from datetime import date, time

import structlog

from services.execution.books import Books
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.registry import Broker, Known
from tradebus.calendar import is_trading_day
from tradebus.contracts.instrument_key import InstrumentKey
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date, ist_datetime
from tradebus.kernel.timers import Timers
from tradebus.store.broker_instruments import BrokerInstrument

_MASTERS_OUT = time(8, 30)  # what a broker serves in the night is yesterday's
_ASKED_NS = 60 * NANOSECONDS_PER_SECOND
_log = structlog.get_logger()


class BrokerNames:
    """One broker's names. Read from the book where its master was read today, from its master else."""

    def __init__(self, books: Books, broker: Broker, *, timers: Timers) -> None:
        self._books, self._broker, self._timers = books, broker, timers
        self._reading = asyncio.Lock()
        self._asked_ns: int | None = None  # when an unknown contract was last asked for, monotonic
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

    def is_due(self, now_ns: int) -> bool:
        """Whether what is known is of an earlier trading day, and the brokers' masters of today are out."""
        now = ist_datetime(now_ns)
        return self.day != now.date() and is_trading_day(now.date()) and now.time() >= _MASTERS_OUT

    async def keep(self, now_ns: int) -> None:
        """Knows the masters of the trading day. Raises BrokerError where they cannot be read."""
        async with self._reading:
            if self.is_due(now_ns):
                await self.refresh(ist_date(now_ns))

    async def know(self, instrument: int, now_ns: int) -> None:
        """As `keep`; looks for a contract that was registered since, once a minute at most."""
        if instrument in self._by_id and not self.is_due(now_ns):
            return  # the way of every order
        await self.keep(now_ns)
        async with self._reading:
            asked_ns = self._timers.monotonic_ns()
            if instrument in self._by_id or (self._asked_ns is not None and asked_ns - self._asked_ns < _ASKED_NS):
                return
            self._asked_ns = asked_ns
            await self.refresh(ist_date(now_ns))

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
