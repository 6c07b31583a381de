"""What a change that makes a market order a limit order asks of the brokers whose requests name the type."""

from tradebus.brokers.kite.tickets import change_ticket as kite_ticket
from tradebus.brokers.upstox.tickets import Placed
from tradebus.brokers.upstox.tickets import change_ticket as upstox_ticket
from tradebus.contracts.orders import OrderType
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
