"""`bench orders`' execution process: the real service, its senders and governor too, in front of accounts that answer
at once and tell a socket of the bench's what came.

An account keeps its orders, resting for ever, and shows them in its book: what is reconciled with is true.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import Field

from services.cli.bench.ports import order_line
from services.execution.bootstrap import build as build_execution
from services.execution.settings import ExecutionSettings
from tradebus.brokers.account import AccountMargins, BrokerHolding, NetPosition, SessionState
from tradebus.brokers.credentials import Credential
from tradebus.brokers.feed import FeedEvent, FeedEventKind, MarketFeed
from tradebus.brokers.reference import ListedInstrument, PriceBand
from tradebus.brokers.registry import Broker, Known
from tradebus.bus.port import Bus
from tradebus.contracts.instrument_key import InstrumentKey
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.kernel.timers import Timers
from tradebus.runtime.shell import Component, run_service
from tradebus.store.store import Store
from tradebus.trading.orders import (
    BrokerOrder,
    BrokerStatus,
    Lookup,
    OrderModification,
    OrderRequest,
    Outcome,
    Result,
)

SHARES_MAX = 20
LISTED = [
    ListedInstrument(InstrumentKey.parse(f"NSE:BENCH{number}"), str(number), "NSE", f"BENCH{number}", 1, 5, None)
    for number in range(SHARES_MAX)
]
_REFUSED = Outcome(Result.REFUSED, reason="this broker only takes orders")
_numbers = itertools.count(1)


class OrdersExecutionSettings(ExecutionSettings):
    broker_port: int = Field(validation_alias="BENCH_BROKER_PORT")


@dataclass
class RestingAccount:
    """One login: gateway, order updates, money and login session at once. Its market is slow: nothing fills."""

    name: str
    told: asyncio.StreamWriter
    account: str = ""
    placed: dict[str, BrokerOrder] = field(default_factory=dict)
    quiet: asyncio.Event = field(default_factory=asyncio.Event)

    async def place(self, request: OrderRequest) -> Outcome:
        self.told.write(order_line(tag=request.tag, at_ns=request.at_ns))
        number = f"B{next(_numbers)}"
        self.placed[request.tag] = BrokerOrder(
            broker_order_id=number, tag=request.tag, account=self.name, instrument=request.instrument,
            transaction=request.transaction, status=BrokerStatus.OPEN, quantity=request.quantity, filled_quantity=0,
            trigger_paise=request.trigger_paise, fills=(), as_of_ns=request.at_ns,
        )  # fmt: skip
        return Outcome(Result.ACCEPTED, broker_order_id=number)

    async def modify(self, account: str, broker_order_id: str, change: OrderModification) -> Outcome:
        return _REFUSED

    async def cancel(self, account: str, broker_order_id: str, *, at_ns: int) -> Outcome:
        return _REFUSED

    async def find_by_tag(self, account: str, tag: str) -> Lookup:
        return Lookup(self.placed.get(tag), definitive=True)

    async def order_book(self, account: str) -> Sequence[BrokerOrder]:
        return list(self.placed.values())

    async def updates(self) -> AsyncIterator[BrokerOrder | FeedEvent]:
        yield FeedEvent(FeedEventKind.CONNECTED, self.name)
        await self.quiet.wait()

    async def close(self) -> None:
        self.quiet.set()

    async def margins(self) -> AccountMargins:
        return AccountMargins(10**12, 0)

    async def positions(self) -> Sequence[NetPosition]:
        return []

    async def holdings(self) -> Sequence[BrokerHolding]:
        return []

    async def check(self) -> SessionState:
        self.account = self.name
        return SessionState.VALID

    def login_url(self, *, redirect: str = "", state: str = "") -> str | None:
        return None

    async def complete_login(self, answer: str) -> str:
        return answer


class Shares:
    """A short master, and no history."""

    async def instruments(self) -> Sequence[ListedInstrument]:
        return LISTED

    async def price_bands(self, instruments: Sequence[ListedInstrument]) -> Mapping[int, PriceBand]:
        return {}


class RestingBroker:
    """See `tradebus.brokers.registry.Broker`."""

    def __init__(self, name: str, account: RestingAccount) -> None:
        self.name, self._account = name, account
        self.reference: Any = Shares()
        self.account: Any = account
        self.session: Any = account

    def clock_offset(self) -> None:
        """Its clock is ours."""

    def feed(self) -> MarketFeed:
        raise NotImplementedError("nobody takes prices from here")

    def orders(self, known: Known) -> RestingAccount:
        return self._account

    def updates(self, known: Known) -> RestingAccount:
        return self._account

    def close(self) -> None:
        self._account.quiet.set()


async def build(
    settings: OrdersExecutionSettings, *, bus: Bus, store: Store, clock: Clock, ids: IdSource, timers: Timers,
    registry: CollectorRegistry, **_: object,
) -> Sequence[Component]:  # fmt: skip
    _reader, told = await asyncio.open_connection("127.0.0.1", settings.broker_port)

    def open_broker(name: str, credential: Credential, **_: object) -> Broker:
        return RestingBroker(name, RestingAccount(credential.client_id, told))

    return await build_execution(
        settings, bus=bus, store=store, clock=clock, ids=ids, open_broker=open_broker, timers=timers,
        registry=registry,
    )  # fmt: skip


if __name__ == "__main__":
    run_service("execution", OrdersExecutionSettings, build)
