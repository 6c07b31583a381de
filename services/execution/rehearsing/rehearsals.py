"""What orders of dry runs would have been at their brokers, by adapters that send nothing (`Rehearsal`).

The names of instruments are those the book has of today's master; else the master is read, by a login of nobody's: a
session that trades on paper has no way to an account's own.
"""

import asyncio

import asyncpg
import structlog

from services.execution.accounts.listed import BrokerNames
from services.execution.books import Books
from services.execution.settings import ExecutionSettings
from tradebus.brokers.audit.log import LogOf
from tradebus.brokers.common.orders.rehearsal import NOBODY, Rehearsal
from tradebus.brokers.credentials import Credential
from tradebus.brokers.registry import OpenBroker
from tradebus.contracts.orders import BrokerRequest
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import TradebusError
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import OrderRequest
from tradebus.waiting.timers import first_done

_SECONDS = 5.0  # an order on paper waits no longer: for a master, or a broker's SDK that is loaded
_log = structlog.get_logger()


class Rehearsals:
    """By broker, made when the first order asks."""

    def __init__(
        self, settings: ExecutionSettings, books: Books, open_broker: OpenBroker, *, log_of: LogOf, clock: Clock,
        timers: Timers,
    ) -> None:  # fmt: skip
        self._books, self._open_broker, self._log_of, self._timers = books, open_broker, log_of, timers
        self._clock, self._urls = settings.clock_of_market(clock)[0], settings.broker_urls
        self._at: dict[str, tuple[BrokerNames, Rehearsal]] = {}
        self._making: dict[str, asyncio.Task[BrokerRequest]] = {}

    async def of(self, name: str, request: OrderRequest) -> BrokerRequest:
        """The request that the order would have been, or why there would have been none. Raises nothing for what a
        broker, a network or a book may do."""
        before = self._making.get(name)
        if before is None or before.done():
            self._making[name] = asyncio.create_task(self._made(name, request))
            if await first_done(self._timers, [self._making[name]], seconds=_SECONDS):
                return self._making[name].result()
        return BrokerRequest(broker=name, problem=f"what {name} lists today is still being read")

    async def _made(self, name: str, request: OrderRequest) -> BrokerRequest:
        try:
            names, rehearsal = self._at.get(name) or self._opened(name)
            if names.get(request.instrument) is None:
                await names.know(request.instrument, self._clock.now_ns())
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TradebusError) as error:
            _log.warning("dry run: what the broker lists is not known", broker=name, error=str(error))
            return BrokerRequest(broker=name, problem=f"what {name} lists today is not known: {error}")
        if names.get(request.instrument) is None:
            return BrokerRequest(broker=name, problem=f"{request.symbol} is not listed at {name}")
        return await rehearsal.of(request)

    def _opened(self, name: str) -> tuple[BrokerNames, Rehearsal]:
        broker = self._open_broker(
            name, Credential(name, client_id=NOBODY), url=self._urls[name], timers=self._timers,
            log=self._log_of(f"{name}:{NOBODY}"), clock=self._clock,
        )  # fmt: skip
        names = BrokerNames(self._books, broker, timers=self._timers)
        rehearsal = Rehearsal(
            name, names.known, url=self._urls[name], open_broker=self._open_broker, clock=self._clock,
            timers=self._timers,
        )  # fmt: skip
        self._at[name] = names, rehearsal
        return self._at[name]
