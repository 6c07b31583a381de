"""The EMA 20/50 strategy's promises, on generated days, and one scene for each filter."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.strategy_days import MINUTE_NS, Day, Step, drive, generated_days, mirrored_days, of_timeframe

from tradebus.contracts.signals import Side
from tradebus.strategies.built_in.ema_20_50 import Ema2050, Ema2050Parameters
from tradebus.strategies.protocol import Action, Candle, Context, Decision, Position

ENTRIES = (Action.ENTER_LONG, Action.ENTER_SHORT)


def run(days: Iterable[Day], parameters: Ema2050Parameters | None = None, **options: Any) -> list[Step]:
    five_minutes = [of_timeframe(day, 5) for day in days]
    return list(drive(Ema2050(parameters or Ema2050Parameters()), five_minutes, **options))


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([0, 15, 60]), st.sampled_from([0, 30, 90]), st.booleans())
def test_guards_and_levels_hold_on_any_days(seed, first, last, trade):
    parameters = Ema2050Parameters(first_entry_minutes=first, last_entry_minutes=last, stop_atr=1.5)
    for step in run(generated_days(6, seed=seed), parameters, trade=trade):
        candle, context, decision = step.candle, step.context, step.decision
        if decision.action in ENTRIES:
            assert context.position is None
            assert candle.ts_close_ns >= context.session_open_ns + first * MINUTE_NS
            assert candle.ts_close_ns <= context.session_close_ns - last * MINUTE_NS
            sign = 1 if decision.action is Action.ENTER_LONG else -1
            assert decision.stop_paise is not None
            assert decision.target_paise is not None
            assert (candle.close_paise - decision.stop_paise) * sign > 0
            assert (decision.target_paise - candle.close_paise) * sign > 0
            assert 0.5 <= decision.confidence <= 0.8
            assert ("ema_fast>ema_slow" in decision.reason) == (sign > 0)
        if decision.action is Action.EXIT:
            assert context.position is not None
            against = "ema_fast<ema_slow" if context.position.side is Side.LONG else "ema_fast>ema_slow"
            assert decision.reason == f"opposite_cross: {against}"


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_a_cross_gives_one_entry_at_most(seed):
    entered = None
    parameters = Ema2050Parameters(first_entry_minutes=0, last_entry_minutes=0, cross_window_candles=50)
    for step in run(generated_days(8, seed=seed), parameters, trade=False):
        stance = next((one for one in ("fast>ema", "fast<ema") if one in step.decision.reason), None)
        if step.decision.action in ENTRIES:
            assert stance != entered
            entered = stance
        elif stance is not None and stance != entered:
            entered = None


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_a_mirrored_market_gives_mirrored_decisions(seed):
    pivot = 10_000_000
    days = generated_days(6, seed=seed)
    turned = {Action.ENTER_LONG: Action.ENTER_SHORT, Action.ENTER_SHORT: Action.ENTER_LONG}
    for plain, mirror in zip(run(days), run(mirrored_days(days, pivot)), strict=True):
        assert mirror.decision.action == turned.get(plain.decision.action, plain.decision.action)
        if plain.decision.stop_paise is not None:
            assert mirror.decision.stop_paise == pivot - plain.decision.stop_paise


def test_entries_exits_and_every_filter_occur_on_generated_days():
    found = Counter(
        step.decision.reason.partition(":")[0] for seed in range(5) for step in run(generated_days(15, seed=seed))
    )
    assert {
        "ema_cross",
        "opposite_cross",
        "in_position",
        "no_fresh_cross",
        "rsi_stretched",
        "early_session",
        "late_session",
        "indicators_not_ready",
    } <= set(found)


OPEN_NS = 1_704_080_700_000_000_000
DAY_NS = 1_440 * MINUTE_NS


class Scene:
    """A market that fell slowly for two days; `play` adds five-minute candles of today, from 10:00 on."""

    def __init__(self, parameters: Ema2050Parameters, *, volume: int = 1_000) -> None:
        self.strategy = Ema2050(parameters)
        self.volume = volume
        self.price = 110_000
        self.slot = 9
        for number in range(100):
            self.candle(OPEN_NS - DAY_NS + (number % 75) * 5 * MINUTE_NS, -50 if number % 3 else 30, None)

    def candle(self, start_ns: int, move: int, position: Position | None, wick: int = 0) -> Decision:
        opened, closed = self.price, self.price + move
        self.price = closed
        high, low = max(opened, closed) + 20 + wick, min(opened, closed) - 20
        candle = Candle(start_ns, start_ns + 5 * MINUTE_NS, opened, high, low, closed, self.volume * (1 + wick))
        open_ns = OPEN_NS if start_ns >= OPEN_NS else OPEN_NS - DAY_NS
        return self.strategy.on_candle(
            candle, Context("TEST", position, open_ns, open_ns + 375 * MINUTE_NS, None, False)
        )

    def play(self, move: int, position: Position | None = None) -> Decision:
        self.slot += 1
        return self.candle(OPEN_NS + self.slot * 5 * MINUTE_NS, move, position)

    def rise_until_cross(self, move: int = 90) -> Decision:
        for _ in range(60):
            decision = self.play(move)
            if "ema_fast>ema_slow" in decision.reason:
                return decision
        raise AssertionError("no cross")


LOOSE = {"rsi_stretched": 99.9, "first_entry_minutes": 0, "last_entry_minutes": 0}


def test_a_cross_upwards_enters_long_and_the_opposite_cross_leaves():
    scene = Scene(Ema2050Parameters(**LOOSE))
    entry = scene.rise_until_cross()
    assert entry.action is Action.ENTER_LONG
    position = Position("p", Side.LONG, 1, scene.price, OPEN_NS)
    assert scene.play(90, position).reason == "in_position: ema_fast>ema_slow"
    decisions = [scene.play(-200, position) for _ in range(30)]
    assert decisions[-1].action is Action.EXIT
    assert decisions[-1].reason == "opposite_cross: ema_fast<ema_slow"


def test_without_target_only_the_stop_is_set():
    entry = Scene(Ema2050Parameters(**LOOSE, reward_multiple=None)).rise_until_cross()
    assert entry.action is Action.ENTER_LONG
    assert entry.target_paise is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rsi_stretched": 60.0}, "rsi_stretched: ema_fast>ema_slow, RSI"),
        ({"rsi_neutral": 99.0}, "rsi_neutral: ema_fast>ema_slow, RSI"),
        ({"slope_min_atr": 50.0}, "no_trend: ema_fast>ema_slow, slow EMA slope"),
        ({"first_entry_minutes": 375}, "early_session"),
    ],
)
def test_a_filter_that_stands_against_the_entry_is_named(changes, reason):
    scene = Scene(Ema2050Parameters(**{**LOOSE, **changes}))
    if reason == "early_session":
        decisions = [scene.play(90) for _ in range(40)]
        assert reason in {decision.reason for decision in decisions}
    else:
        assert scene.rise_until_cross().reason.startswith(reason)


def test_a_long_below_the_sessions_vwap_is_refused_and_an_index_has_no_such_filter():
    # The day's first candle has nearly all of its volume, around a long upper wick.
    reasons = {}
    for volume in (1_000, 0):
        scene = Scene(Ema2050Parameters(**LOOSE), volume=volume)
        scene.candle(OPEN_NS, 0, None, wick=30_000)
        reasons[volume] = scene.rise_until_cross().reason.partition(":")[0]
    assert reasons == {1_000: "wrong_side_of_vwap", 0: "ema_cross"}


def test_a_cross_grows_stale():
    scene = Scene(Ema2050Parameters(**{**LOOSE, "slope_min_atr": 50.0}, cross_window_candles=2))
    assert scene.rise_until_cross().reason.startswith("no_trend")
    assert scene.play(90).reason.startswith("no_trend")
    assert scene.play(90).reason == "no_fresh_cross: ema_fast>ema_slow"
