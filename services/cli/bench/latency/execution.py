"""`bench latency`'s execution process: the real service in front of a gateway that writes to a broker's socket."""

import asyncio
from collections.abc import Sequence

from prometheus_client import CollectorRegistry
from pydantic import Field

from services.cli.bench.ports import order_line
from services.execution.books import books_of
from services.execution.bootstrap import wire
from services.execution.sessions import ExecutionSessions
from services.execution.settings import ExecutionSettings
from tradebus.bus.port import Bus
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.kernel.timers import Timers
from tradebus.runtime.shell import Component, run_service
from tradebus.store.store import Store
from tradebus.trading.orders import BrokerOrder, Lookup, OrderModification, OrderRequest, Outcome, Result


class BrokerExecutionSettings(ExecutionSettings):
    broker_port: int = Field(validation_alias="BENCH_BROKER_PORT")


class SocketGateway:
    """One request, one answer, one connection. The orders rest at the broker for ever."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def place(self, request: OrderRequest) -> Outcome:
        self._writer.write(order_line(tag=request.tag, at_ns=request.at_ns))
        answer = await self._reader.readline()
        return Outcome(Result.ACCEPTED, broker_order_id=answer.decode().strip())

    async def modify(self, account: str, broker_order_id: str, change: OrderModification) -> Outcome:
        return Outcome(Result.REFUSED, reason="this broker only takes orders")

    async def cancel(self, account: str, broker_order_id: str, *, at_ns: int) -> Outcome:
        return Outcome(Result.REFUSED, reason="this broker only takes orders")

    async def find_by_tag(self, account: str, tag: str) -> Lookup:
        return Lookup(None, definitive=False)

    async def order_book(self, account: str) -> Sequence[BrokerOrder]:
        return []


async def build(
    settings: BrokerExecutionSettings,
    *,
    bus: Bus,
    store: Store,
    clock: Clock,
    ids: IdSource,
    timers: Timers,
    registry: CollectorRegistry,
    **_: object,
) -> Sequence[Component]:
    gateway = SocketGateway(*await asyncio.open_connection("127.0.0.1", settings.broker_port))
    sessions = ExecutionSessions(store)
    return [
        wire(
            settings, bus=bus, books=books_of(store, timers=timers), clock=clock, sessions=sessions, gateway=gateway,
            paper=None, timers=timers, registry=registry,
        )
    ]  # fmt: skip


if __name__ == "__main__":
    run_service("execution", BrokerExecutionSettings, build)
