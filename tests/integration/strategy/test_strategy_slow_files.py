"""In a live market nobody waits for a slow file: the others are answered, and its answers count when they come."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from testkit.strategy_days import generated_days
from testkit.strategy_service import Stage, message_fields

from services.strategy.component import CANDLES
from services.strategy.reader import GROUP
from tradebus.contracts.commands import PauseTrading, StopTrading
from tradebus.contracts.records import TICK
from tradebus.contracts.sessions import SessionStatus, StrategySpec
from tradebus.contracts.signals import EntrySignal, StrategyFailed
from tradebus.store.books import sessions_book
from tradebus.strategies.lane.conflicts import Conflicts

WARM, DAY = generated_days(2, seed=11)
ORB = StrategySpec(name="orb")
SLOW = """
import os, time
from tradebus.strategies.protocol import Action, Decision, Strategy, StrategyParameters, hold

class Slow(Strategy[StrategyParameters]):
    NAME = 'slow'
    WARMUP_CANDLES = 0
    WANTS_TICKS = {ticks}
    PARAMETERS = StrategyParameters

    def on_candle(self, candle, context):
        {body}
        if context.position is None and not context.warming_up:
            return Decision(Action.ENTER_LONG, 'up', candle.close_paise // 2)
        return hold('waits')

    def on_tick(self, tick, context):
        while not os.path.exists({go!r}):
            time.sleep(0.005)
        return hold('tick ' + str(tick.price_paise))
"""


class SlowFile:
    """A session s1 with a file that answers nothing until `go`, and a session s2 that trades orb."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage, self.go, self._folder = stage, folder / "go", folder
        stage.paced = False

    async def start(self, *, body: str | None = None, ticks: bool = False, beside: str | None = None) -> None:
        """`beside` is the body of a second file of the session, quick, which stands first in it."""
        go = str(self.go)
        waits = f"while not os.path.exists({go!r}): time.sleep(0.005)"
        (self._folder / "slow.py").write_text(SLOW.format(body=body or waits, ticks=ticks, go=go))
        await self.stage.store_day(WARM)
        await self.stage.start_service()
        await self.stage.start_session([ORB], session_id="s2")
        files = [StrategySpec(name="slow", path=str(self._folder / "slow.py"))]
        if beside is not None:
            quick = SLOW.format(body=beside, ticks=False, go=go).replace("'slow'", "'quick'")
            (self._folder / "quick.py").write_text(quick)
            files.insert(0, StrategySpec(name="quick", path=str(self._folder / "quick.py")))
        await self.stage.start_session(files)

    async def play(self, first: int, last: int) -> None:
        for candle in DAY.candles[first:last]:
            await self.stage.publish_slice(DAY, candle)
            await self.stage.turn_until(candle.ts_close_ns)

    async def answered(self) -> None:
        self.go.touch()
        async with asyncio.timeout(60):
            while self.stage.component.is_waiting:
                await self.stage.component.turn(block_ms=20)
        await self.stage.settle()
        await self.stage.read_signals()

    async def own(self) -> list[tuple[int, str, str, int]]:
        return await self.stage.decisions(strategy="slow")

    async def left(self) -> int:
        """Entries of candles that are not acknowledged."""
        subscription = await self.stage.bus.subscribe([CANDLES], group=GROUP, consumer="looks")
        try:
            return (await subscription.lag())[CANDLES]
        finally:
            await subscription.close()


@pytest.fixture
def slow(stage: Stage, tmp_path: Path) -> SlowFile:
    return SlowFile(stage, tmp_path)


async def test_others_decide_without_waiting_and_the_answers_count_when_they_come(slow: SlowFile) -> None:
    await slow.start()
    await slow.play(0, 4)
    for _ in range(5):
        await slow.stage.component.turn(block_ms=20)
    assert len(await slow.stage.decisions(session_id="s2")) == 4
    assert await slow.own() == []
    assert await slow.left() == 4, "nothing is acknowledged before what it asked for is stored"
    await slow.answered()
    assert [row[0] for row in await slow.own()] == [candle.ts_close_ns for candle in DAY.candles[:4]]
    entries = [one for one in slow.stage.signals if isinstance(one, EntrySignal) and one.session_id == "s1"]
    assert [one.ts_event_ns for one in entries] == [candle.ts_close_ns for candle in DAY.candles[:4]]
    assert await slow.left() == 0


async def test_what_was_not_answered_when_the_service_was_killed_is_asked_again(slow: SlowFile) -> None:
    await slow.start()
    await slow.play(0, 3)
    for _ in range(5):
        await slow.stage.component.turn(block_ms=20)
    await slow.stage.kill_service()
    await slow.stage.start_service()
    await slow.answered()
    assert [row[0] for row in await slow.own()] == [candle.ts_close_ns for candle in DAY.candles[:3]]
    assert len(await slow.stage.decisions(session_id="s2")) == 3
    assert await slow.left() == 0


async def test_a_late_answer_enters_nothing_where_the_session_was_paused_and_is_nobodys_where_it_was_stopped(
    slow: SlowFile,
) -> None:
    await slow.start()
    await slow.play(0, 1)
    await slow.stage.tell("commands.v1", PauseTrading(**message_fields("pause", 2, "s1")))
    for _ in range(5):
        await slow.stage.component.turn(block_ms=20)
    await slow.answered()
    assert [row[1:3] for row in await slow.own()] == [("HOLD", "session_paused: up")]
    slow.go.unlink()
    await slow.play(1, 2)
    await slow.stage.tell("commands.v1", StopTrading(**message_fields("stop", 3, "s1")))
    for _ in range(5):
        await slow.stage.component.turn(block_ms=20)
    await slow.answered()
    assert len(await slow.own()) == 1
    assert await slow.left() == 0


async def test_ticks_that_a_file_has_missed_are_passed_over_for_the_newest(slow: SlowFile) -> None:
    await slow.start(ticks=True, body="pass")
    for candle in DAY.candles[:4]:
        ticks = np.zeros(1, TICK)
        ticks["ts_event_ns"], ticks["price_paise"], ticks["instrument"] = candle.ts_close_ns + 1, candle.close_paise, 3
        await slow.stage.publish_slice(DAY, candle, ticks=ticks)
        await slow.stage.turn_until(candle.ts_close_ns)
    await slow.answered()
    assert len(await slow.stage.decisions(session_id="s2")) == 4
    told = [row for row in await slow.own() if row[2].startswith("tick ")]
    assert told[-1][3] == DAY.candles[3].close_paise
    assert len(told) < 4
    assert len([row for row in await slow.own() if row[2] in ("up", "waits")]) == 4, "candles are not passed over"


async def test_a_file_that_is_busy_too_much_of_the_time_pauses_its_session_with_the_reason(slow: SlowFile) -> None:
    slow.stage.busy_share = 0.005  # 0.3 s of a minute
    await slow.start(body="time.sleep(0.2)")
    for number in range(5):
        await slow.play(number, number + 1)
        await slow.stage.settle()
    await slow.stage.read_signals()
    (failed,) = [one for one in slow.stage.signals if isinstance(one, StrategyFailed)]
    assert (failed.session_id, failed.strategy) == ("s1", "slow")
    assert "seconds; at most" in failed.reason
    stands = {one.session_id: one for one in await sessions_book(slow.stage.store).alive()}
    assert stands["s1"].status is SessionStatus.PAUSED
    assert stands["s1"].reason == f"strategy slow: {failed.reason}"
    assert stands["s2"].status is SessionStatus.RUNNING
    assert len(await slow.stage.decisions(session_id="s2")) == 5


@pytest.mark.parametrize("conflicts", [Conflicts.INDEPENDENT, Conflicts.PRIORITY])
async def test_what_competes_waits_for_its_sessions_last_answer_and_nothing_else_does(
    slow: SlowFile, conflicts: Conflicts
) -> None:
    slow.stage.conflicts = conflicts
    await slow.start(beside="pass")
    await slow.play(0, 3)
    for _ in range(20):
        await slow.stage.component.turn(block_ms=20)
    competes = conflicts is Conflicts.PRIORITY
    assert bool(await slow.stage.decisions(strategy="quick")) is not competes
    assert len(await slow.stage.decisions(session_id="s2")) == 3
    await slow.answered()
    assert [row[1] for row in await slow.stage.decisions(strategy="quick")] == ["ENTER_LONG"] * 3
    assert [row[1] for row in await slow.own()] == (["HOLD"] if competes else ["ENTER_LONG"]) * 3


async def test_late_answers_that_the_book_refuses_pause_their_session_and_no_other(slow: SlowFile) -> None:
    await slow.start()
    await slow.play(0, 2)
    slow.stage.unstorable = "s1"
    await slow.answered()
    stands = {one.session_id: one for one in await sessions_book(slow.stage.store).alive()}
    assert stands["s1"].status is SessionStatus.PAUSED
    assert stands["s1"].reason == ("strategy slow: its answers cannot be stored: ArithmeticError: value out of range")
    assert [one.session_id for one in slow.stage.signals if isinstance(one, StrategyFailed)] == ["s1"]
    assert len(await slow.stage.decisions(session_id="s2")) == 2
    assert await slow.left() == 0
