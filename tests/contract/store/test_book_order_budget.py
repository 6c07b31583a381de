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


async def replace(budgets: OrderBudgetBook, body: str, *, version: int) -> KeptBudget | None:
    """Decided at the book's own time, however busy the machine is."""
    for _ in range(100):
        now_ns = (await budgets.read("kite:mine")).now_ns
        found = await budgets.replace("kite:mine", body, version=version, decided_ns=now_ns)
        if found is not None or (await budgets.read("kite:mine")).version != version:
            return found
    raise AssertionError("never within the time a decision holds")


async def test_nobody_has_written_it(budgets: OrderBudgetBook) -> None:
    found = await budgets.read("kite:mine")
    assert (found.body, found.version) == (None, 0)
    assert found.now_ns > 1_700_000_000 * 10**9


async def test_it_is_replaced_by_who_has_seen_the_last_one(budgets: OrderBudgetBook) -> None:
    first = await replace(budgets, "one", version=0)
    assert first is not None
    assert (first.body, first.version) == ("one", 1)
    assert await replace(budgets, "late", version=0) is None
    second = await replace(budgets, "two", version=1)
    assert second is not None
    assert second.now_ns >= first.now_ns
    found = await budgets.read("kite:mine")
    assert (found.body, found.version) == ("two", 2)
    assert (await budgets.read("kite:other")).version == 0
    assert await budgets.replace("kite:other", "x", version=7, decided_ns=second.now_ns) is None, "there is no such one"


@pytest.mark.parametrize("off_ns", [-2 * DECIDED_WITHIN_NS, 3600 * 10**9])
async def test_what_was_decided_at_another_time_changes_nothing(budgets: OrderBudgetBook, off_ns: int) -> None:
    now_ns = (await budgets.read("kite:mine")).now_ns
    assert await budgets.replace("kite:mine", "x", version=0, decided_ns=now_ns + off_ns) is None
    assert (await budgets.read("kite:mine")).version == 0


async def test_of_many_at_once_one_succeeds(books: BookHarness) -> None:
    doors = [order_budget_book(await books.book(f"test-{number}"), clock=WallClock()) for number in range(3)]
    won = 0
    while won == 0:  # a busy machine may be too slow for all of them
        now_ns = (await doors[0].read("kite:mine")).now_ns
        found = await asyncio.gather(
            *(doors[n % 3].replace("kite:mine", f"{n}", version=0, decided_ns=now_ns) for n in range(12))
        )
        won = sum(one is not None for one in found)
    assert won == 1
    assert (await doors[1].read("kite:mine")).version == 1
