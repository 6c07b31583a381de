"""On which lane a request of a trade is, and whether its stop may be trailed again."""

from datetime import date

import pytest
from testkit.contracts import contract
from testkit.trades import MORNING, SECOND, approval

from tradebus.calendar.rules import SHIPPED, RuleBook, install, merged, parse_tables
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.contracts.signals import Side
from tradebus.execution.governor.budget import OrderAsk, OrderBudget
from tradebus.execution.governor.lanes import ask_of, segment_of
from tradebus.execution.governor.limits import OrderLane, limits_of
from tradebus.execution.governor.ratio import is_exempt, why_not_trail
from tradebus.execution.opening import new_order, open_trade
from tradebus.execution.step import Cancel, Modify, Place, TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.trading.states import OrderState

STOP = OrderAsk("NFO", OrderLane.EXIT, counted=True)


def trade_of(kind: str = "FUTURE") -> Trade:
    return open_trade(approval(Side.LONG), TradeStep(), contract=contract(kind), owner="me")


def order_of(trade: Trade, role: OrderRole, *, trigger_paise: int | None = None) -> Order:
    return new_order(
        trade, TradeStep(), role=role, transaction=Transaction.SELL, order_type=OrderType.MARKET, quantity=25,
        at_ns=MORNING, trigger_paise=trigger_paise,
    )  # fmt: skip


def test_entries_alone_are_on_the_entries_lane():
    trade = trade_of()
    entry, stop = trade.entry_order(), order_of(trade, OrderRole.STOP, trigger_paise=trade.stop_paise)
    requests = (Place(entry.order_id), Cancel(entry.order_id, 1), Place(stop.order_id), Modify(stop.order_id, 1, 1, 1))
    assert [ask_of(trade, one).lane.name for one in requests] == ["ENTRY", "EXIT", "EXIT", "EXIT"]


def test_an_exit_that_was_refused_three_times_in_a_row_stands_behind_others():
    trade = trade_of()
    lanes = []
    for _ in range(5):
        order = order_of(trade, OrderRole.EXIT)
        lanes.append(ask_of(trade, Place(order.order_id)).lane.name)
        order.state = OrderState.REJECTED
    assert lanes == ["EXIT", "EXIT", "EXIT", "AGAIN", "AGAIN"]
    order_of(trade, OrderRole.EXIT).state = OrderState.CANCELLED
    assert ask_of(trade, Place(order_of(trade, OrderRole.EXIT).order_id)).lane is OrderLane.EXIT
    assert ask_of(trade, Cancel(trade.orders[-1].order_id, 1)).lane is OrderLane.EXIT


@pytest.mark.parametrize(("kind", "segment"), [("FUTURE", "NFO"), ("OPTION", "NFO"), ("EQUITY", "NSE")])
def test_the_segment_is_the_contracts(kind, segment):
    assert segment_of(contract(kind)) == segment


@pytest.mark.parametrize(
    ("is_option", "price_paise", "last_paise", "exempt"),
    [
        (False, 100_750, 100_000, True), (False, 100_751, 100_000, False), (False, 99_249, 100_000, False),
        (True, 14_000, 10_000, True), (True, 14_001, 10_000, False),
        (True, 2_500, 500, True), (True, 2_501, 500, False), (True, 3_000, 5_000, True), (True, 2_999, 5_000, False),
    ],
)  # fmt: skip
def test_what_is_near_the_last_price_does_not_count_to_the_ratio(is_option, price_paise, last_paise, exempt):
    prices = {"is_option": is_option, "price_paise": price_paise, "last_paise": last_paise}
    assert is_exempt(**prices, day=date(2026, 4, 6)) is exempt


def test_how_near_is_a_dated_rule():
    text = """{"source": "s", "last_checked": "2026-11-29", "order_ratio_exemptions": [{"from": "2027-01-01",
      "option_percent": 40.0, "option_below_paise": 5000, "option_width_paise": 2000, "other_percent": 2.0}]}"""
    prices = {"is_option": False, "price_paise": 101_500, "last_paise": 100_000}
    try:
        install(RuleBook.of(merged(SHIPPED.tables, parse_tables(text, name="rules.json")[0])))
        assert [is_exempt(**prices, day=date(year, 6, 1)) for year in (2026, 2027)] == [False, True]
    finally:
        install(SHIPPED)


def test_a_stop_far_from_the_price_counts_to_the_ratio_and_a_cancellation_never_does():
    trade = trade_of()
    near = order_of(trade, OrderRole.STOP, trigger_paise=trade.expected_price_paise * 995 // 1000)
    far = order_of(trade, OrderRole.STOP, trigger_paise=trade.expected_price_paise * 9 // 10)
    asked = (Place(trade.entry_order().order_id), Place(near.order_id), Place(far.order_id),
             Modify(far.order_id, 1, 1, 1), Cancel(far.order_id, 1))  # fmt: skip
    assert [ask_of(trade, one).counted for one in asked] == [False, False, True, True, False]


def test_a_stop_is_not_trailed_where_its_changes_the_minute_or_the_ratio_forbid_it():
    limits, budget = limits_of("dhan"), OrderBudget()

    def why(*, changes: int = 0, now_ns: int = MORNING) -> str:
        return why_not_trail(budget, limits, STOP, changes=changes, now_ns=now_ns)

    assert why(changes=19) == ""
    assert why(changes=20) == "changed 20 times, the rest of the 25 is kept for a position that grows"
    for number in range(100):  # one every three seconds: the minute is never half full
        assert budget.take(limits, STOP, now_ns=MORNING + 3 * number * SECOND).admitted
    later_ns = MORNING + 600 * SECOND
    assert why(now_ns=later_ns) == "order-to-trade ratio: 100 orders and changes for 0 trades today"
    budget.traded(5, at_ns=later_ns)
    assert why(now_ns=later_ns) == ""
    tomorrow_ns = MORNING + 86_400 * SECOND
    for number in range(81):
        assert budget.take(limits, STOP, now_ns=tomorrow_ns + number * SECOND // 2).admitted
    assert "requests of one minute are used" in why(now_ns=tomorrow_ns + 45 * SECOND)
