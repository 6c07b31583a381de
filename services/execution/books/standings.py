"""What keeps positions from being opened in an account, in Postgres and in memory: a restart forgets none of it.

Invariants (tested on both): the first loss stands until the account is flat in time or a person acts after it; one that
waits for a person ends by nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from tradebus.store.memory_book import MemoryBook
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

_SQL = load_queries("services.execution.books", "standings")
_TABLE = "account_standings"


@dataclass(frozen=True, slots=True)
class AccountStanding:
    """Of one broker account, for all instances. `blocked` is what whoever looked last said, "" for nothing;
    `degraded_ns` is when its broker had been away too long; from `unread_since_ns` to `unread_seen_ns` its order book
    could not be read, None where it could at last. All on the machine's clock. `profit` is what it has made today, as
    `positions.profit` writes it; None where nobody has looked."""

    blocked: str = ""
    degraded_ns: int | None = None
    waits_for_person: bool = False
    unread_since_ns: int | None = None
    unread_seen_ns: int | None = None
    profit: str | None = None

    @property
    def refusal(self) -> str:
        """Why no position is opened by what the book says, "" where one may be."""
        return self.blocked or ("" if self.degraded_ns is None else "broker_lost")


class AccountStandings(Protocol):
    """By the account's name."""

    async def read(self, account: str) -> AccountStanding: ...

    async def block(self, account: str, reason: str) -> None:
        """Says why no position is opened, "" where one may be."""

    async def note_profit(self, account: str, profit: str) -> None:
        """What it has made today, in the place of what was noted before."""

    async def unread(self, account: str, *, since_ns: int, seen_ns: int) -> None:
        """Its order book cannot be read."""

    async def reached(self, account: str) -> None:
        """Its order book was read."""

    async def degrade(self, account: str, *, at_ns: int) -> None:
        """Its broker has been away too long."""

    async def wait_for_person(self, account: str) -> None:
        """It was not flat in time."""

    async def recovered(self, account: str) -> bool:
        """It is flat, and degraded no more. False where it was not degraded, or waits for a person."""

    async def acted(self, account: str, *, given_ns: int) -> bool:
        """A person has looked at it, at that time of the machine's clock. Whether it was degraded before."""


class PostgresStandings:
    """See `AccountStandings`."""

    def __init__(self, store: Store) -> None:
        self._pool = store.pool

    async def read(self, account: str) -> AccountStanding:
        row = await self._pool.fetchrow(_SQL["read"], account)
        return AccountStanding(**dict(row)) if row else AccountStanding()

    async def block(self, account: str, reason: str) -> None:
        await self._pool.execute(_SQL["block"], account, reason)

    async def note_profit(self, account: str, profit: str) -> None:
        await self._pool.execute(_SQL["note_profit"], account, profit)

    async def unread(self, account: str, *, since_ns: int, seen_ns: int) -> None:
        await self._pool.execute(_SQL["unread"], account, since_ns, seen_ns)

    async def reached(self, account: str) -> None:
        await self._pool.execute(_SQL["reached"], account)

    async def degrade(self, account: str, *, at_ns: int) -> None:
        await self._pool.execute(_SQL["degrade"], account, at_ns)

    async def wait_for_person(self, account: str) -> None:
        await self._pool.execute(_SQL["wait_for_person"], account)

    async def recovered(self, account: str) -> bool:
        return await self._pool.fetchval(_SQL["recovered"], account) is not None

    async def acted(self, account: str, *, given_ns: int) -> bool:
        return await self._pool.fetchval(_SQL["acted"], account, given_ns) is not None


class MemoryStandings:
    """See `AccountStandings`. Rows by the account's name."""

    def __init__(self, book: MemoryBook) -> None:
        self._book = book

    async def read(self, account: str) -> AccountStanding:
        self._book.database.check()
        found: AccountStanding = self._book.database.table(_TABLE).get(account, AccountStanding())
        return found

    async def block(self, account: str, reason: str) -> None:
        await self._change(account, lambda one: replace(one, blocked=reason))

    async def note_profit(self, account: str, profit: str) -> None:
        await self._change(account, lambda one: replace(one, profit=profit))

    async def unread(self, account: str, *, since_ns: int, seen_ns: int) -> None:
        await self._change(account, lambda one: replace(one, unread_since_ns=since_ns, unread_seen_ns=seen_ns))

    async def reached(self, account: str) -> None:
        await self._change(account, lambda one: replace(one, unread_since_ns=None, unread_seen_ns=None))

    async def degrade(self, account: str, *, at_ns: int) -> None:
        await self._change(
            account, lambda one: replace(one, degraded_ns=at_ns if one.degraded_ns is None else one.degraded_ns)
        )

    async def wait_for_person(self, account: str) -> None:
        await self._change(account, lambda one: replace(one, waits_for_person=one.degraded_ns is not None))

    async def recovered(self, account: str) -> bool:
        return await self._change(account, lambda one: one if one.waits_for_person else replace(one, degraded_ns=None))

    async def acted(self, account: str, *, given_ns: int) -> bool:
        def ended(one: AccountStanding) -> AccountStanding:
            if one.degraded_ns is None or one.degraded_ns > given_ns:
                return one
            return replace(one, degraded_ns=None, waits_for_person=False)

        return await self._change(account, ended)

    async def _change(self, account: str, change: Callable[[AccountStanding], AccountStanding]) -> bool:
        async with self._book.begin() as transaction:
            await transaction.lock(f"{_TABLE} {account}")
            rows = transaction.table(_TABLE)
            before = rows.get(account, AccountStanding())
            rows[account] = change(before)
            return bool(rows[account] != before)
