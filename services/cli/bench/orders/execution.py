"""`bench orders`' execution process: the real service, its senders and governor too, in front of accounts whose book is
the bench's own, so that several processes trade in one account.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import Field

from services.cli.bench.orders.broker import RestingLine
from services.execution.bootstrap import build as build_execution
from services.execution.settings import ExecutionSettings
from tradebus.brokers.account import AccountMargins, BasketOrder, BrokerHolding, NetPosition, SessionState
from tradebus.brokers.credentials import Credential
from tradebus.brokers.errors import NoAnswer
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


class OrdersExecutionSettings(ExecutionSettings):
    broker_port: int = Field(validation_alias="BENCH_BROKER_PORT")


@dataclass
class RestingAccount:
    """One login: gateway, order updates, money and login session at once. Its market is slow: nothing fills."""

    name: str
    line: RestingLine
    account: str = ""
    quiet: asyncio.Event = field(default_factory=asyncio.Event)

    async def place(self, request: OrderRequest) -> Outcome:
        try:
            return Outcome(Result.ACCEPTED, broker_order_id=await self.line.place(self.name, request))
        except NoAnswer as error:
            return Outcome(Result.UNKNOWN, reason=str(error))

    async def modify(self, account: str, broker_order_id: str, change: OrderModification) -> Outcome:
        return _REFUSED

    async def cancel(self, account: str, broker_order_id: str, *, at_ns: int) -> Outcome:
        return _REFUSED

    async def find_by_tag(self, account: str, tag: str) -> Lookup:
        try:
            return Lookup(await self.line.find(self.name, tag), definitive=True)
        except NoAnswer:
            return Lookup(None, definitive=False)

    async def order_book(self, account: str) -> Sequence[BrokerOrder] | None:
        try:
            return await self.line.book(self.name)
        except NoAnswer:
            return None

    async def updates(self) -> AsyncIterator[BrokerOrder | FeedEvent]:
        yield FeedEvent(FeedEventKind.CONNECTED, self.name)
        await self.quiet.wait()

    async def close(self) -> None:
        self.quiet.set()

    async def margins(self) -> AccountMargins:
        return AccountMargins(10**12, 0)

    async def basket_margin_paise(self, orders: Sequence[BasketOrder]) -> int:
        return sum(one.quantity * one.price_paise for one in orders)

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
    line = await RestingLine.connect(settings.broker_port)

    def open_broker(name: str, credential: Credential, **_: object) -> Broker:
        return RestingBroker(name, RestingAccount(credential.client_id, line))

    return await build_execution(
        settings, bus=bus, store=store, clock=clock, ids=ids, open_broker=open_broker, timers=timers,
        registry=registry,
    )  # fmt: skip


if __name__ == "__main__":
    run_service("execution", OrdersExecutionSettings, build)
