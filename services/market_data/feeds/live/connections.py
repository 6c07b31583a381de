"""All connections of a feed as one: instruments spread over them, one login for all.

    instruments by group ─► spread over as many sockets as the broker's limits need ─► FeedConnection each ─► take
    another login is stored, or this one refused ─► every socket is opened anew with it

A socket that is mute may be so because its login has ended: whoever finds it mute has the login looked at first.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import structlog

from services.market_data.feeds.live.connection import Asked, FeedConnection
from services.market_data.feeds.live.metrics import LiveMetrics
from services.market_data.feeds.live.source import LiveSource
from tradebus.brokers.registry import FEED_LIMITS
from tradebus.contracts.records import QUOTE, Records
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import sleep

_log = structlog.get_logger()


def spread(instruments: Sequence[int], *, broker: str, connections: int) -> list[list[int]]:
    """The instruments in runs of nearly one length, in their order: `connections` of them (0: as few as the broker's
    limits allow). Raises InvalidInput for more than the broker carries."""
    limits = FEED_LIMITS[broker]
    needed = max(1, -(-len(instruments) // limits.instruments_per_connection))
    if max(needed, connections) > limits.connections:
        raise InvalidInput(
            f"{broker} feed: {len(instruments):,} instruments on {max(needed, connections)} connections, but it allows "
            f"{limits.instruments_per_connection:,} on each of {limits.connections}: follow fewer"
        )
    count = min(max(needed, connections), max(1, len(instruments)))
    return [part.tolist() for part in np.array_split(np.asarray(instruments, np.int64), count)]


class FeedConnections:
    """`asked` by connection. `arrived` is set whenever there is something to take."""

    def __init__(
        self, source: LiveSource, asked: Sequence[Asked], *, login_seconds: float, metrics: LiveMetrics, timers: Timers
    ) -> None:
        self._source, self._login_seconds, self._timers = source, login_seconds, timers
        self.arrived = asyncio.Event()
        self._doubt = asyncio.Event()
        self._connections = [
            FeedConnection(
                number, source, each, arrived=self.arrived, refused=self._doubt.set, refused_seconds=login_seconds,
                metrics=metrics, timers=timers,
            )
            for number, each in enumerate(asked)
        ]  # fmt: skip

    async def run(self) -> None:
        """Until cancelled. Raises what is a defect in a connection."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for connection in self._connections:
                    tasks.create_task(connection.run())
                tasks.create_task(self._watch_login())
        except ExceptionGroup as defects:
            first, *others = defects.exceptions
            for other in others:
                _log.error("a feed's connection failed beside another", exc_info=other)
            raise first from None

    def take(self) -> Records:
        """The QUOTE records that arrived since the last call, each connection's in their order."""
        self.arrived.clear()
        taken = [found for connection in self._connections if len(found := connection.take())]
        if len(taken) == 1:
            return taken[0]
        return np.concatenate(taken) if taken else np.empty(0, QUOTE)

    def losses(self) -> Mapping[int, str]:
        """Per connection, why data may be missing since the last call."""
        found = ((connection.number, connection.losses()) for connection in self._connections)
        return {number: losses[0] for number, losses in found if losses}

    def unheard(self) -> Mapping[int, list[int]]:
        """Per connection, the instruments that were asked for and have brought nothing."""
        return {connection.number: connection.unheard for connection in self._connections}

    async def ask_again(self, connection: int, instruments: list[int]) -> None:
        await self._connections[connection].ask_again(instruments)

    async def reopen(self, connections: Iterable[int]) -> set[int]:
        """Gives up connections that are mute; all of them where another login is stored than theirs. Which it was."""
        chosen = set(connections)
        if await self._source.login_changed():
            await self._renew()
            return {connection.number for connection in self._connections}
        for connection in self._connections:
            if connection.number in chosen:
                await connection.drop()
        return chosen

    async def _watch_login(self) -> None:
        """Looks every so often, and at once where the broker says that a login will not do."""
        while True:
            await sleep(self._timers, self._login_seconds, unless=self._doubt)
            self._doubt.clear()
            if await self._source.login_changed():
                await self._renew()

    async def _renew(self) -> None:
        _log.info("another login is stored: every connection is opened anew", broker=self._source.name)
        self._source.renew()
        for connection in self._connections:
            await connection.drop()
