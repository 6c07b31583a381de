"""A planted look-ahead is caught and named, a warm-up that is too short as well; every built-in strategy passes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from testkit.contracts import contract
from testkit.strategy_days import generated_days, of_timeframe

from tradebus.contracts.records import CANDLE, Records
from tradebus.engine.look_ahead import (
    LOOKS_AHEAD,
    NOT_REPEATABLE,
    WARM_UP_TOO_SHORT,
    CheckedDay,
    suspicions,
)
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.loader import load_file
from tradebus.strategies.protocol import Candle
from tradebus.strategies.registry import BUILT_IN, COMPILED

HEAD = """
from tradebus.strategies.protocol import Action, Decision, Strategy, StrategyParameters, hold

class Planted(Strategy[StrategyParameters]):
    NAME = "planted"
    PARAMETERS = StrategyParameters
    WARMUP_CANDLES = 50
"""
REMEMBERS = (
    """
SEEN = {}
"""
    + HEAD
    + """
    def on_candle(self, candle, context):
        SEEN[candle.ts_close_ns] = candle.close_paise
        after = SEEN.get(candle.ts_close_ns + 60_000_000_000)
        if after is not None and after > candle.close_paise and context.position is None:
            return Decision(Action.ENTER_LONG, "it will rise", candle.close_paise - 500)
        return hold("it will not rise")
"""
)
COUNTS = (
    """
from itertools import count
NUMBERS = count()
"""
    + HEAD
    + """
    def on_candle(self, candle, context):
        return hold(f"number {next(NUMBERS)}")
"""
)
DEPENDS = (
    HEAD
    + """
    def __init__(self, parameters):
        super().__init__(parameters)
        self.total = 0

    def on_candle(self, candle, context):
        self.total += candle.close_paise
        return hold(f"sum {self.total}")
"""
)


def records_of(candles: Sequence[Candle], seconds: int) -> Records:
    rows = [
        (one.ts_open_ns, one.ts_close_ns, one.open_paise, one.high_paise, one.low_paise, one.close_paise, one.volume,
         0, 0, seconds, 0, 0)
        for one in candles
    ]  # fmt: skip
    return np.array(rows, CANDLE)


def days(minutes: int, *, seed: int = 3) -> list[CheckedDay]:
    made = [of_timeframe(one, minutes) for one in generated_days(12 if minutes > 1 else 4, seed=seed)]
    return [
        CheckedDay(
            "TEST", records_of([candle for day in made[:place] for candle in day.candles], minutes * 60),
            records_of(made[place].candles, minutes * 60), SessionHours(contract("INDEX", market_class="index")),
        )
        for place in range(len(made) - 2, len(made))
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_built_in_strategy_passes(name):
    strategy = BUILT_IN[name]
    assert suspicions(
        strategy, strategy.PARAMETERS(), days(strategy.TIMEFRAME_SECONDS // 60), COMPILED[name]
    ) == []  # fmt: skip


@pytest.mark.parametrize(
    ("source", "kind", "said"),
    [
        (REMEMBERS, LOOKS_AHEAD, "ENTER_LONG (it will rise)"),
        (COUNTS, NOT_REPEATABLE, "number"),
        (DEPENDS, WARM_UP_TOO_SHORT, "in place of 50"),
    ],
)
def test_what_is_planted_is_found_and_named(tmp_path: Path, source, kind, said):
    file = tmp_path / "planted.py"
    file.write_text(source)
    strategy = load_file(str(file))
    found = suspicions(strategy, strategy.PARAMETERS(), days(1))
    assert [one.kind for one in found] == [kind]
    assert said in found[0].said
    assert found[0].ts_ns > 0
