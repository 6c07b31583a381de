"""When a dead service is started again."""

from hypothesis import given
from hypothesis import strategies as st

from services.cli.stack.restarts import FIRST_DELAY_SECONDS, RUN, STANDING, STANDING_VITAL, RestartPolicy

policies = st.builds(
    RestartPolicy, delay_seconds_max=st.floats(FIRST_DELAY_SECONDS, 1e6), lives_max=st.none() | st.integers(1, 100)
)


def test_the_first_death_is_answered_at_once() -> None:
    assert RUN.delay(1) == STANDING.delay(1) == STANDING_VITAL.delay(1) == FIRST_DELAY_SECONDS


def test_a_run_gives_up_at_the_fifth_short_life_and_a_standing_stack_never() -> None:
    assert RUN.delay(4) is not None
    assert RUN.delay(5) is None
    assert STANDING.delay(10_000) == STANDING.delay_seconds_max
    assert STANDING_VITAL.delay(10_000) == STANDING_VITAL.delay_seconds_max <= 2


@given(policies, st.integers(1, 10_000))
def test_a_pause_is_bounded_grows_and_is_refused_exactly_at_the_policys_number(
    policy: RestartPolicy, short_lives: int
) -> None:
    delay = policy.delay(short_lives)
    assert (delay is None) == (policy.lives_max is not None and short_lives >= policy.lives_max)
    if delay is not None:
        assert FIRST_DELAY_SECONDS <= delay <= policy.delay_seconds_max
        before = policy.delay(max(1, short_lives - 1))
        assert before is not None
        assert before <= delay
