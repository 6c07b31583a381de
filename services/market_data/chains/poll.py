"""The option chains of a day's indices: the nearest expiry of each, read again and again while the market is open.

    FollowedDay.indices ─► broker's chain ─► option_chains (one row for each index and expiry, the newest)

A broker that does not answer leaves the row as it is: who reads it sees by `seen_ns` how old it is.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date
from typing import Any, Protocol

import structlog

from tradebus.brokers.errors import BrokerError
from tradebus.brokers.reference import ListedInstrument, OptionChain, OptionSide
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date
from tradebus.kernel.timers import Timers
from tradebus.store.books import ChainsBook
from tradebus.store.books.chains import StoredChain
from tradebus.waiting.timers import sleep

_log = structlog.get_logger()


class ChainSource(Protocol):
    """Raises BrokerError for what broker or network may do."""

    async def expiries(self, index: ListedInstrument) -> Any: ...

    async def option_chain(self, index: ListedInstrument, expiry: date) -> OptionChain: ...


class ChainPoll:
    """One day's. `is_open` says whether somebody trades now; `seconds` are the machine's, between two rounds."""

    def __init__(
        self, indices: Mapping[str, ListedInstrument], source: ChainSource, book: ChainsBook, *, clock: Clock,
        timers: Timers, is_open: Callable[[], bool], seconds: float,
    ) -> None:  # fmt: skip
        self._indices, self._source, self._book = indices, source, book
        self._clock, self._timers, self._is_open, self._seconds = clock, timers, is_open, seconds
        self._expiries: dict[str, date | None] = {}  # the nearest of each index, None where it has no options
        self._problems: dict[str, str] = {}

    async def run(self) -> None:
        """Until it is cancelled. Raises what the book raises."""
        while True:
            if self._is_open():
                await self.poll()
            await sleep(self._timers, self._seconds)

    async def poll(self) -> None:
        """Reads every chain once. What cannot be read is said once, until it can be again."""
        for name, index in self._indices.items():
            try:
                await self._read(name, index)
            except (BrokerError, InvalidInput) as error:
                if self._problems.get(name) != str(error):
                    _log.warning("option chain not read", index=name, reason=str(error))
                self._problems[name] = str(error)
            else:
                self._problems.pop(name, None)

    async def _read(self, name: str, index: ListedInstrument) -> None:
        if name not in self._expiries:
            today = ist_date(self._clock.now_ns())
            living = sorted(expiry for expiry in await self._source.expiries(index) if expiry >= today)
            self._expiries[name] = living[0] if living else None
        expiry = self._expiries[name]
        if expiry is not None:
            chain = await self._source.option_chain(index, expiry)
            await self._book.put(StoredChain(name, chain.expiry, strikes_of(chain), self._clock.now_ns()))


def strikes_of(chain: OptionChain) -> list[dict[str, Any]]:
    """The strikes as the book keeps them: a side that is not listed is null."""
    return [{"strike_paise": row.strike_paise, "call": _side(row.call), "put": _side(row.put)} for row in chain.rows]


def _side(side: OptionSide | None) -> dict[str, Any] | None:
    return None if side is None else asdict(side)


async def poll_beside(poll: ChainPoll, working: asyncio.Task[None]) -> None:
    """Polls while the day is followed; a lost book ends both."""
    polling = asyncio.create_task(poll.run())
    try:
        await asyncio.wait((polling, working), return_when=asyncio.FIRST_COMPLETED)
        if polling.done():
            polling.result()
        await working
    finally:
        for task in (polling, working):
            task.cancel()
        await asyncio.gather(polling, working, return_exceptions=True)
