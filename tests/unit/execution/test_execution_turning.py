"""A stop that becomes the exit: one order all the way, asked for until it is answered, never more than is held."""

from datetime import date, time

from hypothesis import given
from hypothesis import strategies as st
from testkit.contracts import contract
from testkit.trades import SECOND, approval

from tradebus.brokers.kite.tickets import change_ticket
from tradebus.contracts.orders import OrderRole, OrderType
from tradebus.contracts.signals import Side
from tradebus.execution import decisions, lifecycle
from tradebus.execution.decisions import change_of
from tradebus.execution.governor.ratio import CHANGES_MAX
from tradebus.execution.leaving import exits
from tradebus.execution.leaving.pricing import Touch
from tradebus.execution.opening import open_trade
from tradebus.execution.reconciliation import OwnOrder, ReconcileFinding, judge
from tradebus.execution.step import Cancel, Modify, Place, TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import ist_to_ns
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus, Outcome, Result
from tradebus.trading.states import OrderState

TEN = ist_to_ns(date(2026, 11, 25), time(10))
ACCEPTED, LOST = Outcome(Result.ACCEPTED, "b2"), Outcome(Result.UNKNOWN, reason="timeout")
REFUSED = Outcome(Result.REFUSED, reason="changed too often")


def line(order: Order, status: BrokerStatus, *, filled: int = 0, quantity: int | None = None, at_ns: int = TEN):
    more = filled - order.filled_quantity
    fills = (BrokerFill(f"f-{order.tag}-{filled}", more or filled, 10_000, at_ns),) if filled else ()
    return BrokerOrder(
        order.broker_order_id or "b", order.tag, "s", 1, order.transaction, status, quantity or order.quantity, filled,
        order.trigger_paise, fills, at_ns,
    )  # fmt: skip


def hear(trade: Trade, order: Order, status: BrokerStatus, **more: int) -> TradeStep:
    step = TradeStep()
    lifecycle.on_report(trade, order, step, line(order, status, **more))
    return step


def held(*, kind: str = "FUTURE", side: Side = Side.LONG) -> tuple[Trade, Order]:
    """Filled, behind a stop that rests at a broker."""
    trade = open_trade(approval(side), TradeStep(), contract=contract(kind), owner="o", at_ns=TEN)
    trade.at_broker = True
    entry = trade.entry_order()
    lifecycle.on_outcome(trade, entry, TradeStep(), Outcome(Result.ACCEPTED, "b1"), at_ns=TEN)
    hear(trade, entry, BrokerStatus.FILLED, filled=entry.quantity)
    stop = trade.all_live(OrderRole.STOP)[0]
    lifecycle.on_outcome(trade, stop, TradeStep(), ACCEPTED, at_ns=TEN)
    return trade, stop


def asked_to_leave(trade: Trade) -> list:
    step = TradeStep()
    exits.request_exit(trade, step, reason="x", at_ns=TEN + SECOND)
    return step.requests


def test_an_exit_is_one_change_of_the_stop_to_the_market():
    trade, stop = held()
    [request] = asked_to_leave(trade)
    assert isinstance(request, Modify)
    change = change_of(trade, stop, request)
    assert (change.order_type, change.price_paise, change.trigger_paise) == (OrderType.MARKET, None, None)
    assert change.quantity == trade.open_quantity
    assert change.asked is not None
    assert (change.asked.role, change.asked.market_protection_pct) == (OrderRole.EXIT, 3.0)
    assert change_ticket(change)["market_protection"] == 3.0, "as far as was asked for, not the broker's own choice"
    lifecycle.on_modify_outcome(trade, stop, TradeStep(), ACCEPTED, request)
    assert stop.state is OrderState.OPEN
    hear(trade, stop, BrokerStatus.FILLED, filled=stop.quantity)
    assert (trade.ended, trade.exit_reason) == (True, "x")
    assert not any(order.role is OrderRole.EXIT for order in trade.orders)


def test_a_change_that_is_lost_is_asked_again_while_the_stop_waits_and_not_once_it_is_open():
    trade, stop = held()
    [request] = asked_to_leave(trade)
    lifecycle.on_modify_outcome(trade, stop, TradeStep(), LOST, request)
    assert stop.state is OrderState.UNKNOWN
    step = hear(trade, stop, BrokerStatus.TRIGGER_PENDING, at_ns=TEN + 4 * SECOND)
    [again] = step.requests
    assert isinstance(again, Modify)
    lifecycle.on_modify_outcome(trade, stop, TradeStep(), LOST, again)
    assert hear(trade, stop, BrokerStatus.OPEN, at_ns=TEN + 8 * SECOND).requests == []
    assert stop.state is OrderState.OPEN


def test_an_earlier_life_s_change_that_never_left_is_asked_by_the_next():
    trade, stop = held()
    asked_to_leave(trade)
    step = TradeStep()
    decisions.go_on(trade, step)
    assert [(type(one), one.order_id) for one in step.requests] == [(Modify, stop.order_id)]


def test_a_stop_that_was_changed_as_often_as_may_be_is_cancelled_and_an_exit_follows():
    trade, stop = held()
    stop.moves = CHANGES_MAX - 1  # this is the last one
    [request] = asked_to_leave(trade)
    step = TradeStep()
    lifecycle.on_modify_outcome(trade, stop, step, REFUSED, request)
    assert [type(one) for one in step.requests] == [Cancel]
    step = hear(trade, stop, BrokerStatus.CANCELLED)
    [place] = step.requests
    assert isinstance(place, Place)
    assert trade.order(place.order_id).role is OrderRole.EXIT


def test_nothing_is_turned_beside_a_stop_that_may_still_appear():
    trade = open_trade(approval(Side.LONG), TradeStep(), contract=contract(), owner="o", at_ns=TEN)
    trade.at_broker = True
    entry = trade.entry_order()
    lifecycle.on_outcome(trade, entry, TradeStep(), Outcome(Result.ACCEPTED, "b1"), at_ns=TEN)
    hear(trade, entry, BrokerStatus.FILLED, filled=entry.quantity)
    stop = trade.all_live(OrderRole.STOP)[0]
    exits.give_up_stop(trade, stop, TradeStep(), at_ns=TEN + 3 * SECOND)
    leaving = trade.live(OrderRole.EXIT)
    assert leaving is not None
    step = hear(trade, stop, BrokerStatus.TRIGGER_PENDING, at_ns=TEN + 4 * SECOND)
    assert step.requests == [], "nor cancelled, while nobody knows of the exit"
    step = TradeStep()
    lifecycle.on_outcome(trade, leaving, step, Outcome(Result.ACCEPTED, "b3"), at_ns=TEN + 5 * SECOND)
    assert [type(one) for one in step.requests] == [Cancel]


def test_what_rests_is_priced_anew_as_an_exit_is():
    trade, stop = held()
    [request] = asked_to_leave(trade)
    lifecycle.on_modify_outcome(trade, stop, TradeStep(), ACCEPTED, request)
    trade.touch = Touch(9_000, 9_000, 9_000)
    step = TradeStep()
    exits.on_deadline(trade, step, now_ns=TEN + 10 * SECOND)
    [again] = step.requests
    assert isinstance(again, Modify)
    change = change_of(trade, stop, again)
    assert change.order_type is OrderType.LIMIT
    assert change.price_paise is not None
    assert change.price_paise < 9_000


@given(missing=st.integers(0, 8), filled=st.integers(0, 7), kind=st.sampled_from(["FUTURE", "OPTION"]))
def test_what_is_turned_is_never_more_than_what_is_held(missing, filled, kind):
    trade, stop = held(kind=kind)
    if filled:
        hear(trade, stop, BrokerStatus.OPEN, filled=filled * 25)
    decisions.missing(missing * 25, TEN + SECOND)(trade, TradeStep())
    asked_to_leave(trade)
    living = [order for order in trade.orders if not order.ended and order.state is not OrderState.CANCEL_PENDING]
    turned = [order for order in living if order.is_turned]
    assert sum(order.quantity - order.filled_quantity for order in turned) <= max(0, trade.there_quantity)
    assert not [order for order in living if order.role is OrderRole.EXIT and turned]


def test_a_late_word_that_has_the_exit_larger_than_it_was_does_not_keep_the_trade_open():
    trade, stop = held()
    whole = stop.quantity
    [request] = asked_to_leave(trade)
    lifecycle.on_modify_outcome(trade, stop, TradeStep(), ACCEPTED, request)
    hear(trade, stop, BrokerStatus.FILLED, filled=whole)
    hear(trade, stop, BrokerStatus.TRIGGER_PENDING, quantity=2 * whole, filled=whole)
    assert not trade.ended, "it was raised at the broker's terminal, as far as this word goes"
    hear(trade, stop, BrokerStatus.FILLED, quantity=whole, filled=whole)
    assert trade.ended


def test_what_the_book_shows_of_a_turned_stop_is_judged_by_whether_it_waits():
    trade, stop = held()
    asked_to_leave(trade)
    own = OwnOrder(
        "p", stop.order_id, "s", stop.tag, stop.role, OrderState.OPEN, stop.quantity, 0, None, "b2", 1, "o"
    )  # fmt: skip
    assert judge(own, line(stop, BrokerStatus.TRIGGER_PENDING)) is ReconcileFinding.REALIGN
    assert judge(own, line(stop, BrokerStatus.OPEN)) is ReconcileFinding.AGREES
    assert judge(own, line(stop, BrokerStatus.OPEN, quantity=2 * stop.quantity)) is ReconcileFinding.REALIGN
