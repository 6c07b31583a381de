"""The paper broker's matching invariants, and its vectorised look-ahead against plain matching."""

from dataclasses import replace
from datetime import date, time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.contracts import contract

from tradebus.contracts.orders import OrderType, Transaction
from tradebus.contracts.sessions import PaperSettings
from tradebus.kernel.time import ist_to_ns
from tradebus.trading.matching.market import asked_change
from tradebus.trading.matching.paper import (
    PaperOrder,
    TickQuote,
    accept,
    match,
    refusal,
    report,
    request_cancel,
    request_change,
)
from tradebus.trading.matching.touch import next_touch
from tradebus.trading.orders import BrokerStatus, InstrumentTicks, OrderModification, OrderRequest

MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND
WHOLE = PaperSettings(seed=7, latency_ms=100, slippage_bps=0.0, partial_fill_probability=0.0)
SETTINGS = PaperSettings(seed=7, latency_ms=100, slippage_bps=2.0, partial_fill_probability=0.5)


def request(
    order_type=OrderType.MARKET, transaction=Transaction.BUY, *, quantity=300, price=None, trigger=None, target=None
):  # fmt: skip
    return OrderRequest(
        account="a", tag="t", instrument=1, symbol="X", transaction=transaction, order_type=order_type,
        quantity=quantity, lot_size=25, tick_size_paise=5, at_ns=0,
        price_paise=price, trigger_paise=trigger, target_paise=target, market_protection_pct=3.0,
    )  # fmt: skip


requests = st.builds(
    lambda kind, transaction, lots, price, trigger, apart: request(
        kind,
        transaction,
        quantity=lots * 25,
        price=price * 5 if kind in (OrderType.LIMIT, OrderType.SL, OrderType.GTT) else None,
        trigger=trigger * 5 if kind in (OrderType.SL, OrderType.SL_M, OrderType.GTT) else None,
        target=(trigger + (apart if transaction is Transaction.SELL else -apart)) * 5
        if kind is OrderType.GTT
        else None,
    ),
    st.sampled_from(OrderType),
    st.sampled_from(Transaction),
    st.integers(1, 20),
    st.integers(1990, 2010),
    st.integers(1990, 2010),
    st.integers(1, 20),
)
prices = st.lists(st.integers(1985, 2015).map(lambda tick: tick * 5), min_size=1, max_size=40)


def quotes(path: list[int]) -> list[TickQuote]:
    return [TickQuote(at_ns=(index + 1) * 40 * MILLISECOND, price_paise=price) for index, price in enumerate(path)]


@given(requests, prices)
def test_fills_respect_quantity_limit_latency_and_slippage(order_request, path):
    order = accept(order_request, SETTINGS)
    by_time = {quote.at_ns: quote for quote in quotes(path)}
    for quote in by_time.values():
        order = match(order, quote)
    assert order.filled_quantity <= order.quantity
    assert (order.status is BrokerStatus.FILLED) == (order.remaining == 0)
    for fill in order.fills:
        market = by_time[fill.ts_event_ns].price_paise
        assert fill.ts_event_ns >= 100 * MILLISECOND
        assert fill.quantity > 0
        assert fill.quantity % 25 == 0
        assert fill.price_paise % 5 == 0
        worse = fill.price_paise - market if order_request.transaction is Transaction.BUY else market - fill.price_paise
        assert 0 <= worse <= market * 2 / 10_000 + 5
        if order.price_paise is not None:  # of a trigger that of the leg which was reached
            beyond = fill.price_paise - order.price_paise
            assert beyond <= 0 if order_request.transaction is Transaction.BUY else beyond >= 0


@given(requests, prices)
def test_matching_twice_gives_the_same_fills(order_request, path):
    def run():
        order = accept(order_request, SETTINGS)
        for quote in quotes(path):
            order = match(order, quote)
        return order

    assert run() == run()


# A quote's distance from the price in ticks of five paise; None where nobody stands there.
sides = st.lists(st.tuples(*[st.none() | st.integers(0, 3)] * 2), min_size=40, max_size=40)


@given(requests, prices, st.integers(0, 40), st.booleans(), st.none() | sides)
def test_look_ahead_skips_no_tick_that_matters(order_request, path, cancel_at, change, around):
    """Matching only the ticks that next_touch names gives the order that matching all of them gives."""
    path_quotes = [
        replace(
            quote,
            bid_paise=0 if bid is None else quote.price_paise - 5 * bid,
            ask_paise=0 if ask is None else quote.price_paise + 5 * ask,
        )
        for quote, (bid, ask) in zip(quotes(path), around or [(None, None)] * 40, strict=False)
    ]
    ticks = InstrumentTicks(
        at_ns=np.array([quote.at_ns for quote in path_quotes]),
        price_paise=np.array([quote.price_paise for quote in path_quotes]),
        bid_paise=np.array([quote.bid_paise for quote in path_quotes]),
        ask_paise=np.array([quote.ask_paise for quote in path_quotes]),
    )
    start = accept(order_request, SETTINGS)
    if cancel_at:
        start = request_cancel(start, at_ns=cancel_at * 40 * MILLISECOND)
    if change and start.trigger_paise:
        start = request_change(
            start, OrderModification(start.quantity + 25, start.price_paise, 9_950, at_ns=60 * MILLISECOND)
        )
    every, some = start, start
    for quote in path_quotes:
        every = match(every, quote)
    index = 0
    while (touch := next_touch(some, ticks, index)) is not None:
        some = match(some, path_quotes[touch])
        index = touch + 1
    assert (every.status, every.fills, every.quantity, every.trigger_paise) == (
        some.status,
        some.fills,
        some.quantity,
        some.trigger_paise,
    )


@pytest.mark.parametrize("kind", [OrderType.MARKET, OrderType.LIMIT])
@pytest.mark.parametrize("transaction", list(Transaction))
def test_nothing_fills_where_nobody_stands_on_the_other_side(kind, transaction):
    """At the upper circuit there are buyers only, at the lower sellers only: paper waits, as the exchange does."""
    buy = transaction is Transaction.BUY
    order = accept(request(kind, transaction, price=10_000 if kind is OrderType.LIMIT else None), SETTINGS)
    alone = TickQuote(200 * MILLISECOND, 10_000, **({"bid_paise": 10_000} if buy else {"ask_paise": 10_000}))
    waiting = match(order, alone)
    assert waiting.fills == ()
    assert waiting.status is BrokerStatus.OPEN
    served = match(waiting, TickQuote(300 * MILLISECOND, 10_000, bid_paise=10_000, ask_paise=10_000))
    assert served.filled_quantity > 0


def test_a_cancelled_order_fills_no_more():
    order = request_cancel(accept(request(OrderType.LIMIT, price=10_000), SETTINGS), at_ns=0)
    order = match(order, TickQuote(at_ns=200 * MILLISECOND, price_paise=9_000))
    assert order.status is BrokerStatus.CANCELLED
    assert order.fills == ()
    assert order.as_of_ns == 100 * MILLISECOND


def test_a_fill_can_beat_the_cancellation():
    order = accept(request(), SETTINGS)
    order = request_cancel(order, at_ns=50 * MILLISECOND)
    while not order.status.final:
        order = match(order, TickQuote(at_ns=order.as_of_ns + 101 * MILLISECOND, price_paise=10_000))
    assert order.filled_quantity > 0


def two_legs(transaction: Transaction = Transaction.SELL) -> PaperOrder:
    """A long's stop at 9,900 and target at 10,100, a short's the other way round."""
    sells = transaction is Transaction.SELL
    stop, limit, target = (9_900, 9_600, 10_100) if sells else (10_100, 10_400, 9_900)
    return accept(request(OrderType.GTT, transaction, price=limit, trigger=stop, target=target), WHOLE)


@pytest.mark.parametrize("transaction", list(Transaction))
@pytest.mark.parametrize("reached", [9_900, 10_100])
def test_the_first_leg_of_a_trigger_that_is_reached_places_its_limit_after_the_latency(transaction, reached):
    order = match(two_legs(transaction), TickQuote(at_ns=SECOND, price_paise=10_000))
    assert order.status is BrokerStatus.TRIGGER_PENDING
    fired = match(order, TickQuote(at_ns=2 * SECOND, price_paise=reached))
    is_stop = reached == order.trigger_paise
    assert (fired.status, fired.fills) == (BrokerStatus.OPEN, ())
    assert fired.price_paise == (order.price_paise if is_stop else reached)
    assert fired.effective_ns == 2 * SECOND + 100 * MILLISECOND
    assert report(fired).trigger_paise == order.trigger_paise
    done = match(fired, TickQuote(at_ns=3 * SECOND, price_paise=reached))
    assert (done.status, done.filled_quantity) == (BrokerStatus.FILLED, 300)


def test_a_target_that_was_only_touched_rests_at_its_limit_and_its_stop_is_gone():
    fired = match(two_legs(), TickQuote(at_ns=SECOND, price_paise=10_100))
    for number, price in enumerate((10_050, 9_800, 10_095)):
        fired = match(fired, TickQuote(at_ns=(2 + number) * SECOND, price_paise=price))
        assert (fired.status, fired.fills) == (BrokerStatus.OPEN, ())
    assert isinstance(asked_change(fired, OrderModification(325, 9_650, 9_950, 6 * SECOND)), str)


def test_a_gap_through_the_stop_fills_at_the_gap_not_at_the_trigger():
    stop = request(OrderType.SL_M, Transaction.SELL, trigger=10_000)
    order = match(accept(stop, SETTINGS), TickQuote(at_ns=200 * MILLISECOND, price_paise=9_000))
    assert order.fills[0].price_paise <= 9_000


def test_quotes_are_used_where_the_feed_has_them():
    order = match(accept(request(), SETTINGS), TickQuote(200 * MILLISECOND, 10_000, bid_paise=9_990, ask_paise=10_020))
    assert order.fills[0].price_paise == 10_020


SELL = Transaction.SELL
IN_SESSION = ist_to_ns(date(2026, 11, 25), time(10))


def dated(bad: OrderRequest, at_ns: int = IN_SESSION, **terms: Any) -> OrderRequest:
    """The request, of a contract, at a time."""
    return replace(bad, at_ns=at_ns, contract=contract(**{"lot_size": 25, "freeze_quantity": 300, **terms}))


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (dated(request(quantity=30)), "lot_size"),
        (dated(request(quantity=325)), "freeze_quantity"),
        (dated(request(OrderType.LIMIT)), "price"),
        (dated(request(OrderType.SL_M)), "trigger"),
        (dated(request(OrderType.LIMIT, price=10_001)), "tick_size"),
        (dated(request(OrderType.SL_M, Transaction.SELL, trigger=10_000), kind="OPTION"), "option_stop_market"),
        (
            dated(request(OrderType.SL, Transaction.SELL, price=5_000, trigger=10_000), kind="OPTION"),
            "price_protection",
        ),
        (dated(replace(request(), market_protection_pct=None)), "market_protection"),
        (dated(request(), ist_to_ns(date(2026, 11, 25), time(15, 40))), "outside_session"),
        (dated(request(), ist_to_ns(date(2026, 11, 24), time(10))), "market_closed"),
        (dated(request(), expiry=date(2026, 11, 23)), "contract_expired"),
        (dated(request(), ist_to_ns(date(1990, 1, 1), time(10))), "no rule is known for 1990-01-01"),
        (request(), "names no contract"),
    ],
)
def test_an_order_no_exchange_would_take_is_refused_with_the_rule(bad, rule):
    assert rule in (refusal(bad) or "")


@pytest.mark.parametrize("kind", ["FUTURE", "OPTION", "EQUITY"])
def test_an_order_that_the_exchange_takes_is_taken(kind):
    assert refusal(dated(request(), kind=kind)) is None
    stop = request(OrderType.SL, Transaction.SELL, price=8_000, trigger=10_000)
    assert refusal(dated(stop, kind=kind)) is None
