"""Randomness that repeats, clocks, and errors that help."""

from hypothesis import given
from hypothesis import strategies as st

from tradebus.kernel.clock import EventClock, WallClock, monotonic_ns
from tradebus.kernel.errors import InvalidInput, TradebusError, Unavailable, nearest
from tradebus.kernel.rng import jittered, seed_for, uniform

seeds = st.integers(0, 2**63)
parts = st.lists(st.text() | st.integers(), max_size=3)


@given(seeds, parts)
def test_a_draw_is_in_range_and_the_same_every_time(seed: int, what: list[str | int]) -> None:
    assert 0 <= uniform(seed, *what) < 1
    assert uniform(seed, *what) == uniform(seed, *what)
    assert 0 <= seed_for(seed, *what) < 2**64


@given(seeds)
def test_draws_for_different_things_are_spread_evenly(seed: int) -> None:
    draws = [uniform(seed, "fill", number) for number in range(1000)]
    assert len(set(draws)) == 1000
    for tenth in range(10):
        assert 50 <= sum(tenth / 10 <= draw < (tenth + 1) / 10 for draw in draws) <= 160


def test_a_known_draw_never_changes() -> None:
    """Recorded runs must be repeatable for ever."""
    assert seed_for(1, "partial", 7) == 2377261334735888939
    assert uniform(1, "partial", 7) == 0.128871595184322


@given(st.floats(0.001, 1000), st.integers(0, 100), seeds)
def test_jitter_stays_within_half_of_the_delay(delay: float, attempt: int, seed: int) -> None:
    assert 0.5 * delay <= jittered(delay, attempt, seed=seed) < 1.5 * delay


@given(st.integers(0, 2**62), st.lists(st.integers(0, 2**62)))
def test_an_event_clock_stands_at_the_latest_time_it_was_shown(start: int, shown: list[int]) -> None:
    clock = EventClock(start)
    for count, instant in enumerate(shown, 1):
        clock.advance(instant)
        assert clock.now_ns() == max(start, *shown[:count])


def test_the_wall_clock_is_in_this_century_and_durations_are_not_negative() -> None:
    before = monotonic_ns()
    assert 1_700_000_000 * 10**9 < WallClock().now_ns() < 4_100_000_000 * 10**9
    assert monotonic_ns() >= before


def test_the_nearest_name_is_offered_where_one_is_near() -> None:
    assert nearest("BANKNIFTI", ["NIFTY", "BANKNIFTY"]) == " (did you mean 'BANKNIFTY'?)"
    assert nearest("Orb", ["orb", "ema_20_50"]) == " (did you mean 'orb'?)"
    assert nearest("zzz", ["NIFTY", "BANKNIFTY"]) == ""
    assert nearest("NIFTY", []) == ""


@given(st.text(max_size=10), st.lists(st.text(max_size=10), max_size=5))
def test_only_a_valid_name_is_ever_offered(name: str, valid: list[str]) -> None:
    offer = nearest(name, valid)
    assert offer == "" or offer in {f" (did you mean {one!r}?)" for one in valid}


def test_each_kind_of_error_leaves_with_its_own_code() -> None:
    assert [kind.exit_code for kind in (TradebusError, InvalidInput, Unavailable)] == [1, 2, 3]
