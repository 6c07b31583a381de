"""The plain crossover's promises, on generated days and against a loop written without the project's own indicators."""

from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.strategy_days import Day, drive, generated_days, mirrored_days

from tradebus.contracts.signals import Side
from tradebus.strategies.built_in.ema_cross.strategy import EmaCross, EmaCrossParameters
from tradebus.strategies.protocol import Action

ENTRIES = {Action.ENTER_LONG: 1, Action.ENTER_SHORT: -1}


def stances(days: list[Day], *, fast: int, slow: int) -> list[int]:
    """+1 where the fast EMA is above, -1 below, the one before where they are equal, 0 before there are both."""
    found, averages = [], [0.0, 0.0]
    for seen, candle in enumerate((candle for day in days for candle in day.candles), start=1):
        for place, length in enumerate((fast, slow)):
            value = float(candle.close_paise)
            if seen <= length:
                averages[place] += value
                averages[place] /= length if seen == length else 1
            else:
                averages[place] += (value - averages[place]) * (2.0 / (length + 1.0))
        order = (averages[0] > averages[1]) - (averages[0] < averages[1])
        found.append((order or (found[-1] if found else 0)) if seen >= slow else 0)
    return found


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(7, 40), st.booleans())
def test_it_enters_with_the_cross_once_and_leaves_against_it(seed, fast, slow, trade):
    days = list(generated_days(3, seed=seed))
    parameters = EmaCrossParameters(fast=fast, slow=slow, stop_pct=2.0, reward_multiple=1.5)
    expected, entered = stances(days, fast=fast, slow=slow), 0
    for stance, step in zip(expected, drive(EmaCross(parameters), days, trade=trade), strict=True):
        decision, held, close = step.decision, step.context.position, step.candle.close_paise
        if decision.action in ENTRIES:
            assert held is None
            assert ENTRIES[decision.action] == stance != entered
            entered = stance
            assert decision.stop_paise == close - stance * -(-close * 2 // 100)
            assert decision.target_paise is not None
            assert (decision.target_paise - close) * stance > 0
        elif stance != entered:
            entered = 0
        assert (decision.action is Action.EXIT) == (held is not None and held.side.sign == -stance)


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_a_mirrored_market_gives_mirrored_decisions(seed):
    days = list(generated_days(3, seed=seed))
    turned = {Action.ENTER_LONG: Action.ENTER_SHORT, Action.ENTER_SHORT: Action.ENTER_LONG}
    plain, mirror = (
        list(drive(EmaCross(EmaCrossParameters()), one)) for one in (days, mirrored_days(days, 10_000_000))
    )
    assert {step.context.position.side for step in plain if step.context.position} == set(Side)
    for one, other in zip(plain, mirror, strict=True):
        assert other.decision.action == turned.get(one.decision.action, one.decision.action)
