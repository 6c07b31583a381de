"""What the bus has lost is taken from the book: commands, and what execution said of positions."""

import pytest
from testkit.strategy_days import generated_days
from testkit.strategy_service import Stage, message_fields

from tradebus.bus.port import Outgoing
from tradebus.contracts.commands import PauseTrading, ResumeTrading, StopTrading
from tradebus.contracts.orders import PositionOpened
from tradebus.contracts.sessions import StrategySpec
from tradebus.contracts.signals import EntrySignal
from tradebus.contracts.streams import ORDERS
from tradebus.store.books import sessions_book

ORB = StrategySpec(name="orb")
WARM, DAY = generated_days(2, seed=11)


@pytest.fixture
async def live(stage: Stage) -> Stage:
    """A stage in a live market, whose service runs."""
    stage.paced = False
    await stage.store_day(WARM)
    await stage.start_service()
    return stage


async def play(stage: Stage, first: int, last: int) -> None:
    await stage.play(DAY, DAY.candles[first:last])
    await stage.settle()


async def test_a_start_that_was_lost_is_taken_up_at_the_second_look(live: Stage) -> None:
    await live.start_session([ORB], status="STARTING", lost=True)
    await live.look()
    assert await live.participants() == [], "it may be on its way"
    await live.look()
    assert await live.participants() == ["s1"]
    await live.status("s1", "RUNNING")
    await play(live, 0, 3)
    assert len(await live.decisions()) == 3


async def test_a_start_that_was_only_late_is_not_taken_up_twice(live: Stage) -> None:
    await live.start_session([ORB], status="STARTING")
    await live.look(times=3)
    await play(live, 0, 2)
    assert await live.participants() == ["s1"]
    assert len(await live.decisions()) == 2


async def test_a_lost_start_that_cannot_be_taken_up_is_refused_with_the_reason_once(live: Stage) -> None:
    bad = StrategySpec(name="orb", parameters={"range_minute": 3})
    await live.start_session([bad], status="STARTING", lost=True)
    await live.start_session([ORB], session_id="s2", status="STARTING", lost=True)
    await live.look(times=3)
    refused, taken = await sessions_book(live.store).alive()
    assert refused.reason is not None
    assert "parameter 'range_minute' is not known" in refused.reason
    assert taken.reason is None
    assert await live.participants() == ["s2"]


@pytest.mark.parametrize("status", ["STOPPING", "STOPPED"])
async def test_a_stop_that_was_lost_ends_the_session(live: Stage, status: str) -> None:
    await live.start_session([ORB])
    await live.start_session([ORB], session_id="s2")
    await play(live, 0, 2)
    await live.status("s1", status)
    await live.command(StopTrading(**message_fields("stop", 2, "s1")), lost=True)
    await live.look(times=2)
    await play(live, 2, 4)
    assert len(await live.decisions()) == 2
    assert len(await live.decisions(session_id="s2")) == 4


async def test_a_pause_and_its_end_that_were_lost_are_kept(live: Stage) -> None:
    await live.start_session([ORB])
    await live.status("s1", "PAUSED")
    await live.command(PauseTrading(**message_fields("pause", 2, "s1")), lost=True)
    await live.look(times=2)
    await play(live, 0, 150)
    assert [one for one in live.signals if isinstance(one, EntrySignal)] == []
    assert any(row[2].startswith("session_paused: ") for row in await live.decisions())
    await live.status("s1", "RUNNING")
    await live.command(ResumeTrading(**message_fields("resume", 3, "s1")), lost=True)
    await live.look(times=2)
    await play(live, 150, 250)
    assert [one for one in live.signals if isinstance(one, EntrySignal)]


async def test_a_pause_that_was_lost_while_the_session_started_is_kept(live: Stage) -> None:
    await live.start_session([ORB], status="STARTING")
    await live.command(PauseTrading(**message_fields("pause", 2, "s1")), lost=True)
    await live.look(times=2)
    await play(live, 0, 150)
    assert live.signals == []
    assert any(row[2].startswith("session_paused: ") for row in await live.decisions())


async def test_positions_are_heard_again_where_the_orders_stream_has_lost_entries(live: Stage) -> None:
    live.fills = False
    await live.start_session([ORB])
    opened = PositionOpened(
        **message_fields("opened", DAY.open_ns, "s1", "p1"), strategy="orb", symbol="TEST", instrument=3, side="LONG",
        quantity=1, average_price_paise=DAY.candles[0].open_paise, stop_paise=1,
    )  # fmt: skip
    other = opened.model_copy(update={"event_id": "other", "session_id": "elsewhere"})
    await live.tell(ORDERS.name, other)
    await live.look()
    await live.tell(ORDERS.name, opened, lost=True)
    # So many came since the last look that nobody can tell what was among them.
    await live.bus.publish([Outgoing(ORDERS.name, "watermark", watermark_ns=number) for number in range(200)])
    await live.look()
    await play(live, 0, 150)
    assert [one for one in live.signals if isinstance(one, EntrySignal)] == [], "it has a position"


async def test_nothing_is_found_where_nothing_was_lost(live: Stage) -> None:
    await live.start_session([ORB])
    await live.start_session([ORB], session_id="s2")
    await live.status("s2", "PAUSED")
    await live.command(PauseTrading(**message_fields("pause", 2, "s2")))
    await live.look(times=3)
    await play(live, 0, 5)
    assert live.service is not None
    assert len(await live.decisions()) == len(await live.decisions(session_id="s2")) == 5
    assert await live.participants() == ["s1", "s2"]
