"""How long a position stands without a stop, told from the changes of its trade."""

from prometheus_client import CollectorRegistry
from testkit.contracts import contract
from testkit.trades import MORNING, SECOND, approval, paper_filling

from services.execution.metrics import ExecutionMetrics
from services.execution.trades.protection import Protection, is_unprotected
from tradebus.contracts.orders import OrderRole
from tradebus.contracts.signals import Side
from tradebus.execution import lifecycle
from tradebus.execution.decisions import order_request
from tradebus.execution.opening import open_trade
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.trading.matching.paper import TickQuote, accept, match, report
from tradebus.trading.orders import Outcome, Result

ACCEPTED, LOST, REFUSED = (Outcome(result, "b", "?") for result in (Result.ACCEPTED, Result.UNKNOWN, Result.REFUSED))


def placed() -> Trade:
    trade = open_trade(approval(Side.LONG), TradeStep(), contract=contract(), owner="o")
    answer(trade, trade.entry_order(), ACCEPTED)
    return trade


def answer(trade: Trade, order: Order, outcome: Outcome) -> None:
    lifecycle.on_outcome(trade, order, TradeStep(), outcome, at_ns=order.placed_ns)


def fill(trade: Trade, order: Order, *, at_ns: int, price: int) -> None:
    paper = match(accept(order_request(trade, order), paper_filling(0.0)), TickQuote(at_ns, price))
    lifecycle.on_report(trade, order, TradeStep(), report(paper))


def held() -> Trade:
    """Filled a second after the morning; its stop is on the way."""
    trade = placed()
    fill(trade, trade.entry_order(), at_ns=MORNING + SECOND, price=10_000)
    return trade


def live(trade: Trade, role: OrderRole) -> Order:
    order = trade.live(role)
    assert order is not None
    return order


def test_a_stop_accepted_at_once_left_no_time_between():
    protection, trade = Protection(ExecutionMetrics(CollectorRegistry())), placed()
    assert protection.note(trade, now_ns=MORNING) is None
    fill(trade, trade.entry_order(), at_ns=MORNING + SECOND, price=10_000)
    assert is_unprotected(trade)
    assert protection.note(trade, now_ns=MORNING + SECOND) is None
    answer(trade, live(trade, OrderRole.STOP), ACCEPTED)
    assert protection.note(trade, now_ns=MORNING + SECOND) == 0
    assert protection.note(trade, now_ns=MORNING + 9 * SECOND) is None


def test_a_stop_whose_answer_was_lost_counts_until_it_is_found():
    protection, trade = Protection(ExecutionMetrics(CollectorRegistry())), held()
    protection.note(trade, now_ns=MORNING + SECOND)
    stop = live(trade, OrderRole.STOP)
    answer(trade, stop, LOST)
    assert protection.note(trade, now_ns=MORNING + SECOND) is None
    resting = report(accept(order_request(trade, stop), paper_filling(0.0)))
    lifecycle.on_report(trade, stop, TradeStep(), resting)
    assert protection.note(trade, now_ns=MORNING + 4 * SECOND) == 3


def test_a_stop_that_was_refused_counts_until_the_position_is_closed():
    name = "tradebus_execution_unprotected_seconds"
    registry = CollectorRegistry()
    protection, trade = Protection(ExecutionMetrics(registry)), held()
    protection.note(trade, now_ns=MORNING + SECOND)
    answer(trade, live(trade, OrderRole.STOP), REFUSED)
    assert protection.note(trade, now_ns=MORNING + SECOND) is None
    leaving = live(trade, OrderRole.EXIT)
    answer(trade, leaving, ACCEPTED)
    fill(trade, leaving, at_ns=MORNING + 6 * SECOND, price=9_990)
    assert trade.ended
    assert protection.note(trade, now_ns=MORNING + 6 * SECOND) == 5
    assert registry.get_sample_value(f"{name}_sum") == 5
    assert registry.get_sample_value("tradebus_execution_unprotected_positions") == 0
