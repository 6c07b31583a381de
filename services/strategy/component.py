"""The strategy service: its loop over the bus, and the processes of strategy files, which end with it."""

import asyncio

from services.strategy.adapters.seen import ChainReader
from services.strategy.answers.late import LateAnswers
from services.strategy.desks import Desks
from services.strategy.streams import CANDLES
from tradebus.kernel.timers import Timers
from tradebus.runtime.consumer import BLOCK_MS, Consumer

__all__ = ["CANDLES", "StrategyComponent"]


class StrategyComponent:
    """One per process."""

    def __init__(
        self, consumer: Consumer, desks: Desks, chains: ChainReader, late: LateAnswers, *, timers: Timers,
        poll_seconds: float,
    ) -> None:  # fmt: skip
        self._consumer, self._desks, self._chains, self._late = consumer, desks, chains, late
        self.troubles = consumer.troubles
        self._timers, self._poll_seconds = timers, poll_seconds

    async def start(self) -> None:
        """Takes up again the sessions that were being traded, and opens the input."""
        await self._consumer.turn(block_ms=0)

    async def turn(self, *, block_ms: int = BLOCK_MS) -> int:
        """Handles what is there, waiting up to `block_ms` for something; how many entries it handled."""
        return await self._consumer.turn(block_ms=block_ms)

    @property
    def is_waiting(self) -> bool:
        """Whether answers of strategy files are still to come."""
        return self._late.is_waiting

    async def abandon(self) -> None:
        """Ends the processes of strategy files, and nothing else: nothing is stored, published or acknowledged."""
        self._consumer.abandon()
        await self._desks.close()

    async def run(self, stop: asyncio.Event) -> None:
        reading = asyncio.create_task(self._chains.run(stop, self._timers, seconds=self._poll_seconds))
        try:
            await self._consumer.run(stop)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await self.abandon()
