"""Supervision comes to an end of every batch, whatever becomes of what it asks for."""

from itertools import islice

import numpy as np
import pytest
from testkit.contracts import contract
from testkit.trades import MORNING, SECOND, approval

from tradebus.contracts.orders import OrderRole
from tradebus.contracts.signals import Side
from tradebus.execution import lifecycle
from tradebus.execution.deadlines import deadline_ns
from tradebus.execution.decisions import cover
from tradebus.execution.leaving import exits
from tradebus.execution.leaving.unanswered import is_bare_meanwhile
from tradebus.execution.opening import open_trade
from tradebus.execution.roster import Roster
from tradebus.execution.step import TradeStep
from tradebus.execution.supervision import Supervision, TradeDecision
from tradebus.execution.trade import Trade
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus, InstrumentTicks, Outcome, Result

FAR = 10_000


def leaving() -> Trade:
    """At a broker: held, its stop lost and given up, its first exit refused, the second without an answer."""
    trade, step = open_trade(approval(Side.LONG), TradeStep(), contract=contract(), owner="me"), TradeStep()
    trade.at_broker = True
    entry = trade.entry_order()
    lifecycle.on_outcome(trade, entry, step, Outcome(Result.ACCEPTED, "b"), at_ns=MORNING)
    fill = BrokerFill("f", entry.quantity, 10_000, MORNING)
    filled = BrokerOrder(
        "b", entry.tag, "s", 1, entry.transaction, BrokerStatus.FILLED, entry.quantity, entry.quantity, None, (fill,),
        MORNING,
    )  # fmt: skip
    lifecycle.on_report(trade, entry, step, filled)
    stop = trade.live(OrderRole.STOP)
    assert stop is not None
    lost = Outcome(Result.UNKNOWN, reason="connection reset")
    lifecycle.on_outcome(trade, stop, step, lost, at_ns=MORNING)
    exits.give_up_stop(trade, stop, step, at_ns=MORNING + 4 * SECOND)
    lifecycle.on_outcome(trade, exit_of(trade), step, Outcome(Result.REFUSED, reason="no"), at_ns=MORNING + 5 * SECOND)
    due_ns = deadline_ns(trade)
    assert due_ns is not None
    exits.on_deadline(trade, step, now_ns=due_ns)
    lifecycle.on_outcome(trade, exit_of(trade), step, lost, at_ns=due_ns)
    return trade


def exit_of(trade: Trade):
    order = trade.live(OrderRole.EXIT)
    assert order is not None
    return order


def test_a_cover_that_rests_is_not_due_while_the_exit_has_no_answer() -> None:
    trade = leaving()
    assert is_bare_meanwhile(trade, at_ns=MORNING + 9 * SECOND)
    cover(MORNING + 9 * SECOND)(trade, TradeStep())
    resting = trade.orders[-1]
    assert resting.role is OrderRole.STOP
    lifecycle.on_outcome(trade, resting, TradeStep(), Outcome(Result.ACCEPTED, "c"), at_ns=MORNING + 9 * SECOND)
    assert not is_bare_meanwhile(trade, at_ns=MORNING + 90 * SECOND), "one at a time"
    assert deadline_ns(trade) is None
    first = next(order for order in trade.orders if order.role is OrderRole.STOP)
    lifecycle.on_absent(trade, first, TradeStep(), at_ns=MORNING + 25 * SECOND)
    assert deadline_ns(trade) is None
    lifecycle.on_absent(trade, exit_of(trade), TradeStep(), at_ns=MORNING + 30 * SECOND)
    assert resting.is_turned, "it is the next exit"


@pytest.mark.parametrize("count", [1, 50])
def test_a_deadline_that_nothing_comes_of_is_asked_for_once_in_a_batch(count: int) -> None:
    trade, roster = open_trade(approval(Side.LONG), TradeStep(), contract=contract(), owner="me"), Roster("me")
    trade.at_broker = True
    lifecycle.on_outcome(trade, trade.entry_order(), TradeStep(), Outcome(Result.ACCEPTED, "b"), at_ns=MORNING)
    roster.remember(trade)
    due_ns = deadline_ns(trade)
    assert due_ns is not None
    at_ns = due_ns + SECOND * np.arange(1, count + 1)
    prices = np.full(count, 10_000)
    ticks = InstrumentTicks(at_ns=at_ns, price_paise=prices, bid_paise=prices, ask_paise=prices)
    actions = list(islice(Supervision(roster, None).walk(trade.instrument, ticks, 0, count), FAR))
    assert [type(one) for one in actions] == [TradeDecision]
