"""What a session may name: the registered instruments and the logins this machine can find."""

import asyncio
from collections.abc import Awaitable, Callable

from services.gateway.adapters.logins import Logins
from services.gateway.domain.start import Catalogue
from tradebus.store.instruments import load_instruments
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

_SQL = load_queries("services.gateway.sql", "catalogue")


def catalogue_from(store: Store, logins: Logins) -> Callable[[], Awaitable[Catalogue]]:
    """Loads it afresh for every START: instruments are registered while the gateway runs, and starts are rare."""

    async def load() -> Catalogue:
        async with store.pool.acquire() as connection:
            instruments = await load_instruments(connection)
            row = await connection.fetchrow(_SQL["feed_in_force"])
        feed, day = (row["feed"], row["day"]) if row is not None else (None, None)
        return Catalogue(
            instruments=instruments, reach=await asyncio.to_thread(logins.reach, feed),
            market_day=day,
        )  # fmt: skip

    return load
