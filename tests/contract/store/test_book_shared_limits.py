"""Limits over several sessions in the book. On both: in memory and on Postgres."""

from contextlib import suppress
from dataclasses import replace

from tradebus.contracts.sessions import ScopeLimits
from tradebus.store.book import Book
from tradebus.store.books import shared_limits_book
from tradebus.store.books.limits.shared_limits import SharedLimitChange, SharedLimitsRow

FIRST = SharedLimitChange(
    scope="all", changed_ns=5, changed_by="asha", field="daily_max_loss_paise", before=None, after=500_000,
    widens=False, reason="a bad '; morning", command_id="c1",
)  # fmt: skip
LIMITS = ScopeLimits(daily_max_loss_paise=500_000, cooldown_seconds=9)


async def put(book: Book, scope: str, row: SharedLimitsRow, *changes: SharedLimitChange) -> None:
    shared = shared_limits_book(book)
    async with book.begin() as tx:
        await shared.lock(tx)
        await shared.put(tx, scope, row, changes)
        assert (await shared.rows(tx))[scope] == row


async def test_what_holds_is_kept_by_scope_with_what_the_file_said(book: Book) -> None:
    shared = shared_limits_book(book)
    assert await shared.rows() == {}
    await put(book, "all", SharedLimitsRow(LIMITS, file=ScopeLimits(max_positions=3)), FIRST)
    await put(book, "account kite", SharedLimitsRow(ScopeLimits()), replace(FIRST, scope="account kite", before=1.5))
    await put(book, "all", SharedLimitsRow(LIMITS), replace(FIRST, after=None, widens=True))
    assert await shared.rows() == {
        "account kite": SharedLimitsRow(ScopeLimits()), "all": SharedLimitsRow(LIMITS),
    }  # fmt: skip
    changes = await shared.changes()
    assert [(one.scope, one.before, one.after) for one in changes] == [
        ("all", None, 500_000), ("account kite", 1.5, 500_000), ("all", None, None),
    ]  # fmt: skip
    assert changes[0] == FIRST


async def test_a_row_and_its_changes_are_there_together_or_not_at_all(book: Book) -> None:
    shared = shared_limits_book(book)
    with suppress(ZeroDivisionError):
        async with book.begin() as tx:
            await shared.lock(tx)
            await shared.put(tx, "all", SharedLimitsRow(LIMITS), [FIRST])
            raise ZeroDivisionError
    assert (await shared.rows(), await shared.changes()) == ({}, [])
