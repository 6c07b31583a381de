"""The order budget of an account, on both books: replaced in turn, by the book's own clock."""

import asyncio

import pytest
from testkit.books import BookHarness

from tradebus.kernel.clock import WallClock
from tradebus.store.book import Book
from tradebus.store.books import OrderBudgetBook, order_budget_book
from tradebus.store.books.order_budget import DECIDED_WITHIN_NS, KeptBudget


@pytest.fixture
def budgets(book: Book) -> OrderBudgetBook:
    return order_budget_book(book, clock=WallClock())


async def replace(budgets: OrderBudgetBook, body: str, *, version: int) -> KeptBudget:
    """Decided at the book's own time, however busy the machine is."""
    for _ in range(100):
        now_ns = (await budgets.read("kite:mine")).now_ns
        found = await budgets.replace("kite:mine", body, version=version, decided_ns=now_ns)
        if found.replaced or found.version != version:
            return found
    raise AssertionError("never within the time a decision holds")


async def test_nobody_has_written_it(budgets: OrderBudgetBook) -> None:
    found = await budgets.read("kite:mine")
    assert (found.body, found.version) == (None, 0)
    assert found.now_ns > 1_700_000_000 * 10**9


async def test_it_is_replaced_by_who_has_seen_the_last_one(budgets: OrderBudgetBook) -> None:
    first = await replace(budgets, "one", version=0)
    assert (first.body, first.version, first.replaced) == ("one", 1, True)
    late = await replace(budgets, "late", version=0)
    assert (late.body, late.version, late.replaced) == ("one", 1, False), "who was late is told what stands"
    second = await replace(budgets, "two", version=1)
    assert second.replaced
    assert second.now_ns >= first.now_ns
    found = await budgets.read("kite:mine")
    assert (found.body, found.version) == ("two", 2)
    assert (await budgets.read("kite:other")).version == 0
    missing = await budgets.replace("kite:other", "x", version=7, decided_ns=second.now_ns)
    assert (missing.body, missing.version, missing.replaced) == (None, 0, False)


@pytest.mark.parametrize("off_ns", [-2 * DECIDED_WITHIN_NS, 3600 * 10**9])
async def test_what_was_decided_at_another_time_changes_nothing(budgets: OrderBudgetBook, off_ns: int) -> None:
    now_ns = (await budgets.read("kite:mine")).now_ns
    found = await budgets.replace("kite:mine", "x", version=0, decided_ns=now_ns + off_ns)
    assert (found.body, found.version, found.replaced) == (None, 0, False)
    assert found.now_ns >= now_ns
    assert (await budgets.read("kite:mine")).version == 0


async def test_of_many_at_once_one_succeeds(books: BookHarness) -> None:
    doors = [order_budget_book(await books.book(f"test-{number}"), clock=WallClock()) for number in range(3)]
    won = 0
    while won == 0:  # a busy machine may be too slow for all of them
        now_ns = (await doors[0].read("kite:mine")).now_ns
        found = await asyncio.gather(
            *(doors[n % 3].replace("kite:mine", f"{n}", version=0, decided_ns=now_ns) for n in range(12))
        )
        won = sum(one.replaced for one in found)
    assert won == 1
    assert (await doors[1].read("kite:mine")).version == 1
