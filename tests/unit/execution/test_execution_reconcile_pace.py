"""How often an account's books are read: by the timers that are given."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

from testkit.simulated import passes

from services.execution.books.standings import MemoryStandings
from services.execution.recovery.reconciler import Reconciler
from tradebus.execution.roster import Roster
from tradebus.kernel.timers import SimulatedTimers
from tradebus.store.memory_book import MemoryBook, MemoryDatabase

SECOND = 1_000_000_000


class Book:
    """Counts how often it is asked which sessions have ended, with which every reconciliation begins."""

    def __init__(self) -> None:
        self.asked = 0

    async def ended(self, sessions: Sequence[str]) -> list[str]:
        self.asked += 1
        return []


class Updates:
    """An order stream that says nothing."""

    async def updates(self) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield None

    async def close(self) -> None: ...


async def test_the_books_are_read_every_so_often_and_a_stop_is_heard_at_once() -> None:
    timers, book, nothing, stop = SimulatedTimers(), Book(), SimpleNamespace(), asyncio.Event()
    account: Any = SimpleNamespace(
        name="kite:mine", key=("kite", "mine"), credentials=nothing, sessions={},
        broker=SimpleNamespace(updates=lambda _known: Updates(), session=nothing),
        listed=SimpleNamespace(known={}), gateway=nothing, blocked="",
        margin=SimpleNamespace(run=lambda wanted: asyncio.Event().wait()),
        bands=SimpleNamespace(run=lambda wanted: asyncio.Event().wait()),
    )  # fmt: skip
    unused: Any = nothing
    keeper: Any = SimpleNamespace(roster=Roster("me"))
    settings: Any = SimpleNamespace(
        reconcile_seconds=5.0, broker_lost_seconds=120.0, degraded_looks_max=24, kill_at_broker=False
    )
    books: Any = SimpleNamespace(
        own=book, book=nothing, standings=MemoryStandings(MemoryBook(MemoryDatabase(), producer="test-1"))
    )
    reconciler = Reconciler(
        account, settings, books=books, keeper=keeper, recovery=unused, outbox=unused, clock=timers,
        market_ns=lambda: 0, spec_of=unused, is_killed=lambda: False, why_closed=lambda session_id: "",
        metrics=unused, timers=timers,
    )  # fmt: skip
    running = asyncio.create_task(reconciler.run(stop))
    await passes(timers, 0)
    assert book.asked == 1
    for reads in range(1, 4):
        await passes(timers, 4.999)
        assert book.asked == reads
        await passes(timers, 0.001)
        assert book.asked == reads + 1
    stop.set()
    async with asyncio.timeout(10):
        await running
    assert timers.next_due_ns() is None
