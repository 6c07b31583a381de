"""The gap ledger. On both books."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest
from testkit.books import BookHarness
from testkit.waiting import WALL_TIMERS

from services.market_data.books import market_books
from services.market_data.gaps.gap import FeedGroup, Gap, gap_message, new_gap, recovered_message
from services.market_data.gaps.ledger import GapLedger
from tradebus.bus.memory.bus import MemoryBus
from tradebus.bus.port import Bus
from tradebus.contracts.base import Message
from tradebus.contracts.market import DataGap
from tradebus.contracts.registry import parse
from tradebus.contracts.streams import MD_GAPS

MINUTE = 60_000_000_000
SYMBOLS = {3: "NIFTY26NOVFUT", 7: "RELIANCE26NOVFUT"}


@dataclass
class Kept:
    """`life` makes the ledger of a next life; `bus` is what it tells on."""

    bus: Bus
    life: Callable[[], Awaitable[GapLedger]]

    async def told(self) -> list[Message]:
        return [parse(entry.body) for entry in await self.bus.tail(MD_GAPS.name, count=100)]


@pytest.fixture
def kept(books: BookHarness) -> Kept:
    bus = MemoryBus(timers=WALL_TIMERS)

    async def life() -> GapLedger:
        own = market_books(await books.book("market_data-1"), namespace="any")
        return GapLedger(own.book, own.gaps, bus, timers=WALL_TIMERS)

    return Kept(bus, life)


def gap(minute: int, *, lost: int = 0) -> Gap:
    return new_gap(
        FeedGroup(0, "NFO", "derivative"), broker="kite", symbols=SYMBOLS, from_ns=minute * MINUTE,
        now_ns=minute * MINUTE + lost, reason="no data in session", announced=True,
    )  # fmt: skip


async def test_a_gap_stays_until_it_is_filled_with_all_that_became_of_it(kept: Kept) -> None:
    late, early = gap(20), gap(10)
    ledger = await kept.life()
    await ledger.put(late)
    await ledger.put(early)
    assert await ledger.unfilled() == [early, late]
    ended = replace(early, to_ns=12 * MINUTE).failed("kite: no answer in 10 s").failed("kite: no answer in 10 s")
    await ledger.put(ended)
    assert await (await kept.life()).unfilled() == [ended, late]
    await ledger.put(replace(ended, filled_ns=30 * MINUTE, candles_corrected=2))
    assert await (await kept.life()).unfilled() == [late]


async def test_what_is_told_of_gaps_is_told_in_its_order(kept: Kept) -> None:
    begun, ledger = gap(10), await kept.life()
    await ledger.put(begun, gap_message(begun, now_ns=10 * MINUTE))
    filled = replace(begun, to_ns=12 * MINUTE, filled_ns=13 * MINUTE, candles_corrected=2)
    await ledger.put(filled, recovered_message(filled, now_ns=13 * MINUTE))
    first, second = await kept.told()
    assert (first.TYPE, first.ts_event_ns) == ("DATA_GAP", 10 * MINUTE)
    assert (second.TYPE, second.ts_event_ns) == ("DATA_RECOVERED", 13 * MINUTE)
    assert first == gap_message(begun, now_ns=10 * MINUTE)


async def test_what_a_life_had_no_time_to_say_the_next_one_says_first(kept: Kept, books: BookHarness) -> None:
    begun = gap(10)
    own = market_books(await books.book("market_data-1"), namespace="any")
    async with own.book.begin() as transaction:
        await own.gaps.put(transaction, begun)
        transaction.emit(MD_GAPS.name, gap_message(begun, now_ns=10 * MINUTE))
    assert await kept.told() == []
    assert await (await kept.life()).unfilled() == [begun]
    assert await kept.told() == [gap_message(begun, now_ns=10 * MINUTE)]


async def test_a_gap_and_what_is_told_of_it_are_written_both_or_neither(kept: Kept) -> None:
    ledger = await kept.life()
    with pytest.raises(ZeroDivisionError):
        await ledger.put(gap(10), Unsaid(**gap_message(gap(10), now_ns=1).model_dump()))
    assert await ledger.unfilled() == []
    assert await kept.told() == []


class Unsaid(DataGap):
    """A message that cannot be written."""

    def to_json(self) -> bytes:
        raise ZeroDivisionError


def test_one_loss_is_one_gap_and_two_losses_of_a_minute_are_two() -> None:
    assert gap(10, lost=5).gap_id == gap(10, lost=5).gap_id
    assert gap(10, lost=5).gap_id != gap(10, lost=6_000_000).gap_id
