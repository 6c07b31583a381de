"""Strategies that decide on ticks, and a service that reads no tick without one."""

from pathlib import Path

import numpy as np
import pytest
from testkit.strategy_days import Candle, generated_days
from testkit.strategy_service import Stage, message_fields

from services.strategy.adapters.tick_stream import TICKS
from services.strategy.reader import GROUP
from tradebus.bus.port import Outgoing
from tradebus.contracts.commands import StopTrading
from tradebus.contracts.records import TICK, Records
from tradebus.contracts.sessions import StrategySpec
from tradebus.contracts.signals import EntrySignal
from tradebus.contracts.streams import SIGNALS

DAY = generated_days(1, seed=5)[0]
EXAMPLE = str(Path(__file__).parents[3] / "examples" / "strategies" / "tick_threshold.py")
TICKS_PER_MINUTE = 6


def every(ticks: int) -> StrategySpec:
    return StrategySpec(name="tick_threshold", path=EXAMPLE, parameters={"every_ticks": ticks})


def ticks_of(candle: Candle, *, instrument: int = 3) -> Records:
    """The minute's ticks, the first at its very start."""
    records = np.zeros(TICKS_PER_MINUTE, TICK)
    records["ts_event_ns"] = candle.ts_open_ns + np.arange(TICKS_PER_MINUTE) * 10_000_000_000
    records["price_paise"] = np.linspace(candle.open_paise, candle.close_paise, TICKS_PER_MINUTE).astype(int)
    records["instrument"] = instrument
    return records


async def play(stage: Stage, candles: tuple[Candle, ...]) -> None:
    for candle in candles:
        mixed = np.concatenate((ticks_of(candle), ticks_of(candle, instrument=2)))
        mixed.sort(order="ts_event_ns")
        await stage.publish_slice(DAY, candle, ticks=mixed)
        await stage.turn_until(candle.ts_close_ns)
        await stage.act(candle)


async def test_every_nth_tick_of_the_symbol_enters_from_the_sessions_first_tick_on(stage: Stage) -> None:
    await stage.start_service()
    await stage.start_session([every(4)])
    await play(stage, DAY.candles[:10])
    await stage.settle()
    ticks = np.concatenate([ticks_of(candle) for candle in DAY.candles[:10]])[3::4]
    # A tick at a slice's first instant counts a nanosecond later: that instant was promised away.
    opens = {candle.ts_open_ns for candle in DAY.candles}
    wanted = [int(one["ts_event_ns"]) + (int(one["ts_event_ns"]) in opens) for one in ticks]
    assert [one.ts_event_ns for one in stage.signals] == wanted
    assert [one.price_paise for one in stage.signals if isinstance(one, EntrySignal)] == ticks["price_paise"].tolist()
    rows = await stage.decisions(strategy="tick_threshold")
    assert [row[0] for row in rows if row[1] == "ENTER_LONG"] == wanted
    assert len([row for row in rows if row[2] == "decides_on_ticks"]) == 10


async def test_no_signal_breaks_the_promise_of_a_watermark_before_it(stage: Stage) -> None:
    await stage.start_service()
    await stage.start_session([every(1)])
    await play(stage, DAY.candles[:5])
    await stage.settle()
    promised_ns = 0
    signals = 0
    for entry in await stage.bus.tail(SIGNALS.name, count=1000):
        if entry.kind == "watermark":
            promised_ns = max(promised_ns, entry.watermark_ns or 0)
        else:
            signal = stage.signals[signals]
            signals += 1
            assert signal.ts_event_ns > promised_ns
    assert signals == 5 * TICKS_PER_MINUTE


async def test_a_session_started_in_the_middle_hears_only_what_comes_after(stage: Stage) -> None:
    await stage.start_service()
    await stage.start_session([StrategySpec(name="orb")])
    await play(stage, DAY.candles[:20])
    await stage.start_session([every(1)], session_id="s2")
    await play(stage, DAY.candles[20:25])
    await stage.settle()
    heard = [one for one in stage.signals if one.session_id == "s2"]
    assert len(heard) == 5 * TICKS_PER_MINUTE
    assert min(one.ts_event_ns for one in heard) > DAY.candles[20].ts_open_ns
    assert len(await stage.decisions()) == 25


async def test_the_place_on_the_ticks_is_given_up_when_nobody_wants_them_any_more(stage: Stage) -> None:
    await stage.start_service()
    await stage.start_session([StrategySpec(name="orb")])
    await stage.start_session([every(1)], session_id="s2")
    await play(stage, DAY.candles[:5])
    await stage.command(StopTrading(**message_fields("stop", 2, "s2")))
    await play(stage, DAY.candles[5:10])
    await stage.settle()
    assert len(await stage.decisions()) == 10
    # A group made now begins at the stream's beginning: there was none left.
    again = await stage.bus.subscribe([TICKS], group=GROUP, consumer="strategy")
    assert (await again.lag())[TICKS] == 10


async def test_a_place_that_a_crash_left_behind_is_given_up_at_the_next_start(stage: Stage) -> None:
    await stage.start_service()
    await stage.start_session([every(1)])
    await play(stage, DAY.candles[:3])
    await stage.kill_service()
    await stage.status("s1", "STOPPED")
    await stage.start_service()
    again = await stage.bus.subscribe([TICKS], group=GROUP, consumer="strategy")
    assert (await again.lag())[TICKS] == 3


async def test_after_a_kill_the_ticks_that_were_not_acknowledged_are_decided_on_again_with_the_same_ids(
    stage: Stage,
) -> None:
    stage.flush_entries = 10_000
    await stage.start_service()
    await stage.start_session([every(1)])
    await play(stage, DAY.candles[:4])
    await stage.kill_service()
    await stage.start_service()
    await play(stage, DAY.candles[4:6])
    await stage.settle()
    ids = await stage.journal.signal_ids("s1")
    assert len(ids) == 6 * TICKS_PER_MINUTE
    assert set(ids) == {one.event_id for one in stage.signals}


@pytest.mark.parametrize("parameters", [{"level_paise": 5_000_000}, {"every_ticks": 3}])
async def test_without_pacing_a_signal_and_its_ticks_are_done_with_at_once(stage: Stage, parameters) -> None:
    stage.paced = False
    await stage.start_service()
    await stage.start_session([StrategySpec(name="tick_threshold", path=EXAMPLE, parameters=parameters)])
    ticks = ticks_of(DAY.candles[0])
    ticks["price_paise"] = [4_999_990, 4_999_995, 5_000_000, 5_000_005, 4_999_990, 5_000_010]
    entries = [
        Outgoing(TICKS, "ticks", ticks[row : row + 1].tobytes(), int(ticks["ts_event_ns"][row])) for row in range(6)
    ]
    for entry in entries:  # one by one: a file that is slower than its ticks come has some passed over
        await stage.bus.publish([entry])
        await stage.settle()
    await stage.read_signals()
    reasons = [one.reason for one in stage.signals if isinstance(one, EntrySignal)]
    if "level_paise" in parameters:
        assert reasons == ["crossed 50000.00", "crossed 50000.00"]
    else:
        assert reasons == ["tick 3", "tick 6"]
    assert stage.signals[0].ts_event_ns == ticks["ts_event_ns"][2]
    watching = await stage.bus.subscribe([TICKS], group=GROUP, consumer="watching")
    assert (await watching.lag())[TICKS] == 0
