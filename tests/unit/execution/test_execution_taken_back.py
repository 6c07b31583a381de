"""Exits that the exchange's price protection would take back: where they stand instead, and what follows one."""

from datetime import date, time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.contracts import contract
from testkit.trades import SECOND, approval

from tradebus.calendar import protection_band
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.contracts.signals import Side
from tradebus.execution import lifecycle
from tradebus.execution.deadlines import deadline_ns
from tradebus.execution.leaving import exits
from tradebus.execution.leaving.pricing import Touch
from tradebus.execution.leaving.taken_back import TAKEN_BACK_MAX, exit_terms_now, taken_back
from tradebus.execution.opening import open_trade
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.execution.watching import note_extremes
from tradebus.kernel.time import ist_to_ns
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus, InstrumentTicks, Outcome, Result
from tradebus.trading.states import OrderState

DAY = date(2026, 11, 25)
TEN = ist_to_ns(DAY, time(10))
PRICES = st.integers(1_100, 20_000).map(lambda ticks: ticks * 5)


def hear(trade: Trade, order: Order, status: BrokerStatus, *, filled: int = 0, at_ns: int = TEN) -> TradeStep:
    fills = (BrokerFill(f"f-{order.tag}", filled, 10_000, at_ns),) if filled else ()
    step = TradeStep()
    line = BrokerOrder(
        order.broker_order_id or f"b-{order.tag}", order.tag, "s", 1, order.transaction, status, order.quantity, filled,
        order.trigger_paise, fills, at_ns,
    )  # fmt: skip
    lifecycle.on_report(trade, order, step, line)
    return step


def held(side: Side = Side.LONG) -> Trade:
    """An option at a broker, behind a stop that rests."""
    trade = open_trade(approval(side), TradeStep(), contract=contract("OPTION"), owner="o", at_ns=TEN)
    trade.at_broker = True
    entry = trade.entry_order()
    lifecycle.on_outcome(trade, entry, TradeStep(), Outcome(Result.ACCEPTED, "b1"), at_ns=TEN)
    hear(trade, entry, BrokerStatus.FILLED, filled=entry.quantity)
    lifecycle.on_outcome(
        trade, trade.all_live(OrderRole.STOP)[0], TradeStep(), Outcome(Result.ACCEPTED, "b2"), at_ns=TEN
    )
    return trade


@given(side=st.sampled_from(Side), recent=PRICES, now=PRICES)
def test_an_exit_is_at_the_market_where_that_may_match_and_inside_the_protection_else(side, recent, now):
    trade = held(side)
    trade.touch = Touch(now, now, now, float(recent))
    kind, limit = exit_terms_now(trade, transaction=trade.exit_transaction, at_ns=TEN)
    band = protection_band(trade.contract, recent, DAY)
    assert band is not None
    sells = trade.exit_transaction is Transaction.SELL
    if kind is OrderType.MARKET:
        assert limit is None
        assert now * 95 // 100 >= band[0] if sells else now * 105 // 100 <= band[1]
        return
    assert limit is not None
    assert limit % 5 == 0
    assert band[0] <= limit <= band[1]


def test_the_stop_of_an_option_that_has_fallen_through_becomes_a_limit_that_stands():
    trade = held()
    trade.touch = Touch(4_000, 4_010, 4_000, 9_900.0)
    exits.request_exit(trade, TradeStep(), reason="x", at_ns=TEN + SECOND)
    [stop] = trade.all_live(OrderRole.STOP)
    assert (stop.is_turned, stop.order_type) == (True, OrderType.LIMIT)
    assert stop.price_paise is not None
    assert 5_940 < stop.price_paise < 9_900, "inside 40 % of the average, though the market is far below"


def test_what_is_taken_back_is_followed_by_one_nearer_to_the_average_at_once_and_then_ever_more_seldom():
    trade = held()
    trade.touch = Touch(6_000, 6_000, 6_000, 6_000.0)  # as a life that has just begun sees it; the average is far above
    exits.request_exit(trade, TradeStep(), reason="x", at_ns=TEN)
    [stop] = trade.all_live(OrderRole.STOP)
    assert stop.order_type is OrderType.MARKET
    hear(trade, stop, BrokerStatus.CANCELLED)
    limits = []
    while (order := trade.live(OrderRole.EXIT)) is not None:
        limits.append(order.price_paise)
        hear(trade, order, BrokerStatus.CANCELLED, at_ns=order.placed_ns)
    assert limits == [6_000, 8_400, 10_800], "each on other terms, and no more of them"
    waits = []
    for _ in range(3):
        due_ns = deadline_ns(trade)
        assert due_ns is not None
        waits.append((due_ns - trade.orders[-1].updated_ns) // SECOND)
        exits.on_deadline(trade, TradeStep(), now_ns=due_ns)
        order = trade.live(OrderRole.EXIT)
        assert order is not None
        hear(trade, order, BrokerStatus.CANCELLED, at_ns=order.placed_ns)
        assert trade.live(OrderRole.EXIT) is None
    assert waits == [1, 1, 2], "those that followed each other at once count as one"
    assert taken_back(trade) > TAKEN_BACK_MAX


def test_an_exit_that_is_refused_before_its_answer_comes_is_not_sent_again_at_once():
    trade = held()
    exits.request_exit(trade, TradeStep(), reason="x", at_ns=TEN)
    hear(trade, trade.all_live(OrderRole.STOP)[0], BrokerStatus.CANCELLED)
    order = trade.live(OrderRole.EXIT)
    assert order is not None
    hear(trade, order, BrokerStatus.REJECTED)  # the order stream overtakes the request's answer
    step = TradeStep()
    lifecycle.on_outcome(trade, order, step, Outcome(Result.ACCEPTED, f"b-{order.tag}"), at_ns=TEN)
    assert step.requests == []
    assert order.state is OrderState.REJECTED


def test_the_average_follows_the_market_over_half_a_minute():
    trade = held()
    found = []
    for second in range(1, 91):
        prices = np.full(1, 5_000, np.int64)
        ticks = InstrumentTicks(np.full(1, TEN + second * SECOND, np.int64), prices, prices, prices)
        note_extremes(trade, ticks, 0, 1)
        assert trade.touch is not None
        found.append(trade.touch.recent_paise)
    assert found == sorted(found, reverse=True)
    assert 9_700 < found[0] < 10_000
    assert 6_700 < found[29] < 7_000, "a third of the way is left after thirty seconds"
    assert found[-1] < 5_300


def test_what_stands_far_from_the_market_is_moved_out_again_until_it_is_where_the_protection_ends():
    trade = held()
    trade.touch = Touch(6_000, 6_000, 6_000, 6_000.0)
    exits.request_exit(trade, TradeStep(), reason="x", at_ns=TEN)
    hear(trade, trade.all_live(OrderRole.STOP)[0], BrokerStatus.CANCELLED)
    for _ in range(2):
        order = trade.live(OrderRole.EXIT)
        assert order is not None
        hear(trade, order, BrokerStatus.CANCELLED)
    stands = trade.live(OrderRole.EXIT)
    assert stands is not None
    assert stands.price_paise == 10_800, "taken back three times: beyond the average"
    lifecycle.on_outcome(trade, stands, TradeStep(), Outcome(Result.ACCEPTED, "b"), at_ns=TEN)
    limits = []
    for number in range(4):
        exits.on_deadline(trade, TradeStep(), now_ns=TEN + (120 + 10 * number) * SECOND)
        limits.append(stands.price_paise)
    assert limits == [8_400, 6_000, 4_560, 4_320], "back to the average, and then as far as any exit"


def test_before_the_first_tick_what_is_taken_back_is_followed_by_limits_from_what_was_paid():
    trade = held()
    assert trade.touch is None
    exits.request_exit(trade, TradeStep(), reason="x", at_ns=TEN)
    [stop] = trade.all_live(OrderRole.STOP)
    assert (stop.order_type, stop.price_paise) == (OrderType.MARKET, None)
    hear(trade, stop, BrokerStatus.CANCELLED)
    order = trade.live(OrderRole.EXIT)
    assert order is not None
    assert (order.order_type, order.price_paise) == (OrderType.LIMIT, 10_000)


@pytest.mark.parametrize("side", Side)
def test_what_was_bought_after_a_fall_is_left_near_the_price_of_when_it_was_decided_on(side: Side) -> None:
    trade = held(side)
    trade.expected_price_paise = 30_000 if side is Side.LONG else 3_000
    exits.request_exit(trade, TradeStep(), reason="x", at_ns=TEN)
    hear(trade, trade.all_live(OrderRole.STOP)[0], BrokerStatus.CANCELLED)
    order = trade.live(OrderRole.EXIT)
    assert order is not None
    assert order.price_paise == trade.expected_price_paise
    prices = np.full(1, 10_000, np.int64)
    note_extremes(trade, InstrumentTicks(np.full(1, TEN + SECOND, np.int64), prices, prices, prices), 0, 1)
    assert trade.touch is not None
    assert abs(trade.touch.recent_paise - trade.expected_price_paise) < 1_000, "and goes from there to the market"
