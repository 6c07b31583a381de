"""How an option is protected: where the exchange takes no stop at the market, by one with a limit inside its price
protection that keeps to its trigger."""

from datetime import date, time

from hypothesis import given
from hypothesis import strategies as st
from testkit.contracts import contract

from tradebus.calendar import protection_band
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.contracts.signals import Side
from tradebus.execution import deadlines, lifecycle
from tradebus.execution.decisions import change_of, order_request
from tradebus.execution.leaving import exits
from tradebus.execution.opening import open_trade
from tradebus.execution.step import Modify, Place, TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import ist_to_ns
from tradebus.trading.facts import EntryApproved
from tradebus.trading.matching.paper import refusal
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus, Outcome, Result

SECOND = 1_000_000_000
LOT = 65
DAY = date(2026, 11, 25)
TEN = ist_to_ns(DAY, time(10))
BEFORE = ist_to_ns(date(2021, 9, 24), time(10))
CALL = contract("OPTION", lot_size=LOT, underlying="NIFTY")


def opened(*, side=Side.LONG, price=10_000, stop=8_500, at_ns=TEN) -> Trade:
    approval = EntryApproved(
        event_id="e", ts_event_ns=at_ns, trace_id="t", session_id="s", user_id="u", pos_id="p", signal_id="g",
        strategy="orb", symbol="X", instrument=1, side=side, rule="all_passed", intent_id="i", quantity=2 * LOT,
        lot_size=LOT, tick_size_paise=5, price_paise=price, stop_paise=stop, target_paise=None,
        valid_until_ns=at_ns + 60 * SECOND, max_slippage_pct=0.5, order_timeout_seconds=30,
    )  # fmt: skip
    trade = open_trade(approval, TradeStep(), contract=CALL, owner="me")
    accept(trade, trade.entry_order())
    return trade


def accept(trade: Trade, order: Order) -> None:
    lifecycle.on_outcome(trade, order, TradeStep(), Outcome(Result.ACCEPTED, f"b-{order.tag}"), at_ns=order.placed_ns)


def hear(trade: Trade, order: Order, status: BrokerStatus, *, filled: int = 0, reason: str = "") -> TradeStep:
    """The broker's line; fills are lots at the expected price, a second apart."""
    fills = tuple(
        BrokerFill(f"{order.tag}-{number}", LOT, trade.expected_price_paise, order.placed_ns + (number + 1) * SECOND)
        for number in range(filled // LOT)
    )
    step = TradeStep()
    report = BrokerOrder(
        order.broker_order_id or "b", order.tag, "s", 1, order.transaction, status, order.quantity, filled,
        order.trigger_paise, fills, order.placed_ns + 9 * SECOND, reason,
    )  # fmt: skip
    lifecycle.on_report(trade, order, step, report)
    return step


def covered(**terms) -> tuple[Trade, Order]:
    """One lot of two is held, behind its stop."""
    trade = opened(**terms)
    hear(trade, trade.entry_order(), BrokerStatus.OPEN, filled=LOT)
    return trade, live(trade, OrderRole.STOP)


def live(trade: Trade, role: OrderRole) -> Order:
    order = trade.live(role)
    assert order is not None
    return order


@given(
    side=st.sampled_from(Side), price=st.integers(40, 40_000).map(lambda ticks: ticks * 5),
    share=st.floats(0.02, 0.6),
)  # fmt: skip
def test_the_exchange_takes_an_options_stop_and_its_limit_is_inside_the_protection(side, price, share):
    distance = max(5, int(price * share) // 5 * 5)
    stop_paise = price - side.sign * distance
    trade, stop = covered(side=side, price=price, stop=stop_paise)
    assert (stop.order_type, stop.trigger_paise, stop.quantity) == (OrderType.SL, stop_paise, LOT)
    assert stop.price_paise is not None
    assert stop.price_paise > 0
    band = protection_band(CALL, stop_paise, DAY)
    assert band is not None
    assert band[0] <= stop.price_paise <= band[1]
    beyond = stop.price_paise - stop_paise
    assert beyond <= 0 if stop.transaction is Transaction.SELL else beyond >= 0
    assert refusal(order_request(trade, stop)) is None


def test_before_the_rule_an_options_stop_was_one_at_the_market():
    _, stop = covered(at_ns=BEFORE)
    assert (stop.order_type, stop.price_paise, stop.trigger_paise) == (OrderType.SL_M, None, 8_500)


def test_a_stop_that_grows_keeps_its_trigger_and_its_limit():
    trade, stop = covered()
    limit_paise = stop.price_paise
    accept(trade, stop)
    step = hear(trade, trade.entry_order(), BrokerStatus.FILLED, filled=2 * LOT)
    [request] = step.requests
    assert isinstance(request, Modify)
    change = change_of(trade, stop, request)
    assert (change.quantity, change.trigger_paise, change.price_paise) == (2 * LOT, 8_500, limit_paise)


@given(side=st.sampled_from(Side), moved=st.integers(-1_000, 1_000).map(lambda ticks: ticks * 5))
def test_the_limit_follows_a_trigger_that_moves(side, moved):
    trade, stop = covered(side=side, stop=10_000 - side.sign * 1_500)
    stop.trigger_paise = 10_000 + moved
    change = change_of(trade, stop, Modify(stop.order_id, TEN + SECOND, LOT, previous_trigger_paise=8_500))
    stop.price_paise = change.price_paise
    assert refusal(order_request(trade, stop)) is None, "as a new order with this trigger it would be taken"
    assert change.trigger_paise == 10_000 + moved


def test_a_stop_cancelled_at_its_trigger_means_out_at_once():
    trade, stop = covered()
    accept(trade, stop)
    hear(trade, trade.entry_order(), BrokerStatus.FILLED, filled=2 * LOT)
    step = hear(trade, stop, BrokerStatus.CANCELLED, reason="price protection")
    leaving = live(trade, OrderRole.EXIT)
    assert step.requests == [Place(leaving.order_id)]
    assert (leaving.order_type, leaving.quantity) == (OrderType.MARKET, 2 * LOT)
    assert trade.exit_reason == "stop_cancelled_by_exchange"


def test_an_exit_that_dies_of_price_protection_is_asked_for_again_a_second_later():
    """The exchange's average needs time to follow: asking at the broker's pace would use up its limits."""
    trade, stop = covered()
    accept(trade, stop)
    hear(trade, trade.entry_order(), BrokerStatus.FILLED, filled=2 * LOT)
    hear(trade, stop, BrokerStatus.CANCELLED, reason="price protection")
    first = live(trade, OrderRole.EXIT)
    accept(trade, first)
    step = hear(trade, first, BrokerStatus.CANCELLED, reason="price protection")
    assert step.requests == []
    due_ns = deadlines.deadline_ns(trade)
    assert due_ns == first.updated_ns + SECOND
    again = TradeStep()
    exits.on_deadline(trade, again, now_ns=due_ns)
    assert again.requests == [Place(live(trade, OrderRole.EXIT).order_id)]
    assert live(trade, OrderRole.EXIT).quantity == 2 * LOT
