"""Compiled strategies: one computation for all sessions, with the decisions of the plain one."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.contracts import contract
from testkit.strategy_days import Day, Market, generated_days, of_timeframe

from tradebus.contracts.sessions import StrategySpec
from tradebus.strategies.info import info_of
from tradebus.strategies.lane.asking import Asking, Settled
from tradebus.strategies.lane.decisions import Source
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.lane.positions import PositionKey
from tradebus.strategies.lane.runner import Runner
from tradebus.strategies.lane.sessions import found_here
from tradebus.strategies.lane.shared import SharedLane, SharedRunner
from tradebus.strategies.protocol import Candle, Decision, Position
from tradebus.strategies.registry import COMPILED

EMA_PARAMETERS = st.fixed_dictionaries(
    {
        "fast": st.integers(2, 8),
        "slow": st.integers(9, 20),
        "cross_window_candles": st.integers(1, 6),
        "slope_candles": st.integers(1, 4),
        "slope_min_atr": st.sampled_from([0.0, 0.05, 0.3]),
        "rsi_length": st.integers(2, 14),
        "rsi_neutral": st.sampled_from([35.0, 50.0]),
        "rsi_stretched": st.sampled_from([70.0, 95.0]),
        "vwap_filter": st.booleans(),
        "atr_length": st.integers(2, 14),
        "stop_atr": st.sampled_from([0.5, 2.0, 3.3]),
        "reward_multiple": st.sampled_from([None, 0.01, 3.0]),
        "first_entry_minutes": st.sampled_from([0, 15]),
        "last_entry_minutes": st.sampled_from([0, 30]),
    }
)
ORB_PARAMETERS = st.fixed_dictionaries(
    {
        "range_minutes": st.sampled_from([1, 15, 60]),
        "range_candles_min": st.sampled_from([1, 5, 20]),
        "breakout_window_candles": st.integers(1, 4),
        "volume_multiple": st.sampled_from([0.5, 1.5]),
        "range_multiple": st.sampled_from([0.8, 1.3]),
        "average_candles": st.integers(6, 30),
        "squeeze_candles": st.integers(2, 5),
        "squeeze_ratio": st.sampled_from([0.5, 0.9]),
        "ema_fast": st.integers(2, 8),
        "ema_slow": st.integers(9, 30),
        "atr_length": st.integers(2, 20),
        "location_atr": st.sampled_from([0.0, 0.25, 2.0]),
        "inside_bar_mother_atr": st.sampled_from([0.0, 1.0]),
        "momentum_range_atr": st.sampled_from([0.0, 1.5]),
        "stop_floor_atr": st.sampled_from([0.5, 4.0]),
        "reward_multiple": st.sampled_from([0.01, 2.0]),
        "lock_minutes": st.sampled_from([0, 5, 5000]),
        "last_entry_minutes": st.sampled_from([0, 30, 200]),
    }
)
CROSS_PARAMETERS = st.fixed_dictionaries(
    {
        "fast": st.integers(1, 8),
        "slow": st.integers(9, 20),
        "cross_window_candles": st.integers(1, 6),
        "stop_pct": st.sampled_from([0.01, 1.0, 90.0]),
        "reward_multiple": st.sampled_from([None, 0.01, 3.0]),
    }
)
# By name, with the timeframe in minutes.
SPECS = st.one_of(
    st.tuples(st.just("ema_20_50"), EMA_PARAMETERS, st.just(5)), st.tuples(st.just("orb"), ORB_PARAMETERS, st.just(1)),
    st.tuples(st.just("ema_cross"), CROSS_PARAMETERS, st.just(1)),
)  # fmt: skip


class Session:
    """One session's runner, and a market that fills what it asks for, or not, as drawn."""

    def __init__(self, number: int, spec: StrategySpec, lane: SharedLane | None, *, fills: list[bool]) -> None:
        self.market = Market()
        self._fills, self._asked = fills, 0
        self._at: dict[int, Position | None] = {}
        found = found_here(spec, lane)
        asking = Asking(
            Source(PositionKey(f"s{number}", spec.name, "X"), "u", number % 2),
            found.info,
            hours=SessionHours(contract("INDEX", market_class="index")),
            position_at=lambda ts_ns: self._at.get(ts_ns, self.market.position),
        )
        self.runner: Runner = found.runner_of(asking)
        self.decisions: list[Decision] = []

    def rebuild(self, ts_open_ns: int, candles: list[Candle]) -> None:
        assert self.runner.rebuild(ts_open_ns, candles) is None

    def take(self, candle: Candle) -> None:
        self.market.supervise(candle)
        self._at[candle.ts_close_ns] = self.market.position
        settled = self.runner.on_candle(candle, paused=False)
        assert isinstance(settled, Settled)
        self.decisions.append(settled.decision)
        self._asked += 1
        if self._fills[self._asked % len(self._fills)]:
            self.market.act(candle, settled.decision)


def rows_of(candles: list[tuple[int, Candle]], seconds: int) -> list[tuple[Any, ...]]:
    return [
        (c.ts_open_ns, c.ts_close_ns, c.open_paise, c.high_paise, c.low_paise, c.close_paise, c.volume, 0, number,
         seconds, 0, 0)
        for number, c in candles
    ]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), SPECS, st.booleans(), st.lists(st.booleans(), min_size=1, max_size=7), st.data())
def test_every_session_decides_as_with_the_plain_strategy(seed, drawn, with_volume, fills, data):
    """Two instruments, sessions that join in mid-day and rebuild in mid-day, positions taken or not."""
    name, parameters, minutes = drawn
    spec = StrategySpec(name=name, parameters=parameters)
    start = data.draw(st.sampled_from([4_800_000, 900, 40]))  # near zero, stops fall below it
    steps = [data.draw(st.sampled_from([1.5, 60.0])) for _ in range(2)]
    days = [
        generated_days(2, seed=seed + n, with_volume=with_volume, start_paise=start, step_bps=step)
        for n, step in enumerate(steps)
    ]
    markets: list[list[Day]] = [[of_timeframe(day, minutes) for day in own] for own in days]
    lane = SharedLane()
    pairs = [(Session(n, spec, lane, fills=fills), Session(n, spec, None, fills=fills)) for n in range(3)]
    for shared, plain in pairs[:2]:
        number = shared.runner.source.instrument
        for one in (shared, plain):
            one.rebuild(markets[number][1].open_ns, list(markets[number][0].candles))
    length = len(markets[0][1].candles)
    joins, again = data.draw(st.integers(0, length - 1)), data.draw(st.integers(0, length - 1))
    for place in range(length):
        if data.draw(st.booleans()):
            lane.see(rows_of([(n, markets[n][1].candles[place]) for n in range(2)], 60 * minutes))
        for index, pair in enumerate(pairs):
            number = pair[0].runner.source.instrument
            today = markets[number][1].candles
            if (index == 2 and place == joins) or (index == 0 and place == again):
                for one in pair:
                    one.rebuild(today[place].ts_open_ns, [*markets[number][0].candles, *today[:place]])
            elif index == 2 and place < joins:
                continue
            for one in pair:
                one.take(today[place])
    for shared, plain in pairs:
        assert isinstance(shared.runner, SharedRunner)
        assert not isinstance(plain.runner, SharedRunner)
        assert shared.decisions == plain.decisions


def test_many_instruments_make_room_and_change_no_opinion():
    spec = StrategySpec(name="ema_20_50", parameters={"fast": 3, "slow": 8})
    day, before = (of_timeframe(one, 5) for one in reversed(generated_days(2, seed=4)))
    lane = SharedLane()
    first = Session(0, spec, lane, fills=[True])
    alone = Session(0, spec, None, fills=[True])
    for one in (first, alone):
        one.rebuild(day.open_ns, list(before.candles))
    shared = first.runner.shared  # type: ignore[attr-defined]
    for place, candle in enumerate(day.candles):
        first.take(candle)
        alone.take(candle)
        if place == 30:
            for number in range(2, 200):
                shared.follow(number, SessionHours(contract("INDEX", market_class="index")))
    assert first.decisions == alone.decisions
    assert len({one.reason for one in first.decisions}) > 3


def test_what_is_said_of_a_compiled_strategy_is_what_is_said_of_the_plain_one():
    for name, compiled in COMPILED.items():
        plain = found_here(StrategySpec(name=name))
        shared = found_here(StrategySpec(name=name), SharedLane())
        assert plain.info == shared.info
        assert name == compiled.NAME
        assert np.all([isinstance(reason, str) for reason in compiled.REASONS])
        assert info_of is not None
