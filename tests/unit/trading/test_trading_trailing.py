"""Trailing stops tighten, stay off the market, and follow the documented formulas."""

from hypothesis import assume, given
from hypothesis import strategies as st

from tradebus.contracts.sessions import Trailing
from tradebus.contracts.signals import Side
from tradebus.trading.trailing import Trail, trail_of

sides = st.sampled_from(Side)
prices = st.integers(1_000, 1_000_000)
multiples = st.floats(0.05, 5).map(lambda value: round(value, 2))
ticks = st.sampled_from([1, 5, 10, 20, 100])
trailings = st.one_of(
    st.builds(Trailing, distance_r=multiples, step_pct=st.sampled_from([1, 25, 150]), after_r=st.sampled_from([0, 1])),
    st.builds(Trailing, distance_pct=st.floats(0.01, 60).map(lambda value: round(value, 3))),
    st.builds(Trailing, distance_paise=st.integers(1, 50_000)),
)


def trail(given: Trailing, side: Side = Side.LONG, *, entry: int = 10_000, risk: int = 100, tick: int = 5) -> Trail:
    found = trail_of(
        given, side=side, entry_price_paise=entry, initial_stop_paise=entry - side.sign * risk, tick_size_paise=tick
    )
    assert found is not None
    return found


def moved(of: Trail, stop: int, *, best: int, market: int | None = None, changes: int = 0) -> int:
    return of.stop_paise(stop, best_paise=best, market_paise=best if market is None else market, changes=changes)


def test_a_long_trails_one_risk_below_the_highest_price() -> None:
    assert moved(trail(Trailing(distance_r=1.0)), 9_900, best=10_250, market=10_240) == 10_150


def test_a_short_trails_above_the_lowest_price() -> None:
    assert moved(trail(Trailing(distance_r=1.5), Side.SHORT), 10_100, best=9_700, market=9_710) == 9_850


def test_it_trails_by_a_share_of_the_best_price_or_by_rupees() -> None:
    assert moved(trail(Trailing(distance_pct=2.0)), 9_900, best=10_500) == 10_290
    assert moved(trail(Trailing(distance_pct=2.0), Side.SHORT), 10_100, best=9_500) == 9_690
    assert moved(trail(Trailing(distance_paise=200)), 9_900, best=10_500) == 10_300
    assert moved(trail(Trailing(distance_paise=200), Side.SHORT), 10_100, best=9_500) == 9_700


def test_a_level_between_ticks_goes_away_from_the_market() -> None:
    assert moved(trail(Trailing(distance_r=1.0), risk=99), 9_900, best=10_200) == 10_100
    assert moved(trail(Trailing(distance_r=1.0), Side.SHORT, risk=99), 10_100, best=9_800) == 9_900


def test_a_price_that_falls_back_moves_nothing() -> None:
    assert moved(trail(Trailing(distance_r=1.0)), 10_150, best=10_250, market=10_160) == 10_150


def test_a_market_beyond_the_level_gets_the_tick_next_to_it() -> None:
    assert moved(trail(Trailing(distance_r=1.0)), 9_900, best=10_250, market=10_100) == 10_095


def test_less_than_a_step_moves_nothing_and_steps_grow_with_the_changes_made() -> None:
    of = trail(Trailing(distance_r=1.0, step_pct=50))
    assert [moved(of, 9_900, best=10_000 + gain) for gain in (45, 50)] == [9_900, 9_950]
    assert [moved(of, 9_900, best=10_000 + gain, changes=5) for gain in (95, 100)] == [9_900, 10_000]
    assert [moved(of, 9_900, best=10_000 + gain, changes=12) for gain in (195, 200)] == [9_900, 10_100]


def test_it_begins_when_the_position_was_so_far_in_profit() -> None:
    of = trail(Trailing(distance_r=1.0, after_r=2.0))
    assert [moved(of, 9_900, best=best) for best in (10_195, 10_200)] == [9_900, 10_100]


def test_without_a_risk_there_is_no_trail_in_r() -> None:
    def of(given: Trailing) -> Trail | None:
        return trail_of(given, side=Side.LONG, entry_price_paise=10_000, initial_stop_paise=10_000, tick_size_paise=5)

    assert of(Trailing(distance_r=1.0)) is None
    assert of(Trailing(distance_paise=100, after_r=1.0)) is None
    assert of(Trailing(distance_paise=100)) is not None
    assert of(Trailing()) is None, "no distance is given"


@given(trailings, sides, prices, st.integers(1, 500), prices, prices, prices, ticks, st.integers(0, 30))
def test_a_stop_only_tightens_and_stays_off_the_market(
    given: Trailing, side: Side, entry: int, risk: int, stop: int, best: int, market: int, tick: int, changes: int
) -> None:
    of = trail(given, side, entry=entry, risk=risk, tick=tick)
    new = moved(of, stop, best=best, market=market, changes=changes)
    assert side.sign * (new - stop) >= 0
    if new != stop:
        assert new % tick == 0
        assert side.sign * (market - new) >= tick
        assert side.sign * (of.level_paise(best) - new) >= 0
        assert side.sign * (new - of.next_paise(stop, changes=changes)) >= 0


@given(trailings, sides, prices, st.integers(1, 500), st.integers(200, 200_000), st.integers(-3, 3), ticks)
def test_the_price_that_a_level_needs_is_the_first_that_gives_it(
    given: Trailing, side: Side, entry: int, risk: int, stop: int, off: int, tick: int
) -> None:
    """What is looked for in the ticks is what moves the stop there, to the paisa."""
    of, stop = trail(given, side, entry=entry, risk=risk, tick=tick), stop * tick
    needs = of.needs_paise(of.next_paise(stop, changes=0))
    assume(needs + off > 0)
    assert (moved(of, stop, best=needs + side.sign * off) != stop) == (off >= 0)


@given(sides, prices, st.integers(1, 5_000), multiples, st.integers(0, 50_000))
def test_the_level_is_the_documented_formula(side: Side, entry: int, risk: int, r: float, excursion: int) -> None:
    best = entry + side.sign * excursion
    level = trail(Trailing(distance_r=r), side, entry=entry, risk=risk, tick=1).level_paise(best)
    exact = best - side.sign * max(r * risk, 1)
    assert abs(level - exact) <= 1 + 1e-6
    assert side.sign * (exact - level) >= -1e-6  # rounded away from the market
