"""What may leave of an account: the caps, whoever's clock counts, the reserve, and what a full hour means."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradebus.execution.governor.budget import (
    INSIST_NS,
    SPREAD_NS,
    Admission,
    OrderAsk,
    OrderBudget,
    read_budget,
)
from tradebus.execution.governor.limits import DAY_SECONDS, OrderLane, OrderLimit, limits_of, read_limits
from tradebus.kernel.errors import InvalidInput

SECOND = 1_000_000_000
START = 1_796_000_000 * SECOND
BROKERS = ("kite", "dhan", "upstox")
ENTRY, EXIT, AGAIN = (OrderAsk("NFO", lane) for lane in (OrderLane.ENTRY, OrderLane.EXIT, OrderLane.AGAIN))


def limit(seconds: int, kept: int, reserve: int, *, scope: str = "account") -> OrderLimit:
    return OrderLimit("kite", scope, seconds, kept, kept, reserve, "a test", "2026-11-29")


def flood(limits: tuple[OrderLimit, ...], asks: list[tuple[int, OrderAsk]]) -> list[tuple[int, OrderAsk]]:
    """What is let out where each asks again when it was told to."""
    budget, left = OrderBudget(), []
    waiting = [(at_ns, number, ask) for number, (at_ns, ask) in enumerate(asks)]
    while waiting:
        waiting.sort(key=lambda one: one[:2])
        now_ns, number, ask = waiting.pop(0)
        admission = budget.take(limits, ask, now_ns=now_ns)
        if admission.admitted:
            left.append((now_ns, ask))
        elif admission.wait_ns:
            waiting.append((now_ns + admission.wait_ns, number, ask))
    return left


ASKS = st.lists(
    st.tuples(
        st.integers(0, 3_000).map(lambda ms: START + ms * 1_000_000),
        st.sampled_from([ENTRY, EXIT, AGAIN, OrderAsk("NSE", OrderLane.EXIT), OrderAsk("NSE", OrderLane.ENTRY)]),
    ),
    min_size=1, max_size=60,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    broker=st.sampled_from(BROKERS), asks=ASKS, skew_ms=st.integers(-400, 400),
    ways_ms=st.lists(st.integers(0, SPREAD_NS // 1_000_000 - 1), min_size=60, max_size=60),
)  # fmt: skip
def test_no_second_of_the_brokers_clock_sees_more_than_the_cap_however_it_stands(broker, asks, skew_ms, ways_ms):
    left = flood(limits_of(broker), asks)
    assert len(left) == len(asks), "nothing is lost by waiting a second"
    arrivals = [at_ns + (40 + way) * 1_000_000 for (at_ns, _), way in zip(left, ways_ms, strict=False)]
    theirs = Counter((at_ns + skew_ms * 1_000_000) // SECOND for at_ns in arrivals)
    assert max(theirs.values()) <= 9
    arrivals.sort()
    assert all(later - earlier >= SECOND for earlier, later in zip(arrivals, arrivals[9:], strict=False)), "sliding too"


@settings(max_examples=60, deadline=None)
@given(broker=st.sampled_from(BROKERS), asks=ASKS, more=st.lists(st.integers(0, 4), min_size=60, max_size=60))
def test_several_at_once_are_admitted_as_one_after_the_other(broker, asks, more):
    at_once, one_by_one = OrderBudget(), OrderBudget()
    for (at_ns, ask), others in zip(sorted(asks, key=lambda one: one[0]), more, strict=False):
        together = at_once.take(limits_of(broker), ask, now_ns=at_ns, more=others)
        apart = [one_by_one.take(limits_of(broker), ask, now_ns=at_ns) for _ in range(1 + others)]
        assert together.admitted + together.more == sum(one.admitted for one in apart)
        assert at_once.to_json() == one_by_one.to_json()


@settings(max_examples=60, deadline=None)
@given(asks=ASKS)
def test_each_segment_is_held_to_its_own_cap_where_the_account_has_room(asks):
    limits = (limit(1, 4, 1, scope="segment"), limit(1, 7, 1))
    left = flood(limits, asks)
    for segments, most in ((("NFO",), 4), (("NSE",), 4), (("NFO", "NSE"), 7)):
        times = [at_ns for at_ns, ask in left if ask.segment in segments]
        assert all(b - a >= SECOND for a, b in zip(times, times[most:], strict=False))


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 90), st.sampled_from([ENTRY, EXIT, AGAIN])), max_size=250))
def test_no_longer_span_sees_more_than_its_cap_and_entries_never_use_the_reserve(steps):
    limits = (limit(60, 30, 10), limit(600, 60, 20))
    budget, now_ns, left = OrderBudget(), START, list[tuple[int, OrderAsk]]()
    for seconds, ask in steps:
        now_ns += seconds * SECOND // 4
        before = {one.seconds: budget.used(one, "NFO", now_ns=now_ns) for one in limits}
        insisting = now_ns - budget.last_ns >= INSIST_NS
        if budget.take(limits, ask, now_ns=now_ns).admitted:
            left.append((now_ns, ask))
            for one in limits:
                most = {ENTRY: one.kept - one.reserve, AGAIN: one.kept - one.reserve // 2, EXIT: one.kept}[ask]
                assert before[one.seconds] < most or (ask is EXIT and insisting)
    for one in limits:
        for index, (at_ns, _) in enumerate(left):
            inside = [ask for other_ns, ask in left[index:] if other_ns < at_ns + one.seconds * SECOND]
            assert inside.count(ENTRY) <= one.kept - one.reserve
            assert inside.count(ENTRY) + inside.count(AGAIN) <= one.kept - one.reserve // 2
            # An exit that insists comes ten seconds after anything else.
            assert len(inside) <= one.kept + one.seconds * SECOND // INSIST_NS


def test_an_entry_is_refused_by_name_where_the_minute_is_used_up_and_an_exit_leaves():
    limits, budget = (limit(60, 30, 10),), OrderBudget()
    for _ in range(20):
        assert budget.take(limits, ENTRY, now_ns=START).admitted
    refused = budget.take(limits, ENTRY, now_ns=START)
    assert refused.span == "minute"
    assert refused.reason == (
        "order limit: 20 of the 30 requests of kite for one minute are used, the last 10 are kept for exits and stops; "
        "room again in 65 s"
    )
    assert budget.take(limits, EXIT, now_ns=START).admitted
    assert budget.take(limits, ENTRY, now_ns=START + 65 * SECOND).admitted


def test_an_exit_that_is_refused_again_and_again_leaves_others_what_they_need():
    limits, budget, now_ns, left = (limit(3600, 1000, 330),), OrderBudget(), START, 0
    for _ in range(3600):  # once a second for an hour
        now_ns += SECOND
        left += budget.take(limits, AGAIN, now_ns=now_ns).admitted
    assert left == 835
    assert all(budget.take(limits, EXIT, now_ns=now_ns).admitted for _ in range(165))


def test_a_day_that_is_used_up_is_over_at_midnight_in_india_and_an_exit_is_tried_all_the_same():
    midnight = (START // SECOND // DAY_SECONDS + 1) * DAY_SECONDS * SECOND - 19_800 * SECOND
    limits, budget = (limit(DAY_SECONDS, 4, 1),), OrderBudget()
    at_ns = midnight - 3600 * SECOND
    assert [budget.take(limits, EXIT, now_ns=at_ns).admitted for _ in range(4)] == [True] * 4
    assert budget.take(limits, EXIT, now_ns=at_ns) == Admission(wait_ns=INSIST_NS, span="day")
    assert budget.take(limits, EXIT, now_ns=at_ns + INSIST_NS).admitted
    assert budget.take(limits, ENTRY, now_ns=midnight - 1).reason
    assert budget.take(limits, ENTRY, now_ns=midnight).admitted


def test_a_clock_that_is_set_back_blocks_nothing_for_longer_than_the_span():
    limits, budget = limits_of("kite"), OrderBudget()
    assert all(budget.take(limits, EXIT, now_ns=START + 3600 * SECOND).admitted for _ in range(9))
    held = budget.take(limits, EXIT, now_ns=START)
    assert 0 < held.wait_ns <= SECOND + SPREAD_NS
    assert budget.take(limits, EXIT, now_ns=START + held.wait_ns).admitted


@given(asks=ASKS)
@settings(max_examples=30, deadline=None)
def test_a_budget_is_read_back_as_it_was_written(asks):
    limits, budget = limits_of("dhan"), OrderBudget()
    for at_ns, ask in sorted(asks, key=lambda one: one[0]):
        budget.take(limits, ask, now_ns=at_ns)
    budget.traded(3, at_ns=START)
    assert read_budget(budget.to_json()) == budget


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format":2}', '{"format":1,"moments":[[1]]}', "[" * 100_000])
def test_a_budget_that_nobody_wrote_is_named(text):
    with pytest.raises(InvalidInput, match="order budget: not one that this version wrote"):
        read_budget(text)


def test_every_broker_has_its_caps_with_source_and_date():
    for broker in BROKERS:
        for one in limits_of(broker):
            assert one.source
            assert one.last_checked >= "2026-11-29"
            assert one.kept < one.allowed
        seconds = [(one.scope, one.kept) for one in limits_of(broker) if one.seconds == 1]
        assert sorted(seconds) == [("account", 9), ("segment", 9)]
    with pytest.raises(InvalidInput, match=r"none for broker 'kyte' \(did you mean 'kite'"):
        limits_of("kyte")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("3", "row 1: needs broker"),
        ('{"broker":"x","scope":"account","seconds":1,"allowed":9,"kept":"9","reserve":1}', "kept '9' is no int"),
        ('{"broker":"x","scope":"all","seconds":1,"allowed":9,"kept":9,"reserve":1}', "scope 'all' is none of"),
        ('{"broker":"x","scope":"account","seconds":7,"allowed":9,"kept":9,"reserve":1}', "seconds 7 is neither"),
        ('{"broker":"x","scope":"account","seconds":1,"allowed":9,"kept":9,"reserve":9}', "0 <= reserve < kept"),
        ('{"broker":"x","scope":"account","seconds":1,"allowed":9,"kept":9,"reserve":1,"z":1}', "z is not one of"),
    ],
)
def test_a_row_that_is_none_is_named_with_its_field(row, message):
    with pytest.raises(InvalidInput, match=message):
        read_limits(f'{{"source":"s","last_checked":"d","rows":[{row}]}}')
