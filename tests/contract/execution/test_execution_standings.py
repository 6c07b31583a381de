"""What keeps positions from being opened in an account, and what trades hold. On both: in memory and on Postgres."""

from collections.abc import AsyncIterator

import pytest
from testkit.execution_books import ExecutionHands

from services.execution.books import Books
from services.execution.books.standings import AccountStanding, AccountStandings

MINE, OTHER = "kite:mine", "dhan:mine"


@pytest.fixture
async def standings(hands: ExecutionHands) -> AsyncIterator[AccountStandings]:
    opened, _ = await hands.life()
    yield opened.standings
    await opened.book.close()


async def test_what_blocks_an_account_is_there_in_the_next_life_and_nobody_elses(
    hands: ExecutionHands, standings: AccountStandings
) -> None:
    assert await standings.read(MINE) == AccountStanding()
    await standings.block(MINE, "reconcile_mismatch")
    await standings.degrade(MINE, at_ns=5)
    after: tuple[Books, object] = await hands.life("2")
    assert await after[0].standings.read(MINE) == AccountStanding("reconcile_mismatch", degraded_ns=5)
    assert await after[0].standings.read(OTHER) == AccountStanding()
    await after[0].standings.block(MINE, "")
    assert (await standings.read(MINE)).blocked == ""
    await after[0].book.close()


async def test_the_first_loss_stands_until_the_account_is_flat(standings: AccountStandings) -> None:
    assert not await standings.recovered(MINE), "it was not lost"
    await standings.degrade(MINE, at_ns=5)
    await standings.degrade(MINE, at_ns=9)
    assert (await standings.read(MINE)).degraded_ns == 5
    assert await standings.recovered(MINE)
    assert not await standings.recovered(MINE)
    await standings.degrade(MINE, at_ns=11)
    assert (await standings.read(MINE)).degraded_ns == 11


async def test_from_when_to_when_an_account_was_unread_ends_when_it_is_read(standings: AccountStandings) -> None:
    await standings.reached(MINE)
    await standings.unread(MINE, since_ns=3, seen_ns=7)
    await standings.degrade(MINE, at_ns=7)
    await standings.unread(MINE, since_ns=3, seen_ns=9)
    assert await standings.read(MINE) == AccountStanding(degraded_ns=7, unread_since_ns=3, unread_seen_ns=9)
    await standings.note_profit(OTHER, "{}")
    await standings.note_profit(OTHER, '{"a": 1}')
    assert await standings.read(OTHER) == AccountStanding(profit='{"a": 1}')
    await standings.reached(MINE)
    assert await standings.read(MINE) == AccountStanding(degraded_ns=7)


async def test_what_waits_for_a_person_is_ended_by_nothing_else(standings: AccountStandings) -> None:
    await standings.wait_for_person(MINE)
    assert await standings.read(MINE) == AccountStanding(), "it was not lost"
    await standings.degrade(MINE, at_ns=5)
    await standings.wait_for_person(MINE)
    assert not await standings.recovered(MINE)
    assert not await standings.acted(MINE, given_ns=4), "said before it was lost"
    assert await standings.read(MINE) == AccountStanding(degraded_ns=5, waits_for_person=True)
    assert not await standings.acted(OTHER, given_ns=6)
    assert await standings.acted(MINE, given_ns=5)
    assert await standings.read(MINE) == AccountStanding()
    assert not await standings.acted(MINE, given_ns=6)
