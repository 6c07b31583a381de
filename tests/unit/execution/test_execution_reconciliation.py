"""Our book against a broker's: what agrees, what is heard, what is said again, what nobody can explain."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.contracts.orders import OrderRole, Transaction
from tradebus.execution.reconciliation import (
    OwnOrder,
    ReconcileFinding,
    disputed_positions,
    judge,
    lines_by_tag,
    living_twins,
    looks_ours,
    net_of,
    strangers,
)
from tradebus.kernel.ids import derive_tag
from tradebus.trading.orders import UNLISTED_INSTRUMENT, BrokerFill, BrokerOrder, BrokerStatus
from tradebus.trading.states import TERMINAL_ORDER_STATES, OrderState

TAG = derive_tag("p", "STOP", 1)


def own(state=OrderState.OPEN, *, filled=0, quantity=100, trigger=None, role=OrderRole.ENTRY) -> OwnOrder:
    return OwnOrder("p", "o", "s", TAG, role, state, quantity, filled, trigger, "B1", 3, "execution-1")


def theirs(status=BrokerStatus.OPEN, *, filled=0, told=None, quantity=100, trigger=None, tag=TAG) -> BrokerOrder:
    told = filled if told is None else told
    fills = (BrokerFill("f", told, 10_000, 1),) if told else ()
    return BrokerOrder("B1", tag, "s", 3, Transaction.BUY, status, quantity, filled, trigger, fills, 1)


CASES = [
    (own(), theirs(), ReconcileFinding.AGREES),
    (own(), theirs(filled=40), ReconcileFinding.HEAR),
    (own(), theirs(filled=40, told=0), ReconcileFinding.AGREES),  # its fills are not told yet
    (own(), theirs(BrokerStatus.CANCELLED), ReconcileFinding.HEAR),
    (own(), theirs(BrokerStatus.UNKNOWN), ReconcileFinding.AGREES),
    (own(OrderState.UNKNOWN), theirs(), ReconcileFinding.HEAR),
    (own(OrderState.PENDING), theirs(BrokerStatus.REJECTED), ReconcileFinding.HEAR),
    (own(OrderState.PARTIALLY_FILLED, filled=60), theirs(filled=40), ReconcileFinding.DISPUTED),
    (own(OrderState.FILLED, filled=100), theirs(BrokerStatus.FILLED, filled=100), ReconcileFinding.AGREES),
    (own(OrderState.CANCELLED), theirs(), ReconcileFinding.LATE),
    (own(OrderState.CANCELLED), theirs(BrokerStatus.UNKNOWN), ReconcileFinding.AGREES),
    (own(OrderState.CANCELLED), theirs(BrokerStatus.CANCELLED, filled=20), ReconcileFinding.HEAR),
    (own(OrderState.TRIGGER_PENDING, trigger=900, role=OrderRole.STOP),
     theirs(BrokerStatus.TRIGGER_PENDING, trigger=950), ReconcileFinding.REALIGN),
    (own(OrderState.TRIGGER_PENDING, trigger=900, role=OrderRole.STOP),
     theirs(BrokerStatus.TRIGGER_PENDING, trigger=900, quantity=50), ReconcileFinding.REALIGN),
    (own(OrderState.TRIGGER_PENDING, trigger=900, role=OrderRole.STOP), theirs(trigger=900), ReconcileFinding.HIT),
    (own(OrderState.TRIGGER_PENDING, trigger=900, role=OrderRole.STOP),
     theirs(BrokerStatus.TRIGGER_PENDING, trigger=900), ReconcileFinding.AGREES),
    (own(OrderState.PARTIALLY_FILLED, filled=40, trigger=900, role=OrderRole.STOP),
     theirs(filled=40, trigger=900), ReconcileFinding.AGREES),  # its deadline is the lifecycle's
    (own(), theirs(quantity=50), ReconcileFinding.HEAR),  # made smaller at the broker's terminal
    (own(), theirs(quantity=150), ReconcileFinding.HEAR),
    (own(), theirs(quantity=50, trigger=900), ReconcileFinding.DISPUTED),  # another kind of order
    (own(OrderState.FILLED, filled=100), theirs(filled=100, quantity=150), ReconcileFinding.HEAR),
    (own(OrderState.FILLED, filled=100), replace(theirs(filled=100), broker_order_id="B2"), ReconcileFinding.DISPUTED),
    (own(OrderState.CANCEL_PENDING), theirs(), ReconcileFinding.CANCEL),
    (own(OrderState.CANCEL_PENDING), theirs(BrokerStatus.CANCEL_PENDING), ReconcileFinding.AGREES),
    (own(OrderState.CANCEL_PENDING), theirs(BrokerStatus.UNKNOWN), ReconcileFinding.AGREES),
    (own(OrderState.CANCEL_PENDING), theirs(BrokerStatus.CANCELLED), ReconcileFinding.HEAR),
]  # fmt: skip


@pytest.mark.parametrize(("mine", "other", "finding"), CASES)
def test_each_pair_comes_to_one_thing(mine, other, finding) -> None:
    assert judge(mine, other) is finding


orders = st.builds(
    own,
    st.sampled_from(OrderState),
    filled=st.integers(0, 100),
    trigger=st.none() | st.just(900),
    role=st.sampled_from(OrderRole),
)
reports = st.builds(theirs, st.sampled_from(BrokerStatus), filled=st.integers(0, 100), trigger=st.none() | st.just(900))


@given(orders, reports)
def test_fewer_fills_at_the_broker_are_never_explained_away_and_more_are_always_heard(mine, other) -> None:
    finding = judge(mine, other)
    if other.filled_quantity < mine.filled_quantity:
        assert finding is ReconcileFinding.DISPUTED
    elif other.filled_quantity > mine.filled_quantity:
        assert finding is ReconcileFinding.HEAR


@given(orders, reports)
def test_an_end_with_us_that_lives_at_the_broker_came_late_or_is_a_dispute(mine, other) -> None:
    lives = other.status in (BrokerStatus.OPEN, BrokerStatus.TRIGGER_PENDING, BrokerStatus.PENDING)
    if mine.state in TERMINAL_ORDER_STATES and lives and mine.filled_quantity == other.filled_quantity:
        raised = ReconcileFinding.HEAR if other.quantity > mine.filled_quantity else ReconcileFinding.DISPUTED
        assert judge(mine, other) is (raised if mine.state is OrderState.FILLED else ReconcileFinding.LATE)


def test_a_second_order_with_our_tag_that_can_still_fill_is_one_to_cancel() -> None:
    second = replace(theirs(), broker_order_id="B2")
    assert living_twins([own()], [theirs(), second]) == [(own(), second)]
    assert living_twins([own()], [replace(second, status=BrokerStatus.FILLED, filled_quantity=100)]) == []
    assert living_twins([replace(own(), broker_order_id=None)], [second]) == [], "nobody knows which is which"


def test_a_second_order_with_our_tag_is_told_and_never_taken_for_ours() -> None:
    second = replace(theirs(filled=100, status=BrokerStatus.FILLED), broker_order_id="B2")
    lines, twins = lines_by_tag([own()], [second, theirs(filled=40)])
    assert lines[TAG].broker_order_id == "B1"
    assert [one.what for one in twins] == ["order B2"]
    ended = replace(second, status=BrokerStatus.CANCELLED, filled_quantity=0, fills=())
    assert lines_by_tag([own()], [ended])[1] == [], "it holds nothing and can do nothing"


def test_others_orders_are_told_apart_from_lost_ones_of_ours() -> None:
    manual = theirs(tag="")
    lost, ended = theirs(tag=derive_tag("lost")), theirs(BrokerStatus.CANCELLED, tag=derive_tag("ended"))
    disputed, others = strangers([theirs(), manual, lost, ended], [TAG])
    assert [one.what for one in disputed] == [f"order {lost.tag}"]
    assert [(one.what, one.action) for one in others] == [("order B1", "left alone")]


@given(st.text(max_size=30))
def test_only_our_own_form_of_tag_looks_ours(tag: str) -> None:
    assert looks_ours(tag) == (len(tag) == 20 and tag[:2] == "tb")
    assert looks_ours(derive_tag(tag))


def test_a_position_is_explained_by_ours_or_by_ours_and_others() -> None:
    symbols = {3: "X"}
    for brokers, found in (({3: 100}, 0), ({3: 130}, 0), ({3: 90}, 1), ({}, 1), ({3: 100, 4: 5}, 1)):
        assert len(disputed_positions(ours={3: 100}, others={3: 30}, brokers=brokers, symbols=symbols)) == found


def test_a_position_converted_to_another_product_is_told_with_what_to_do() -> None:
    [told] = disputed_positions(ours={3: 65}, others={}, brokers={}, symbols={3: "X"}, converted={3: "65 as NRML"})
    assert told.brokers == "0, and 65 as NRML"
    assert "convert it back" in told.action


def test_net_counts_sells_against_buys_and_leaves_the_unlisted_out() -> None:
    buy, sell = theirs(filled=60), replace(theirs(filled=20), transaction=Transaction.SELL)
    foreign = replace(theirs(filled=60), instrument=UNLISTED_INSTRUMENT)
    assert net_of([buy, sell, foreign]) == {3: 40}
