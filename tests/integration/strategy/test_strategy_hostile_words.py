"""What a user's process says of its file, raises or writes as it ends: it reaches the book clean, or is refused."""

import asyncio
from pathlib import Path

import pytest
from testkit.strategy_days import generated_days
from testkit.strategy_service import Stage

from services.strategy.component import CANDLES
from tradebus.contracts.sessions import SessionStatus, StrategySpec
from tradebus.contracts.signals import StrategyFailed
from tradebus.contracts.streams import COMMANDS
from tradebus.store.books import sessions_book

DAYS = generated_days(2, seed=11)
ORB = StrategySpec(name="orb")
HEAD = "from tradebus.strategies.protocol import Strategy, StrategyParameters, hold\n"
MINE = (
    "class Mine(Strategy[StrategyParameters]):\n    NAME = 'mine'\n    WARMUP_CANDLES = 0\n"
    "    PARAMETERS = StrategyParameters\n    def on_candle(self, candle, context):\n"
)
LIES = HEAD + (
    "import tradebus.strategies.info as info\nreal = info.StrategyInfo.as_json\n"
    "info.StrategyInfo.as_json = lambda self: {{**real(self), {lie}}}\n" + MINE + "        return hold('fine')\n"
)
NEEDS = "'needs': {**real(self)['needs'], "


def written(folder: Path, body: str) -> StrategySpec:
    (folder / "mine.py").write_text(body)
    return StrategySpec(name="mine", path=str(folder / "mine.py"))


async def play(stage: Stage, candles: int) -> None:
    for candle in DAYS[1].candles[:candles]:
        await stage.publish_slice(DAYS[1], candle)
        await stage.turn_until(candle.ts_close_ns)
    await stage.settle()


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ("'warmup_candles': 10**30", "WARMUP_CANDLES must be a whole number from 0 to 10000, got 1000"),
        ("'warmup_candles': -3", "WARMUP_CANDLES must be a whole number from 0 to 10000, got -3"),
        ("'warmup_candles': True", "WARMUP_CANDLES must be a whole number from 0 to 10000, got True"),
        ("'timeframe_seconds': 0", "TIMEFRAME_SECONDS must be one of"),
        ("'timeframe_seconds': 300.0", "TIMEFRAME_SECONDS must be one of"),
        ("'name': 'A b'", "NAME must be lower-case letters"),
        ("'name': 'orb'", "NAME 'orb' is a built-in's; choose another"),
        ("'wants_ticks': 1", "WANTS_TICKS must be True or False"),
        (NEEDS + "'timeframes_seconds': [300.0]}", "NEEDS: timeframes_seconds must be of"),
        (NEEDS + "'instruments': [['symbol', 'x' * 1000]]}", "Symbol needs a symbol of at most"),
    ],
)
async def test_what_a_process_says_of_its_class_is_checked_where_it_arrives(
    stage: Stage, tmp_path: Path, lie: str, said: str
) -> None:
    await stage.store_day(DAYS[0])
    await stage.start_service()
    await stage.start_session([ORB], session_id="s2")
    await stage.start_session([written(tmp_path, LIES.format(lie=lie))])
    (refused,) = await stage.bus.dead_letters(COMMANDS.name, count=10)
    assert said in refused.reason
    await play(stage, 5)
    assert len(await stage.decisions(session_id="s2")) == 5
    assert await stage.decisions(strategy="mine") == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('raise ValueError("a\\x00b\\ud800")\n', "line 1: ValueError: ab?"),
        ("import tradebus.kernel.errors as errors\nraise errors.InvalidInput('no\\x00pe \\ud800')\n", "nope ?"),
        (HEAD + MINE.replace("'mine'", '"m\\x00"') + "        return hold('x')\n", "NAME must be lower-case letters"),
        (
            HEAD + "from tradebus.strategies.needs import Needs, Symbol\n"
            + MINE.replace("WARMUP", "NEEDS = Needs(instruments=(Symbol('A\\x00\\ud800'),))\n    WARMUP")
            + "        return hold('x')\n",
            "A?",
        ),
        ("import os\nos.write(2, b'bye\\x00bye')\nos._exit(3)\n", "left with exit code 3: byebye"),
    ],
)  # fmt: skip
async def test_why_a_file_is_refused_is_told_whatever_its_words_are_made_of(
    stage: Stage, tmp_path: Path, body: str, said: str
) -> None:
    stage.paced = False
    await stage.start_service()
    await stage.start_session([written(tmp_path, body)], status="STARTING", wait=False)
    async with asyncio.timeout(60):
        while (reason := (await sessions_book(stage.store).alive())[0].reason) is None:
            await stage.component.turn(block_ms=20)
    assert said in reason


async def test_the_last_words_of_a_dying_process_pause_its_session_and_no_other(stage: Stage, tmp_path: Path) -> None:
    stage.hurry = 20
    body = HEAD + MINE + "        import os\n        os.write(2, b'bye\\x00bye\\n'); os._exit(3)\n"
    await stage.start_service()
    await stage.start_session([written(tmp_path, body)])
    await stage.start_session([ORB], session_id="s2")
    played = 0
    for candle in DAYS[1].candles:
        await stage.publish_slice(DAYS[1], candle)
        await stage.turn_until(candle.ts_close_ns)
        played += 1
        stands = next(one for one in await sessions_book(stage.store).alive() if one.session_id == "s1")
        if stands.status is SessionStatus.PAUSED:
            break
        await asyncio.sleep(0.1)  # the market goes on while its process is started again
    assert stands.reason == "strategy mine: its process left with exit code 3: byebye (3 times in a row)"
    (failed,) = [one for one in stage.signals if isinstance(one, StrategyFailed)]
    assert failed.session_id == "s1"
    await stage.settle()
    assert len(await stage.decisions(session_id="s2")) == played
    assert await stage.bus.dead_letters(CANDLES, count=10) == []
