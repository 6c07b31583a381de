"""Several strategies of a session that want one symbol at one instant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.contracts.signals import Side
from tradebus.strategies.lane.asking import Settled
from tradebus.strategies.lane.conflicts import Bid, Conflicts, settle_conflicts
from tradebus.strategies.lane.decisions import Moment
from tradebus.strategies.protocol import Action, Decision, Position

SIDES = {Action.ENTER_LONG: Side.LONG, Action.ENTER_SHORT: Side.SHORT}


def bid(strategy: str, action: Action, confidence: float, *, rank: int = 0, session: str = "s", ts_ns: int = 1) -> Bid:
    decision = Decision(action, "why", stop_paise=1, confidence=confidence)
    return Bid(session, "X", strategy, rank, Settled(decision, Moment("candle", ts_ns, 100), None))


def actions(bids: list[Bid]) -> list[Action]:
    return [one.settled.decision.action for one in bids]


def nobody(session_id: str, symbol: str, ts_ns: int) -> list[tuple[str, Position]]:
    return []


bids = st.lists(
    st.builds(
        bid,
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from(Action),
        st.sampled_from([0.2, 0.5, 0.9]),
        rank=st.integers(0, 3),
        session=st.sampled_from(["s", "t"]),
        ts_ns=st.integers(1, 2),
    ),
    max_size=10,
)
holders = st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.sampled_from(Side)), max_size=2)


@given(bids, st.sampled_from(list(Conflicts)), holders)
def test_at_most_one_enters_a_symbol_and_never_against_what_another_holds(each, rule, holding):
    before = actions(each)
    held = [(strategy, Position("p", side, 1, 100, 0)) for strategy, side in holding]
    settle_conflicts(each, rule, lambda session_id, symbol, ts_ns: held)
    if rule is Conflicts.INDEPENDENT:
        assert actions(each) == before
        return
    for was, one in zip(before, each, strict=True):
        is_now = one.settled.decision
        assert is_now.action is was or (was in SIDES and is_now.action is Action.HOLD)
        assert is_now.action is was or is_now.reason.startswith("conflict: ")
    left = [one for one in each if one.settled.decision.action in SIDES]
    places = [(one.session_id, one.settled.moment.ts_event_ns) for one in left]
    assert len(places) == len(set(places))
    for one in left:
        side = SIDES[one.settled.decision.action]
        assert all(position.side is side or strategy == one.strategy for strategy, position in held)


LONG, SHORT = Action.ENTER_LONG, Action.ENTER_SHORT


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        (Conflicts.INDEPENDENT, [LONG, SHORT, SHORT]),
        (Conflicts.PRIORITY, [LONG, Action.HOLD, Action.HOLD]),
        (Conflicts.HIGHEST_CONFIDENCE, [LONG, Action.HOLD, Action.HOLD]),
        (Conflicts.NET_OUT, [Action.HOLD, Action.HOLD, SHORT]),
    ],
)
def test_who_enters_by_rule(rule, left):
    each = [bid("a", LONG, 0.8), bid("b", SHORT, 0.4, rank=1), bid("c", SHORT, 0.7, rank=2)]
    settle_conflicts(each, rule, nobody)
    assert actions(each) == left


def test_sides_that_weigh_the_same_leave_nobody_and_an_exit_stays():
    each = [bid("a", LONG, 0.5), bid("b", SHORT, 0.5, rank=1), bid("c", Action.EXIT, 0.5, rank=2)]
    settle_conflicts(each, Conflicts.NET_OUT, nobody)
    assert actions(each) == [Action.HOLD, Action.HOLD, Action.EXIT]
    assert each[0].settled.decision.reason == "conflict: nets out against the opposite side: why"
