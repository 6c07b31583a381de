"""What the exchange refuses, by date and time of day."""

from datetime import date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.calendar import (
    Legality,
    MarketClass,
    market_protection_required,
    order_legal,
    session_for,
    stops_cancelled_ns,
)
from tradebus.contracts.orders import OrderRole, OrderType
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date, ist_time, ist_to_ns

ENTRY, STOP, EXIT = OrderRole.ENTRY, OrderRole.STOP, OrderRole.EXIT
LIMIT, MARKET, SL, SL_M = OrderType.LIMIT, OrderType.MARKET, OrderType.SL, OrderType.SL_M


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
        market_class=market_class,
        role=role,
        order_type=order_type,
        has_protection=protected,
        ts_ns=ist_to_ns(at.date(), at.time()),
        is_option=option,
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
        ("2026-08-03T15:28:00", "equity_fno", "outside_session"),
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
    bare, protected = (
        order_legal(
            market_class=market_class, role=role, order_type=order_type, has_protection=has, ts_ns=ts_ns,
            is_option=option,
        )
        for has in (False, True)
    )  # fmt: skip
    assert protected.allowed or not bare.allowed


@given(moments, st.sampled_from(MarketClass), st.sampled_from(OrderRole), st.sampled_from(OrderType))
def test_what_is_legal_lies_in_a_session_or_leaves_by_the_auction(
    ts_ns: int, market_class: MarketClass, role: OrderRole, order_type: OrderType
) -> None:
    found = order_legal(market_class=market_class, role=role, order_type=order_type, has_protection=True, ts_ns=ts_ns)
    session = session_for(ist_date(ts_ns), market_class)
    if session is None:
        assert found.rule == "market_closed"
    elif session.contains(ts_ns):
        assert found.allowed
    elif found.allowed:
        assert (role, market_class) == (EXIT, MarketClass.EQUITY_FNO)


def test_an_unknown_class_is_named() -> None:
    with pytest.raises(InvalidInput, match="market_class: 'fno'"):
        ask("2026-08-03T10:00:00", "fno")
