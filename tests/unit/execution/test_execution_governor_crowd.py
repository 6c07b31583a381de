"""Eight processes with two hundred orders each in simulated time, entries that queue, exits meanwhile, and a close of
everything: what the broker sees of it in each second of its own clock, and how long exits wait."""

import asyncio
from collections import Counter

from prometheus_client import CollectorRegistry
from testkit.contracts import contract
from testkit.trades import MORNING, approval

from services.execution.accounts.governor import Governor
from services.execution.accounts.pacing import SenderMetrics
from services.execution.accounts.sender import Sender
from tradebus.contracts.signals import Side
from tradebus.execution.governor.limits import limits_of
from tradebus.execution.opening import open_trade
from tradebus.execution.roster import Roster
from tradebus.execution.step import Cancel, Place, Request, TradeStep
from tradebus.kernel.rng import uniform
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import SimulatedTimers
from tradebus.store.books import order_budget_book
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.waiting.timers import sleep

PROCESSES, ACCOUNTS = 8, 10
ENTRIES, EXITS, CLOSES = 12, 2, 6  # in each account, of each process: at once, one by one, at once again
CLOSES_AT_SECONDS = 15
SKEW_NS = 400_000_000
BOOK_SECONDS, WAY_SECONDS = 0.03, 0.1  # at most, one way; together they differ by less than a departure counts longer
CAP = min(one.kept for one in limits_of("kite") if one.seconds == 1)


class SlowBudgets:
    """Each way to the book and back takes its time."""

    def __init__(self, budgets, timers: SimulatedTimers, name: str) -> None:
        self._budgets, self._timers, self._name, self._asked = budgets, timers, name, 0

    async def read(self, account):
        await self._way()
        kept = await self._budgets.read(account)
        await self._way()
        return kept

    async def replace(self, account, body, *, version, decided_ns, urgent=False):
        await self._way()
        kept = await self._budgets.replace(account, body, version=version, decided_ns=decided_ns, urgent=urgent)
        await self._way()
        return kept

    async def _way(self) -> None:
        self._asked += 1
        await sleep(self._timers, BOOK_SECONDS * uniform(1, self._name, self._asked))


class Crowd:
    """`arrived` are the times at which an account's requests reached its broker, by the broker's clock."""

    def __init__(self) -> None:
        self.timers, self.database = SimulatedTimers(MORNING), MemoryDatabase()
        self.arrived: dict[str, list[int]] = {f"kite:{number}": [] for number in range(ACCOUNTS)}
        self.exit_waits_ns, self.refused = list[int](), list[str]()

    def desks(self) -> list["Desk"]:
        return [desk for number in range(PROCESSES) for desk in self._process(f"process-{number}")]

    def _process(self, name: str) -> list["Desk"]:
        kept = order_budget_book(MemoryBook(self.database, producer=name), clock=self.timers)
        metrics = SenderMetrics(CollectorRegistry())
        governor = Governor(
            SlowBudgets(kept, self.timers, name), lambda account: limits_of(account.partition(":")[0]), name=name,
            timers=self.timers, metrics=metrics,
        )  # fmt: skip
        return [Desk(self, name, account, governor, metrics) for account in self.arrived]


class Desk:
    """One account of one process."""

    def __init__(self, crowd: Crowd, name: str, account: str, governor: Governor, metrics: SenderMetrics) -> None:
        self._crowd, self._timers, self._account, self._name = crowd, crowd.timers, account, f"{name} {account}"
        self._roster, self._put_ns = Roster(name), dict[str, int]()
        self._skew_ns = round(SKEW_NS * (2 * uniform(2, account) - 1))
        self.sender = Sender(
            account, self, roster=self._roster, pacing=governor, timers=self._timers, metrics=metrics
        )  # fmt: skip

    async def trade(self) -> None:
        """All entries at once, exits while they wait, and everything is closed."""
        for number in range(ENTRIES):
            self._put(f"in {number}", is_exit=False)
        for number in range(EXITS):
            await sleep(self._timers, 6 * uniform(3, self._name, number))
            self._put(f"out {number}", is_exit=True)
        await sleep(self._timers, CLOSES_AT_SECONDS - self._timers.monotonic_ns() / NANOSECONDS_PER_SECOND)
        for number in range(CLOSES):
            self._put(f"close {number}", is_exit=True)

    async def deliver(self, pos_id: str, request: Request) -> None:
        if pos_id.startswith("out"):
            self._crowd.exit_waits_ns.append(self._timers.monotonic_ns() - self._put_ns[pos_id])
        await sleep(self._timers, 0.04 + WAY_SECONDS * uniform(4, self._name, pos_id))
        self._crowd.arrived[self._account].append(self._timers.now_ns() + self._skew_ns)
        await sleep(self._timers, WAY_SECONDS * uniform(5, self._name, pos_id))
        self._roster.forget(pos_id)

    async def refuse(self, pos_id: str, request: Request, reason: str) -> None:
        self._crowd.refused.append(reason)
        self._roster.forget(pos_id)

    def leaves(self, pos_id: str, request: Request) -> bool:
        return True

    def _put(self, pos_id: str, *, is_exit: bool) -> None:
        trade = open_trade(approval(Side.LONG), TradeStep(), contract=contract("FUTURE"), owner=self._roster.owner)
        trade.pos_id, order_id = pos_id, trade.entry_order().order_id
        if is_exit:
            trade.exit_reason = "target"
        self._roster.remember(trade)
        self._put_ns[pos_id] = self._timers.monotonic_ns()
        self.sender.put(pos_id, [Cancel(order_id, MORNING) if is_exit else Place(order_id)])


async def test_no_second_of_a_brokers_clock_sees_more_than_its_cap_and_exits_pass_what_queues():
    crowd = Crowd()
    desks, wanted = crowd.desks(), PROCESSES * (ENTRIES + EXITS + CLOSES)
    senders = [asyncio.create_task(desk.sender.run()) for desk in desks]
    trading = [asyncio.create_task(desk.trade()) for desk in desks]
    while any(len(one) < wanted for one in crowd.arrived.values()) and not crowd.refused:
        for _ in range(4):
            await asyncio.sleep(0)
        due_ns = crowd.timers.next_due_ns()
        assert due_ns is not None, "somebody waits for nothing"
        assert due_ns < MORNING + 300 * NANOSECONDS_PER_SECOND, "somebody waits for ever"
        crowd.timers.advance(due_ns)
    for task in (*senders, *trading):
        task.cancel()
    await asyncio.gather(*senders, *trading, return_exceptions=True)
    assert not crowd.refused
    for account, arrived in crowd.arrived.items():
        assert len(arrived) == wanted
        fullest = max(Counter(at_ns // NANOSECONDS_PER_SECOND for at_ns in arrived).values())
        assert fullest <= CAP, f"{account}: {fullest} requests in one second"
    waits = sorted(crowd.exit_waits_ns)
    assert len(waits) == PROCESSES * ACCOUNTS * EXITS
    assert waits[len(waits) * 99 // 100] < 200_000_000
