"""Orders and the market: what trades with whom, at which price, and that nothing is made or lost."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from testkit.exchange_hands import BUY, LIMIT, MARKET, SELL, SL, at, best, future, last, place, set_depth, still

from services.sandbox.domain.orders.book import OrderBook
from services.sandbox.domain.orders.order import WorkingOrder
from services.sandbox.ports import FINAL, ChangedOrder, NewOrder, Refusal, SandboxStatus, Validity
from tradebus.trading.orders import Product


@pytest.fixture
def exchange():
    return still()


def calm(exchange, *, spread=10, lots=10):
    """A future with one level of ten lots each side around its last price; the price is returned."""
    one = future(exchange)
    price = last(exchange, one)
    tick = one.tick_size_paise
    set_depth(exchange, one, bids=[(price - spread * tick, lots)], asks=[(price + spread * tick, lots)])
    return one, price, tick


def test_a_market_order_takes_the_levels_in_order_and_shows_as_a_limit(exchange):
    one, price, tick = calm(exchange)
    set_depth(exchange, one, bids=[], asks=[(price + tick, 2), (price + 3 * tick, 5)])
    order = place(exchange, "A", one, BUY, 4)
    assert order.status is SandboxStatus.COMPLETE
    assert [(trade.quantity // one.lot_size, trade.price_paise) for trade in order.trades] == [
        (2, price + tick), (2, price + 3 * tick)
    ]  # fmt: skip
    assert order.asked.order_type is MARKET
    assert order.request.order_type is LIMIT
    assert order.average_price_paise == price + 2 * tick
    assert exchange.quotes["ask_quantity"][one.index][1] == 3 * one.lot_size


def test_a_limit_order_takes_what_is_there_and_rests_with_the_remainder(exchange):
    one, price, tick = calm(exchange)
    order = place(exchange, "A", one, BUY, 15, price_paise=price + 10 * tick)
    assert order.status is SandboxStatus.OPEN
    assert order.filled_quantity == 10 * one.lot_size
    assert order.pending_quantity == 5 * one.lot_size


def test_a_resting_order_fills_at_its_own_price_when_the_market_comes_to_it(exchange):
    one, price, tick = calm(exchange)
    order = place(exchange, "A", one, BUY, 2, price_paise=price - 5 * tick)
    set_depth(exchange, one, bids=[(price - 30 * tick, 5)], asks=[(price - 20 * tick, 1)])
    exchange.floor.matching.on_quotes(np.array([one.index]))
    order = exchange.order("A", order.order_id)
    assert order.filled_quantity == one.lot_size
    assert order.trades[0].price_paise == price - 5 * tick


def test_ioc_ends_with_what_it_got(exchange):
    one, price, tick = calm(exchange)
    order = place(exchange, "A", one, BUY, 15, price_paise=price + 10 * tick, validity=Validity.IOC)
    assert order.status is SandboxStatus.CANCELLED
    assert order.filled_quantity == 10 * one.lot_size
    assert order.pending_quantity == 0


def test_two_accounts_trade_with_each_other_at_the_price_of_the_one_who_waited(exchange):
    one, price, _ = calm(exchange)
    waiting = place(exchange, "A", one, BUY, 3, price_paise=price)
    order = place(exchange, "B", one, SELL, 2, price_paise=price - one.tick_size_paise)
    assert order.status is SandboxStatus.COMPLETE
    assert order.average_price_paise == price
    assert exchange.order("A", waiting.order_id).filled_quantity == 2 * one.lot_size
    assert exchange.floor.matching.market_cash_paise == 0


def test_nobody_trades_with_himself(exchange):
    one, price, _ = calm(exchange)
    place(exchange, "A", one, BUY, 3, price_paise=price)
    order = place(exchange, "A", one, SELL, 3, price_paise=price)
    assert order.filled_quantity == 0


def test_at_one_price_the_earlier_order_trades_first(exchange):
    one, price, _ = calm(exchange)
    first = place(exchange, "A", one, BUY, 1, price_paise=price)
    second = place(exchange, "B", one, BUY, 1, price_paise=price)
    place(exchange, "C", one, SELL, 1, price_paise=price)
    assert exchange.order("A", first.order_id).status is SandboxStatus.COMPLETE
    assert exchange.order("B", second.order_id).status is SandboxStatus.OPEN


def test_an_order_that_only_shrinks_keeps_its_place_and_one_that_grows_loses_it(exchange):
    one, price, _ = calm(exchange)
    first = place(exchange, "A", one, BUY, 2, price_paise=price)
    second = place(exchange, "B", one, BUY, 2, price_paise=price)
    exchange.modify("A", first.order_id, ChangedOrder(quantity=one.lot_size))
    place(exchange, "C", one, SELL, 1, price_paise=price)
    assert exchange.order("A", first.order_id).status is SandboxStatus.COMPLETE
    third = place(exchange, "A", one, BUY, 1, price_paise=price)
    exchange.modify("B", second.order_id, ChangedOrder(quantity=3 * one.lot_size))
    place(exchange, "C", one, SELL, 1, price_paise=price)
    assert exchange.order("A", third.order_id).status is SandboxStatus.COMPLETE
    assert exchange.order("B", second.order_id).filled_quantity == 0


def test_a_stop_waits_for_its_trigger_and_then_is_a_limit(exchange):
    one, price, tick = calm(exchange)
    order = place(
        exchange, "A", one, SELL, 1, order_type=SL, trigger_paise=price - 100 * tick, price_paise=price - 900 * tick
    )
    assert order.status is SandboxStatus.TRIGGER_PENDING
    exchange.shock(one.index, -0.0001)
    assert exchange.order("A", order.order_id).status is SandboxStatus.TRIGGER_PENDING
    exchange.shock(one.index, -0.003)
    done = exchange.order("A", order.order_id)
    assert done.status is SandboxStatus.COMPLETE
    assert [status for status, _, _ in done.history][-3:] == [
        SandboxStatus.TRIGGER_PENDING, SandboxStatus.OPEN, SandboxStatus.COMPLETE
    ]  # fmt: skip
    assert done.average_price_paise >= price - 900 * tick


def test_a_woken_stop_can_be_moved_like_a_limit(exchange):
    one, price, tick = calm(exchange)
    order = place(
        exchange, "A", one, BUY, 1, order_type=SL, trigger_paise=price + 50 * tick, price_paise=price + 60 * tick
    )
    exchange.shock(one.index, 0.01)
    order = exchange.order("A", order.order_id)
    assert order.status is SandboxStatus.OPEN  # its limit is far below the market now
    _, ask = best(exchange, one)
    order = exchange.modify("A", order.order_id, ChangedOrder(price_paise=ask))
    assert order.status is SandboxStatus.COMPLETE


def test_an_order_in_an_option_moves_the_day_s_volume(exchange):
    option = next(one for one in exchange.instruments if one.key.is_option and one.key.name == "NIFTY")
    before = int(exchange.quotes["volume_cumulative"][option.index])
    order = place(exchange, "A", option, BUY, 1)
    assert order.status is SandboxStatus.COMPLETE
    assert exchange.quotes["volume_cumulative"][option.index] == before + option.lot_size


@given(st.lists(st.tuples(st.booleans(), st.integers(90, 110), st.integers(1, 5)), max_size=40))
def test_the_book_keeps_price_then_time(orders):
    book = OrderBook()
    for number, (buys, price, quantity) in enumerate(orders):
        request = NewOrder(0, BUY if buys else SELL, LIMIT, Product.INTRADAY, quantity, price)
        order = WorkingOrder(str(number), "", "A", request, number)
        order.limit_paise = price
        book.rest(order, number)
    by_price = sorted(enumerate(orders), key=lambda item: (item[1][1], item[0]))
    assert [int(one.order_id) for one in book.sells] == [number for number, (buys, _, _) in by_price if not buys]
    by_price.sort(key=lambda item: -item[1][1])
    assert [int(one.order_id) for one in book.buys] == [number for number, (buys, _, _) in by_price if buys]
    for order in list(book.all()):
        book.remove(order)
    assert not list(book.all())


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "market", "stop", "modify", "cancel", "shock", "advance"]),
        st.integers(0, 3),  # whose
        st.integers(0, 2),  # which instrument
        st.integers(1, 30),  # lots, ticks or seconds
        st.integers(-60, 60),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ACTIONS)
def test_nothing_is_made_or_lost_whatever_is_done(actions):
    exchange = still(instruments=300)
    option = next(one for one in exchange.instruments if one.key.is_option and one.key.name == "NIFTY")
    instruments = [future(exchange), at(exchange, "NSE:INFY"), option]
    for action in actions:
        _act(exchange, instruments, action)
        _check_books(exchange)
    exchange.advance(5)
    _check_books(exchange)


def _act(exchange, instruments, action):
    name, who, which, size, offset = action
    account, one = f"A{who}", instruments[which]
    price = max(last(exchange, one) + offset * one.tick_size_paise, one.tick_size_paise)
    side = BUY if size % 2 else SELL
    try:
        match name:
            case "buy" | "sell":
                place(exchange, account, one, BUY if name == "buy" else SELL, size, price_paise=price)
            case "market":
                place(exchange, account, one, side, size)
            case "stop":
                place(exchange, account, one, side, size, order_type=SL, trigger_paise=price, price_paise=price)
            case "modify" | "cancel":
                mine = [order for order in exchange.orders(account) if order.status not in FINAL]
                if mine:
                    order = mine[size % len(mine)]
                    listed = exchange.instruments[order.request.instrument]
                    wanted = order.request.price_paise + offset * listed.tick_size_paise
                    change = ChangedOrder(price_paise=wanted, quantity=size * listed.lot_size)
                    if name == "cancel":
                        exchange.cancel(account, order.order_id)
                    else:
                        exchange.modify(account, order.order_id, change)
            case "shock":
                exchange.shock(one.index, offset / 5000)
            case "advance":
                exchange.advance(size / 10)
    except Refusal:
        return


def _check_books(exchange):
    floor = exchange.floor
    units, money = floor.matching.market_units.copy(), floor.matching.market_cash_paise
    for name, account in floor.accounts.items():
        flow = 0
        for (instrument, _), position in account.positions.items():
            units[instrument] += position.quantity
            traded = position.day_sell_value_paise - position.day_buy_value_paise
            flow += traded
            price = last(exchange, exchange.instruments[instrument])
            worth = position.realised_paise + position.quantity * price - position.cost_paise
            assert worth == traded + position.quantity * price
            assert position.quantity == position.day_buy_quantity - position.day_sell_quantity
        money += flow
        for order in exchange.orders(name):
            _check_order(order)
            assert (order.order_id in account.open_orders) == (order.status not in FINAL)
    assert not units.any()
    assert money == 0
    for book in floor.matching.books.values():
        assert all(not order.final for order in book.all())


def _check_order(order):
    assert order.filled_quantity == sum(trade.quantity for trade in order.trades) <= order.request.quantity
    assert (order.status is SandboxStatus.COMPLETE) == (order.filled_quantity == order.request.quantity)
    if order.trades and not order.modifications:
        limit = order.request.price_paise
        prices = [trade.price_paise for trade in order.trades]
        assert max(prices) <= limit if order.request.transaction is BUY else min(prices) >= limit
    assert order.history[-1][0] is order.status
    assert [at_ns for _, at_ns, _ in order.history] == sorted(at_ns for _, at_ns, _ in order.history)
