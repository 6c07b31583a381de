"""What is left of an entry that has filled in part: cancelled where nobody has taken more of it for fifteen seconds."""

import pytest
from testkit.contracts import contract
from testkit.trades import MORNING, SECOND, approval

from tradebus.contracts.orders import OrderRole
from tradebus.contracts.signals import Side
from tradebus.execution import lifecycle
from tradebus.execution.deadlines import deadline_ns
from tradebus.execution.leaving import exits
from tradebus.execution.opening import open_trade
from tradebus.execution.step import Cancel, TradeStep
from tradebus.execution.trade import Trade
from tradebus.trading.facts import OrderTimeout
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus, Outcome, Result
from tradebus.trading.states import TradeState


def hear(trade: Trade, *, filled: int, seconds: int, status: BrokerStatus = BrokerStatus.OPEN) -> TradeStep:
    """The broker's word of the entry: so many units have filled by now."""
    entry, step, at_ns = trade.entry_order(), TradeStep(), MORNING + seconds * SECOND
    more = filled - entry.filled_quantity
    fills = (BrokerFill(f"f-{filled}", more, 10_000, at_ns),) if more else ()
    line = BrokerOrder(
        "b", entry.tag, "s", 1, entry.transaction, status, entry.quantity, filled, None, fills, at_ns
    )  # fmt: skip
    lifecycle.on_report(trade, entry, step, line)
    return step


@pytest.fixture(params=[True, False], ids=["broker", "paper"])
def waiting(request: pytest.FixtureRequest) -> Trade:
    """An entry of 150 in the book, nothing filled."""
    trade = open_trade(approval(Side.LONG), TradeStep(), contract=contract(), owner="o", at_ns=MORNING)
    trade.at_broker = request.param
    lifecycle.on_outcome(trade, trade.entry_order(), TradeStep(), Outcome(Result.ACCEPTED, "b"), at_ns=MORNING)
    return trade


def due_seconds(trade: Trade) -> float:
    due_ns = deadline_ns(trade)
    assert due_ns is not None
    return (due_ns - MORNING) / SECOND


def test_nothing_filled_waits_for_its_timeout_and_a_part_for_its_next_fill(waiting: Trade) -> None:
    assert due_seconds(waiting) == 30
    hear(waiting, filled=50, seconds=2)
    assert due_seconds(waiting) == 17
    hear(waiting, filled=75, seconds=10)
    assert due_seconds(waiting) == 25
    hear(waiting, filled=100, seconds=20)
    assert due_seconds(waiting) == 30, "never longer than the whole entry may take"


def test_the_rest_is_cancelled_and_what_is_held_stays_behind_its_stop(waiting: Trade) -> None:
    hear(waiting, filled=50, seconds=2)
    early, step = TradeStep(), TradeStep()
    exits.on_deadline(waiting, early, now_ns=MORNING + 16 * SECOND)
    assert early.requests == []
    exits.on_deadline(waiting, step, now_ns=MORNING + 17 * SECOND)
    assert step.requests == [Cancel(waiting.entry_order().order_id, MORNING + 17 * SECOND)]
    [fact] = step.facts
    assert isinstance(fact, OrderTimeout)
    assert (fact.timeout_seconds, fact.filled_quantity) == (15, 50)
    hear(waiting, filled=50, seconds=18, status=BrokerStatus.CANCELLED)
    [stop] = waiting.all_live(OrderRole.STOP)
    assert (waiting.state, waiting.exit_reason, stop.quantity) == (TradeState.POSITION_OPEN, None, 50)


def test_what_fills_while_the_cancellation_is_on_its_way_is_held_and_covered(waiting: Trade) -> None:
    hear(waiting, filled=50, seconds=2)
    exits.on_deadline(waiting, TradeStep(), now_ns=MORNING + 17 * SECOND)
    hear(waiting, filled=75, seconds=17)
    hear(waiting, filled=75, seconds=18, status=BrokerStatus.CANCELLED)
    [stop] = waiting.all_live(OrderRole.STOP)
    assert (waiting.open_quantity, stop.quantity) == (75, 75)
