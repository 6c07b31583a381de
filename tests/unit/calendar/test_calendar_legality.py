"""What the exchange refuses, by date and time of day."""

from datetime import date, datetime, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.calendar import (
    Contract,
    Legality,
    MarketClass,
    ProposedOrder,
    market_protection_required,
    order_legal,
    protection_band,
    protective_limit_paise,
    session_for,
    stops_cancelled_ns,
)
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date, ist_time, ist_to_ns

ENTRY, STOP, EXIT = OrderRole.ENTRY, OrderRole.STOP, OrderRole.EXIT
LIMIT, MARKET, SL, SL_M = OrderType.LIMIT, OrderType.MARKET, OrderType.SL, OrderType.SL_M


def contract(market_class: str = "equity_fno", *, option: bool = False) -> Contract:
    return Contract(
        symbol="X", kind="OPTION" if option else "EQUITY", market_class=market_class, underlying="NIFTY", lot_size=65,
        tick_size_paise=5, freeze_quantity=1_755,
    )  # fmt: skip


def proposed(
    order_type: OrderType = LIMIT, *, role: OrderRole = ENTRY, protected: bool = False, **other: Any
) -> ProposedOrder:
    """A sell order that is right in itself."""
    given: dict[str, Any] = {
        "transaction": Transaction.SELL, "quantity": 65, "price_paise": 10_000, "trigger_paise": 10_000, **other,
    }  # fmt: skip
    return ProposedOrder(role=role, order_type=order_type, has_protection=protected, **given)


def ask(
    moment: str,
    market_class: str = "equity_fno",
    *,
    role: OrderRole = ENTRY,
    order_type: OrderType = LIMIT,
    protected: bool = False,
    option: bool = False,
) -> Legality:
    at = datetime.fromisoformat(moment)
    return order_legal(
        contract(market_class, option=option),
        proposed(order_type, role=role, protected=protected),
        ts_ns=ist_to_ns(at.date(), at.time()),
    )


@pytest.mark.parametrize(
    ("moment", "market_class", "rule"),
    [
        ("2026-08-03T09:14:59", "equity_fno", "outside_session"),
        ("2026-08-03T09:15:00", "equity_fno", "all_passed"),
        ("2026-08-03T15:14:59", "equity_fno", "all_passed"),
        ("2026-08-03T15:15:00", "equity_fno", "order_entry_pause"),
        ("2026-08-03T15:19:59", "equity_fno", "order_entry_pause"),
        ("2026-08-03T15:20:00", "equity_fno", "closing_auction"),
        ("2026-08-03T15:28:00", "equity_fno", "order_entry_pause"),
        ("2026-08-03T15:35:00", "equity_fno", "outside_session"),
        ("2026-08-03T10:00:00", "index", "not_tradable"),
        ("2026-09-07T08:59:59", "equity_fno", "outside_session"),
        ("2026-09-07T09:00:00", "equity_fno", "pre_open"),
        ("2026-09-07T09:08:00", "equity_fno", "order_entry_pause"),
        ("2026-07-31T15:16:00", "equity_fno", "all_passed"),
        ("2026-08-03T15:16:00", "equity", "all_passed"),
        ("2026-08-03T15:39:59", "derivative", "all_passed"),
        ("2026-08-03T15:40:00", "derivative", "outside_session"),
        ("2026-07-31T15:35:00", "derivative", "outside_session"),
        ("2026-09-14T10:00:00", "derivative", "market_closed"),
        ("2026-09-13T10:00:00", "derivative", "market_closed"),
        ("2024-03-02T10:30:00", "derivative", "outside_session"),
        ("2024-03-02T11:30:00", "derivative", "all_passed"),
    ],
)
def test_the_time_of_day_decides_first(moment: str, market_class: str, rule: str) -> None:
    found = ask(moment, market_class)
    assert found.rule == rule
    assert found.allowed == (rule == "all_passed")
    assert bool(found.detail) != found.allowed


def test_only_an_exit_may_enter_the_closing_auction_and_never_as_a_stop() -> None:
    at = "2026-08-03T15:21:00"
    assert ask(at, role=EXIT).allowed
    assert ask(at, role=EXIT, order_type=MARKET, protected=True).allowed
    assert ask(at, role=EXIT, order_type=MARKET).rule == "market_protection"
    assert ask(at, role=EXIT, order_type=SL).rule == "closing_auction"
    assert ask(at, role=STOP, order_type=SL).rule == "closing_auction"


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({"price_paise": 10_300}, "all_passed"),
        ({"price_paise": 9_700}, "all_passed"),
        ({"price_paise": 10_305}, "auction_band"),
        ({"price_paise": 20_000}, "auction_band"),
        ({"price_paise": 20_000, "reference_paise": None}, "all_passed"),  # nobody knows it: the exchange says
        ({"is_ioc": True}, "closing_auction"),
        ({"disclosed_quantity": 7}, "closing_auction"),
    ],
)
@pytest.mark.parametrize("moment", ["2026-08-03T15:21:00", "2026-12-07T15:33:00", "2026-12-07T15:37:00"])
def test_the_closing_auction_has_a_band_and_takes_no_ioc_and_no_disclosed_quantity(
    asked: dict[str, Any], rule: str, moment: str
) -> None:
    order = proposed(role=EXIT, **{"price_paise": 10_000, "reference_paise": 10_000, **asked})
    at = datetime.fromisoformat(moment)
    assert order_legal(contract(), order, ts_ns=ist_to_ns(at.date(), at.time())).rule == rule
    before = ist_to_ns(at.date(), time(15))
    assert order_legal(contract(), order, ts_ns=before).allowed


@pytest.mark.parametrize("order_type", [MARKET, SL_M])
def test_market_orders_need_protection_from_april_2026(order_type: OrderType) -> None:
    assert ask("2026-03-30T10:00:00", order_type=order_type).allowed
    refused = ask("2026-04-01T10:00:00", order_type=order_type)
    assert refused.rule == "market_protection"
    assert "2026-04-01" in refused.detail
    assert ask("2026-04-01T10:00:00", order_type=order_type, protected=True).allowed
    assert market_protection_required(date(2026, 4, 1), order_type)
    assert not market_protection_required(date(2026, 3, 31), order_type)
    assert not market_protection_required(date(2026, 4, 1), LIMIT)


def test_options_have_no_stop_market_orders_since_2021() -> None:
    later, before = "2021-09-27T10:00:00", "2021-09-24T10:00:00"
    assert ask(later, "derivative", order_type=SL_M, option=True).rule == "option_stop_market"
    assert ask(later, "derivative", order_type=SL_M).allowed
    assert ask(later, "derivative", order_type=SL, option=True).allowed
    assert ask(before, "derivative", order_type=SL_M, option=True).allowed


def test_the_exchange_cancels_stops_of_fno_stocks_at_a_quarter_past_three() -> None:
    at = stops_cancelled_ns(date(2026, 8, 3), "equity_fno")
    assert at is not None
    assert ist_time(at) == time(15, 15)
    for day, market_class in (
        (date(2026, 7, 31), "equity_fno"),  # before the rule
        (date(2026, 8, 3), "derivative"),
        (date(2026, 8, 3), "equity"),
        (date(2026, 9, 14), "equity_fno"),  # a holiday
    ):
        assert stops_cancelled_ns(day, market_class) is None


moments = st.integers(ist_to_ns(date(2010, 1, 4), time(0)), ist_to_ns(date(2030, 1, 1), time(0)))


@given(
    moments,
    st.sampled_from(MarketClass),
    st.sampled_from(OrderRole),
    st.sampled_from(OrderType),
    st.booleans(),
)
def test_protection_never_makes_a_legal_order_illegal(
    ts_ns: int, market_class: MarketClass, role: OrderRole, order_type: OrderType, option: bool
) -> None:
    listed = contract(market_class, option=option)
    bare, protected = (
        order_legal(listed, proposed(order_type, role=role, protected=has), ts_ns=ts_ns) for has in (False, True)
    )
    assert protected.allowed or not bare.allowed


@given(moments, st.sampled_from(MarketClass), st.sampled_from(OrderRole), st.sampled_from(OrderType))
def test_what_is_legal_lies_in_a_session_or_leaves_by_an_auction(
    ts_ns: int, market_class: MarketClass, role: OrderRole, order_type: OrderType
) -> None:
    order = proposed(order_type, role=role, protected=True)
    found = order_legal(contract(market_class), order, ts_ns=ts_ns)
    session = session_for(ist_date(ts_ns), market_class)
    if market_class is MarketClass.INDEX:
        assert found.rule == "not_tradable"
    elif session is None:
        assert found.rule == "market_closed"
    elif session.contains(ts_ns):
        assert found.allowed
    elif found.allowed:
        window = session.window_at(ts_ns)
        assert window is not None
        assert role is EXIT
        assert order_type in window.order_types


def test_an_unknown_class_is_named() -> None:
    with pytest.raises(InvalidInput, match="market_class: 'fno'"):
        ask("2026-08-03T10:00:00", "fno")


@pytest.mark.parametrize(
    ("order", "rule", "says"),
    [
        (proposed(quantity=0), "quantity", "quantity must be positive, not 0"),
        (proposed(quantity=-65), "quantity", "not -65"),
        (proposed(quantity=66), "lot_size", "quantity 66 of X is not a multiple of the lot of 65"),
        (proposed(quantity=1_755), "all_passed", ""),
        (proposed(quantity=1_820), "freeze_quantity", "quantity 1820 of X is above the freeze quantity of 1755"),
        (proposed(price_paise=None), "price", "a LIMIT order needs a price above zero"),
        (proposed(price_paise=0), "price", "a LIMIT order needs a price above zero"),
        (proposed(price_paise=10_002), "tick_size", "price 100.02 of X is not a multiple of the tick of 0.05"),
        (proposed(SL, trigger_paise=None), "trigger", "a SL order needs a trigger above zero"),
        (proposed(SL_M, trigger_paise=10_001, protected=True), "tick_size", "trigger 100.01 of X"),
        (proposed(SL, price_paise=10_005), "stop_limit", "trigger price of a sell stop-limit order must not be below"),
        (
            proposed(SL, transaction=Transaction.BUY, price_paise=9_995),
            "stop_limit",
            "trigger price of a buy stop-limit order must not be above",
        ),
        (proposed(MARKET, price_paise=10_001, protected=True), "all_passed", ""),  # a price that is not named
    ],
)
def test_the_values_of_an_order_are_those_of_its_contract(order: ProposedOrder, rule: str, says: str) -> None:
    found = order_legal(contract("derivative"), order, ts_ns=ist_to_ns(date(2026, 11, 25), time(10)))
    assert found.rule == rule
    assert says in found.detail


@pytest.mark.parametrize(
    ("trigger", "limit", "allowed"),
    [
        (10_000, 6_000, True),  # above 50 rupees: 40 percent
        (10_000, 5_995, False),
        (5_000, 3_000, True),  # up to 50 rupees: 20 rupees
        (5_000, 2_995, False),
        (1_500, 5, True),
    ],
)
def test_an_options_stop_has_its_limit_inside_the_price_protection(trigger: int, limit: int, allowed: bool) -> None:
    at = ist_to_ns(date(2026, 11, 25), time(10))
    order = proposed(SL, role=STOP, trigger_paise=trigger, price_paise=limit)
    assert order_legal(contract("derivative"), order, ts_ns=at).allowed  # a future has no such band
    found = order_legal(contract("derivative", option=True), order, ts_ns=at)
    assert (found.allowed, found.rule) == (allowed, "all_passed" if allowed else "price_protection")


@given(
    trigger=st.integers(1, 400_000).map(lambda ticks: ticks * 5),
    lag=st.floats(1.0, 1.3),
    transaction=st.sampled_from(Transaction),
)
def test_an_options_protective_limit_is_taken_and_lives_on_when_the_average_lags(
    trigger: int, lag: float, transaction: Transaction
) -> None:
    listed, day = contract("derivative", option=True), date(2026, 11, 25)
    limit = protective_limit_paise(listed, transaction=transaction, trigger_paise=trigger, day=day)
    assert limit is not None
    order = proposed(SL, role=STOP, transaction=transaction, trigger_paise=trigger, price_paise=limit)
    assert order_legal(listed, order, ts_ns=ist_to_ns(day, time(10))).rule == "all_passed"
    if transaction is Transaction.SELL and trigger > 6_500:
        band = protection_band(listed, int(trigger * lag), day)
        assert band is not None
        assert band[0] <= limit


def test_what_is_no_option_or_may_have_a_stop_at_the_market_needs_no_limit() -> None:
    future, option = contract("derivative"), contract("derivative", option=True)
    for listed, day in ((future, date(2026, 11, 25)), (option, date(2021, 9, 24))):
        assert protective_limit_paise(listed, transaction=Transaction.SELL, trigger_paise=10_000, day=day) is None


def test_what_is_below_zero_in_an_options_band_is_one_tick() -> None:
    limit = protective_limit_paise(
        contract("derivative", option=True), transaction=Transaction.SELL, trigger_paise=300, day=date(2026, 11, 25)
    )  # fmt: skip
    assert limit == 5
