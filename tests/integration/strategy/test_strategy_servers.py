"""The strategy service on real servers: what it decides, publishes and stores, and that no restart changes it."""

import json
from dataclasses import replace

import pytest
from testkit.strategy_days import expected_rows, generated_days
from testkit.strategy_service import Killed, Stage

from tradebus.contracts.sessions import StrategySpec
from tradebus.contracts.signals import EntrySignal, ExitSignal
from tradebus.contracts.streams import SIGNALS
from tradebus.kernel.ids import derive_id
from tradebus.strategies.protocol import Action

ORB = StrategySpec(name="orb")
DAYS = generated_days(3, seed=11)


async def test_a_run_decides_and_signals_exactly_what_the_strategy_says(stage: Stage) -> None:
    await stage.store_day(DAYS[0])
    await stage.start_service()
    await stage.start_session([ORB])
    for day in DAYS[1:]:
        await stage.play(day)
    await stage.settle()
    rows, acting = expected_rows(DAYS[:1], DAYS[1:])
    assert await stage.decisions() == rows
    assert len(acting) > 10
    assert [(type(one), one.reason) for one in stage.signals] == [
        (ExitSignal if one.action is Action.EXIT else EntrySignal, one.reason) for one in acting
    ]
    for signal, decision in zip(stage.signals, acting, strict=True):
        if isinstance(signal, EntrySignal):
            ts_ns = signal.ts_event_ns
            assert signal.pos_id == derive_id(ts_ns, "position", "s1", "orb", "TEST", ts_ns)
            assert (signal.stop_paise, signal.target_paise) == (decision.stop_paise, decision.target_paise)
            assert (signal.user_id, signal.instrument, signal.confidence) == ("user-s1", 3, decision.confidence)
    assert await stage.journal.signal_ids("s1") == [one.event_id for one in stage.signals]


@pytest.mark.parametrize("kill_at", [1, 60, 149])
async def test_a_kill_and_restart_anywhere_changes_no_decision_and_no_id(stage: Stage, kill_at: int) -> None:
    candles = DAYS[1].candles[:150]
    await stage.store_day(DAYS[0])
    await stage.start_service()
    await stage.start_session([ORB])
    await stage.play(DAYS[1], candles[:kill_at])
    await stage.kill_service()
    await stage.start_service()
    await stage.play(DAYS[1], candles[kill_at:])
    await stage.settle()
    rows, acting = expected_rows(DAYS[:1], [replace(DAYS[1], candles=candles)])
    assert await stage.decisions() == rows
    # What was published and not acknowledged is decided and published again; it is the same message then.
    assert [one.reason for one in dict.fromkeys(stage.signals)] == [one.reason for one in acting]
    assert len(await stage.journal.signal_ids("s1")) == len(acting) > 2


@pytest.mark.parametrize(("what", "published"), [("publish", 0), ("store", 1)])
async def test_a_life_that_ends_while_a_signal_is_published_or_stored_is_made_good_by_the_next(
    stage: Stage, what: str, published: int
) -> None:
    await stage.store_day(DAYS[0])
    await stage.start_service()
    await stage.start_session([ORB])
    rows, acting = expected_rows(DAYS[:1], DAYS[1:2])
    first = next(number for number, row in enumerate(rows) if row[1] != "HOLD")
    await stage.play(DAYS[1], DAYS[1].candles[:first])

    stage.dies_at = what
    with pytest.raises(Killed):
        await stage.play(DAYS[1], DAYS[1].candles[first : first + 1])
    assert await stage.journal.signal_ids("s1") == []
    await stage.kill_service()
    await stage.start_service()
    await stage.turn_until(DAYS[1].candles[first].ts_close_ns)
    assert [one.reason for one in stage.signals] == [acting[0].reason] * (1 + published)
    assert len({one.event_id for one in stage.signals}) == 1, "decided again, it is the same signal"
    await stage.settle()
    assert await stage.decisions() == rows[: first + 1]
    assert await stage.store.pool.fetchval("SELECT count(*) FROM events WHERE stream = $1", SIGNALS.name) == 1


@pytest.mark.parametrize("meanwhile", ["STOPPED", "PAUSED"])
async def test_a_signal_that_was_published_is_stored_also_where_its_session_is_over_or_paused_when_the_next_life_begins(
    stage: Stage, meanwhile: str
) -> None:
    """Risk may have judged it by then: the book must have what was traded on, not what is decided now."""
    await stage.store_day(DAYS[0])
    await stage.start_service()
    await stage.start_session([ORB])
    rows, acting = expected_rows(DAYS[:1], DAYS[1:2])
    first = next(number for number, row in enumerate(rows) if row[1] != "HOLD")
    await stage.play(DAYS[1], DAYS[1].candles[:first])

    stage.dies_at = "store"
    with pytest.raises(Killed):
        await stage.play(DAYS[1], DAYS[1].candles[first : first + 1])
    await stage.kill_service()
    await stage.status("s1", meanwhile)
    await stage.start_service()
    await stage.turn_until(DAYS[1].candles[first].ts_close_ns)
    await stage.settle()
    (published,) = stage.signals
    assert isinstance(published, EntrySignal)
    stored = await stage.store.pool.fetch("SELECT event_id, body FROM signals")
    assert [(row["event_id"], row["body"]) for row in stored] == [(published.event_id, json.loads(published.to_json()))]
    assert published.reason == acting[0].reason
    assert (await stage.decisions())[-1] == rows[first]
    assert await stage.store.pool.fetchval("SELECT event_id FROM events WHERE stream = $1", SIGNALS.name) == (
        published.event_id
    )
