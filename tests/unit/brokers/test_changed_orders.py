"""What a change that makes a market order a limit order asks of the brokers whose requests name the type."""

import pytest

from tradebus.brokers.kite.tickets import change_ticket as kite_ticket
from tradebus.brokers.upstox.tickets import Placed
from tradebus.brokers.upstox.tickets import change_ticket as upstox_ticket
from tradebus.contracts.orders import OrderType
from tradebus.kernel.errors import InvalidInput
from tradebus.trading.orders import OrderModification

PRICED = OrderModification(65, 2_343_000, None, 0, order_type=OrderType.LIMIT)


def test_kite_is_told_the_type() -> None:
    ticket = kite_ticket(PRICED)
    assert (ticket["order_type"], ticket["quantity"], float(ticket["price"])) == ("LIMIT", 65, 23_430.0)
    assert "market_protection" not in ticket


def test_kite_keeps_the_type_where_none_is_named() -> None:
    assert "order_type" not in kite_ticket(OrderModification(65, 2_343_000, None, 0))


def test_upstox_is_told_the_type_and_no_protection() -> None:
    placed = Placed(OrderType.MARKET, None, None, protection_pct=3.0).changed(PRICED)
    ticket = upstox_ticket("1", 65, placed)
    assert (ticket["order_type"], ticket["price"], ticket["trigger_price"]) == ("LIMIT", 23_430.0, 0.0)
    assert "market_protection" not in ticket


TURNED = OrderModification(65, None, None, 0, order_type=OrderType.MARKET, market_protection_pct=3.0)
MOVED = OrderModification(65, None, 2_340_000, 0, market_protection_pct=3.0)


def test_what_becomes_an_order_at_the_market_or_stays_a_stop_at_it_is_protected_as_far_as_was_asked_for() -> None:
    for change in (TURNED, MOVED):
        assert kite_ticket(change)["market_protection"] == 3.0
    stop_limit = Placed(OrderType.SL, 2_300_000, 2_310_000)
    assert upstox_ticket("1", 65, stop_limit.changed(TURNED))["market_protection"] == 3.0
    found = Placed(OrderType.SL_M, None, 2_310_000)  # read from the broker: it says no protection
    assert upstox_ticket("1", 65, found.changed(MOVED))["market_protection"] == 3.0


def test_a_protection_that_no_broker_takes_is_refused_before_it_leaves() -> None:
    change = OrderModification(65, None, None, 0, order_type=OrderType.MARKET, market_protection_pct=101.0)
    with pytest.raises(InvalidInput, match="market_protection"):
        kite_ticket(change)
