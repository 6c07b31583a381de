"""The request that an order would be: written by the adapter through the broker's own SDK, and kept back at the wire.

    order ─► adapter ─► SDK ─► wire: kept, and raised instead of sent ─► BrokerRequest

Two things keep it here: the wire raises before there is a connection, and the login is nobody's.
"""

import asyncio

from tradebus.brokers.audit.log import Ending
from tradebus.brokers.credentials import Credential
from tradebus.brokers.registry import Known, OpenBroker
from tradebus.contracts.orders import BrokerRequest
from tradebus.kernel.clock import Clock
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import OrderRequest

NOBODY = "dry-run"


class KeptBackError(Exception):
    """A request that was not sent."""


class KeepingWire:
    """See `tradebus.brokers.audit.log.ExchangeLog`: what is about to leave is kept, and does not."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str, str]] = []  # method, address, body

    def sent(self, method: str, url: str, body: str) -> str:
        """Raises KeptBackError, always."""
        self.kept.append((method, url, body))
        raise KeptBackError(f"{method} {url}: kept back, this is a dry run")

    def ended(self, exchange_id: str, ending: Ending) -> None:
        return None


class Rehearsal:
    """Of one broker; `known` are its instruments. Asks nobody anything."""

    def __init__(
        self, name: str, known: Known, *, url: str, open_broker: OpenBroker, clock: Clock, timers: Timers
    ) -> None:
        self._name, self._wire, self._one_at_a_time = name, KeepingWire(), asyncio.Lock()
        nobody = Credential(name, client_id=NOBODY, access_token=NOBODY)
        self._broker = open_broker(name, nobody, url=url, timers=timers, log=self._wire, clock=clock)
        self._orders = self._broker.orders(known)

    async def of(self, request: OrderRequest) -> BrokerRequest:
        """As it would have left; where the adapter would have refused it, why."""
        async with self._one_at_a_time:
            self._wire.kept.clear()
            outcome = await self._orders.place(request)
            if not self._wire.kept:
                return BrokerRequest(broker=self._name, problem=outcome.reason)
            method, url, body = self._wire.kept[0]
        return BrokerRequest(broker=self._name, method=method, url=url, body=body)
