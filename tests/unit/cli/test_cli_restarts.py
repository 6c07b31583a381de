"""When a dead service is started again."""

from hypothesis import given
from hypothesis import strategies as st

from services.cli.stack.restarts import (
    DEATHS_MAX,
    FIRST_DELAY_SECONDS,
    LAST_DELAY_SECONDS,
    WINDOW_SECONDS,
    restart_delay,
)

moments = st.lists(st.floats(0, 1000), max_size=12).map(sorted)


def test_the_first_death_is_answered_at_once() -> None:
    assert restart_delay([10.0], now=10.0) == FIRST_DELAY_SECONDS


def test_the_fifth_death_within_a_minute_is_the_last() -> None:
    assert restart_delay([0, 10, 20, 30, 40], now=40) is None
    assert restart_delay([0, 10, 20, 30], now=30) is not None


def test_deaths_long_ago_do_not_count() -> None:
    assert restart_delay([0, 1, 2, 3, 500], now=500) == FIRST_DELAY_SECONDS


@given(moments)
def test_a_pause_is_bounded_and_refused_exactly_after_too_many_recent_deaths(deaths: list[float]) -> None:
    now = deaths[-1] if deaths else 0.0
    recent = sum(1 for moment in deaths if now - moment < WINDOW_SECONDS)
    delay = restart_delay(deaths, now=now)
    assert (delay is None) == (recent >= DEATHS_MAX)
    if delay is not None:
        assert FIRST_DELAY_SECONDS <= delay <= LAST_DELAY_SECONDS


def test_the_pause_grows_from_death_to_death() -> None:
    delays = [restart_delay([0.0] * count, now=0.0) for count in range(1, DEATHS_MAX)]
    known = [delay for delay in delays if delay is not None]
    assert len(known) == DEATHS_MAX - 1
    assert known == sorted(known)
    assert known[0] < known[-1]
