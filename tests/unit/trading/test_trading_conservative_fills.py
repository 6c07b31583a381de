"""The conservative fill model: nothing without a trade, no more than traded, no better than was certain."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.contracts import OPEN_NS, contract

from tradebus.contracts.orders import FillModel, OrderType, PriceOrigin, Transaction
from tradebus.contracts.records import QUOTED_AGAIN
from tradebus.contracts.sessions import PaperSettings
from tradebus.trading.matching.conservative import TickQuote
from tradebus.trading.matching.market import PaperMarket
from tradebus.trading.matching.paper import PaperOrder, accept, match, request_cancel
from tradebus.trading.matching.touch import next_touch
from tradebus.trading.orders import BrokerStatus, InstrumentTicks, OrderRequest

BUY, SELL = Transaction.BUY, Transaction.SELL
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
LOT = 25
CERTAIN = PaperSettings(
    latency_ms=0, slippage_bps=0.0, impact_bps=0.0, partial_fill_probability=0.0, fills=FillModel.CONSERVATIVE,
    prices=PriceOrigin.BARS, volumes=True,
)  # fmt: skip


@dataclass(frozen=True)
class Tick:
    price: int
    traded: int = 100_000  # units; QUOTED_AGAIN: the day's last price once more
    at_ns: int | None = None
    bid: int = 0
    ask: int = 0


def order(
    kind: OrderType = OrderType.MARKET, side: Transaction = BUY, *, lots: int = 4, settings: PaperSettings = CERTAIN,
    price: int | None = None, trigger: int | None = None, target: int | None = None,
) -> PaperOrder:  # fmt: skip
    return accept(
        OrderRequest(
            account="a", tag="t", instrument=1, symbol="X", transaction=side, order_type=kind, quantity=lots * LOT,
            lot_size=LOT, tick_size_paise=5, at_ns=0, price_paise=price, trigger_paise=trigger, target_paise=target,
            market_protection_pct=3.0,
        ), settings,
    )  # fmt: skip


def columns(path: list[Tick]) -> InstrumentTicks:
    traded = np.array([tick.traded for tick in path], np.int64)
    at_ns = [tick.at_ns if tick.at_ns is not None else (number + 1) * SECOND for number, tick in enumerate(path)]
    return InstrumentTicks(
        np.array(at_ns, np.int64), *(np.array(column, np.int64) for column in zip(
            *((tick.price, tick.bid, tick.ask) for tick in path), strict=True)),
        volume_cumulative=np.cumsum(np.maximum(0, traded)), last_quantity=traded.astype(np.int32),
    )  # fmt: skip


def walked(start: PaperOrder, path: list[Tick]) -> PaperOrder:
    """The order after the path, as a market that follows it hands it out."""
    market, ticks, index, found = PaperMarket(), columns(path), 0, start
    market.follow(found)
    while (touch := market.next_touch(1, ticks, index)) is not None:
        while (changed := market.on_tick(1, ticks, touch)) is not None:
            market.follow(found := changed)
        index = touch + 1
    return found


def fills(found: PaperOrder) -> list[tuple[int, int]]:
    return [(fill.quantity, fill.price_paise) for fill in found.fills]


def test_a_tick_without_a_trade_fills_nothing_and_wakes_no_stop() -> None:
    assert fills(walked(order(), [Tick(10_000, 0), Tick(10_000, 0)])) == []
    assert fills(walked(order(), [Tick(10_000, 0), Tick(10_010)])) == [(100, 10_015)]
    stop = order(OrderType.SL_M, SELL, trigger=9_900)
    assert walked(stop, [Tick(9_800, 0)]).status is BrokerStatus.TRIGGER_PENDING
    assert fills(walked(stop, [Tick(9_800, 0), Tick(9_700)])) == [(100, 9_695)]  # gapped through: at the market


def test_the_last_price_of_a_day_that_broke_off_closes_what_is_open() -> None:
    assert fills(walked(order(side=SELL), [Tick(10_000, QUOTED_AGAIN)])) == [(100, 9_995)]


def test_no_more_is_had_than_the_share_of_what_has_traded_since_in_whole_lots() -> None:
    """10 % of 400, 300 and 600 units: 40, 70 and 130 in all, of which the order has 25, 75 and 100."""
    found = walked(order(), [Tick(10_000, 400), Tick(10_000, 300), Tick(10_000, 0), Tick(10_000, 600)])
    assert [fill.quantity for fill in found.fills] == [25, 25, 50]
    assert walked(order(), [Tick(10_000, 24)]).status is BrokerStatus.OPEN
    # An exit gets out of a thin market: the first piece is had when as much has traded.
    assert [fill.quantity for fill in walked(order(), [Tick(10_000, 24), Tick(10_000, 1)]).fills] == [25]
    assert [fill.quantity for fill in walked(order(), [Tick(10_000, 25), Tick(10_000, 25)]).fills] == [25]
    half = CERTAIN.model_copy(update={"participation_pct": 50.0})
    assert fills(walked(order(settings=half), [Tick(10_000, 200)])) == [(100, 10_005)]


def test_what_traded_before_the_order_came_is_not_had() -> None:
    late = CERTAIN.model_copy(update={"latency_ms": 1_500})
    found = walked(order(settings=late), [Tick(10_000, 100_000), Tick(10_000, 250), Tick(10_000, 0), Tick(10_000, 250)])
    assert [fill.quantity for fill in found.fills] == [25, 25]


@pytest.mark.parametrize(("side", "beyond"), [(BUY, -5), (SELL, 5)])
def test_a_limit_fills_where_the_market_trades_through_it_and_no_better(side: Transaction, beyond: int) -> None:
    resting = order(OrderType.LIMIT, side, price=10_000)
    away = Tick(10_000 - 10 * beyond)
    assert fills(walked(resting, [away, Tick(10_000)])) == []
    assert fills(walked(resting, [away, Tick(10_000 + 50 * beyond)])) == [(100, 10_000)]
    # One that crosses the market when it comes takes what is there.
    crossing = walked(resting, [Tick(10_000 + 50 * beyond)])
    assert fills(crossing) == [(100, 10_000 + 49 * beyond)]


def test_the_price_is_worse_the_more_of_the_share_is_taken() -> None:
    costly = CERTAIN.model_copy(update={"slippage_bps": 1.0, "impact_bps": 10.0})
    thin = walked(order(settings=costly), [Tick(1_000_000, 1_000)])  # the whole share
    deep = walked(order(settings=costly), [Tick(1_000_000, 10_000)])  # a tenth of it
    assert fills(thin) == [(100, 1_001_110)]  # a tick, then 11 bps
    assert fills(deep) == [(100, 1_000_210)]  # a tick, then 2 bps
    quoted = walked(order(settings=costly), [Tick(1_000_000, 10_000, bid=999_900, ask=1_000_100)])
    assert fills(quoted) == [(100, 1_000_205)]  # the ask, then 1 bp


def gtt(side: Transaction, settings: PaperSettings = CERTAIN) -> PaperOrder:
    stop, limit, target = (9_900, 9_600, 10_100) if side is SELL else (10_100, 10_400, 9_900)
    return order(OrderType.GTT, side, price=limit, trigger=stop, target=target, settings=settings)


@pytest.mark.parametrize("side", list(Transaction))
def test_of_stop_and_target_in_one_bar_it_is_the_stop(side: Transaction) -> None:
    sign = 1 if side is SELL else -1
    target, stop = Tick(10_000 + sign * 100, at_ns=MINUTE), 10_000 - sign * 100
    one_bar = [target, Tick(stop, at_ns=MINUTE + 30 * SECOND), Tick(stop - sign * 5, at_ns=MINUTE + 31 * SECOND)]
    assert walked(gtt(side), one_bar).price_paise == gtt(side).price_paise
    two_bars = [target, Tick(stop, at_ns=2 * MINUTE), Tick(stop, at_ns=2 * MINUTE + SECOND)]
    assert walked(gtt(side), two_bars).price_paise == gtt(side).request.target_paise
    ticks = CERTAIN.model_copy(update={"prices": PriceOrigin.TICKS})  # which of them came first is known
    assert walked(gtt(side, ticks), one_bar).price_paise == gtt(side).request.target_paise


def test_an_index_has_no_volume_and_fills_without() -> None:
    index = contract("INDEX", underlying="NIFTY", market_class="derivative")
    request = replace(order().request, contract=index, at_ns=OPEN_NS)
    assert fills(walked(accept(request, CERTAIN), [Tick(10_000, 0, at_ns=OPEN_NS + SECOND)])) == [(100, 10_005)]


ticks = st.lists(
    st.builds(
        lambda price, traded, quoted: Tick(price * 5, traded, bid=price * 5 - 5 if quoted & 1 else 0,
                                           ask=price * 5 + 5 if quoted & 2 else 0),
        st.integers(1985, 2015), st.sampled_from([0, 0, 50, 300, 2_000, 50_000]), st.sampled_from([0, 0, 0, 1, 2, 3]),
    ), min_size=1, max_size=40,
)  # fmt: skip
orders = st.builds(
    lambda kind, side, lots, price, trigger, apart, chosen: order(
        kind, side, lots=lots, settings=CERTAIN.model_copy(update=chosen),
        price=price * 5 if kind in (OrderType.LIMIT, OrderType.SL, OrderType.GTT) else None,
        trigger=trigger * 5 if kind in (OrderType.SL, OrderType.SL_M, OrderType.GTT) else None,
        target=(trigger + (apart if side is SELL else -apart)) * 5 if kind is OrderType.GTT else None,
    ),
    st.sampled_from(OrderType), st.sampled_from(Transaction), st.integers(1, 20), st.integers(1990, 2010),
    st.integers(1990, 2010), st.integers(1, 20),
    st.fixed_dictionaries({
        "volumes": st.sampled_from([True, None]), "slippage_bps": st.sampled_from([0.0, 3.0]),
        "participation_pct": st.sampled_from([None, 1.0, 100.0]), "latency_ms": st.sampled_from([0, 2_500]),
    }),
)  # fmt: skip


@given(orders, ticks, st.integers(0, 30))
def test_what_the_look_ahead_skips_changes_nothing_and_no_fill_is_better_than_certain(
    start: PaperOrder, path: list[Tick], cancel_second: int
) -> None:
    if cancel_second:
        start = request_cancel(start, at_ns=cancel_second * SECOND)
    table, every, some, index = columns(path), start, start, 0
    quotes = [_quote(table, number) for number in range(len(path))]
    for quote in quotes:
        every = match(every, quote)
    while (touch := next_touch(some, table, index)) is not None:
        some = match(some, quotes[touch])
        index = touch + 1
    assert (every.status, every.fills) == (some.status, some.fills)
    assert every.filled_quantity <= every.quantity
    by_time = {quote.at_ns: (quote, tick) for quote, tick in zip(quotes, path, strict=True)}
    chosen, buys = start.settings, start.request.transaction is BUY
    had = 0
    for fill in every.fills:
        quote, tick = by_time[fill.ts_event_ns]
        had += fill.quantity
        assert tick.traded or not chosen.volumes
        if quote.volume_cumulative:
            share = quote.volume_cumulative * (chosen.participation_pct or 10.0) / 100
            assert had <= max(share, min(quote.volume_cumulative, max(LOT, every.quantity // 20)))
        market = (quote.ask_paise if buys else quote.bid_paise) or quote.price_paise
        at_limit = fill.price_paise == every.price_paise
        assert at_limit or (fill.price_paise >= market if buys else fill.price_paise <= market)


def _quote(table: InstrumentTicks, number: int) -> TickQuote:
    assert table.last_quantity is not None
    assert table.volume_cumulative is not None
    whole: dict[str, Any] = {
        "at_ns": table.at_ns, "price_paise": table.price_paise, "bid_paise": table.bid_paise,
        "ask_paise": table.ask_paise, "volume_cumulative": table.volume_cumulative,
        "last_quantity": table.last_quantity,
    }  # fmt: skip
    return TickQuote(**{name: int(column[number]) for name, column in whole.items()})
