"""The audit of requests to brokers, on both books; and what Postgres itself holds against whoever touches it."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest
from testkit.books import BookHarness, PostgresBooks

from tradebus.audit.chain import ChainCheck, ChainHead
from tradebus.audit.exchange import BrokerExchange, ist_text
from tradebus.store.book import Book
from tradebus.store.books import AuditBook, audit_book
from tradebus.store.store import Store

FIRST = BrokerExchange(
    "kite:mine", "e1", "execution-1", "POST", "http://b/orders", "quantity=65", ist_text(1_000_000_000), "s1", "p1",
    None, "", 0, "", "", "",
)  # fmt: skip
TEXT_COLUMNS = (
    "account", "previous_hash", "hash", "exchange_id", "sent_by", "method", "url", "body", "sent_at", "session_id",
    "pos_id", "reply", "reply_sha256", "problem", "answered_at",
)  # fmt: skip


def exchange(number: int, account: str = "kite:mine") -> BrokerExchange:
    return replace(
        FIRST, account=account, exchange_id=f"{account} {number}", sent_at=ist_text(number * 1_000_000_000), status=200,
        reply='{"quote": "₹ \\\\ \\u0000"}', reply_bytes=2**40, reply_sha256="ab",
        answered_at=ist_text(number * 10**9 + 1),
    )  # fmt: skip


@pytest.fixture
def audit(book: Book) -> AuditBook:
    return audit_book(book)


async def check(audit: AuditBook, account: str = "kite:mine", *published: ChainHead) -> ChainCheck:
    found = ChainCheck(account, published)
    for row in await audit.rows(account, after_seq=-1, limit=1_000):
        found.feed(row)
    found.ended()
    return found


async def test_what_was_appended_is_read_as_it_was_and_fits(audit: AuditBook) -> None:
    assert await audit.append([FIRST, exchange(2)]) == await audit.heads()
    await audit.append([exchange(3), exchange(1, "dhan:mine")])
    assert [row.exchange for row in await audit.rows("kite:mine", after_seq=0, limit=9)] == [
        FIRST, exchange(2), exchange(3)
    ]  # fmt: skip
    assert [row.seq for row in await audit.rows("kite:mine", after_seq=1, limit=1)] == [2]
    found = await check(audit)
    assert (found.fault, found.head.seq) == (None, 3)
    assert [head.account for head in await audit.heads()] == ["dhan:mine", "kite:mine"]


async def test_what_is_appended_again_is_there_once(audit: AuditBook) -> None:
    await audit.append([FIRST, FIRST])
    [head] = await audit.append([FIRST, exchange(2)])
    assert head.seq == 2
    assert await audit.append([FIRST]) == [head]
    assert (await check(audit)).head == head


async def test_those_who_append_at_once_make_one_chain(books: BookHarness, audit: AuditBook) -> None:
    others = [audit_book(await books.book(f"other-{number}")) for number in range(3)]
    await asyncio.gather(
        *(
            one.append([exchange(100 * number + step, account) for account in ("kite:mine", "dhan:mine")])
            for number, one in enumerate(others) for step in range(5)
        )
    )  # fmt: skip
    for account in ("kite:mine", "dhan:mine"):
        found = await check(audit, account)
        assert (found.fault, found.head.seq) == (None, 15)


async def test_rows_are_found_by_when_they_were_sent(audit: AuditBook) -> None:
    await audit.append([exchange(number) for number in range(1, 8)] + [exchange(3, "dhan:mine")])
    begin, end = ist_text(2 * 10**9), ist_text(6 * 10**9)
    found = await audit.sent_between(begin, end, after=None, limit=3)
    assert [row.exchange.exchange_id for row in found] == ["kite:mine 2", "dhan:mine 3", "kite:mine 3"]
    rest = await audit.sent_between(begin, end, after=found[-1], limit=9)
    assert [row.exchange.exchange_id for row in rest] == ["kite:mine 4", "kite:mine 5"]


@pytest.fixture
async def store(migrated: str, database_url: str):
    books = PostgresBooks(database_url, migrated)
    yield await books.book()
    await books.close()


@pytest.mark.parametrize(
    "statement",
    ["UPDATE broker_audit SET body = ''", "DELETE FROM broker_audit", "TRUNCATE broker_audit"],
)
async def test_nobody_changes_or_removes_a_row(store: Store, statement: str) -> None:
    await audit_book(store).append([FIRST])
    with pytest.raises(asyncpg.RaiseError, match="append only"):
        await store.pool.execute(statement)


async def forge(store: Store, statement: str, *arguments: object) -> None:
    """As whoever owns the server can."""
    async with store.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(statement, *arguments)


async def faults(store: Store, *published: ChainHead) -> list[int]:
    audit = audit_book(store)
    found = [await check(audit, head.account, *published) for head in await audit.heads()]
    return [one.fault.seq for one in found if one.fault is not None]


@pytest.mark.parametrize("column", TEXT_COLUMNS)
async def test_a_letter_flipped_in_any_column_is_found(store: Store, column: str) -> None:
    await audit_book(store).append([exchange(number) for number in range(1, 6)])
    assert await faults(store) == []
    await forge(
        store, f"UPDATE broker_audit SET {column} = overlay({column} placing 'x' from 1 for 1) WHERE seq = 3"
    )  # fmt: skip
    assert 3 in await faults(store)


@pytest.mark.parametrize("column", ["seq", "status", "reply_bytes"])
async def test_a_number_changed_in_any_column_is_found(store: Store, column: str) -> None:
    await audit_book(store).append([exchange(number) for number in range(1, 6)])
    await forge(store, f"UPDATE broker_audit SET {column} = {column} + 100 WHERE seq = 3")
    assert await faults(store) == [3]


async def test_the_last_rows_removed_are_found_against_a_published_head(store: Store) -> None:
    [head] = await audit_book(store).append([exchange(number) for number in range(1, 6)])
    await forge(store, "DELETE FROM broker_audit WHERE seq > 3")
    assert await faults(store) == []
    assert await faults(store, head) == [4]
