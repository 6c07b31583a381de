"""Legs as values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.contracts.signals import Side
from tradebus.trading.legs import Leg, Legs, group_id, leg_pos_id

legs = st.lists(
    st.builds(Leg, st.integers(0, 50), st.text(min_size=1, max_size=8), st.sampled_from(Side), ratio=st.integers(1, 4)),
    min_size=1,
    max_size=8,
    unique_by=lambda leg: leg.instrument,
)


@given(legs)
def test_what_is_bought_is_placed_before_what_is_sold(each):
    ordered = Legs(tuple(each)).in_order
    sides = [leg.side for leg in ordered]
    assert sides == sorted(sides)  # LONG before SHORT
    assert sorted(ordered, key=lambda leg: leg.instrument) == sorted(each, key=lambda leg: leg.instrument)
    for side in Side:
        assert [leg for leg in ordered if leg.side is side] == [leg for leg in each if leg.side is side]


def test_ids_follow_from_what_asked_for_them():
    group = group_id("s", "straddle", "NIFTY", 5)
    call, put = Leg(1, "NIFTY24JAN21000CE", Side.SHORT), Leg(2, "NIFTY24JAN21000PE", Side.SHORT)
    assert group == group_id("s", "straddle", "NIFTY", 5)
    assert len({group, group_id("t", "straddle", "NIFTY", 5), group_id("s", "straddle", "NIFTY", 6)}) == 3
    assert leg_pos_id(group, call, 5) == leg_pos_id(group, call, 5) != leg_pos_id(group, put, 5)


@pytest.mark.parametrize(
    ("each", "said"),
    [
        ((), "1 to 8 legs"),
        (tuple(Leg(number, str(number), Side.LONG) for number in range(9)), "1 to 8 legs"),
        ((Leg(1, "a", Side.LONG), Leg(1, "b", Side.SHORT)), "each contract once"),
        ((Leg(1, "a", Side.LONG, ratio=0),), "not positive"),
    ],
)
def test_legs_that_are_none_are_refused(each, said):
    with pytest.raises(ValueError, match=said):
        Legs(each)
