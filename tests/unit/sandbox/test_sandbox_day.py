"""The dated clock: sessions, closing auction, square-off, expiry, the night, tokens, history."""

from datetime import date, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.exchange_hands import BUY, MARKET, SELL, SL, at, future, last, place, still
from testkit.sandbox_days import COARSE, go

from services.sandbox.domain.day.events import DayEventKind, events_of, span_of
from services.sandbox.domain.day.market_clock import MarketClock
from services.sandbox.ports import (
    BrokerName,
    ChangedOrder,
    Refusal,
    SandboxStatus,
    Token,
    TokenProblem,
    Validity,
    Why,
)
from tradebus.kernel.time import IST, datetime_to_ns, ist_datetime
from tradebus.trading.orders import Product


def test_a_day_s_events_come_in_their_order():
    events = [
        (f"{ist_datetime(one.at_ns):%H:%M}", one.event, one.market or one.market_class)
        for one in events_of(date(2026, 11, 25))
    ]
    assert events == [
        ("09:15", DayEventKind.OPEN, "equity"), ("09:15", DayEventKind.OPEN, "equity_fno"),
        ("09:15", DayEventKind.OPEN, "derivative"),
        ("15:05", DayEventKind.SQUARE_OFF, "equity_fno"),
        ("15:15", DayEventKind.AUCTION_BEGINS, "equity_fno"), ("15:15", DayEventKind.RANGE_RESET, "index"),
        ("15:15", DayEventKind.RANGE_RESET, "stock"), ("15:20", DayEventKind.SQUARE_OFF, "equity"),
        ("15:30", DayEventKind.SQUARE_OFF, "derivative"),
        ("15:30", DayEventKind.CLOSE, "equity"), ("15:35", DayEventKind.AUCTION, "equity_fno"),
        ("15:35", DayEventKind.CLOSE, "equity_fno"),
        ("15:40", DayEventKind.CLOSE, "derivative"), ("15:40", DayEventKind.EXPIRY, "index"),
        ("15:40", DayEventKind.EXPIRY, "stock"),
        ("00:00", DayEventKind.ROLLOVER, None),
    ]  # fmt: skip
    assert span_of(date(2026, 11, 24)) is None  # a holiday
    assert [one.event for one in events_of(date(2026, 11, 24))] == [DayEventKind.ROLLOVER]


def test_from_december_expiring_index_contracts_end_before_their_segment():
    events = [(f"{ist_datetime(one.at_ns):%H:%M}", one.event, one.market or one.market_class)
              for one in events_of(date(2026, 12, 8)) if one.market_class == "derivative"]  # fmt: skip
    assert events == [
        ("09:15", DayEventKind.OPEN, "derivative"), ("15:20", DayEventKind.SQUARE_OFF, "index"),
        ("15:30", DayEventKind.RANGE_RESET, "index"), ("15:30", DayEventKind.RANGE_RESET, "stock"),
        ("15:30", DayEventKind.CLOSE, "index"), ("15:30", DayEventKind.EXPIRY, "index"),
        ("15:35", DayEventKind.SQUARE_OFF, "derivative"),
        ("15:45", DayEventKind.CLOSE, "derivative"),
        ("15:45", DayEventKind.EXPIRY, "stock"),
    ]  # fmt: skip


def test_before_the_open_nothing_trades_and_after_market_orders_wait_for_it():
    exchange = still("2026-11-25T08:30:00", **COARSE)
    one = future(exchange)
    with pytest.raises(Refusal) as raised:
        place(exchange, "A", one, BUY, 1)
    assert raised.value.why is Why.MARKET_CLOSED
    order = place(exchange, "A", one, BUY, 1, after_market=True)
    assert order.status is SandboxStatus.AFTER_MARKET
    order = exchange.modify("A", order.order_id, ChangedOrder(quantity=2 * one.lot_size))
    go(exchange, "2026-11-25T09:16:00")
    done = exchange.order("A", order.order_id)
    assert done.filled_quantity == 2 * one.lot_size
    assert [status for status, _, _ in done.history][:2] == [
        SandboxStatus.VALIDATION_PENDING, SandboxStatus.AFTER_MARKET
    ]  # fmt: skip


def test_a_closed_market_stands_still():
    exchange = still("2026-11-24T11:00:00", **COARSE)  # a holiday
    before = exchange.quotes.copy()
    exchange.advance(3600)
    assert exchange.quotes.tobytes() == before.tobytes()
    with pytest.raises(Refusal) as raised:
        place(exchange, "A", future(exchange), BUY, 1)
    assert raised.value.why is Why.MARKET_CLOSED


def test_stops_of_fno_stocks_end_at_1515_and_those_of_futures_do_not():
    exchange = still("2026-11-25T15:14:00", **COARSE)
    infy, one = at(exchange, "NSE:INFY"), future(exchange)
    orders = []
    for each in (infy, one):
        trigger = (last(exchange, each) * 102 // 100) // each.tick_size_paise * each.tick_size_paise
        fields = {"order_type": SL, "trigger_paise": trigger, "price_paise": trigger, "product": Product.INTRADAY}
        orders.append(place(exchange, "A", each, BUY, 1, **fields))
    go(exchange, "2026-11-25T15:15:00")
    ended, stays = (exchange.order("A", order.order_id) for order in orders)
    assert ended.status is SandboxStatus.CANCELLED
    assert "exchange cancels" in ended.reason
    assert stays.status is SandboxStatus.TRIGGER_PENDING


def test_orders_in_futures_far_from_the_price_end_when_their_range_is_set_anew():
    exchange = still("2026-11-25T15:14:00", **COARSE)
    one, price = future(exchange), last(exchange, future(exchange))
    prices = [price * share // 100 // one.tick_size_paise * one.tick_size_paise for share in (98, 95)]
    near, far = (place(exchange, "A", one, BUY, 1, price_paise=paise) for paise in prices)
    stop = place(exchange, "A", one, SELL, 1, order_type=SL, trigger_paise=prices[1], price_paise=prices[1])
    go(exchange, "2026-11-25T15:15:00")
    states = [exchange.order("A", order.order_id).status for order in (near, far, stop)]
    assert states == [SandboxStatus.OPEN, SandboxStatus.CANCELLED, SandboxStatus.CANCELLED]
    assert "operating range" in exchange.order("A", stop.order_id).reason


def test_limit_orders_of_fno_stocks_go_on_into_the_auction_from_february_2027():
    for day, close, kept in (("2027-02-05", "15:30", False), ("2027-02-08", "15:30", True)):
        exchange = still(f"{day}T15:25:00", **COARSE)
        infy = at(exchange, "NSE:INFY")
        price = last(exchange, infy)
        prices = [price * share // 100 // infy.tick_size_paise * infy.tick_size_paise for share in (99, 95)]
        near, far = (place(exchange, "A", infy, BUY, 1, price_paise=paise) for paise in prices)
        go(exchange, f"{day}T{close}:00")
        assert (exchange.order("A", near.order_id).status is SandboxStatus.OPEN) == kept
        assert exchange.order("A", far.order_id).status is SandboxStatus.CANCELLED


def test_the_closing_auction_pauses_takes_orders_and_trades_them_at_the_close():
    exchange = still("2026-11-25T15:14:00", **COARSE)
    infy = at(exchange, "NSE:INFY")
    go(exchange, "2026-11-25T15:17:00")
    with pytest.raises(Refusal) as raised:
        place(exchange, "A", infy, BUY, 1, product=Product.DELIVERY)
    assert raised.value.why is Why.MARKET_CLOSED
    go(exchange, "2026-11-25T15:21:00")
    close = last(exchange, infy)
    taken = place(exchange, "A", infy, BUY, 5, product=Product.DELIVERY)
    far = place(
        exchange, "A", infy, BUY, 5, product=Product.DELIVERY, price_paise=close - 20 * infy.tick_size_paise
    )  # fmt: skip
    assert taken.status is SandboxStatus.OPEN
    assert taken.filled_quantity == 0
    with pytest.raises(Refusal) as raised:
        place(exchange, "A", infy, SELL, 1, order_type=SL, trigger_paise=close - 100, price_paise=close - 100)
    assert raised.value.why is Why.NOT_ALLOWED
    for asked, why in (
        ({"price_paise": 2 * close}, Why.PRICE_BAND),
        ({"price_paise": close, "validity": Validity.IOC}, Why.NOT_ALLOWED),
        ({"price_paise": close, "disclosed_quantity": 1}, Why.NOT_ALLOWED),
    ):
        with pytest.raises(Refusal) as raised:
            place(exchange, "A", infy, SELL, 1, **asked)
        assert raised.value.why is why
    go(exchange, "2026-11-25T15:35:00")
    assert exchange.order("A", taken.order_id).average_price_paise == close
    assert exchange.order("A", far.order_id).status is SandboxStatus.CANCELLED


def test_futures_trade_until_1540_and_then_day_orders_end():
    exchange = still("2026-11-25T15:36:00", **COARSE)
    one = future(exchange)
    assert place(exchange, "A", one, BUY, 1).status is SandboxStatus.COMPLETE
    waiting = place(exchange, "A", one, BUY, 1, price_paise=last(exchange, one) - 2000 * one.tick_size_paise)
    go(exchange, "2026-11-25T15:40:00")
    ended = exchange.order("A", waiting.order_id)
    assert ended.status is SandboxStatus.CANCELLED
    assert "session has ended" in ended.reason
    with pytest.raises(Refusal):
        place(exchange, "A", one, BUY, 1)


def test_intraday_positions_are_squared_off_and_carried_ones_are_not():
    exchange = still("2026-11-25T15:29:00", **COARSE)
    one = future(exchange)
    place(exchange, "A", one, BUY, 2, product=Product.INTRADAY)
    place(exchange, "A", one, BUY, 1, product=Product.CARRY)
    resting = place(
        exchange, "A", one, BUY, 1, product=Product.INTRADAY, price_paise=last(exchange, one) - 20_000
    )  # fmt: skip
    go(exchange, "2026-11-25T15:31:00")
    held = {position.product: position.quantity for position in exchange.positions("A")}
    assert held == {Product.INTRADAY: 0, Product.CARRY: one.lot_size}
    assert exchange.order("A", resting.order_id).status is SandboxStatus.CANCELLED
    closing = exchange.orders("A")[-1]
    assert (closing.request.tag, closing.asked.order_type) == ("squareoff", MARKET)


def test_the_night_settles_delivers_and_carries():
    exchange = still("2026-11-25T14:00:00", **COARSE)
    infy, one = at(exchange, "NSE:INFY"), future(exchange)
    option = next(each for each in exchange.instruments if each.key.is_option and each.key.name == "NIFTY")
    bought = place(exchange, "A", infy, BUY, 10, product=Product.DELIVERY)
    held = place(exchange, "A", one, BUY, 1)
    premium = place(exchange, "A", option, BUY, 1)
    go(exchange, "2026-11-25T23:00:00")
    settlement = last(exchange, one)
    go(exchange, "2026-11-26T08:00:00")
    assert exchange.orders("A") == ()
    (holding,) = exchange.holdings("A")
    assert (holding.instrument, holding.quantity) == (infy.index, 10)
    assert holding.average_price_paise == bought.average_price_paise
    positions = {position.instrument: position for position in exchange.positions("A")}
    assert set(positions) == {one.index, option.index}
    assert positions[one.index].overnight_quantity == positions[one.index].quantity == one.lot_size
    assert positions[one.index].overnight_value_paise == settlement * one.lot_size
    assert positions[option.index].overnight_value_paise == premium.average_price_paise * option.lot_size
    marked = (settlement - held.average_price_paise) * one.lot_size
    cash = exchange.options.opening_paise - 10 * bought.average_price_paise + marked
    assert exchange.margins("A").opening_paise == cash
    go(exchange, "2026-11-26T09:16:00")
    assert place(exchange, "A", infy, SELL, 10, product=Product.DELIVERY).filled_quantity == 10
    assert exchange.holdings("A")[0].quantity == 0
    go(exchange, "2026-11-27T08:00:00")
    assert exchange.holdings("A") == ()


@pytest.mark.parametrize(
    ("bought_on", "unsettled_on", "settled_on"),
    [
        ("2026-11-25", ("2026-11-26",), "2026-11-27"),
        ("2026-11-27", ("2026-11-28", "2026-11-30"), "2026-12-01"),  # over a week-end
        ("2026-08-25", ("2026-08-26", "2026-08-27"), "2026-08-28"),  # the 26th trades and does not settle
    ],
)
def test_what_was_bought_comes_with_its_settlement_and_may_be_sold_before(bought_on, unsettled_on, settled_on):
    exchange = still(f"{bought_on}T14:00:00", **COARSE)
    infy = at(exchange, "NSE:INFY")
    assert place(exchange, "A", infy, BUY, 10, product=Product.DELIVERY).filled_quantity == 10
    for day in unsettled_on:
        go(exchange, f"{day}T08:00:00")
        assert [(one.quantity, one.unsettled) for one in exchange.holdings("A")] == [(10, 10)]
    go(exchange, f"{unsettled_on[-1]}T09:16:00")
    assert place(exchange, "A", infy, SELL, 4, product=Product.DELIVERY).filled_quantity == 4
    assert [(one.quantity, one.unsettled) for one in exchange.holdings("A")] == [(6, 6)]
    go(exchange, f"{settled_on}T08:00:00")
    assert [(one.quantity, one.unsettled) for one in exchange.holdings("A")] == [(6, 0)]


def test_a_new_day_begins_its_counters_anew_at_yesterday_s_close():
    exchange = still("2026-11-25T15:00:00", **COARSE)
    go(exchange, "2026-11-25T23:30:00")
    closes = exchange.quotes["price_paise"].copy()
    go(exchange, "2026-11-26T09:00:00")
    assert (exchange.quotes["previous_close_paise"] == closes).all()
    assert not exchange.quotes["volume_cumulative"].any()
    go(exchange, "2026-11-26T09:20:00")
    nifty = at(exchange, "INDEX:NIFTY")
    assert exchange.quotes["open_paise"][nifty.index] != closes[nifty.index]  # the night's gap
    assert exchange.quotes["volume_cumulative"].any()


def test_an_order_with_minutes_to_live_ends_after_them():
    exchange = still()
    one = future(exchange)
    price = last(exchange, one) - 5000 * one.tick_size_paise
    order = place(exchange, "A", one, BUY, 1, price_paise=price, validity=Validity.TTL, validity_minutes=1)
    exchange.advance(59)
    assert exchange.order("A", order.order_id).status is SandboxStatus.OPEN
    exchange.advance(2)
    assert exchange.order("A", order.order_id).status is SandboxStatus.CANCELLED


@pytest.mark.parametrize(
    ("broker", "until"),
    [
        (BrokerName.KITE, "2026-11-26T06:00:00"), (BrokerName.UPSTOX, "2026-11-26T03:30:00"),
        (BrokerName.DHAN, "2026-11-26T10:00:00"),
    ],
)  # fmt: skip
def test_tokens_end_at_their_broker_s_hour(broker, until):
    exchange = still(**COARSE)
    token = exchange.login(broker, "A")
    assert f"{ist_datetime(token.expires_ns):%Y-%m-%dT%H:%M:%S}" == until
    assert exchange.authorise(broker, token.value) == token
    go(exchange, until)
    assert exchange.authorise(broker, token.value) is TokenProblem.EXPIRED
    fresh = exchange.login(broker, "A")
    assert fresh.value != token.value
    assert isinstance(exchange.authorise(broker, fresh.value), Token)
    exchange.log_out(fresh.value)
    assert exchange.authorise(broker, fresh.value) is TokenProblem.UNKNOWN
    assert exchange.authorise(broker, None) is TokenProblem.MISSING


def test_a_token_of_one_broker_is_none_at_another():
    exchange = still()
    token = exchange.login(BrokerName.KITE, "A")
    assert exchange.authorise(BrokerName.DHAN, token.value) is TokenProblem.UNKNOWN


def test_the_clock_never_passes_the_next_step_and_never_goes_back():
    wall = [0]
    clock = MarketClock(1_000, step_ns=100, speed=2.0, wall_ns=lambda: wall[0])
    seen = []
    for passed in (0, 10, 30, 80, 500):
        wall[0] = passed
        seen.append(clock.now_ns())
    assert seen == [1_000, 1_020, 1_060, 1_099, 1_099]
    clock.step_to(1_100)
    assert clock.now_ns() == 1_100
    clock.step_to(900)
    assert clock.now_ns() == 1_100


def test_history_joins_the_past_to_the_day_under_way():
    exchange = still("2026-11-25T11:00:00", **COARSE)
    nifty, one = at(exchange, "INDEX:NIFTY"), future(exchange)
    exchange.advance(300)
    from_ns = datetime_to_ns(datetime(2026, 11, 16, tzinfo=IST))
    for each in (nifty, one, at(exchange, "NSE:INFY")):
        bars = exchange.history(each.index, timeframe_seconds=60, from_ns=from_ns, to_ns=2**62)
        times = bars["ts_open_ns"]
        assert (np.diff(times) > 0).all()
        assert times[-1] < exchange.now_ns
        assert (bars["low_paise"] <= np.minimum(bars["open_paise"], bars["close_paise"])).all()
        assert (bars["high_paise"] >= np.maximum(bars["open_paise"], bars["close_paise"])).all()
        assert (bars["low_paise"] > 0).all()
        today = datetime_to_ns(datetime(2026, 11, 25, tzinfo=IST))
        earlier = bars[times < today]
        assert earlier["close_paise"][-1] == exchange.quotes["previous_close_paise"][each.index]
        days = {ist_datetime(int(at_ns)).date().isoformat() for at_ns in times}
        assert "2026-11-24" not in days  # a holiday
        assert {"2026-11-16", "2026-11-23", "2026-11-25"} <= days
        again = exchange.history(each.index, timeframe_seconds=60, from_ns=from_ns, to_ns=2**62)
        assert again.tobytes() == bars.tobytes()


def test_longer_bars_are_made_of_the_minutes():
    exchange = still("2026-11-25T11:00:00")
    one = future(exchange)
    from_ns, to_ns = (
        datetime_to_ns(datetime(2026, 11, 20, tzinfo=IST)),
        datetime_to_ns(datetime(2026, 11, 21, tzinfo=IST)),
    )
    minutes = exchange.history(one.index, timeframe_seconds=60, from_ns=from_ns, to_ns=to_ns)
    assert len(minutes) == 385
    quarters = exchange.history(one.index, timeframe_seconds=900, from_ns=from_ns, to_ns=to_ns)
    assert len(quarters) == 26
    assert quarters["volume"].sum() == minutes["volume"].sum()
    assert quarters["high_paise"].max() == minutes["high_paise"].max()
    (day,) = exchange.history(one.index, timeframe_seconds=86_400, from_ns=from_ns, to_ns=to_ns)
    assert (day["open_paise"], day["close_paise"]) == (minutes["open_paise"][0], minutes["close_paise"][-1])
    assert day["ts_open_ns"] == from_ns


def test_history_from_the_beginning_of_time_begins_where_something_is_known():
    exchange = still("2026-11-25T11:00:00", instruments=1)
    nifty = at(exchange, "INDEX:NIFTY")
    bars = exchange.history(nifty.index, timeframe_seconds=86_400, from_ns=-(10**18), to_ns=2**62)
    assert 1400 < len(bars) < 1600
    assert (np.diff(bars["ts_open_ns"]) > 0).all()
    assert 500_000 < bars["close_paise"].min() <= bars["close_paise"].max() < 20_000_000
    assert len(exchange.history(nifty.index, timeframe_seconds=60, from_ns=2**62, to_ns=0)) == 0


TRADES = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(0, 3), st.booleans(), st.integers(1, 9)), min_size=1, max_size=8
)


@settings(max_examples=10)
@given(st.lists(TRADES, min_size=1, max_size=3))
def test_over_days_what_one_side_gains_the_other_loses_to_the_paisa(days):
    exchange = still("2026-11-30T09:16:00", step_ms=600_000, ticks_per_second=30.0)
    option = next(one for one in exchange.instruments if str(one.key).startswith("NFO:NIFTY:2026-12-01:"))
    infy = at(exchange, "NSE:INFY")
    choices = [
        (future(exchange), Product.CARRY), (option, Product.CARRY), (infy, Product.DELIVERY), (infy, Product.INTRADAY)
    ]  # fmt: skip
    taxed = 0
    for trades in days:
        for account, which, buys, size in trades:
            one, product = choices[which]
            try:
                place(exchange, account, one, BUY if buys else SELL, size, product=product)
            except Refusal:
                continue  # the option has expired by the third day
        assert worth(exchange) == -taxed
        exchange.advance(3600)
        assert worth(exchange) == -taxed
        exchange.advance(6 * 3600)
        assert worth(exchange) == -taxed
        taxed += sum(account.tax_paise for account in exchange.floor.accounts.values())
        exchange.advance(17 * 3600)
        assert worth(exchange) == -taxed


def worth(exchange):
    """What all accounts and the market together have more than the accounts began with."""
    matching, price = exchange.floor.matching, exchange.quotes["price_paise"]
    total = matching.market_cash_paise + int((matching.market_units * price).sum())
    for account in exchange.floor.accounts.values():
        total += account.cash_paise - exchange.options.opening_paise
        for (instrument, _), position in account.positions.items():
            total += position.realised_paise + position.quantity * int(price[instrument]) - position.cost_paise
        for instrument, holding in account.holdings.items():
            total += holding.quantity * int(price[instrument])
    return total
