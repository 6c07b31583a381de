"""`books` and `book`: every test that asks for one runs on the book in memory and on Postgres."""

from collections.abc import AsyncIterator

import pytest
from testkit.books import BookHarness, MemoryBooks, PostgresBooks

from tradebus.store.book import Book


@pytest.fixture(params=["memory", "postgres"])
async def books(request: pytest.FixtureRequest) -> AsyncIterator[BookHarness]:
    made: BookHarness
    if request.param == "memory":
        made = MemoryBooks()
    else:
        made = PostgresBooks(request.getfixturevalue("database_url"), request.getfixturevalue("migrated"))
    yield made
    await made.close()


@pytest.fixture
async def book(books: BookHarness) -> Book:
    return await books.book()
