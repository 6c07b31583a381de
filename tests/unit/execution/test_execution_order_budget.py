"""Several processes of one account in front of its budget, in simulated time: one share of the second for all of them,
also where the book is away, hangs, or has lost its last moments."""

import asyncio
from collections import Counter

import pytest
from prometheus_client import CollectorRegistry
from testkit.simulated import passes

from services.execution.accounts.governor import Governor
from services.execution.accounts.pacing import SenderMetrics
from tradebus.brokers.registry import ADAPTERS
from tradebus.execution.governor.budget import OrderAsk, read_budget
from tradebus.execution.governor.limits import OrderLane, limits_of
from tradebus.kernel.timers import SimulatedTimers
from tradebus.store.books import order_budget_book
from tradebus.store.books.order_budget import KeptBudget
from tradebus.store.memory_book import MemoryBook, MemoryDatabase

SECOND = 1_000_000_000
START = 1_796_000_000 * SECOND
ACCOUNT = "kite:mine"
ENTRY, EXIT = OrderAsk("NFO", OrderLane.ENTRY), OrderAsk("NFO", OrderLane.EXIT)


class HangingBudgets:
    """Answers nobody while it `hangs`, whatever it has done. After its next answer the process stands still for
    `pause_ns`."""

    def __init__(self, budgets, timers: SimulatedTimers) -> None:
        self._budgets, self._timers, self._answers = budgets, timers, asyncio.Event()
        self.hangs, self.pause_ns, self.lets_urgent_pass = False, 0, False

    async def read(self, account):
        await self._hang()
        return await self._budgets.read(account)

    async def replace(self, account, body, *, version, decided_ns, urgent=False):
        kept = await self._budgets.replace(account, body, version=version, decided_ns=decided_ns, urgent=urgent)
        if not (urgent and self.lets_urgent_pass):
            await self._hang()
        self._timers.advance(self._timers.now_ns() + self.pause_ns)
        self.pause_ns = 0
        return kept

    def answer(self) -> None:
        self.hangs = False
        self._answers.set()

    async def _hang(self) -> None:
        if self.hangs:
            await self._answers.wait()


class Account:
    """`governor` is a new process."""

    def __init__(self) -> None:
        self.timers = SimulatedTimers(START)
        self.database, self.metrics = MemoryDatabase(), SenderMetrics(CollectorRegistry())
        kept = order_budget_book(MemoryBook(self.database, producer="t-1"), clock=self.timers)
        self.budgets = HangingBudgets(kept, self.timers)

    def governor(self, **options: int) -> Governor:
        return Governor(
            self.budgets, lambda account: limits_of(account.partition(":")[0]), name="1", timers=self.timers,
            metrics=self.metrics, **options,
        )  # fmt: skip

    async def admitted(self, governor: Governor, ask: OrderAsk, *, times: int) -> int:
        return sum([(await governor.admit(ACCOUNT, ask)).admitted for _ in range(times)])

    async def used(self) -> int:
        """Requests of the minute that the book knows of."""
        kept = await self.budgets.read(ACCOUNT)
        minute = next(one for one in limits_of("kite") if one.seconds == 60)
        return read_budget(kept.body).used(minute, "", now_ns=self.timers.now_ns())

    def lose_moments(self, kept: KeptBudget) -> None:
        """The server crashes and comes back with what it had then."""
        self.database.apply({"order_budgets": {ACCOUNT: (kept.body, kept.version)}})


async def test_all_processes_of_an_account_have_one_share_and_one_that_dies_leaves_what_it_has_counted():
    account = Account()
    alive = [account.governor() for _ in range(4)]
    found = await asyncio.gather(*(account.admitted(one, EXIT, times=5) for one in alive))
    assert sum(found) == 9
    assert (await account.governor().admit(ACCOUNT, EXIT)).wait_ns > 0, "a new life has no new share"
    assert await account.used() == 9
    assert (await alive[0].admit("kite:other", EXIT)).admitted, "another account has its own"


async def test_entries_leave_the_reserve_to_exits_of_any_process():
    account = Account()
    first, second = account.governor(), account.governor()
    assert await account.admitted(first, ENTRY, times=9) == 5
    held = await second.admit(ACCOUNT, ENTRY)
    assert 1_200_000_000 <= held.wait_ns < 1_300_000_000
    assert await account.admitted(second, EXIT, times=9) == 4
    await passes(account.timers, 1.2)
    assert (await second.admit(ACCOUNT, ENTRY)).admitted


async def test_a_book_that_is_away_lets_no_entry_out_and_exits_one_by_one():
    account = Account()
    lone = account.governor()
    assert await account.admitted(lone, EXIT, times=1) == 1
    account.database.go_away()
    assert await account.admitted(lone, EXIT, times=20) == 0, "one has left"
    assert (await lone.admit(ACCOUNT, ENTRY)).wait_ns > 0
    assert await account.admitted(account.governor(), EXIT, times=20) == 1, "it knows of nothing"
    assert await account.admitted(account.governor(alone_per_second=9), EXIT, times=20) == 9
    await passes(account.timers, 1.2)
    assert await account.admitted(lone, EXIT, times=20) == 1


async def test_many_processes_that_stand_alone_stay_below_the_limit_together_and_count_it_afterwards():
    account = Account()
    eight = [account.governor() for _ in range(8)]
    for one in eight:
        assert await account.admitted(one, EXIT, times=1) == 1
    await passes(account.timers, 1.2)
    account.database.go_away()
    left = Counter()
    for _ in range(300):  # thirty seconds
        for one in eight:
            left[account.timers.now_ns()] += await account.admitted(one, EXIT, times=1)
        await passes(account.timers, 0.1)
    starts = sorted(left)
    for start_ns in starts:
        assert sum(left[at_ns] for at_ns in starts if start_ns <= at_ns < start_ns + SECOND) <= 9
    assert sum(left.values()) >= 8 * 20, "and they do leave"
    account.database.come_back()
    await passes(account.timers, 1.2)
    for one in eight:
        assert await account.admitted(one, EXIT, times=1) == 1
    assert await account.used() == sum(left.values()) + 16


async def test_a_book_that_hangs_holds_up_nobody_and_is_asked_again():
    account = Account()
    lone = account.governor()
    assert await account.admitted(lone, EXIT, times=1) == 1
    account.budgets.hangs = True
    await passes(account.timers, 1.2)
    asking = asyncio.create_task(lone.admit(ACCOUNT, EXIT))
    await passes(account.timers, 1.0)
    async with asyncio.timeout(10):
        assert (await asking).admitted
    account.budgets.answer()
    assert (await lone.admit(ACCOUNT, ENTRY)).wait_ns > 0, "it is not asked for a second"
    await passes(account.timers, 1.0)
    assert (await lone.admit(ACCOUNT, ENTRY)).admitted
    assert await account.used() == 3


async def test_an_answer_that_comes_after_all_counts_nothing_twice():
    account = Account()
    lone = account.governor()
    assert await account.admitted(lone, EXIT, times=1) == 1
    account.budgets.hangs = True
    asking = asyncio.create_task(lone.admit(ACCOUNT, ENTRY))
    await passes(account.timers, 1.0)
    async with asyncio.timeout(10):
        assert (await asking).wait_ns > 0, "it waits, and its question is on its way"
    account.budgets.answer()
    await passes(account.timers, 1.0)
    assert await account.admitted(lone, ENTRY, times=1) == 1
    assert await account.used() == 2


async def test_what_a_crashed_server_has_lost_is_counted_again_by_who_has_sent_it():
    account = Account()
    lone = account.governor()
    assert await account.admitted(lone, EXIT, times=2) == 2
    kept = await account.budgets.read(ACCOUNT)
    assert await account.admitted(lone, EXIT, times=6) == 6
    account.lose_moments(kept)
    assert (await lone.admit(ACCOUNT, EXIT)).wait_ns > 0
    await passes(account.timers, 1.2)
    assert await account.admitted(lone, EXIT, times=1) == 1
    assert await account.used() >= 9


async def test_a_budget_that_cannot_be_read_is_as_one_that_is_away():
    account = Account()
    account.database.apply({"order_budgets": {ACCOUNT: ("what?", 3)}})
    lone = account.governor()
    assert (await lone.admit(ACCOUNT, ENTRY)).wait_ns > 0
    assert await account.admitted(lone, EXIT, times=5) == 1


async def test_an_admission_of_a_second_that_is_over_is_asked_for_again():
    account = Account()
    lone = account.governor()
    assert await account.admitted(lone, ENTRY, times=1) == 1
    account.budgets.pause_ns = 5 * SECOND
    assert (await lone.admit(ACCOUNT, ENTRY)).admitted
    assert await account.admitted(account.governor(), ENTRY, times=9) == 4, "it left now, not five seconds ago"
    assert await account.used() == 6, "what did not leave is not counted"


async def test_several_entries_are_one_question_and_those_that_stay_are_given_back_to_all_processes():
    account = Account()
    first, second = account.governor(), account.governor()
    assert (await first.admit(ACCOUNT, ENTRY, more=3)).more == 3
    assert await account.used() == 4
    assert (await second.admit(ACCOUNT, ENTRY, more=3)).more == 0, "of five that entries may use one is left"
    first.unused(ACCOUNT, ENTRY, 2)
    assert await account.admitted(first, EXIT, times=9) == 6, "nine, without the three entries that have left"
    assert await account.used() == 9


async def test_several_entries_of_a_second_that_is_over_are_taken_back_together():
    account = Account()
    lone = account.governor()
    assert await account.admitted(lone, EXIT, times=1) == 1
    account.budgets.pause_ns = 5 * SECOND
    assert (await lone.admit(ACCOUNT, ENTRY, more=3)).more == 3, "asked for again"
    assert await account.admitted(account.governor(), EXIT, times=9) == 5
    assert await account.used() == 10, "an exit five seconds ago, four entries and five exits now"


async def test_trades_and_far_orders_of_all_processes_make_the_ratio():
    account = Account()
    first, second = account.governor(), account.governor()
    stop = OrderAsk("NFO", OrderLane.EXIT, counted=True)
    first.traded(ACCOUNT, 2)
    for _ in range(60):
        for one in (first, second):
            assert (await one.admit(ACCOUNT, stop)).admitted
        await passes(account.timers, 2.0)
    assert "120 orders and changes for 2 trades" in second.why_not_trail(ACCOUNT, stop, changes=0)
    second.traded(ACCOUNT, 5)
    assert second.why_not_trail(ACCOUNT, stop, changes=0) == ""


@pytest.mark.parametrize("broker", ADAPTERS)
def test_every_broker_that_can_be_opened_has_limits(broker):
    assert {one.scope for one in limits_of(broker)} == {"account", "segment"}


async def test_an_exit_does_not_wait_for_the_answer_to_an_entry_that_the_book_is_slow_to_give():
    account = Account()
    lone = account.governor()
    assert (await lone.admit(ACCOUNT, EXIT)).admitted
    account.budgets.hangs = account.budgets.lets_urgent_pass = True
    asking = asyncio.create_task(lone.admit(ACCOUNT, ENTRY))
    await passes(account.timers, 0.0)
    assert not asking.done()
    lone.hurry(ACCOUNT)
    await passes(account.timers, 0.04)
    assert not asking.done(), "what it is told in a moment is the exit's"
    await passes(account.timers, 0.01)
    assert (await asking).wait_ns == 1, "it is asked for again, behind what has come"
    assert (await lone.admit(ACCOUNT, EXIT)).admitted
    account.budgets.answer()
    await passes(account.timers, 0.0)
    budget = read_budget((await account.budgets.read(ACCOUNT)).body)
    assert len(budget.moments) == 3, "the book has the entry until it hears that it has not left"
    assert (await lone.admit(ACCOUNT, EXIT)).admitted
    budget = read_budget((await account.budgets.read(ACCOUNT)).body)
    assert len(budget.moments) == 3, "three exits: the entry is taken back"
    lone.hurry(ACCOUNT)
    assert (await lone.admit(ACCOUNT, ENTRY)).admitted, "nobody was being asked"
