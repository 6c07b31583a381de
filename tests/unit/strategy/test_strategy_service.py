"""The strategy service on the twins: sessions come, pause and go, and no restart changes what is decided."""

import asyncio
from dataclasses import replace

import pytest
from testkit.strategy_days import expected_rows, generated_days
from testkit.strategy_service import Stage, message_fields, records_of

from services.strategy.component import CANDLES
from services.strategy.reader import GROUP
from tradebus.bus.port import Outgoing
from tradebus.contracts.commands import PauseTrading, ResumeTrading, StartTrading, StopTrading
from tradebus.contracts.market import CandlesRestored
from tradebus.contracts.records import CANDLE, CANDLE_CORRECTED
from tradebus.contracts.sessions import SessionFailed, StrategySpec
from tradebus.contracts.streams import COMMANDS, MD_GAPS, ORDERS, SESSIONS
from tradebus.store.books import candles_book, sessions_book

ORB = StrategySpec(name="orb")
DAYS = generated_days(3, seed=11)


async def test_a_kill_on_one_day_is_forgotten_on_the_next(stage: Stage) -> None:
    await stage.store_day(DAYS[0])
    await stage.start_service()
    await stage.start_session([ORB])
    await stage.play(DAYS[1], DAYS[1].candles[:100])
    await stage.kill_service()
    await stage.start_service()
    await stage.play(DAYS[1], DAYS[1].candles[100:])
    await stage.play(DAYS[2], DAYS[2].candles[:60])
    await stage.settle()
    rows, _ = expected_rows(DAYS[:1], [DAYS[1], replace(DAYS[2], candles=DAYS[2].candles[:60])])
    assert await stage.decisions() == rows


async def test_a_service_killed_at_every_step_loses_nothing_and_waits_for_nobody(stage: Stage) -> None:
    """Each life handles one entry, or has read the merged entries and handled none of them."""
    await stage.store_day(DAYS[0])
    await stage.start_service()
    await stage.start_session([ORB])
    candles = DAYS[1].candles[:40]
    for number, candle in enumerate(candles):
        if number % 3 == 1:
            await stage.kill_service()
            await stage.start_service()
        await stage.publish_slice(DAYS[1], candle)
        if number % 3 == 2:
            reading = await stage.bus.subscribe([CANDLES, ORDERS.name], group=GROUP, consumer="strategy")
            assert await reading.read(block_ms=20)
            await stage.kill_service()
            await stage.start_service()
        await stage.turn_until(candle.ts_close_ns)
        await stage.act(candle)
    await stage.settle()
    rows, _ = expected_rows(DAYS[:1], [replace(DAYS[1], candles=candles)])
    assert await stage.decisions() == rows


async def test_a_session_started_in_the_middle_of_a_day_decides_as_one_from_its_start(stage: Stage) -> None:
    stage.fills = False  # nobody has a position, so both see the same
    candles = DAYS[1].candles[:200]
    await stage.store_day(DAYS[0])
    await stage.start_service()
    await stage.start_session([ORB])
    await stage.play(DAYS[1], candles[:90])
    await stage.start_session([ORB], session_id="s2")
    await stage.play(DAYS[1], candles[90:])
    await stage.settle()
    whole = await stage.decisions()
    assert whole == expected_rows(DAYS[:1], [replace(DAYS[1], candles=candles)], fills=False)[0]
    assert await stage.decisions(session_id="s2") == whole[90:]


async def test_a_five_minute_strategy_and_a_users_file_run_beside_the_orb(stage: Stage, tmp_path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from tradebus.strategies.protocol import Strategy, StrategyParameters, hold\n"
        "class Mine(Strategy[StrategyParameters]):\n"
        "    NAME = 'mine'\n"
        "    TIMEFRAME_SECONDS = 900\n"
        "    WARMUP_CANDLES = 10\n"
        "    PARAMETERS = StrategyParameters\n"
        "    count = 0\n"
        "    def on_candle(self, candle, context):\n"
        "        self.count += 1\n"
        "        return hold(f'{self.count} {candle.open_paise} {candle.high_paise} {candle.volume}')\n"
    )
    await stage.store_day(DAYS[0])
    await stage.start_service()
    await stage.start_session([StrategySpec(name="ema_20_50"), StrategySpec(name="mine", path=str(mine)), ORB])
    await stage.play(DAYS[1], DAYS[1].candles[:40])
    await stage.kill_service()
    await stage.start_service()
    await stage.play(DAYS[1], DAYS[1].candles[40:60])
    await stage.settle()
    minutes = DAYS[1].candles
    seen = await stage.decisions(strategy="mine")
    for number, row in enumerate(seen):
        group = minutes[15 * number : 15 * number + 15]
        # Ten candles of the day before, then this day's, whatever was restarted in between.
        figures = (
            11 + number,
            group[0].open_paise,
            max(one.high_paise for one in group),
            sum(one.volume for one in group),
        )
        assert row[:3] == (group[-1].ts_close_ns, "HOLD", " ".join(str(figure) for figure in figures))
    assert len(seen) == 4
    assert len(await stage.decisions(strategy="ema_20_50")) == 12
    assert len(await stage.decisions()) == 60


async def test_a_paused_session_decides_but_does_not_enter_even_after_a_restart(stage: Stage) -> None:
    await stage.store_day(DAYS[0])
    await stage.start_service()
    await stage.start_session([ORB])
    await stage.command(PauseTrading(**message_fields("pause", 2, "s1")))
    await stage.status("s1", "PAUSED")
    await stage.play(DAYS[1], DAYS[1].candles[:80])
    await stage.kill_service()
    await stage.start_service()
    await stage.play(DAYS[1], DAYS[1].candles[80:150])
    await stage.settle()
    reasons = [row[2] for row in await stage.decisions()]
    paused = [number for number, reason in enumerate(reasons) if reason.startswith("session_paused: ")]
    assert len(reasons) == 150
    assert min(paused) < 80 < max(paused)
    assert stage.signals == []
    await stage.command(ResumeTrading(**message_fields("resume", 3, "s1")))
    await stage.play(DAYS[1], DAYS[1].candles[150:250])
    await stage.settle()
    assert stage.signals


async def test_a_pause_given_while_the_session_was_starting_outlives_a_restart(stage: Stage) -> None:
    await stage.start_service()
    await stage.start_session([ORB], status="STARTING")
    await stage.command(PauseTrading(**message_fields("pause", 2, "s1")))
    await stage.kill_service()
    await stage.start_service()
    await stage.play(DAYS[1])
    await stage.settle()
    assert stage.signals == []
    assert any(row[2].startswith("session_paused: ") for row in await stage.decisions())


@pytest.mark.parametrize("how", ["stop", "failed"])
async def test_a_session_that_ends_decides_no_more_and_its_journal_is_whole_at_once(stage: Stage, how: str) -> None:
    stage.flush_entries = 10_000
    await stage.start_service()
    await stage.start_session([ORB])
    await stage.play(DAYS[1], DAYS[1].candles[:20])
    if how == "stop":
        await stage.command(StopTrading(**message_fields("stop", 2, "s1")))
    else:
        failed = SessionFailed(**message_fields("failed", 2, "s1"), reason="test")
        await stage.bus.publish([Outgoing(SESSIONS.name, failed.TYPE, failed.to_json())])
        await stage.settle()
    assert len(await stage.decisions()) == 20
    await stage.play(DAYS[1], DAYS[1].candles[20:40])
    await stage.settle()
    assert len(await stage.decisions()) == 20


async def test_start_is_taken_up_once_and_one_that_ended_long_ago_is_not(stage: Stage) -> None:
    await stage.start_service()
    spec = await stage.start_session([ORB])
    start = StartTrading(**message_fields("start", 1, "s1"), spec=spec)
    await stage.command(start.model_copy(update={"event_id": "another"}))
    assert await stage.participants() == ["s1"]
    await stage.start_session([ORB], session_id="s2", status="STOPPED")
    assert await stage.participants() == ["s1"]
    await stage.play(DAYS[1], DAYS[1].candles[:2])
    await stage.settle()
    assert await stage.decisions(session_id="s2") == []


async def test_a_session_that_cannot_be_loaded_goes_to_the_dead_letters_with_the_reason(stage: Stage) -> None:
    await stage.start_service()
    await stage.start_session([StrategySpec(name="orb", parameters={"range_minute": 3})])
    (dead,) = await stage.bus.dead_letters(COMMANDS.name, count=10)
    assert "parameter 'range_minute' is not known (did you mean 'range_minutes'?)" in dead.reason
    assert await stage.participants() == []


async def test_a_session_that_cannot_be_loaded_has_the_reason_at_once(stage: Stage) -> None:
    await stage.start_service()
    await stage.start_session([StrategySpec(name="orb", parameters={"range_minute": 3})], status="STARTING")
    (session,) = await sessions_book(stage.store).alive()
    assert "parameter 'range_minute' is not known" in (session.reason or "")


async def test_a_strategy_that_raises_is_journalled_and_the_others_go_on(stage: Stage, tmp_path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(
        "from tradebus.strategies.protocol import Strategy, StrategyParameters, hold\n"
        "class Bad(Strategy[StrategyParameters]):\n"
        "    NAME = 'bad'\n"
        "    WARMUP_CANDLES = 0\n"
        "    PARAMETERS = StrategyParameters\n"
        "    count = 0\n"
        "    def on_candle(self, candle, context):\n"
        "        self.count += 1\n"
        "        if self.count % 2:\n"
        "            raise ZeroDivisionError('no price')\n"
        "        return hold('fine') if self.count % 4 else 'nonsense'\n"
    )
    await stage.start_service()
    await stage.start_session([StrategySpec(name="bad", path=str(bad)), ORB])
    await stage.play(DAYS[1], DAYS[1].candles[:4])
    await stage.settle()
    assert [row[2] for row in await stage.decisions(strategy="bad")] == [
        "strategy_error: ZeroDivisionError: no price",
        "fine",
        "strategy_error: ZeroDivisionError: no price",
        "strategy_error: TypeError: answered str, not a Decision",
    ]
    assert len(await stage.decisions()) == 4


async def test_a_session_whose_strategy_file_is_gone_stops_only_itself_at_a_restart(stage: Stage, tmp_path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from tradebus.strategies.protocol import Strategy, StrategyParameters, hold\n"
        "class Mine(Strategy[StrategyParameters]):\n"
        "    NAME = 'mine'\n"
        "    PARAMETERS = StrategyParameters\n"
        "    def on_candle(self, candle, context):\n"
        "        return hold('fine')\n"
    )
    await stage.start_service()
    await stage.start_session([StrategySpec(name="mine", path=str(mine))])
    await stage.start_session([ORB], session_id="s2")
    await stage.kill_service()
    mine.unlink()
    await stage.start_service()
    await stage.play(DAYS[1], DAYS[1].candles[:2])
    await stage.settle()
    assert await stage.decisions(strategy="mine") == []
    assert len(await stage.decisions(session_id="s2")) == 2


async def test_a_corrected_candle_decides_nothing_again(stage: Stage) -> None:
    await stage.start_service()
    await stage.start_session([ORB])
    await stage.play(DAYS[1], DAYS[1].candles[:3])
    corrected = records_of(DAYS[1].candles[1:2])
    corrected["close_paise"] += 500
    corrected["high_paise"] += 500
    corrected["flags"] = CANDLE_CORRECTED
    await stage.bus.publish([Outgoing(CANDLES, "candles", corrected.tobytes(), DAYS[1].candles[2].ts_close_ns)])
    await stage.play(DAYS[1], DAYS[1].candles[3:5])
    await stage.settle()
    assert [row[3] for row in await stage.decisions()] == [one.close_paise for one in DAYS[1].candles[:5]]


async def test_an_entry_that_nobody_can_read_is_set_aside_and_its_watermark_goes_on(stage: Stage) -> None:
    await stage.start_service()
    await stage.start_session([ORB])
    end_ns = DAYS[1].candles[0].ts_close_ns
    await stage.bus.publish(
        [
            Outgoing(CANDLES, "candles", b"x" * (CANDLE.itemsize + 1), end_ns),
            Outgoing(ORDERS.name, "POSITION_OPENED", b'{"type":"POSITION_OPENED","ts_event_ns":5,"x":1}'),
            Outgoing(ORDERS.name, "watermark", watermark_ns=end_ns),
        ]
    )
    await stage.turn_until(end_ns)
    await stage.settle()
    assert len(await stage.bus.dead_letters(CANDLES, count=10)) == 1
    assert len(await stage.bus.dead_letters(ORDERS.name, count=10)) == 1
    await stage.play(DAYS[1], DAYS[1].candles[1:3])
    await stage.settle()
    assert len(await stage.decisions()) == 2


async def test_what_is_not_acknowledged_is_what_is_not_stored(stage: Stage) -> None:
    stage.flush_entries = 5
    await stage.start_service()
    await stage.start_session([ORB])
    watching = await stage.bus.subscribe([CANDLES, ORDERS.name], group=GROUP, consumer="watching")
    lags = []
    for number, candle in enumerate(DAYS[1].candles[:25], start=1):
        await stage.publish_slice(DAYS[1], candle)
        await stage.turn_until(candle.ts_close_ns)
        lags.append((await watching.lag())[CANDLES])
        assert len(await stage.decisions()) == number - lags[-1]
    assert min(lags) == 0
    assert 2 <= max(lags) < 5
    await stage.settle()
    assert (await watching.lag())[CANDLES] == 0
    assert len(await stage.decisions()) == 25


async def test_it_stores_what_it_holds_before_it_stops(stage: Stage) -> None:
    component = await stage.start_service()
    await stage.start_session([ORB])
    candle = DAYS[1].candles[0]
    await stage.publish_slice(DAYS[1], candle)
    await stage.turn_until(candle.ts_close_ns)
    assert await stage.decisions() == []
    stop = asyncio.Event()
    stop.set()
    await component.run(stop)
    assert len(await stage.decisions()) == 1


async def test_without_pacing_everything_is_acknowledged(stage: Stage) -> None:
    stage.paced = False
    await stage.start_service()
    await stage.start_session([ORB])
    for candle in DAYS[1].candles[:30]:
        await stage.publish_slice(DAYS[1], candle)
    await stage.turn_until(DAYS[1].candles[29].ts_close_ns)
    await stage.settle()
    assert len(await stage.decisions()) == 30
    watching = await stage.bus.subscribe([CANDLES, ORDERS.name], group=GROUP, consumer="watching")
    assert await watching.lag() == {CANDLES: 0, ORDERS.name: 0}


async def test_several_sessions_decide_on_their_own_positions(stage: Stage) -> None:
    candles = DAYS[1].candles[:150]
    await stage.store_day(DAYS[0])
    await stage.start_service()
    await stage.start_session([ORB])
    await stage.start_session([ORB], session_id="s2")
    await stage.play(DAYS[1], candles)
    await stage.settle()
    rows, acting = expected_rows(DAYS[:1], [replace(DAYS[1], candles=candles)])
    assert await stage.decisions() == await stage.decisions(session_id="s2") == rows
    assert len({one.event_id for one in stage.signals}) == 2 * len(acting)
    assert [one.session_id for one in stage.signals] == ["s1", "s2"] * len(acting)


async def test_when_the_feed_ends_the_journal_is_whole_at_once(stage: Stage) -> None:
    stage.flush_entries = 10_000
    await stage.start_service()
    await stage.start_session([ORB])
    await stage.play(DAYS[1], DAYS[1].candles[:5])
    end_ns = DAYS[1].candles[4].ts_close_ns
    assert len(await stage.decisions()) < 5
    await stage.bus.publish([Outgoing(CANDLES, "end_of_feed", watermark_ns=end_ns, slice_start_ns=end_ns)])
    while len(await stage.decisions()) < 5:
        assert await stage.component.turn(block_ms=5000), "the end of the feed was never read"


async def test_what_history_has_put_right_is_what_a_strategy_has_seen_at_its_next_candle(
    stage: Stage, tmp_path
) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from tradebus.strategies.protocol import Strategy, StrategyParameters, hold\n"
        "class Mine(Strategy[StrategyParameters]):\n"
        "    NAME = 'mine'\n"
        "    WARMUP_CANDLES = 0\n"
        "    PARAMETERS = StrategyParameters\n"
        "    seen = ()\n"
        "    def on_candle(self, candle, context):\n"
        "        self.seen += (candle.close_paise,)\n"
        "        return hold(str(self.seen))\n"
    )
    stage.paced = False
    await stage.start_service()
    await stage.start_session([StrategySpec(name="mine", path=str(mine))])
    candles = DAYS[1].candles[:5]
    for candle in candles[:3]:
        await stage.publish_slice(DAYS[1], candle)
        await stage.turn_until(candle.ts_close_ns)
    right = [one.close_paise for one in candles]
    for number, tell in ((1, "restored"), (2, "corrected")):
        corrected = records_of(candles[number : number + 1])
        corrected["close_paise"] += 500
        corrected["high_paise"] += 500
        right[number] += 500
        await candles_book(stage.store).upsert(corrected)
        if tell == "restored":
            restored = CandlesRestored(
                event_id="r", ts_event_ns=1, ts_recorded_ns=1, source="market_data", trace_id="t", broker="kite",
                instruments=(3,), symbols=("TEST",), from_ns=candles[1].ts_open_ns, to_ns=candles[1].ts_close_ns,
                candles=1, candles_corrected=1, reason="gap",
            )  # fmt: skip
            await stage.bus.publish([Outgoing(MD_GAPS.name, restored.TYPE, restored.to_json())])
            await stage.settle()
        else:
            corrected["flags"] = CANDLE_CORRECTED
            await stage.bus.publish([Outgoing(CANDLES, "candles", corrected.tobytes(), candles[2].ts_close_ns)])
        await stage.publish_slice(DAYS[1], candles[number + 2])
        await stage.turn_until(candles[number + 2].ts_close_ns)
        await stage.settle()
        rows = await stage.decisions(strategy="mine")
        assert rows[-1][2] == str(tuple(right[: number + 3]))
