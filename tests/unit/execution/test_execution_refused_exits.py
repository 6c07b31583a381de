"""An exit that is refused again and again: it is tried on, more and more seldom."""

from datetime import date, time

from testkit.contracts import contract
from testkit.trades import MORNING, SECOND, approval, paper_filling

from tradebus.contracts.orders import OrderRole
from tradebus.contracts.signals import Side
from tradebus.execution import lifecycle
from tradebus.execution.deadlines import EXIT_AGAIN_SECONDS_MAX, deadline_ns
from tradebus.execution.decisions import order_request
from tradebus.execution.leaving import exits
from tradebus.execution.opening import open_trade
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Trade
from tradebus.kernel.time import ist_datetime, ist_to_ns
from tradebus.trading.matching.paper import TickQuote, accept, match, report
from tradebus.trading.orders import Outcome, Result

HOUR = 3600 * SECOND
AUCTION_DAY = date(2026, 11, 25)


def leaving() -> Trade:
    """Held, its stop gone, and an exit asked for."""
    trade = open_trade(approval(Side.LONG), TradeStep(), contract=contract(), owner="o")
    entry, step = trade.entry_order(), TradeStep()
    lifecycle.on_outcome(trade, entry, step, Outcome(Result.ACCEPTED, "b"), at_ns=MORNING)
    whole = match(accept(order_request(trade, entry), paper_filling(0.0)), TickQuote(MORNING + SECOND, 10_000))
    lifecycle.on_report(trade, entry, step, report(whole))
    stop = trade.live(OrderRole.STOP)
    assert stop is not None
    lifecycle.on_outcome(trade, stop, step, Outcome(Result.REFUSED, reason="no"), at_ns=MORNING + SECOND)
    return trade


def refuse(trade: Trade, *, at_ns: int) -> None:
    order = trade.live(OrderRole.EXIT)
    assert order is not None
    lifecycle.on_outcome(trade, order, TradeStep(), Outcome(Result.REFUSED, reason="no"), at_ns=at_ns)


def test_the_pauses_double_up_to_a_minute() -> None:
    trade, at_ns, pauses = leaving(), MORNING + SECOND, list[float]()
    for _ in range(9):
        refuse(trade, at_ns=at_ns)
        due_ns = deadline_ns(trade)
        assert due_ns is not None
        pauses.append((due_ns - at_ns) / SECOND)
        at_ns = due_ns
        exits.on_deadline(trade, TradeStep(), now_ns=at_ns)
    assert pauses == [1, 2, 4, 8, 16, 32, EXIT_AGAIN_SECONDS_MAX, EXIT_AGAIN_SECONDS_MAX, EXIT_AGAIN_SECONDS_MAX]


def test_an_hour_of_refusals_costs_fewer_than_a_hundred_requests() -> None:
    trade, at_ns, sent = leaving(), MORNING + SECOND, 0
    while at_ns < MORNING + HOUR:
        refuse(trade, at_ns=at_ns)
        sent += 1
        due_ns = deadline_ns(trade)
        assert due_ns is not None
        at_ns = due_ns
        exits.on_deadline(trade, TradeStep(), now_ns=at_ns)
    assert sent < 100


def test_one_that_rested_for_a_while_begins_the_pauses_anew() -> None:
    trade, at_ns = leaving(), MORNING + SECOND
    for _ in range(4):
        refuse(trade, at_ns=at_ns)
        at_ns = deadline_ns(trade) or 0
        exits.on_deadline(trade, TradeStep(), now_ns=at_ns)
    order = trade.live(OrderRole.EXIT)
    assert order is not None
    lifecycle.on_outcome(trade, order, TradeStep(), Outcome(Result.ACCEPTED, "b9"), at_ns=at_ns)
    lifecycle.on_absent(trade, order, TradeStep(), at_ns=at_ns + 20 * SECOND)
    exits.on_deadline(trade, TradeStep(), now_ns=at_ns + HOUR)
    refused_ns = at_ns + 30 * SECOND
    refuse(trade, at_ns=refused_ns)
    assert deadline_ns(trade) == refused_ns + SECOND


def test_where_the_exchange_takes_no_order_the_next_is_sent_at_the_end_of_that_at_the_latest() -> None:
    trade = leaving()
    trade.at_broker, trade.contract = True, contract("EQUITY", market_class="equity_fno")
    at_ns, tried = ist_to_ns(AUCTION_DAY, time(15, 15)), list[str]()
    for _ in range(12):
        refuse(trade, at_ns=at_ns)
        for stop in trade.all_live(OrderRole.STOP):  # one is put back, and refused as well
            lifecycle.on_outcome(trade, stop, TradeStep(), Outcome(Result.REFUSED, reason="no"), at_ns=at_ns)
        due_ns = deadline_ns(trade)
        assert due_ns is not None
        at_ns = due_ns
        exits.on_deadline(trade, TradeStep(), now_ns=at_ns)
        tried.append(f"{ist_datetime(at_ns):%H:%M:%S}")
    assert tried[6:10] == ["15:17:03", "15:18:03", "15:19:03", "15:20:00"], "and not 15:20:03"
    assert tried[10:] == ["15:21:00", "15:22:00"], "orders are taken again: refused for another reason, it waits"
