"""Trailing stops tighten, stay off the market, and follow the documented formulas."""

from hypothesis import assume, given
from hypothesis import strategies as st

from tradebus.contracts.signals import Side
from tradebus.trading.trailing import stop_is_hit, trailed_stop_paise, trailing_level_paise

sides = st.sampled_from(Side)
prices = st.integers(1_000, 1_000_000)
multiples = st.floats(0.05, 5).map(lambda value: round(value, 2))
ticks = st.sampled_from([1, 5, 10, 20, 100])


def trail(
    side: Side, *, entry: int, initial: int, current: int, best: int, market: int, r: float, tick: int = 5
) -> int:
    return trailed_stop_paise(
        side=side,
        entry_price_paise=entry,
        initial_stop_paise=initial,
        current_stop_paise=current,
        best_paise=best,
        market_paise=market,
        trailing_stop_r=r,
        tick_size_paise=tick,
    )


def test_a_long_trails_one_risk_below_the_highest_price() -> None:
    assert trail(Side.LONG, entry=10_000, initial=9_900, current=9_900, best=10_250, market=10_240, r=1.0) == 10_150


def test_a_short_trails_above_the_lowest_price() -> None:
    assert trail(Side.SHORT, entry=10_000, initial=10_100, current=10_100, best=9_700, market=9_710, r=1.5) == 9_850


def test_a_level_between_ticks_goes_away_from_the_market() -> None:
    assert trail(Side.LONG, entry=10_000, initial=9_901, current=9_901, best=10_200, market=10_200, r=1.0) == 10_100
    assert trail(Side.SHORT, entry=10_000, initial=10_099, current=10_099, best=9_800, market=9_800, r=1.0) == 9_900


def test_a_price_that_falls_back_moves_nothing() -> None:
    assert trail(Side.LONG, entry=10_000, initial=9_900, current=10_150, best=10_250, market=10_160, r=1.0) == 10_150


def test_a_market_beyond_the_level_gets_the_tick_next_to_it() -> None:
    assert trail(Side.LONG, entry=10_000, initial=9_900, current=9_900, best=10_250, market=10_100, r=1.0) == 10_095


def test_without_a_risk_there_is_no_trail() -> None:
    assert trail(Side.LONG, entry=10_000, initial=10_000, current=9_950, best=11_000, market=11_000, r=1.0) == 9_950


@given(sides, prices, prices, prices, prices, prices, multiples, ticks)
def test_a_stop_only_tightens_and_stays_off_the_market(
    side: Side, entry: int, initial: int, current: int, best: int, market: int, r: float, tick: int
) -> None:
    new = trail(side, entry=entry, initial=initial, current=current, best=best, market=market, r=r, tick=tick)
    assert side.sign * (new - current) >= 0
    if new != current:
        assert new % tick == 0
        assert not stop_is_hit(side=side, stop_paise=new, price_paise=market)
        assert side.sign * (market - new) >= tick


@given(sides, prices, prices, prices, st.integers(0, 50_000), multiples)
def test_a_better_extreme_never_gives_a_looser_level(
    side: Side, entry: int, initial: int, best: int, better: int, r: float
) -> None:
    def level(at: int) -> int | None:
        return trailing_level_paise(
            side=side, entry_price_paise=entry, initial_stop_paise=initial, best_paise=at, trailing_stop_r=r
        )

    first, second = level(best), level(best + side.sign * better)
    assume(first is not None and second is not None)
    assert first is not None
    assert second is not None
    assert side.sign * (second - first) == better


@given(sides, prices, st.integers(1, 5_000), multiples, st.integers(0, 50_000))
def test_the_level_is_the_documented_formula(side: Side, entry: int, risk: int, r: float, excursion: int) -> None:
    level = trailing_level_paise(
        side=side,
        entry_price_paise=entry,
        initial_stop_paise=entry - side.sign * risk,
        best_paise=entry + side.sign * excursion,
        trailing_stop_r=r,
    )
    assert level is not None
    exact = entry + side.sign * (excursion - r * risk)
    assert abs(level - exact) <= 1 + 1e-6
    assert side.sign * (exact - level) >= -1e-6  # rounded away from the market
