"""Changes of limits in the book. On both: in memory and on Postgres."""

from contextlib import suppress
from dataclasses import replace

import pytest

from tradebus.contracts.sessions import RiskLimits, ScopeLimits, SessionSpec, StrategySpec
from tradebus.store.book import Book
from tradebus.store.books import limit_changes_book, session_register
from tradebus.store.books.limits.limit_changes import StoredChange, limits_in_force

SPEC = SessionSpec(
    session_id="s1", user_id="ann", symbols=("TCS",), capital_paise=100, limits=RiskLimits(max_lots_per_trade=3),
    strategies=(StrategySpec(name="orb", limits=ScopeLimits(max_positions=2)), StrategySpec(name="ema")),
)  # fmt: skip
FIRST = StoredChange(
    session_id="s1", user_id="ann", changed_ns=5, changed_by="asha", strategy=None, field="daily_max_loss_paise",
    before=None, after=500_000, widens=False, reason="a bad morning", command_id="c1",
)  # fmt: skip


@pytest.fixture
async def begun(book: Book) -> Book:
    async with book.begin() as tx:
        for name in ("s1", "s2"):
            spec = SPEC.model_copy(update={"session_id": name, "user_id": f"user-{name}"})
            await session_register(book).insert(tx, spec, command_id=name, now_ns=0)
    return book


async def test_changes_are_kept_in_their_order_as_they_were_given(begun: Book) -> None:
    book = limit_changes_book(begun)
    assert await book.of_session("s1") == []
    second = replace(FIRST, strategy="orb", field="max_positions", before=2, after=None, widens=True)
    third = replace(FIRST, field="safe_trading_start", before=None, after="10:00", reason="'; --")
    async with begun.begin() as tx:
        await book.add(tx, [FIRST, second])
        assert await book.of_session("s1", tx) == [FIRST, second]
    async with begun.begin() as tx:
        await book.add(tx, [third, replace(FIRST, session_id="s2", before=1.5, after=0.25)])
    assert await book.of_session("s1") == [FIRST, second, third]
    assert [one.after for one in await book.of_session("s2")] == [0.25]


async def test_what_is_not_committed_is_not_there(begun: Book) -> None:
    book = limit_changes_book(begun)
    with suppress(ZeroDivisionError):
        async with begun.begin() as tx:
            await book.add(tx, [FIRST])
            raise ZeroDivisionError
    assert await book.of_session("s1") == []


def test_the_limits_in_force_are_starts_with_every_change() -> None:
    assert limits_in_force(SPEC, []) == (SPEC.limits, {"orb": ScopeLimits(max_positions=2)})
    changes = [
        FIRST, replace(FIRST, after=300_000), replace(FIRST, field="max_lots_per_trade", after=None),
        replace(FIRST, strategy="orb", field="max_positions", after=1),
        replace(FIRST, strategy="ema", field="cooldown_seconds", after=9),
    ]  # fmt: skip
    limits, own = limits_in_force(SPEC, changes)
    assert limits == RiskLimits(max_lots_per_trade=None, daily_max_loss_paise=300_000)
    assert own == {"orb": ScopeLimits(max_positions=1), "ema": ScopeLimits(cooldown_seconds=9)}
