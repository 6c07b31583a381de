"""The gap ledger in Postgres and its twin in memory: one suite."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from services.market_data.gaps.gap import FeedGroup, Gap, gap_message, new_gap, recovered_message
from services.market_data.gaps.ledger import GapLedger, MemoryGapLedger, PostgresGapLedger
from tradebus.bus.port import Bus
from tradebus.contracts.base import Message
from tradebus.contracts.registry import parse
from tradebus.contracts.streams import MD_GAPS
from tradebus.store.store import Store

MINUTE = 60_000_000_000
SYMBOLS = {3: "NIFTY26NOVFUT", 7: "RELIANCE26NOVFUT"}


@dataclass
class Kept:
    ledger: GapLedger
    another_life: Callable[[], GapLedger]
    told: Callable[[], Awaitable[list[Message]]]


@pytest.fixture(params=["memory", "postgres"])
def kept(request: pytest.FixtureRequest, bus: Bus, store: Store) -> Kept:
    if request.param == "memory":
        twin = MemoryGapLedger()

        async def told_by_twin() -> list[Message]:
            return twin.told

        return Kept(twin, lambda: twin, told_by_twin)

    async def told_by_bus() -> list[Message]:
        return [parse(entry.body) for entry in await bus.tail(MD_GAPS.name, count=100)]

    return Kept(PostgresGapLedger(store, bus), lambda: PostgresGapLedger(store, bus), told_by_bus)


def gap(minute: int, *, lost: int = 0) -> Gap:
    return new_gap(
        FeedGroup(0, "NFO", "derivative"), broker="kite", symbols=SYMBOLS, from_ns=minute * MINUTE,
        now_ns=minute * MINUTE + lost, reason="no data in session", announced=True,
    )  # fmt: skip


async def test_a_gap_stays_until_it_is_filled_with_all_that_became_of_it(kept: Kept) -> None:
    late, early = gap(20), gap(10)
    await kept.ledger.put(late)
    await kept.ledger.put(early)
    assert await kept.ledger.unfilled() == [early, late]
    ended = replace(early, to_ns=12 * MINUTE).failed("kite: no answer in 10 s").failed("kite: no answer in 10 s")
    await kept.ledger.put(ended)
    assert await kept.another_life().unfilled() == [ended, late]
    await kept.ledger.put(replace(ended, filled_ns=30 * MINUTE, candles_corrected=2))
    assert await kept.another_life().unfilled() == [late]


async def test_what_is_told_of_gaps_is_told_in_its_order(kept: Kept) -> None:
    begun = gap(10)
    await kept.ledger.put(begun, gap_message(begun, now_ns=10 * MINUTE))
    filled = replace(begun, to_ns=12 * MINUTE, filled_ns=13 * MINUTE, candles_corrected=2)
    await kept.ledger.put(filled, recovered_message(filled, now_ns=13 * MINUTE))
    first, second = await kept.told()
    assert (first.TYPE, first.ts_event_ns) == ("DATA_GAP", 10 * MINUTE)
    assert (second.TYPE, second.ts_event_ns) == ("DATA_RECOVERED", 13 * MINUTE)
    assert first == gap_message(begun, now_ns=10 * MINUTE)


def test_one_loss_is_one_gap_and_two_losses_of_a_minute_are_two() -> None:
    assert gap(10, lost=5).gap_id == gap(10, lost=5).gap_id
    assert gap(10, lost=5).gap_id != gap(10, lost=6_000_000).gap_id
