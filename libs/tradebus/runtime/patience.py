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
from tradebus.waiting.timers import sleep

T = TypeVar("T")
# The server's trouble, not ours: gone, starting, shutting down, full, or a conflict that another attempt resolves.
PASSING = (
    OSError, TimeoutError, Unavailable, asyncpg.InterfaceError, asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError, asyncpg.InsufficientResourcesError, asyncpg.TransactionRollbackError,
    asyncpg.IdleInTransactionSessionTimeoutError,  # ours stood still, and the server ended it
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


async def repeatedly(
    work: Callable[[], Awaitable[object]], stop: asyncio.Event, *, timers: Timers, every_seconds: float, what: str,
    at_once: bool = True,
) -> None:  # fmt: skip
    """Does `work` every so many seconds until `stop` is set, the first time at once or after the first of them.

    For watches that nothing ends: what `work` raises is logged, and it is done again when it is due.
    """
    if not at_once and await sleep(timers, every_seconds, unless=stop):
        return
    while not stop.is_set():
        try:
            await work()
        except PASSING as error:
            _log.warning("failed, doing it again", what=what, problem=f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - whatever one look finds, the watch goes on
            _log.error("failed, doing it again", what=what, exc_info=error)
        await sleep(timers, every_seconds, unless=stop)
