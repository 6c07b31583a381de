"""Waiting for a server that restarts, instead of dying of it: who is not there misses what is broadcast meanwhile.

Everything repeated here is harmless to repeat: reads, idempotent changes, commands.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import structlog

from tradebus.kernel.errors import Unavailable

T = TypeVar("T")
# The server's trouble, not ours: gone, starting, shutting down, full, or a conflict that another attempt resolves.
PASSING = (
    OSError, TimeoutError, Unavailable, asyncpg.InterfaceError, asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError, asyncpg.InsufficientResourcesError, asyncpg.TransactionRollbackError,
)  # fmt: skip
_FIRST_DELAY_SECONDS, _LAST_DELAY_SECONDS = 0.1, 2.0
_log = structlog.get_logger()


async def patiently(work: Callable[[], Awaitable[T]], stop: asyncio.Event) -> T | None:
    """The result of `work`, tried again while servers are away; None where `stop` was set before it came."""
    delay_seconds = _FIRST_DELAY_SECONDS
    while not stop.is_set():
        try:
            return await work()
        except PASSING as error:
            _log.warning("trying again", problem=f"{type(error).__name__}: {error}")
        try:
            await asyncio.wait_for(stop.wait(), delay_seconds)
        except TimeoutError:
            delay_seconds = min(_LAST_DELAY_SECONDS, 2 * delay_seconds)
    return None
