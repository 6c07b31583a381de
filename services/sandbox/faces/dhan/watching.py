"""One task per face that looks at the market for what Dhan's servers watch themselves: super orders, alerts, P&L exits.

It follows the quotes only while there is something to watch. A watch that the exchange refuses ends alone, logged.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from services.sandbox.faces.dhan.problems import DhanProblem
from services.sandbox.ports import Exchange, Reading, Refusal
from tradebus.contracts.records import Records

Watch = Callable[[], bool]  # looks once; False when there is nothing left to watch
_LOG = logging.getLogger(__name__)
_LOOK_AGAIN_SECONDS = 0.25  # also where no quote changes


class QuoteWatcher:
    """`add` begins to watch; each watch is asked after every batch of quotes until it returns False."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._watches: dict[str, Watch] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, name: str, watch: Watch) -> None:
        """Replaces a watch of that name."""
        self._watches[name] = watch
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._follow())

    def remove(self, name: str) -> None:
        """Nothing where it is not watched."""
        self._watches.pop(name, None)

    def look(self) -> None:
        """Asks every watch once."""
        for name, watch in list(self._watches.items()):
            try:
                goes_on = watch()
            except (Refusal, DhanProblem) as problem:
                _LOG.warning("dhan face: %s is given up: %s", name, problem)
                goes_on = False
            if not goes_on:
                self.remove(name)

    async def _follow(self) -> None:
        quotes: Reading[Records] = self._exchange.listen_quotes()
        try:
            while self._watches:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                        await quotes.get()
                self.look()
        finally:
            self._exchange.unlisten(quotes)
