"""Brokers' names for registered instruments: those of a day, and of no other. On both books."""

from dataclasses import replace
from datetime import date

import pytest

from tradebus.contracts.instruments import Instrument
from tradebus.store.book import Book
from tradebus.store.books import instruments_book, listings_book
from tradebus.store.broker_instruments import BrokerInstrument

TODAY, TOMORROW = date(2026, 11, 25), date(2026, 11, 26)
KEY = "NFO:NIFTY:2026-12-29:FUT"
ROW = BrokerInstrument(1, KEY, "501", "NFO", "NIFTY26DECFUT", lot_size=65, tick_size_paise=10, freeze_quantity=None)


@pytest.fixture
async def listed(book: Book) -> Book:
    """One with two registered instruments, the second without a key."""
    future = Instrument(
        instrument_id=1, symbol="NIFTY26DECFUT", exchange="NFO", kind="FUTURE", market_class="derivative",
        underlying="NIFTY", tick_size_paise=10, expiry=date(2026, 12, 29), instrument_key=KEY,
    )  # fmt: skip
    share = Instrument(
        instrument_id=2, symbol="TCS", kind="EQUITY", market_class="equity_fno", underlying="TCS", tick_size_paise=5
    )  # fmt: skip
    async with book.begin() as transaction:
        await instruments_book(book).register(transaction, [future, share])
    return book


async def test_rows_of_a_day_are_read_for_that_day_alone(listed: Book) -> None:
    listings, other = listings_book(listed), replace(ROW, token="35001", freeze_quantity=1800)
    await listings.put_listed("kite", [ROW], listed_on=TODAY)
    await listings.put_listed("kite", [ROW], listed_on=TODAY)
    await listings.put_listed("dhan", [other], listed_on=TODAY)
    assert await listings.listed("kite", listed_on=TODAY) == [ROW]
    assert await listings.listed("dhan", listed_on=TODAY) == [other]
    assert await listings.listed("kite", listed_on=TOMORROW) == []


async def test_the_next_days_row_replaces_the_old_one(listed: Book) -> None:
    listings = listings_book(listed)
    await listings.put_listed("kite", [ROW], listed_on=TODAY)
    await listings.put_listed("kite", [replace(ROW, lot_size=75)], listed_on=TOMORROW)
    assert await listings.listed("kite", listed_on=TODAY) == []
    assert [each.lot_size for each in await listings.listed("kite", listed_on=TOMORROW)] == [75]


async def test_only_registered_instruments_can_have_one(listed: Book) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - each book in its own words
        await listings_book(listed).put_listed("kite", [ROW, replace(ROW, instrument_id=9)], listed_on=TODAY)
    assert await listings_book(listed).listed("kite", listed_on=TODAY) == []


async def test_the_key_is_the_registered_instruments_own_and_one_without_is_left_out(listed: Book) -> None:
    listings = listings_book(listed)
    rows = [replace(ROW, instrument_key="NFO:OTHER"), replace(ROW, instrument_id=2, symbol="TCS", token="7")]
    await listings.put_listed("kite", rows, listed_on=TODAY)
    assert await listings.listed("kite", listed_on=TODAY) == [ROW]


async def test_what_joins_a_transaction_is_there_once_that_commits(listed: Book) -> None:
    listings = listings_book(listed)

    async def put_and_fail() -> None:
        async with listed.begin() as transaction:
            await listings.put_listed("kite", [ROW], listed_on=TODAY, transaction=transaction)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await put_and_fail()
    assert await listings.listed("kite", listed_on=TODAY) == []
    async with listed.begin() as transaction:
        await listings.put_listed("kite", [ROW], listed_on=TODAY, transaction=transaction)
    assert await listings.listed("kite", listed_on=TODAY) == [ROW]
