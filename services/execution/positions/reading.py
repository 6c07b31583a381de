"""A broker's positions, read beside the look at its order book: one that hangs holds up nothing.

rows() ─► asked ─┬─ answered within two seconds ─► rows
                 └─ not so ─► unknown now; what comes late is the next answer, and is asked for at once
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from services.execution.accounts.accounts import TradingAccount
from tradebus.brokers.account import NetPosition
from tradebus.brokers.errors import BrokerError
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import deadline

_WAITED_SECONDS = 2.0
_log = structlog.get_logger()


class PositionReading:
    """Of one account. `late` is called when rows have come that nobody waited for any more."""

    def __init__(self, account: TradingAccount, *, late: Callable[[], None], timers: Timers) -> None:
        self._account, self._late, self._timers = account, late, timers
        self._asking: asyncio.Task[Sequence[NetPosition] | None] | None = None
        self._read_ns = timers.monotonic_ns()

    def unread_seconds(self) -> float:
        """Since when there is no answer."""
        return (self._timers.monotonic_ns() - self._read_ns) / 1e9

    async def rows(self) -> Sequence[NetPosition] | None:
        """As they are by now; None where nobody knows."""
        asking = self._asking
        if asking is None:
            asking = self._asking = asyncio.create_task(self._ask())
            try:
                async with deadline(self._timers, _WAITED_SECONDS):
                    await asyncio.shield(asking)
            except TimeoutError:
                asking.add_done_callback(self._came_late)
        if not asking.done():
            return None
        self._asking = None
        rows = asking.result()
        if rows is not None:
            self._read_ns = self._timers.monotonic_ns()
        return rows

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    def _came_late(self, asked: "asyncio.Task[Sequence[NetPosition] | None]") -> None:
        if not asked.cancelled() and (asked.exception() or asked.result() is not None):
            self._late()

    async def _ask(self) -> Sequence[NetPosition] | None:
        try:
            return await self._account.broker.account.positions()
        except BrokerError as error:
            _log.warning("positions cannot be read", account=self._account.name, error=str(error))
            return None
