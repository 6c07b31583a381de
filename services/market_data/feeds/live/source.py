"""A broker as the live feed needs it: its master, its history and its socket, under the login that is stored by now."""

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np
import structlog

from services.market_data.settings import MarketDataSettings
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.brokers.errors import BrokerError
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.registry import Broker, OpenBroker
from tradebus.contracts.records import CANDLE, Records
from tradebus.kernel.clock import Clock

_log = structlog.get_logger()


class LiveSource:
    """One broker. `open` makes it anew, with the login as it is stored then."""

    def __init__(self, settings: MarketDataSettings, open_broker: OpenBroker, *, clock: Clock) -> None:
        self.name = settings.feed.value
        self._credential_name = settings.credential_name
        self._url = settings.broker_urls[self.name]
        self._credentials = Credentials(settings.state_dir, key=settings.credentials_key)
        self._open_broker, self._clock = open_broker, clock
        self._broker: Broker | None = None

    @property
    def broker(self) -> Broker:
        """Raises InvalidInput where the login is not stored."""
        if self._broker is None:
            credential = self._credentials.get(self._credential_name)
            self._broker = self._open_broker(
                self.name, credential, url=self._url, refresh=self._stored_token, clock=self._clock
            )
        return self._broker

    def renew(self) -> None:
        """The next use opens the broker anew."""
        self.close()

    def close(self) -> None:
        if self._broker is not None:
            self._broker.close()
            self._broker = None

    async def master(self) -> Sequence[ListedInstrument]:
        """Raises BrokerError."""
        return await self.broker.reference.instruments()

    async def minutes(self, listings: Mapping[int, ListedInstrument], *, from_ns: int, to_ns: int) -> Records:
        """One-minute CANDLE records of [from_ns, to_ns), ascending per instrument. What a broker will not give is
        named in the log and left out."""
        parts = [np.empty(0, CANDLE)]
        for instrument, listing in listings.items():
            try:
                candles = await self.broker.reference.history(
                    listing, timeframe_seconds=60, from_ns=from_ns, to_ns=to_ns
                )
            except BrokerError as error:
                _log.warning("no history", symbol=listing.symbol, error=str(error))
                continue
            own = candles.copy()
            own["instrument"] = instrument
            parts.append(own)
        return np.concatenate(parts)

    async def _stored_token(self) -> str:
        found: Credential = await asyncio.to_thread(self._credentials.get, self._credential_name)
        return found.access_token
