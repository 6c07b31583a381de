"""Exits that rest: priced anew every two seconds, farther from the market each time, and within every limit."""

from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.contracts import contract
from testkit.trades import SECOND, approval

from tradebus.calendar import protection_band
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.contracts.signals import Side
from tradebus.execution import lifecycle
from tradebus.execution.deadlines import EXIT_REPLACE_SECONDS, EXIT_REPRICE_SECONDS, deadline_ns
from tradebus.execution.decisions import change_of, order_request
from tradebus.execution.governor.lanes import ask_of
from tradebus.execution.governor.limits import OrderLane
from tradebus.execution.governor.ratio import CHANGES_MAX
from tradebus.execution.leaving import exits
from tradebus.execution.leaving.pricing import Touch, farther_limit_paise
from tradebus.execution.opening import open_trade
from tradebus.execution.step import Cancel, Modify, Place, TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import ist_to_ns
from tradebus.trading.matching.paper import refusal
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus, Outcome, Result
from tradebus.trading.states import OrderState

DAY = date(2026, 11, 25)
TEN = ist_to_ns(DAY, time(10))
ACCEPTED = Outcome(Result.ACCEPTED, "b")
FUTURE, CALL = contract(), contract("OPTION", lot_size=25)
SIDES, PRICES = st.sampled_from(Side), st.integers(200, 60_000).map(lambda ticks: ticks * 5)


def hear(trade: Trade, order: Order, status: BrokerStatus, *, at_ns: int, price: int = 0) -> TradeStep:
    """The broker's line of the order, filled whole at the price where it has one."""
    filled = order.quantity if price else 0
    fills = (BrokerFill(f"f-{order.tag}", filled, price, at_ns),) if price else ()
    step = TradeStep()
    line = BrokerOrder(
        order.broker_order_id or "b", order.tag, "s", 1, order.transaction, status, order.quantity, filled,
        order.trigger_paise, fills, at_ns,
    )  # fmt: skip
    lifecycle.on_report(trade, order, step, line)
    return step


def live(trade: Trade, role: OrderRole) -> Order:
    order = trade.live(role)
    assert order is not None
    return order


def held(side: Side = Side.LONG, *, terms=FUTURE) -> Trade:
    """Filled at ten, behind a stop that rests."""
    trade = open_trade(approval(side), TradeStep(), contract=terms, owner="o", at_ns=TEN)
    trade.at_broker = True
    entry = trade.entry_order()
    lifecycle.on_outcome(trade, entry, TradeStep(), ACCEPTED, at_ns=TEN)
    hear(trade, entry, BrokerStatus.FILLED, at_ns=TEN, price=10_000)
    lifecycle.on_outcome(trade, live(trade, OrderRole.STOP), TradeStep(), Outcome(Result.ACCEPTED, "b2"), at_ns=TEN)
    return trade


def leaving(side: Side = Side.LONG, *, terms=FUTURE) -> tuple[Trade, Order]:
    """An exit at the market that the broker has, and that rests."""
    trade = held(side, terms=terms)
    exits.request_exit(trade, TradeStep(), reason="x", at_ns=TEN)
    hear(trade, live(trade, OrderRole.STOP), BrokerStatus.CANCELLED, at_ns=TEN)
    order = live(trade, OrderRole.EXIT)
    lifecycle.on_outcome(trade, order, TradeStep(), Outcome(Result.ACCEPTED, "b3"), at_ns=TEN)
    return trade, order


def wait(trade: Trade, *, price: int | None) -> TradeStep:
    """The market is at a price when the trade is due."""
    trade.touch = None if price is None else Touch(price, price, price)
    due_ns, step = deadline_ns(trade), TradeStep()
    assert due_ns is not None
    exits.on_deadline(trade, step, now_ns=due_ns)
    return step


@given(side=SIDES, path=st.lists(PRICES, min_size=1, max_size=40), kind=st.sampled_from(["FUTURE", "OPTION"]))
def test_an_exit_that_rests_is_moved_towards_the_market_and_is_always_taken(side, path, kind):
    terms = contract(kind, lot_size=25)
    trade, order = leaving(side, terms=terms)
    before, sells = order.price_paise, order.transaction is Transaction.SELL
    for price in path:
        step = wait(trade, price=price)
        if order.state is OrderState.CANCEL_PENDING:
            assert order.changes == CHANGES_MAX - 5
            return
        if not step.requests:
            assert before is not None
            reaches = before <= price if sells else before >= price
            assert reaches or order.price_paise == before, "left where it is only where it would be taken"
            continue
        [request] = step.requests
        assert isinstance(request, Modify)
        change = change_of(trade, order, request)
        assert (change.order_type, change.quantity) == (OrderType.LIMIT, 200)
        assert change.asked is not None
        assert refusal(change.asked) is None
        assert change.price_paise is not None
        assert change.price_paise <= price if sells else change.price_paise >= price
        assert before is None or (change.price_paise < before if sells else change.price_paise > before)
        before = change.price_paise
        lifecycle.on_modify_outcome(trade, order, TradeStep(), ACCEPTED, request)


@given(side=SIDES, price=PRICES, attempts=st.integers(1, 30), kind=st.sampled_from(["FUTURE", "OPTION"]))
def test_each_change_reaches_as_far_or_farther_and_stays_inside_the_protection(side, price, attempts, kind):
    terms, way = contract(kind), Transaction.SELL if side is Side.LONG else Transaction.BUY
    limits = [
        farther_limit_paise(terms, transaction=way, reference_paise=price, attempt=number + 1, day=DAY)
        for number in range(attempts)
    ]
    assert limits == sorted(limits, reverse=way is Transaction.SELL)
    assert all(limit > 0 and limit % terms.tick_size_paise == 0 for limit in limits)
    band = protection_band(terms, price, DAY)
    assert band is None or all(band[0] <= limit <= band[1] for limit in limits)


def test_an_exit_rests_two_seconds_between_its_prices():
    trade, _ = leaving()
    dues = []
    for _ in range(3):
        dues.append(deadline_ns(trade))
        wait(trade, price=9_000)
    assert dues == [TEN + number * EXIT_REPRICE_SECONDS * SECOND for number in (1, 2, 3)]


def test_where_the_market_has_not_moved_and_the_limit_is_at_its_farthest_nothing_is_asked_for():
    trade, order = leaving()
    sent = sum(len(wait(trade, price=9_000).requests) for _ in range(100))
    assert (sent, order.price_paise) == (8, 8_280)


def test_after_twenty_changes_another_exit_takes_its_place():
    trade, order = leaving()
    for number in range(CHANGES_MAX - 5):
        assert isinstance(wait(trade, price=9_000 - 100 * number).requests[0], Modify)
    assert [type(one) for one in wait(trade, price=5_000).requests] == [Cancel]
    step = hear(trade, order, BrokerStatus.CANCELLED, at_ns=TEN + 60 * SECOND)
    assert step.requests == [Place(live(trade, OrderRole.EXIT).order_id)]


@pytest.mark.parametrize("role", [OrderRole.EXIT, OrderRole.STOP])
def test_changes_of_an_earlier_life_count_too(role: OrderRole) -> None:
    """A broker counts the changes of an order, whoever asks for them."""
    if role is OrderRole.EXIT:
        trade, order = leaving()
        assert order.moves == 0
        order.moves = CHANGES_MAX - 6  # as the book has it
    else:
        trade = held()
        order = live(trade, OrderRole.STOP)
        order.moves = CHANGES_MAX - 2
        step = TradeStep()
        exits.request_exit(trade, step, reason="x", at_ns=TEN)
        assert order.is_turned
        lifecycle.on_modify_outcome(trade, order, TradeStep(), ACCEPTED, step.requests[-1])
    assert isinstance(wait(trade, price=9_000).requests[0], Modify)
    assert [type(one) for one in wait(trade, price=5_000).requests] == [Cancel]
    assert order.moves == (CHANGES_MAX - 5 if role is OrderRole.EXIT else CHANGES_MAX)


def test_where_the_market_is_not_known_the_exit_is_replaced_with_more_protection_each_time():
    trade, order = leaving()
    reaches = []
    for number in range(6):
        reaches.append(order_request(trade, order).market_protection_pct)
        assert [type(one) for one in wait(trade, price=None).requests] == [Cancel]
        hear(trade, order, BrokerStatus.CANCELLED, at_ns=TEN + (number + 1) * 2 * SECOND)
        order = live(trade, OrderRole.EXIT)
        lifecycle.on_outcome(trade, order, TradeStep(), Outcome(Result.ACCEPTED, f"n{number}"), at_ns=order.placed_ns)
    assert reaches == [3.0, 5.0, 8.0, 12.0, 20.0, 20.0]


def test_an_exit_whose_change_is_refused_is_replaced_and_one_whose_answer_is_lost_is_looked_up():
    trade, order = leaving()
    [request] = wait(trade, price=9_000).requests
    assert isinstance(request, Modify)
    lifecycle.on_modify_outcome(trade, order, TradeStep(), Outcome(Result.REFUSED, reason="no"), request)
    assert trade.exit_reason == "x"
    assert [type(one) for one in wait(trade, price=9_000).requests] == [Cancel]
    trade, order = leaving()
    [request] = wait(trade, price=9_000).requests
    assert isinstance(request, Modify)
    lifecycle.on_modify_outcome(trade, order, TradeStep(), Outcome(Result.UNKNOWN, reason="?"), request)
    assert order.state is OrderState.UNKNOWN
    hear(trade, order, BrokerStatus.OPEN, at_ns=TEN + 3 * SECOND)
    assert order.state is OrderState.OPEN
    assert isinstance(wait(trade, price=8_000).requests[0], Modify)


def test_an_exit_priced_anew_often_stands_behind_first_exits():
    trade, order = leaving()
    lanes = [ask_of(trade, wait(trade, price=9_000).requests[0]).lane for _ in range(7)]
    assert lanes == [OrderLane.EXIT] * 5 + [OrderLane.AGAIN] * 2
    assert ask_of(trade, Cancel(order.order_id, TEN)).lane is OrderLane.EXIT


def test_a_broker_whose_clock_is_behind_is_not_asked_again_at_once():
    trade, order = leaving()
    now_ns = TEN + 3600 * SECOND
    exits.on_deadline(trade, TradeStep(), now_ns=now_ns)
    hear(trade, order, BrokerStatus.CANCELLED, at_ns=TEN + SECOND)
    lifecycle.on_outcome(trade, live(trade, OrderRole.EXIT), TradeStep(), Outcome(Result.ACCEPTED, "n"), at_ns=TEN)
    assert deadline_ns(trade) == now_ns + EXIT_REPRICE_SECONDS * SECOND


def test_on_paper_an_exit_is_not_priced_and_what_it_does_hangs_on_nothing_that_a_restart_loses():
    trade = held()
    trade.at_broker = False
    exits.request_exit(trade, TradeStep(), reason="x", at_ns=TEN)
    hear(trade, live(trade, OrderRole.STOP), BrokerStatus.CANCELLED, at_ns=TEN)
    order = live(trade, OrderRole.EXIT)
    lifecycle.on_outcome(trade, order, TradeStep(), Outcome(Result.ACCEPTED, "b3"), at_ns=TEN)
    assert deadline_ns(trade) == TEN + EXIT_REPLACE_SECONDS * SECOND
    assert [type(one) for one in wait(trade, price=9_000).requests] == [Cancel]
    assert trade.pressed_ns == 0


def test_a_stop_the_broker_calls_open_is_left_after_two_seconds_where_the_market_is_beyond_its_trigger():
    trade = held()
    stop = live(trade, OrderRole.STOP)
    hear(trade, stop, BrokerStatus.OPEN, at_ns=TEN + SECOND)
    assert deadline_ns(trade) == TEN + (1 + EXIT_REPRICE_SECONDS) * SECOND
    trigger_paise = stop.trigger_paise or 0
    [request] = wait(trade, price=9_400).requests
    assert request == Modify(stop.order_id, TEN + 3 * SECOND, 200, previous_trigger_paise=trigger_paise)
    assert (trade.exit_reason, stop.is_turned) == ("stop_not_filled", True)


def test_a_stop_called_open_while_it_waits_stays():
    """Brokers do so after a change: the market says better."""
    trade = held()
    stop = live(trade, OrderRole.STOP)
    hear(trade, stop, BrokerStatus.OPEN, at_ns=TEN + SECOND)
    assert wait(trade, price=10_050).requests == []
    hear(trade, stop, BrokerStatus.OPEN, at_ns=TEN + 4 * SECOND)
    hear(trade, stop, BrokerStatus.TRIGGER_PENDING, at_ns=TEN + 5 * SECOND)
    assert (deadline_ns(trade), trade.exit_reason) == (None, None)
