"""Legs as values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.contracts.signals import Leg, Side
from tradebus.trading.legs import Legs, group_id, is_group_of, leg_pos_id

MS = 1_000_000
names = st.text(min_size=1, max_size=8)


def leg(number: int, symbol: str, side: Side, ratio: int = 1) -> Leg:
    return Leg(number, symbol, side, ratio, price_paise=10_000, stop_paise=9_000)


legs = st.lists(
    st.builds(leg, st.integers(0, 50), names, st.sampled_from(Side), st.integers(1, 4)),
    min_size=1,
    max_size=8,
    unique_by=lambda one: one.instrument,
)


@given(legs)
def test_what_is_bought_is_placed_before_what_is_sold(each):
    ordered = Legs(tuple(each)).in_order
    sides = [one.side for one in ordered]
    assert sides == sorted(sides)  # LONG before SHORT
    assert sorted(ordered, key=lambda one: one.instrument) == sorted(each, key=lambda one: one.instrument)
    for side in Side:
        assert [one for one in ordered if one.side is side] == [one for one in each if one.side is side]


@given(names, names, names, names, st.integers(0, 2**47), st.integers(0, MS - 1))
def test_a_groups_id_follows_from_who_asked_when_and_tells_it(session, strategy, symbol, other, at_ms, rest_ns):
    group = group_id(session, strategy, symbol, at_ms * MS + rest_ns)
    assert group == group_id(session, strategy, symbol, at_ms * MS)
    assert group != group_id(session, strategy, symbol, (at_ms + 1) * MS)
    assert is_group_of(group, session, strategy, symbol)
    assert is_group_of(group, session, strategy, other) is (other == symbol)
    assert is_group_of(group, other, strategy, symbol) is (other == session)


@given(names, names)
def test_a_legs_position_follows_from_its_group_and_contract(one, other):
    group = group_id("s", "straddle", "NIFTY", 5 * MS)
    assert leg_pos_id(group, one) == leg_pos_id(group, one)
    assert (leg_pos_id(group, one) == leg_pos_id(group, other)) is (one == other)
    assert leg_pos_id(group, one) != leg_pos_id(group_id("t", "straddle", "NIFTY", 5 * MS), one)


@pytest.mark.parametrize(
    ("each", "said"),
    [
        ((), "1 to 8 legs"),
        (tuple(leg(number, str(number), Side.LONG) for number in range(9)), "1 to 8 legs"),
        ((leg(1, "a", Side.LONG), leg(1, "b", Side.SHORT)), "each contract once"),
        ((leg(1, "a", Side.LONG, ratio=0),), "not within 1 to 100"),
    ],
)
def test_legs_that_are_none_are_refused(each, said):
    with pytest.raises(ValueError, match=said):
        Legs(each)
