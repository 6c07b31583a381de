"""A stop that nobody answers: the position is left in time, and what becomes of the stop later is undone."""

from dataclasses import replace

import pytest
from testkit.contracts import contract
from testkit.trades import MORNING, SECOND, approval, paper_filling

from tradebus.contracts.orders import OrderRole, Transaction
from tradebus.contracts.signals import Side
from tradebus.execution import deadlines, lifecycle
from tradebus.execution.decisions import order_request
from tradebus.execution.leaving import exits
from tradebus.execution.opening import open_trade
from tradebus.execution.step import Cancel, Modify, Place, TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.trading.matching.paper import PaperOrder, TickQuote, accept, match, report
from tradebus.trading.orders import BrokerStatus, Outcome, Result
from tradebus.trading.states import OrderState, TradeState

LOST = Outcome(Result.UNKNOWN, reason="no answer")
FILLED_NS = MORNING + SECOND
DUE_NS = FILLED_NS + deadlines.STOP_ANSWER_SECONDS * SECOND


def live(trade: Trade, role: OrderRole) -> Order:
    order = trade.live(role)
    assert order is not None
    return order


def answer(trade: Trade, order: Order, result: Result = Result.ACCEPTED) -> TradeStep:
    step = TradeStep()
    lifecycle.on_outcome(trade, order, step, Outcome(result, f"b {order.order_id}", "?"), at_ns=order.placed_ns)
    return step


def resting(trade: Trade, order: Order, *, at_ns: int) -> PaperOrder:
    return accept(replace(order_request(trade, order), at_ns=at_ns), paper_filling(0.0))


def hear(trade: Trade, order: Order, paper: PaperOrder) -> TradeStep:
    step = TradeStep()
    lifecycle.on_report(trade, order, step, report(paper))
    return step


def fill(trade: Trade, order: Order, *, at_ns: int, price: int) -> TradeStep:
    return hear(trade, order, match(resting(trade, order, at_ns=order.placed_ns), TickQuote(at_ns, price)))


def held(result: Result | None = Result.UNKNOWN) -> Trade:
    """Filled, and its stop's answer lost, or still to come (None)."""
    trade = open_trade(approval(Side.LONG), TradeStep(), contract=contract(), owner="o")
    answer(trade, trade.entry_order())
    fill(trade, trade.entry_order(), at_ns=FILLED_NS, price=10_000)
    if result is not None:
        lifecycle.on_outcome(trade, live(trade, OrderRole.STOP), TradeStep(), LOST, at_ns=FILLED_NS)
    return trade


def given_up(trade: Trade, at_ns: int) -> TradeStep:
    """What follows when its stop has been unanswered for too long."""
    step = TradeStep()
    exits.give_up_stop(trade, live(trade, OrderRole.STOP), step, at_ns=at_ns)
    return step


def left() -> Trade:
    """Flat again by an exit at the market, and of its stop nobody has heard."""
    trade = held()
    given_up(trade, DUE_NS)
    leaving = live(trade, OrderRole.EXIT)
    answer(trade, leaving)
    fill(trade, leaving, at_ns=DUE_NS + SECOND, price=9_990)
    return trade


@pytest.mark.parametrize("result", [Result.UNKNOWN, None])
def test_a_position_whose_stop_is_given_up_is_left(result: Result | None) -> None:
    trade = held(result)
    [request] = given_up(trade, DUE_NS).requests
    assert request == Place(live(trade, OrderRole.EXIT).order_id)
    assert trade.exit_reason == "stop_unanswered"
    assert given_up(trade, DUE_NS + SECOND).requests == [], "one exit at a time"


def test_somebody_who_wants_out_waits_for_the_stop_no_longer() -> None:
    trade, step = held(), TradeStep()
    exits.request_exit(trade, step, reason="flatten", at_ns=FILLED_NS + SECOND)
    assert step.requests == []
    [request] = given_up(trade, DUE_NS).requests
    assert request == Place(live(trade, OrderRole.EXIT).order_id)
    assert trade.exit_reason == "flatten"


def test_an_exit_that_is_refused_meanwhile_is_tried_again_when_it_is_looked_at_again() -> None:
    trade = held()
    given_up(trade, DUE_NS)
    answer(trade, live(trade, OrderRole.EXIT), Result.REFUSED)
    [request] = given_up(trade, DUE_NS + SECOND).requests
    assert isinstance(request, Place)


def test_a_stop_that_is_answered_in_time_is_not_given_up() -> None:
    trade = held(None)
    answer(trade, live(trade, OrderRole.STOP))
    assert given_up(trade, DUE_NS).requests == []
    assert trade.exit_reason is None


def test_flat_it_is_not_over_while_the_stop_may_still_come() -> None:
    trade = left()
    assert trade.open_quantity == 0
    assert not trade.ended
    stop = live(trade, OrderRole.STOP)
    lifecycle.on_absent(trade, stop, TradeStep(), at_ns=DUE_NS + 30 * SECOND)
    assert trade.state is TradeState.CLOSED


def test_a_stop_that_comes_late_is_cancelled_and_then_it_is_over() -> None:
    trade = left()
    stop = live(trade, OrderRole.STOP)
    late = resting(trade, stop, at_ns=DUE_NS + 15 * SECOND)
    [request] = hear(trade, stop, late).requests
    assert isinstance(request, Cancel)
    assert request.order_id == stop.order_id
    assert not trade.ended
    hear(trade, stop, replace(late, status=BrokerStatus.CANCELLED))
    assert trade.state is TradeState.CLOSED


def test_a_stop_that_comes_late_and_fires_is_bought_back() -> None:
    trade = left()
    stop = live(trade, OrderRole.STOP)
    fired = match(resting(trade, stop, at_ns=DUE_NS + 15 * SECOND), TickQuote(DUE_NS + 16 * SECOND, 9_800))
    step = hear(trade, stop, fired)
    assert stop.state is OrderState.FILLED
    [request] = step.requests
    back = trade.order(request.order_id)
    assert (back.role, back.transaction, back.quantity) == (OrderRole.EXIT, Transaction.BUY, stop.filled_quantity)


def test_a_stop_that_was_at_the_broker_once_is_looked_up_and_holds_its_exit_up() -> None:
    trade = held(None)
    stop = live(trade, OrderRole.STOP)
    answer(trade, stop)
    exits.request_exit(trade, TradeStep(), reason="flatten", at_ns=FILLED_NS + SECOND)
    lifecycle.on_cancel_outcome(trade, stop, TradeStep(), LOST, at_ns=FILLED_NS + SECOND)
    assert stop.state is OrderState.UNKNOWN
    assert given_up(trade, DUE_NS + 60 * SECOND).requests == []


def over() -> Trade:
    """Left, and its stop certainly absent."""
    trade = left()
    lifecycle.on_absent(trade, live(trade, OrderRole.STOP), TradeStep(), at_ns=DUE_NS + 30 * SECOND)
    return trade


def test_a_stop_that_appears_when_all_is_over_is_cancelled_and_said_to_a_person() -> None:
    trade, step = over(), TradeStep()
    stop = next(order for order in trade.orders if order.role is OrderRole.STOP)
    net_pnl_paise = trade.net_pnl_paise
    late = resting(trade, stop, at_ns=DUE_NS + 60 * SECOND)
    lifecycle.on_appeared(trade, stop, step, report(late))
    assert step.requests == [Cancel(stop.order_id, report(late).as_of_ns)]
    assert [notice.action for notice in step.notices] == ["arrived very late: cancelled"]
    assert not trade.ended
    hear(trade, stop, replace(late, status=BrokerStatus.CANCELLED))
    assert (trade.state, trade.net_pnl_paise) == (TradeState.CLOSED, net_pnl_paise)


def test_an_entry_that_appears_when_it_was_given_up_is_cancelled_and_what_it_fills_is_sold() -> None:
    trade = open_trade(approval(Side.LONG), TradeStep(), contract=contract(), owner="o")
    entry = trade.entry_order()
    lifecycle.on_absent(trade, entry, TradeStep(), at_ns=DUE_NS)
    assert trade.state is TradeState.CANCELLED
    late = accept(replace(order_request(trade, entry), at_ns=DUE_NS), paper_filling(1.0))
    lifecycle.on_appeared(trade, entry, TradeStep(), report(late))
    part = match(late, TickQuote(DUE_NS + SECOND, 10_000))
    hear(trade, entry, part)
    hear(trade, entry, replace(part, status=BrokerStatus.CANCELLED))
    leaving = live(trade, OrderRole.EXIT)
    assert leaving.quantity == entry.filled_quantity > 0


@pytest.mark.parametrize("status", [BrokerStatus.CANCELLED, BrokerStatus.FILLED, BrokerStatus.REJECTED])
def test_an_order_that_is_over_at_the_broker_too_appears_nowhere(status: BrokerStatus) -> None:
    trade, step = over(), TradeStep()
    stop = next(order for order in trade.orders if order.role is OrderRole.STOP)
    lifecycle.on_appeared(trade, stop, step, replace(report(resting(trade, stop, at_ns=DUE_NS)), status=status))
    assert (step.requests, trade.state) == ([], TradeState.CLOSED)


def test_an_exit_that_rests_when_the_late_stop_has_closed_the_position_is_cancelled() -> None:
    trade = held()
    given_up(trade, DUE_NS)
    leaving, stop = live(trade, OrderRole.EXIT), live(trade, OrderRole.STOP)
    answer(trade, leaving)
    [request] = fill(trade, stop, at_ns=DUE_NS + SECOND, price=9_800).requests
    assert isinstance(request, Cancel)
    assert request.order_id == leaving.order_id
    hear(trade, leaving, replace(resting(trade, leaving, at_ns=DUE_NS), status=BrokerStatus.CANCELLED))
    assert trade.state is TradeState.CLOSED


def test_an_exit_that_would_close_more_than_the_late_stop_has_left_is_made_anew() -> None:
    trade = held()
    given_up(trade, DUE_NS)
    leaving, stop = live(trade, OrderRole.EXIT), live(trade, OrderRole.STOP)
    answer(trade, leaving)
    part = match(
        accept(replace(order_request(trade, stop), at_ns=DUE_NS), paper_filling(1.0)), TickQuote(DUE_NS + SECOND, 9_800)
    )
    assert [type(one) for one in hear(trade, stop, part).requests] == [Cancel, Cancel]
    hear(trade, leaving, replace(resting(trade, leaving, at_ns=DUE_NS), status=BrokerStatus.CANCELLED))
    hear(trade, stop, replace(part, status=BrokerStatus.CANCELLED))
    again = live(trade, OrderRole.EXIT)
    assert again.quantity == trade.open_quantity > 0


def appeared_beside_an_exit() -> tuple[Trade, Order, Order, PaperOrder]:
    """The stop rests after all, and of the exit that went without it nobody has heard."""
    trade = held()
    trade.at_broker = True
    given_up(trade, DUE_NS)
    leaving, stop = live(trade, OrderRole.EXIT), live(trade, OrderRole.STOP)
    answer(trade, leaving, Result.UNKNOWN)
    late = resting(trade, stop, at_ns=DUE_NS + SECOND)
    assert hear(trade, stop, late).requests == [], "it protects until the exit is answered"
    return trade, leaving, stop, late


def test_a_stop_that_appears_while_its_exit_is_unanswered_becomes_the_exit_where_that_never_arrived() -> None:
    trade, leaving, stop, _ = appeared_beside_an_exit()
    step = TradeStep()
    lifecycle.on_absent(trade, leaving, step, at_ns=DUE_NS + 20 * SECOND)
    [request] = step.requests
    assert isinstance(request, Modify)
    assert (request.order_id, stop.is_turned) == (stop.order_id, True)


def test_a_stop_that_appears_while_its_exit_is_unanswered_is_cancelled_where_that_has_arrived() -> None:
    trade, leaving, stop, _ = appeared_beside_an_exit()
    [request] = answer(trade, leaving).requests
    assert isinstance(request, Cancel)
    assert request.order_id == stop.order_id


def test_a_stop_that_is_hit_while_its_exit_is_unanswered_is_left_to_fill() -> None:
    trade, _, stop, late = appeared_beside_an_exit()
    hear(trade, stop, replace(late, status=BrokerStatus.OPEN))
    step = TradeStep()
    exits.on_deadline(trade, step, now_ns=DUE_NS + 10 * SECOND)
    assert step.requests == []
    assert not stop.ended
