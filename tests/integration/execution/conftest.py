"""A namespace in which one session trades one instrument."""

import pytest
from testkit.execution_service import spec

from tradebus.contracts.instruments import Instrument
from tradebus.store.instruments import register_instruments


@pytest.fixture
async def book(store):
    """A namespace with one instrument and one running session."""
    async with store.begin() as tx:
        await register_instruments(
            tx.connection,
            [Instrument(instrument_id=1, symbol="X", exchange="NSE", kind="FUTURE", market_class="derivative",
                        underlying="NIFTY", tick_size_paise=5)],
        )  # fmt: skip
        await tx.connection.execute(
            "INSERT INTO sessions (session_id, user_id, status, mode, spec, command_id, created_ns)"
            " VALUES ('s1', 'u1', 'RUNNING', 'paper', $1, 'c', 0)",
            spec().model_dump(mode="json"),
        )
    return store
