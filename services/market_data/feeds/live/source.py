"""A broker as the live feed needs it: master, history and sockets, under the login that is stored by now."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date

import structlog

from services.market_data.settings import MarketDataSettings
from tradebus.brokers.audit.log import LogOf
from tradebus.brokers.credentials import Credentials
from tradebus.brokers.errors import NoAnswer
from tradebus.brokers.feed import MarketFeed
from tradebus.brokers.reference import ListedInstrument, OptionChain
from tradebus.brokers.registry import Broker, OpenBroker
from tradebus.contracts.records import Records
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import TradebusError
from tradebus.kernel.timers import Timers

_log = structlog.get_logger()


class LiveSource:
    """One broker. It is opened where it is used, with the login as it is stored then; `renew` opens it anew."""

    def __init__(
        self, settings: MarketDataSettings, open_broker: OpenBroker, *, log_of: LogOf, clock: Clock, timers: Timers
    ) -> None:
        self.name = settings.feed.value
        self._credential_name = settings.credential_name
        self._url = settings.broker_urls[self.name]
        self._credentials = Credentials(settings.state_dir, key=settings.credentials_key)
        self._open_broker, self._clock, self._timers = open_broker, clock, timers
        self._log = log_of(f"{self.name}:{self._credential_name}")
        self._broker: Broker | None = None
        self._token = ""  # of the login the broker was opened with
        self._listings: Mapping[int, ListedInstrument] = {}

    @property
    def broker(self) -> Broker:
        """Raises InvalidInput where the login is not stored."""
        if self._broker is None:
            credential = self._credentials.get(self._credential_name)
            self._token = credential.access_token
            self._broker = self._open_broker(
                self.name,
                credential,
                url=self._url,
                timers=self._timers,
                log=self._log,
                refresh=self._stored_token,
                clock=self._clock,
            )
        return self._broker

    def follow(self, listings: Mapping[int, ListedInstrument]) -> None:
        """The day's instruments, by id: what `history` can be asked about."""
        self._listings = listings

    async def login_changed(self) -> bool:
        """Whether another login is stored than the one in use. A store that cannot be read has changed nothing."""
        if self._broker is None:
            return False
        try:
            return await self._stored_token() != self._token
        except (TradebusError, OSError) as error:
            _log.warning("the stored login cannot be read", broker=self.name, error=str(error))
            return False

    def renew(self) -> None:
        """The next use opens the broker anew."""
        self.close()

    def close(self) -> None:
        if self._broker is not None:
            self._broker.close()
            self._broker = None

    def feed(self) -> MarketFeed:
        """A new connection. Raises InvalidInput where the login is not stored."""
        return self.broker.feed()

    async def master(self) -> Sequence[ListedInstrument]:
        """Raises BrokerError."""
        return await self.broker.reference.instruments()

    async def history(self, instrument: int, *, from_ns: int, to_ns: int) -> Records:
        """See `services.market_data.gaps.repair.HistorySource`."""
        try:
            candles = await self.broker.reference.history(
                self._listings[instrument], timeframe_seconds=60, from_ns=from_ns, to_ns=to_ns
            )
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled us: the broker was closed, for a new login, while the question waited for its turn.
            raise NoAnswer(self.name, "history: another login was taken up meanwhile") from None
        own = candles[(candles["ts_open_ns"] >= from_ns) & (candles["ts_open_ns"] < to_ns)]
        own["instrument"] = instrument
        return own

    async def expiries(self, index: ListedInstrument) -> Sequence[date]:
        """Of an index' options, ascending. Raises BrokerError."""
        return await self.broker.reference.expiries(index)

    async def option_chain(self, index: ListedInstrument, expiry: date) -> OptionChain:
        """Raises BrokerError."""
        return await self.broker.reference.option_chain(index, expiry)

    async def _stored_token(self) -> str:
        credential = await asyncio.to_thread(self._credentials.get, self._credential_name)
        return credential.access_token
