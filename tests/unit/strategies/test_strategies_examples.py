"""The examples in the guide load by path and do what they say; levels and windows, which they build on."""

from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.strategy_days import drive, generated_days, of_timeframe

from tradebus.contracts.sessions import StrategySpec
from tradebus.contracts.signals import Side
from tradebus.kernel.errors import InvalidInput
from tradebus.strategies.built_in.levels import entry_levels
from tradebus.strategies.built_in.windows import SumWindow
from tradebus.strategies.protocol import Action
from tradebus.strategies.registry import parse_parameters, validate_strategy

EXAMPLES = Path(__file__).parents[3] / "examples" / "strategies"


def spec(name: str, **parameters: object) -> StrategySpec:
    return StrategySpec(name=name, path=str(EXAMPLES / f"{name}.py"), parameters=parameters)


def test_the_guides_own_strategy_loads_and_trades(tmp_path):
    text = (EXAMPLES.parents[1] / "docs" / "strategies.md").read_text()
    path = tmp_path / "guide.py"
    path.write_text(text.partition("```python\n")[2].partition("```")[0])
    wanted = StrategySpec(name="guide", path=str(path), parameters={"length": 10})
    found = validate_strategy(wanted)
    strategy = found(parse_parameters(found, wanted.parameters))
    steps = list(drive(strategy, [of_timeframe(day, 5) for day in generated_days(3, seed=1)]))
    assert {Action.HOLD, Action.ENTER_LONG} == {one.decision.action for one in steps}


def test_ema_pullback_trades_both_ways_with_stops_on_the_losing_side():
    wanted = spec("ema_pullback", fast=10, slow=30)
    found = validate_strategy(wanted)
    strategy = found(parse_parameters(found, wanted.parameters))
    steps = list(drive(strategy, [of_timeframe(day, 5) for day in generated_days(20, seed=7)]))
    assert {Action.ENTER_LONG, Action.ENTER_SHORT, Action.EXIT} <= set(Counter(one.decision.action for one in steps))
    for step in steps:
        if step.decision.action in (Action.ENTER_LONG, Action.ENTER_SHORT):
            sign = 1 if step.decision.action is Action.ENTER_LONG else -1
            assert step.decision.stop_paise is not None
            assert (step.candle.close_paise - step.decision.stop_paise) * sign > 0


@pytest.mark.parametrize("parameters", [{}, {"level_paise": 5, "every_ticks": 3}])
def test_tick_threshold_wants_one_of_its_two_ways(parameters):
    with pytest.raises(InvalidInput, match="give either level_paise or every_ticks"):
        validate_strategy(spec("tick_threshold", **parameters))


prices = st.integers(1, 10_000_000)


@given(st.sampled_from(Side), prices, st.floats(0, 2e7), st.floats(0, 1e6), st.none() | st.floats(0.01, 20))
def test_a_stop_is_on_the_losing_side_at_least_the_floor_away_and_rounding_only_widens_it(
    side, price, natural, floor, reward
):
    levels = entry_levels(
        side=side, price_paise=price, natural_stop_paise=natural, floor_paise=floor, reward_multiple=reward
    )
    wanted = max((price - natural) * side.sign, floor, 1.0)
    if levels is None:
        assert side is Side.LONG
        assert price - wanted <= 0 or price - wanted < 1
        return
    distance = (price - levels.stop_paise) * side.sign
    assert levels.stop_paise > 0
    assert 0 <= distance - Fraction(wanted) < 1
    if levels.target_paise is None:
        assert reward is None or (side is Side.SHORT and reward * distance >= price - 1)
    else:
        assert reward is not None
        assert abs((levels.target_paise - price) * side.sign - max(1, reward * distance)) <= 0.5 + 1e-6 * distance
        assert levels.target_paise > 0


@given(st.integers(1, 20), st.lists(st.integers(0, 10**12)))
def test_a_window_has_the_exact_sum_of_its_last_values(length, values):
    window = SumWindow(length)
    for count, value in enumerate(values, start=1):
        window.push(value)
        assert window.total == sum(values[max(0, count - length) : count])
        assert window.full == (count >= length)
    if window.full and window.total:
        assert window.ratio_of(5) == pytest.approx(5 / (window.total / length))
