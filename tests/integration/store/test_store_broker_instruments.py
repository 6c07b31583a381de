"""Brokers' names for instruments in the book: those of a day, and of no other."""

from datetime import date

import asyncpg
import pytest

from tradebus.contracts.instruments import Instrument
from tradebus.store.broker_instruments import BrokerInstrument, put_broker_instruments, read_broker_instruments
from tradebus.store.instruments import load_instruments, register_instruments
from tradebus.store.store import Store

TODAY, TOMORROW = date(2026, 11, 25), date(2026, 11, 26)
KEY = "NFO:NIFTY:2026-12-29:FUT"


def row(**changed) -> BrokerInstrument:
    fields = {
        "instrument_id": 1, "instrument_key": KEY, "token": "501", "broker_segment": "NFO", "symbol": "NIFTY26DECFUT",
        "lot_size": 65, "tick_size_paise": 10, "freeze_quantity": None, **changed,
    }  # fmt: skip
    return BrokerInstrument(**fields)


@pytest.fixture
async def book(store: Store) -> Store:
    instrument = Instrument(
        instrument_id=1, symbol="NIFTY26DECFUT", exchange="NFO", kind="FUTURE", market_class="derivative",
        underlying="NIFTY", tick_size_paise=10, expiry=date(2026, 12, 29), instrument_key=KEY,
    )  # fmt: skip
    async with store.pool.acquire() as connection:
        await register_instruments(connection, [instrument])
    return store


async def test_a_key_is_kept_with_its_instrument(book: Store) -> None:
    assert (await load_instruments(book.pool)).find("NIFTY26DECFUT").instrument_key == KEY


async def test_rows_of_a_day_are_read_for_that_day_alone(book: Store) -> None:
    await put_broker_instruments(book.pool, "kite", [row()], listed_on=TODAY)
    await put_broker_instruments(book.pool, "dhan", [row(token="35001", freeze_quantity=1800)], listed_on=TODAY)
    assert await read_broker_instruments(book.pool, "kite", listed_on=TODAY) == [row()]
    assert await read_broker_instruments(book.pool, "dhan", listed_on=TODAY) == [
        row(token="35001", freeze_quantity=1800)
    ]
    assert await read_broker_instruments(book.pool, "kite", listed_on=TOMORROW) == []


async def test_the_next_days_row_replaces_the_old_one(book: Store) -> None:
    await put_broker_instruments(book.pool, "kite", [row()], listed_on=TODAY)
    await put_broker_instruments(book.pool, "kite", [row(lot_size=75)], listed_on=TOMORROW)
    assert await read_broker_instruments(book.pool, "kite", listed_on=TODAY) == []
    assert [each.lot_size for each in await read_broker_instruments(book.pool, "kite", listed_on=TOMORROW)] == [75]


async def test_only_registered_instruments_can_have_one(book: Store) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await put_broker_instruments(book.pool, "kite", [row(instrument_id=9)], listed_on=TODAY)
