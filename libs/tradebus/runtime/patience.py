"""Waiting for a server that restarts, instead of dying of it: who is not there misses what is broadcast meanwhile.

Everything repeated here is harmless to repeat: reads, idempotent changes, commands.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import structlog

from tradebus.kernel.errors import Unavailable
from tradebus.kernel.rng import jittered
from tradebus.kernel.timers import Timers
from tradebus.runtime.timers import sleep

T = TypeVar("T")
# The server's trouble, not ours: gone, starting, shutting down, full, or a conflict that another attempt resolves.
PASSING = (
    OSError, TimeoutError, Unavailable, asyncpg.InterfaceError, asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError, asyncpg.InsufficientResourcesError, asyncpg.TransactionRollbackError,
    asyncpg.InternalClientError,  # what the driver says of a connection that was cut in mid-operation
)  # fmt: skip
FIRST_DELAY_SECONDS, LAST_DELAY_SECONDS = 0.05, 2.0
_log = structlog.get_logger()


def back_off_seconds(attempt: int, *, first: float = FIRST_DELAY_SECONDS, last: float = LAST_DELAY_SECONDS) -> float:
    """How long to wait after the `attempt`-th failure in a row (from 1): twice as long each time, with jitter."""
    return jittered(min(last, first * 2 ** min(attempt - 1, 20)), attempt, seed=0)


async def patiently(
    work: Callable[[], Awaitable[T]], stop: asyncio.Event, *, timers: Timers, what: str = "work"
) -> T | None:
    """The result of `work`, tried again while servers are away; None where `stop` was set before it came."""
    attempt = 0
    while not stop.is_set():
        try:
            return await work()
        except PASSING as error:
            attempt += 1
            _log.warning("trying again", what=what, attempt=attempt, problem=f"{type(error).__name__}: {error}")
        await sleep(timers, back_off_seconds(attempt), unless=stop)
    return None
