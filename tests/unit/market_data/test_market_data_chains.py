"""Option chains are read for the nearest living expiry, and a broker that fails leaves the newest one standing."""

import asyncio
from collections.abc import Sequence
from datetime import date, time

from testkit.fake_broker import MASTER, UNREACHABLE

from services.market_data.chains.poll import ChainPoll, poll_beside
from tradebus.brokers.errors import BrokerError
from tradebus.brokers.reference import ChainRow, ListedInstrument, OptionChain, OptionSide
from tradebus.kernel.time import ist_to_ns
from tradebus.kernel.timers import SimulatedTimers
from tradebus.store.books import ChainsBook, chains_book
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.strategies.market_views import chain_of

GONE, NEAR, FAR = date(2026, 11, 24), date(2026, 12, 1), date(2026, 12, 8)
NOW_NS = ist_to_ns(date(2026, 11, 25), time(10))
SIDE = OptionSide("1", 10, 9, 11, 1, 1, 5, 100, 90)


class Clock:
    def now_ns(self) -> int:
        return NOW_NS


class Source:
    def __init__(self) -> None:
        self.error: BrokerError | None = None
        self.asked = 0

    async def expiries(self, index: ListedInstrument) -> Sequence[date]:
        return [FAR, GONE, NEAR]

    async def option_chain(self, index: ListedInstrument, expiry: date) -> OptionChain:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return OptionChain(index.key, expiry, 100, (ChainRow(200, SIDE, None),))


def chains() -> ChainsBook:
    return chains_book(MemoryBook(MemoryDatabase(), producer="market_data-1"))


def poll_of(source: Source, book: ChainsBook, *, is_open: bool = True) -> ChainPoll:
    return ChainPoll(
        {"NIFTY": MASTER[0]}, source, book, clock=Clock(), timers=SimulatedTimers(), is_open=lambda: is_open, seconds=15
    )


async def test_the_nearest_living_expiry_is_kept_as_strategies_read_it() -> None:
    source, book = Source(), chains()
    await poll_of(source, book).poll()
    found = await book.newest(["NIFTY"])
    assert (found["NIFTY"].expiry, found["NIFTY"].seen_ns) == (NEAR, NOW_NS)
    (strike,) = chain_of("NIFTY", NEAR, NOW_NS, found["NIFTY"].strikes).strikes
    assert (strike.strike_paise, strike.put) == (200, None)
    assert strike.call is not None
    assert (strike.call.open_interest, strike.call.implied_volatility) == (100, None)


async def test_a_broker_that_does_not_answer_is_asked_again() -> None:
    source, book = Source(), chains()
    poll = poll_of(source, book)
    source.error = UNREACHABLE
    await poll.poll()
    assert await book.newest(["NIFTY"]) == {}
    source.error = None
    await poll.poll()
    assert list(await book.newest(["NIFTY"])) == ["NIFTY"]


async def test_nobody_is_asked_while_nothing_trades_and_the_poll_ends_with_the_day() -> None:
    source, book = Source(), chains()
    day = asyncio.ensure_future(_a_day())
    await poll_beside(poll_of(source, book, is_open=False), day)
    assert day.done()
    assert (source.asked, await book.newest(["NIFTY"])) == (0, {})


async def _a_day() -> None:
    return
