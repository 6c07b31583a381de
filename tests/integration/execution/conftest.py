"""A namespace in which one session trades one instrument, or that knows a future of the brokers' masters."""

import pytest
from testkit.execution_brokers import FUTURE
from testkit.execution_service import spec

from tradebus.contracts.instruments import Instrument
from tradebus.store.instruments import register_instruments
from tradebus.store.store import Store


@pytest.fixture
async def book(store):
    """A namespace with one instrument and one running session."""
    async with store.begin() as tx:
        await register_instruments(
            tx.connection,
            [Instrument(instrument_id=1, symbol="X", exchange="NSE", kind="FUTURE", market_class="derivative",
                        underlying="NIFTY", lot_size=25, tick_size_paise=5)],
        )  # fmt: skip
        await tx.connection.execute(
            "INSERT INTO sessions (session_id, user_id, status, mode, spec, command_id, created_ns)"
            " VALUES ('s1', 'u1', 'RUNNING', 'paper', $1, 'c', 0)",
            spec().model_dump(mode="json"),
        )
    return store


@pytest.fixture
async def listed(store) -> Store:
    """The book with a future of the broker's master and one of nobody's."""
    rows = [
        Instrument(
            instrument_id=FUTURE, symbol="NIFTY26NOVFUT", exchange="NFO", kind="FUTURE", market_class="derivative",
            underlying="NIFTY", tick_size_paise=10, instrument_key="NFO:NIFTY:2026-11-30:FUT",
        ),
        Instrument(
            instrument_id=7, symbol="NOWHERE", kind="EQUITY", market_class="equity", underlying="NOWHERE",
            tick_size_paise=5, instrument_key="NSE:NOWHERE",
        ),
    ]  # fmt: skip
    async with store.pool.acquire() as connection:
        await register_instruments(connection, rows)
    return store


@pytest.fixture
def where(database_url, redis_url, namespace):
    return database_url, redis_url, namespace
