"""What the exchange does of its own accord to orders that rest on paper, by the market's clock of their contracts."""

from datetime import date, time

import numpy as np
import pytest
from testkit.contracts import contract

from tradebus.calendar import Contract
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.contracts.sessions import PaperSettings
from tradebus.kernel.time import ist_to_ns
from tradebus.trading.matching.exchange import PaperExchange
from tradebus.trading.orders import BrokerOrder, BrokerStatus, InstrumentTicks, OrderRequest, Result

SECOND = 1_000_000_000
AT_ONCE = PaperSettings(latency_ms=0, slippage_bps=0.0, partial_fill_probability=0.0)
DECEMBER, FEBRUARY = date(2026, 12, 7), date(2027, 2, 8)
STOCK = contract("EQUITY", market_class="equity_fno", underlying="RELIANCE")
FUTURE = contract(underlying="NIFTY")
CALL = contract("OPTION", underlying="NIFTY")
SELL, BUY = Transaction.SELL, Transaction.BUY


class Market:
    """One order on paper, on one day, in a market that is told tick by tick."""

    def __init__(self, day: date, terms: Contract, transaction=SELL, order_type=OrderType.LIMIT, *, at="15:00", price=None, trigger=None):  # fmt: skip  # noqa: E501
        self.day, self.exchange = day, PaperExchange()
        self.tag = "t"
        request = OrderRequest(
            account="a", tag=self.tag, instrument=1, symbol="X", transaction=transaction, order_type=order_type,
            quantity=1, lot_size=1, tick_size_paise=5, at_ns=self.ns(at), price_paise=price, trigger_paise=trigger,
            market_protection_pct=3.0, role=OrderRole.EXIT, contract=terms,
        )  # fmt: skip
        placed = self.exchange.place(request, AT_ONCE)
        assert placed.result is Result.ACCEPTED, placed.reason

    def ns(self, clock: str) -> int:
        return ist_to_ns(self.day, time.fromisoformat(clock))

    def tick(self, clock: str, price: int) -> BrokerOrder:
        ticks = InstrumentTicks(*(np.array([value], np.int64) for value in (self.ns(clock), price, 0, 0)))
        if self.exchange.next_touch(1, ticks, 0) is not None:
            self.exchange.on_tick(1, ticks, 0)
        return self.order()

    def passes(self, clock: str) -> BrokerOrder:
        self.exchange.advance(self.ns(clock))
        return self.order()

    def order(self) -> BrokerOrder:
        return self.exchange.order_book("a")[0]


@pytest.mark.parametrize(
    ("day", "before", "begins"),
    [(date(2026, 8, 3), "15:14:59", "15:15"), (DECEMBER, "15:29:59", "15:30"), (FEBRUARY, "15:29:59", "15:30")],
    ids=str,
)
@pytest.mark.parametrize("told_by", ["a tick", "time"])
def test_an_untriggered_stop_of_a_stock_ends_when_the_auction_begins(day, before, begins, told_by) -> None:
    market = Market(day, STOCK, SELL, OrderType.SL_M, trigger=9_000)
    go_on = market.passes if told_by == "time" else lambda clock: market.tick(clock, 10_000)
    assert go_on(before).status is BrokerStatus.TRIGGER_PENDING
    found = go_on(begins)
    assert (found.status, found.as_of_ns) == (BrokerStatus.CANCELLED, market.ns(begins))
    assert "continuous trading ends" in found.reason


def test_the_tick_that_opens_the_auction_does_not_trigger_a_stop() -> None:
    found = Market(DECEMBER, STOCK, SELL, OrderType.SL_M, trigger=9_000).tick("15:30", 8_900)
    assert (found.status, found.fills) == (BrokerStatus.CANCELLED, ())


@pytest.mark.parametrize(
    ("day", "clock"), [(date(2026, 8, 3), "15:21"), (DECEMBER, "15:33"), (FEBRUARY, "15:37")], ids=str
)
def test_an_exit_that_the_auction_would_take_is_refused_where_none_is_held(day, clock) -> None:
    leave = OrderRequest(
        account="a", tag="t", instrument=1, symbol="X", transaction=SELL, order_type=OrderType.LIMIT, quantity=1,
        lot_size=1, tick_size_paise=5, at_ns=ist_to_ns(day, time.fromisoformat(clock)), price_paise=10_000,
        role=OrderRole.EXIT, contract=STOCK,
    )  # fmt: skip
    placed = PaperExchange().place(leave, AT_ONCE)
    assert placed.result is Result.REFUSED
    assert "paper holds none" in placed.reason


def test_what_rests_goes_on_into_the_auction_from_february_2027_where_it_is_near_the_price() -> None:
    assert Market(DECEMBER, STOCK, SELL, price=10_100).passes("15:30").status is BrokerStatus.CANCELLED
    near, far = Market(FEBRUARY, STOCK, SELL, price=10_100), Market(FEBRUARY, STOCK, SELL, price=10_400)
    for market in (near, far):
        assert market.passes("15:30").status is BrokerStatus.OPEN
    assert near.tick("15:31", 10_000).status is BrokerStatus.OPEN
    assert far.tick("15:31", 10_000).status is BrokerStatus.CANCELLED
    assert near.passes("15:39:59").status is BrokerStatus.OPEN
    assert near.passes("15:40").reason == "the day's session has ended"


@pytest.mark.parametrize(("trigger", "stays"), [(9_750, True), (9_690, False)])
def test_a_futures_order_outside_the_new_operating_range_ends(trigger: int, stays: bool) -> None:
    market = Market(DECEMBER, FUTURE, SELL, OrderType.SL_M, trigger=trigger)
    assert market.tick("15:29:59", 10_000).status is BrokerStatus.TRIGGER_PENDING
    found = market.tick("15:30:01", 10_000)
    assert found.status is (BrokerStatus.TRIGGER_PENDING if stays else BrokerStatus.CANCELLED)
    if not stays:
        assert "operating range" in found.reason
        return
    assert market.tick("15:35", 11_000).status is BrokerStatus.TRIGGER_PENDING, "the range is set once"


def test_the_futures_range_is_not_set_anew_before_the_rule() -> None:
    market = Market(date(2026, 8, 3), FUTURE, SELL, OrderType.SL_M, trigger=5_000)
    assert market.tick("15:16", 10_000).status is BrokerStatus.TRIGGER_PENDING


@pytest.mark.parametrize(
    ("transaction", "limit", "filled"),
    [(BUY, 14_000, True), (BUY, 14_005, False), (SELL, 6_000, True), (SELL, 5_995, False)],
)
def test_price_protection_takes_an_options_order_back_where_it_would_match(transaction, limit, filled) -> None:
    found = Market(DECEMBER, CALL, transaction, price=limit).tick("15:01", 10_000)
    assert found.status is (BrokerStatus.FILLED if filled else BrokerStatus.CANCELLED)
    assert filled or "price protection" in found.reason
    assert Market(DECEMBER, FUTURE, transaction, price=limit).tick("15:01", 10_000).status is BrokerStatus.FILLED


@pytest.mark.parametrize(
    ("day", "terms", "before", "close"),
    [
        (date(2024, 1, 10), FUTURE, "15:29:59", "15:30"),
        (DECEMBER, FUTURE, "15:44:59", "15:45"),
        (date(2026, 12, 8), contract("OPTION", underlying="NIFTY", expiry=date(2026, 12, 8)), "15:29:59", "15:30"),
    ],
    ids=["2024", "december", "expiring"],
)
def test_orders_are_for_the_day(day: date, terms: Contract, before: str, close: str) -> None:
    market = Market(day, terms, SELL, price=10_100)
    assert market.passes(before).status is BrokerStatus.OPEN
    found = market.passes(close)
    assert (found.status, found.reason) == (BrokerStatus.CANCELLED, "the day's session has ended")
    assert found.as_of_ns == market.ns(close)
