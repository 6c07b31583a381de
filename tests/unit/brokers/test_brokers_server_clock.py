"""How far a broker's clock is from ours, told by whole seconds in the Date headers of its replies."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.brokers.audit.server_clock import ServerClock

MILLISECOND, SECOND = 1_000_000, 1_000_000_000
NOON = 1_796_025_600 * SECOND


def header(ts_ns: int) -> str:
    return format_datetime(datetime.fromtimestamp(ts_ns // SECOND, tz=UTC), usegmt=True)


def reply(clock: ServerClock, at_ns: int, *, ahead_ns: int, there_ns: int, back_ns: int) -> None:
    """Sent at `at_ns` by our clock; the server writes its header `there_ns` later."""
    clock.heard(header(at_ns + there_ns + ahead_ns), sent_ns=at_ns, received_ns=at_ns + there_ns + back_ns)


delays = st.integers(0, 400 * MILLISECOND)


@given(
    ahead_ns=st.integers(-30 * SECOND, 30 * SECOND),
    replies=st.lists(st.tuples(st.integers(0, 50 * SECOND), delays, delays), min_size=1, max_size=12),
)
def test_the_true_difference_is_always_within(ahead_ns, replies) -> None:
    clock = ServerClock()
    for after_ns, there_ns, back_ns in replies:
        reply(clock, NOON + after_ns, ahead_ns=ahead_ns, there_ns=there_ns, back_ns=back_ns)
    offset = clock.offset_ns()
    assert offset is not None
    assert offset.least_ns <= ahead_ns <= offset.most_ns
    assert offset.surely_ns <= abs(ahead_ns)


@pytest.mark.parametrize("ahead_ms", [-1_200, -700, 700, 1_200])
def test_five_replies_at_different_parts_of_the_second_find_a_clock_that_is_off(ahead_ms: int) -> None:
    clock = ServerClock()
    for number in range(5):
        at_ns = NOON + number * 232 * MILLISECOND
        reply(clock, at_ns, ahead_ns=ahead_ms * MILLISECOND, there_ns=MILLISECOND, back_ns=MILLISECOND)
    offset = clock.offset_ns()
    assert offset is not None
    assert offset.surely_ns > 400 * MILLISECOND
    assert offset.most_ns - offset.least_ns < 300 * MILLISECOND


def test_what_is_no_date_or_long_ago_tells_nothing() -> None:
    clock = ServerClock()
    for date in ("", "yesterday", "99", "2026-12-01"):
        clock.heard(date, sent_ns=NOON, received_ns=NOON)
    assert clock.offset_ns() is None
    reply(clock, NOON, ahead_ns=9 * SECOND, there_ns=0, back_ns=0)
    reply(clock, NOON + 61 * SECOND, ahead_ns=0, there_ns=0, back_ns=0)
    offset = clock.offset_ns()
    assert offset is not None
    assert offset.surely_ns == 0


def test_a_clock_that_was_set_meanwhile_is_not_judged() -> None:
    clock = ServerClock()
    reply(clock, NOON, ahead_ns=9 * SECOND, there_ns=0, back_ns=0)
    reply(clock, NOON + SECOND, ahead_ns=0, there_ns=0, back_ns=0)
    assert clock.offset_ns() is None
