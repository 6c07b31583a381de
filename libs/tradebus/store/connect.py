"""Opening connections: patience with a server that starts, one clear line for one that does not."""

import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.kernel.rng import jittered, seed_for
from tradebus.kernel.timers import Timers
from tradebus.store.namespaces import schema_name
from tradebus.store.postgres.address import describe
from tradebus.waiting.timers import sleep

T = TypeVar("T")
# What a server that starts, restarts or is briefly full answers with. Anything else it will say again.
_PASSING = (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError,
            asyncpg.TooManyConnectionsError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError)  # fmt: skip
_FIRST_DELAY_SECONDS = 0.05
_LAST_DELAY_SECONDS = 1.0


async def connect_pool(
    database_url: str, *, namespace: str, producer: str, pool_size: int, retry_seconds: float, idle_seconds: float,
    timers: Timers,
) -> asyncpg.Pool:  # fmt: skip
    """A pool whose connections see the namespace's schema. Raises Unavailable or InvalidInput in one line.

    A transaction whose client says nothing for `idle_seconds` is ended by the server: a process that stands still, or
    whose host is gone, holds no row.
    """
    schema, where = schema_name(namespace), describe(database_url)

    async def open_pool() -> asyncpg.Pool:
        return await asyncpg.create_pool(
            database_url,
            min_size=max(1, pool_size - 3),  # few processes need all that are kept aside
            max_size=pool_size,
            # A connection lasts: making one costs more than any statement we run.
            max_inactive_connection_lifetime=0,
            max_queries=1_000_000_000,
            timeout=5.0,
            init=_prepare,
            # Nothing here outlives its transaction, so returning a connection needs no round trip.
            reset=_no_reset,
            # Our statements look up and insert by key: planning them anew for every call gains nothing.
            server_settings={
                "search_path": schema,
                "application_name": producer,
                "plan_cache_mode": "force_generic_plan",
                "idle_in_transaction_session_timeout": str(round(idle_seconds * 1000)),
            },
        )

    pool = await retrying(open_pool, database_url=database_url, retry_seconds=retry_seconds, timers=timers)
    if await pool.fetchval("SELECT to_regclass('outbox')") is None:
        await pool.close()
        command = f"TRADEBUS_NAMESPACE={namespace} tradebus migrate" if namespace else "tradebus migrate"
        raise Unavailable(f"{where}: schema {schema} is not there yet; run `{command}`")
    return pool


async def retrying(
    attempt: Callable[[], Awaitable[T]], *, database_url: str, retry_seconds: float, timers: Timers
) -> T:
    """Repeats `attempt` with growing pauses. Raises Unavailable when time is up or the server refuses us for good."""
    give_up_ns = timers.monotonic_ns() + int(retry_seconds * 1e9)
    delay_seconds, number = _FIRST_DELAY_SECONDS, 0
    while True:
        try:
            return await attempt()
        except _PASSING as error:
            if timers.monotonic_ns() >= give_up_ns:
                raise Unavailable(_line(database_url, error, "does not answer")) from error
        except asyncpg.PostgresError as error:
            raise Unavailable(_line(database_url, error, "refuses us")) from error
        except asyncpg.ClientConfigurationError as error:
            raise InvalidInput(f"DATABASE_URL: {error}") from error
        number += 1
        await sleep(timers, jittered(delay_seconds, number, seed=seed_for(0, "connect")))
        delay_seconds = min(_LAST_DELAY_SECONDS, 2 * delay_seconds)


def _line(database_url: str, error: Exception, what: str) -> str:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"{describe(database_url)} {what} ({reason}); start it or correct DATABASE_URL"


async def _prepare(connection: asyncpg.Connection) -> None:
    """jsonb columns take and give Python objects."""
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


async def _no_reset(connection: asyncpg.Connection) -> None:
    """See connect_pool."""
