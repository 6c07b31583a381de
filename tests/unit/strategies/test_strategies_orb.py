"""The ORB strategy's promises, on generated days, and one scene for each setup and guard."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.strategy_days import MINUTE_NS, Day, Step, drive, generated_days, mirrored_days

from tradebus.contracts.signals import Side
from tradebus.strategies.built_in.orb import Orb
from tradebus.strategies.built_in.orb_parameters import OrbParameters
from tradebus.strategies.built_in.orb_setups import MOMENTUM, ORB
from tradebus.strategies.protocol import Action, Candle, Context, Decision, Position

ENTRIES = (Action.ENTER_LONG, Action.ENTER_SHORT)
PRIORITY = {
    "orb_breakout": ORB,
    "inside_bar_breakout": 2,
    "engulfing": 3,
    "hammer": 3,
    "shooting_star": 3,
    "momentum": MOMENTUM,
}


def setup_of(decision: Decision) -> str:
    return decision.reason.partition(":")[0].removeprefix("opposite_")


def run(days: list[Day], parameters: OrbParameters | None = None, **options: Any) -> list[Step]:
    return list(drive(Orb(parameters or OrbParameters()), days, **options))


@st.composite
def parameter_sets(draw: st.DrawFn) -> OrbParameters:
    return OrbParameters(
        range_minutes=draw(st.sampled_from([5, 15, 60])),
        lock_minutes=draw(st.sampled_from([0, 5, 20])),
        last_entry_minutes=draw(st.sampled_from([0, 30, 120])),
        stop_floor_atr=draw(st.sampled_from([0.5, 1.5, 4.0])),
        reward_multiple=draw(st.sampled_from([0.5, 2.0])),
        momentum_range_atr=draw(st.sampled_from([0.0, 1.5])),
    )


@settings(max_examples=20)
@given(st.integers(0, 10_000), parameter_sets(), st.booleans(), st.booleans())
def test_guards_and_levels_hold_on_any_day(seed, parameters, with_volume, trade):
    last_signal_ns = None
    for step in run(generated_days(2, seed=seed, with_volume=with_volume), parameters, trade=trade):
        candle, context, decision = step.candle, step.context, step.decision
        assert 0 <= decision.confidence <= 1
        if decision.action is Action.HOLD:
            continue
        assert candle.ts_open_ns >= context.session_open_ns + parameters.range_minutes * MINUTE_NS
        if decision.action in ENTRIES:
            assert context.position is None
            assert candle.ts_close_ns <= context.session_close_ns - parameters.last_entry_minutes * MINUTE_NS
            if last_signal_ns is not None and last_signal_ns > context.session_open_ns:
                assert candle.ts_close_ns - last_signal_ns >= parameters.lock_minutes * MINUTE_NS
            sign = 1 if decision.action is Action.ENTER_LONG else -1
            assert decision.stop_paise is not None
            assert (candle.close_paise - decision.stop_paise) * sign > 0
            assert decision.target_paise is not None
            assert (decision.target_paise - candle.close_paise) * sign > 0
        last_signal_ns = candle.ts_close_ns


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_a_position_is_left_only_for_a_setup_that_outranks_what_opened_it(seed):
    opened: tuple[str, Side] | None = None
    for step in run(generated_days(3, seed=seed)):
        if step.decision.action in ENTRIES:
            side = Side.LONG if step.decision.action is Action.ENTER_LONG else Side.SHORT
            opened = (setup_of(step.decision), side)
        elif step.decision.action is Action.EXIT:
            position = step.context.position
            assert position is not None
            assert opened is not None
            assert opened[1] is position.side
            new, old = PRIORITY[setup_of(step.decision)], PRIORITY[opened[0]]
            assert new < old or new == old == ORB


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.booleans())
def test_a_mirrored_market_gives_mirrored_decisions(seed, with_volume):
    pivot = 10_000_000
    days = generated_days(2, seed=seed, with_volume=with_volume)
    turned = {Action.ENTER_LONG: Action.ENTER_SHORT, Action.ENTER_SHORT: Action.ENTER_LONG}
    for plain, mirror in zip(run(days), run(mirrored_days(days, pivot)), strict=True):
        assert mirror.decision.action == turned.get(plain.decision.action, plain.decision.action)
        if plain.decision.stop_paise is not None and plain.decision.target_paise is not None:
            assert mirror.decision.stop_paise == pivot - plain.decision.stop_paise
            assert mirror.decision.target_paise == pivot - plain.decision.target_paise


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.integers(1, 700))
def test_what_is_decided_does_not_depend_on_what_comes_later(seed, cut):
    days = generated_days(2, seed=seed)
    whole = [step.decision for step in run(days)]
    short = [
        step.decision
        for step in run(
            [days[0], replace(days[1], candles=days[1].candles[: max(0, cut - 375)])]
            if cut > 375
            else [replace(days[0], candles=days[0].candles[:cut])]
        )
    ]
    assert short == whole[: len(short)]


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_without_volume_nothing_speaks_of_vwap_and_breakouts_say_which_test_took_its_place(seed):
    for step in run(generated_days(2, seed=seed, with_volume=False)):
        assert "vwap" not in step.decision.reason
        if step.decision.reason.startswith("orb_breakout"):
            assert "no volume in series, range" in step.decision.reason


def test_every_setup_occurs_on_generated_days():
    found = Counter(
        setup_of(step.decision)
        for seed in range(4)
        for step in run(generated_days(10, seed=seed))
        if step.decision.action in ENTRIES
    )
    assert set(found) == set(PRIORITY)


# Scenes: a quiet day before, then a day told candle by candle.
OPEN_NS = 1_704_080_700_000_000_000
SESSION = (OPEN_NS, OPEN_NS + 375 * MINUTE_NS)
BASE = 100_000


class Scene:
    """One instance, warmed up on a flat market of 100-paise candles; `play` adds the next minute."""

    def __init__(self, parameters: OrbParameters | None = None, *, volume: int = 1_000) -> None:
        self.strategy = Orb(parameters or OrbParameters())
        self.volume = volume
        self.minute = 0
        for number in range(60):
            self._feed(self._quiet(number - 1_440, number), None, self._context(None, OPEN_NS - 1_440 * MINUTE_NS))

    def _quiet(self, minute: int, number: int, level: int = BASE) -> Candle:
        start = OPEN_NS + minute * MINUTE_NS
        opened, closed = (level - 20, level + 20) if number % 2 else (level + 20, level - 20)
        return Candle(start, start + MINUTE_NS, opened, level + 50, level - 50, closed, self.volume)

    def _context(self, position: Position | None, open_ns: int, ratio: float | None = None) -> Context:
        return Context("TEST", position, open_ns, open_ns + 375 * MINUTE_NS, ratio, False)

    def _feed(self, candle: Candle, position: Position | None, context: Context) -> Decision:
        return self.strategy.on_candle(candle, context)

    def quiet(self, minutes: int, *, level: int = BASE) -> Decision:
        for _ in range(minutes):
            decision = self._feed(self._quiet(self.minute, self.minute, level), None, self._context(None, OPEN_NS))
            self.minute += 1
        return decision

    def play(
        self,
        prices: tuple[int, int, int, int],
        *,
        volume: int | None = None,
        position: Position | None = None,
        ratio: float | None = None,
    ) -> Decision:
        """Open, high, low and close as distances from the base."""
        start = OPEN_NS + self.minute * MINUTE_NS
        self.minute += 1
        candle = Candle(
            start, start + MINUTE_NS, *(BASE + one for one in prices), self.volume if volume is None else volume
        )
        return self._feed(candle, position, self._context(position, OPEN_NS, ratio))


BREAK = (20, 160, 20, 150)  # closes 100 above the opening range of 50 either side
LONG = Position("p", Side.LONG, 1, BASE, OPEN_NS)


def test_the_opening_range_lasts_its_minutes_and_a_break_with_volume_enters():
    scene = Scene()
    assert scene.quiet(15).reason == "opening_range_forming"
    decision = scene.play(BREAK, volume=2_000)
    assert decision.action is Action.ENTER_LONG
    assert decision.reason == "orb_breakout: close 1001.50 beyond 1000.50, volume 2.0x"
    assert decision.stop_paise == BASE - 50  # the other side of the range
    assert decision.target_paise == BASE + 150 + 2 * 200
    assert decision.confidence == 0.75


def test_a_break_without_volume_waits_and_one_that_comes_in_time_still_counts():
    scene = Scene(OrbParameters(momentum_range_atr=50))
    scene.quiet(15)
    assert scene.play(BREAK).reason == "orb_breakout_unconfirmed: volume 1.0x"
    assert scene.play((150, 160, 100, 140), volume=5_000).action is Action.ENTER_LONG


def test_a_break_is_stale_after_its_window():
    scene = Scene(OrbParameters(breakout_window_candles=1, momentum_range_atr=50))
    scene.quiet(15)
    scene.play(BREAK)
    assert scene.play((150, 160, 100, 140), volume=5_000).reason == "no_setup"


def test_an_index_without_volume_is_judged_by_its_range():
    scene = Scene(volume=0)
    scene.quiet(15)
    decision = scene.play(BREAK)
    assert decision.reason == "orb_breakout: close 1001.50 beyond 1000.50, no volume in series, range 1.4x"
    narrow = Scene(OrbParameters(momentum_range_atr=50), volume=0)
    narrow.quiet(15)
    assert narrow.play((20, 60, 0, 55)).reason == "orb_breakout_unconfirmed: no volume in series, range 0.6x"


def test_a_thin_opening_range_gives_no_breakout():
    scene = Scene(OrbParameters(momentum_range_atr=50))
    scene.minute = 11
    scene.quiet(4)
    assert scene.play(BREAK, volume=9_000).reason == "no_setup"


def test_a_signal_locks_the_next_ones_for_its_minutes():
    scene = Scene()
    scene.quiet(15)
    assert scene.play(BREAK, volume=2_000).action is Action.ENTER_LONG
    reasons = [scene.play((-20, 0, -160, -150), volume=9_000).reason for _ in range(4)]
    assert set(reasons[:3]) == {"trade_locked: orb_breakout"}
    assert scene.minute == 20
    assert scene.play((-20, 0, -400, -390), volume=9_000).action is Action.ENTER_SHORT


def test_the_last_minutes_take_no_entry():
    scene = Scene()
    scene.quiet(15)
    scene.quiet(330)
    assert scene.play(BREAK, volume=2_000).reason == "late_session"
    just = Scene()
    just.quiet(344)
    assert just.play(BREAK, volume=2_000).action is Action.ENTER_LONG


def test_an_inside_bar_breakout_leaves_the_mother_bar():
    scene = Scene(OrbParameters(range_candles_min=99, momentum_range_atr=50))
    scene.quiet(16)
    scene.play((0, 100, -100, 40))
    scene.play((40, 60, -20, 10))
    decision = scene.play((10, 130, 0, 120))
    assert decision.reason == "inside_bar_breakout: close 1001.20 beyond mother bar 1001.00"
    assert decision.stop_paise == min(BASE - 100, BASE + 120 - 1)


def test_a_reversal_counts_at_a_level_and_not_in_no_mans_land():
    at_level = Scene(OrbParameters(range_candles_min=99, momentum_range_atr=50))
    at_level.quiet(20)
    hammer = at_level.play((10, 22, -90, 20))
    assert hammer.action is Action.ENTER_LONG
    assert hammer.reason.startswith("hammer: at vwap")
    away = Scene(OrbParameters(range_candles_min=99, momentum_range_atr=50))
    away.quiet(20)
    assert away.play((1_010, 1_022, 910, 1_020)).reason == "no_mans_land: hammer away from VWAP and EMA"


def test_an_engulfing_candle_stops_at_the_extreme_of_both():
    scene = Scene(OrbParameters(range_candles_min=99, momentum_range_atr=50, stop_floor_atr=0.1))
    scene.quiet(20)
    scene.play((15, 40, -120, -15))
    decision = scene.play((-15, 60, -40, 20))
    assert decision.reason.startswith("engulfing: at vwap")
    assert decision.stop_paise == BASE - 120


def test_momentum_needs_the_trend_and_an_open_range():
    parameters = OrbParameters(range_candles_min=99)
    against = Scene(parameters)
    against.quiet(20)
    against.play((0, 10, -60, -40))
    assert against.play((60, 260, 55, 250)).action is Action.ENTER_LONG  # lifts the fast EMA over the slow one
    scene = Scene(parameters)
    scene.quiet(20)
    for _ in range(6):
        scene.play((10, 16, 8, 15))
    decision = scene.play((15, 220, 14, 218))
    assert decision.reason == "squeeze: momentum needs an open range"


@pytest.mark.parametrize(
    ("ratio", "reason", "confidence"),
    [
        (None, "at vwap", 0.55),
        (1.0, "at vwap", 0.55),
        (1.3, "put-call ratio for", 0.60),
        (0.7, "put_call_ratio_against: hammer", 0.50),
    ],
)
def test_the_put_call_ratio_supports_or_refuses_a_reversal(ratio, reason, confidence):
    scene = Scene(OrbParameters(range_candles_min=99, momentum_range_atr=50))
    scene.quiet(21)
    decision = scene.play((10, 22, -90, 20), ratio=ratio)
    assert reason in decision.reason
    assert decision.confidence == confidence


def test_a_put_call_ratio_against_a_range_breakout_lowers_its_confidence_only():
    scene = Scene()
    scene.quiet(15)
    decision = scene.play(BREAK, volume=2_000, ratio=0.5)
    assert decision.action is Action.ENTER_LONG
    assert decision.confidence == 0.60


def test_a_position_whose_setup_is_unknown_is_closed_by_anything_above_momentum():
    scene = Scene()
    scene.quiet(15)
    down = (-20, 0, -160, -150)
    assert scene.play(down, volume=9_000, position=LONG).reason.startswith("opposite_orb_breakout: close 998.50")


def test_a_position_is_kept_when_the_setup_agrees_with_it():
    scene = Scene()
    scene.quiet(15)
    assert scene.play(BREAK, volume=9_000, position=LONG).reason == "in_position"


def test_indicators_without_history_hold():
    strategy = Orb(OrbParameters())
    day = generated_days(1, seed=1)[0]
    reasons = [step.decision.reason for step in drive(strategy, [day])]
    assert reasons[15] == "indicators_not_ready"
    assert "indicators_not_ready" not in reasons[21:]


def test_a_candle_before_the_session_decides_nothing():
    scene = Scene()
    scene.minute = -3
    assert scene.play((0, 10, -10, 5)).reason == "before_session"
