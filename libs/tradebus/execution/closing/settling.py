"""Units that no order of ours closed and that the broker does not have any more, booked at a person's word. Pure.

Invariants (property-tested): nothing is sent but cancellations of what would close them again; a trade is never given
more than it holds; settling the same twice changes nothing; the rest of a trade is held and covered as before.
"""

from collections.abc import Sequence

from tradebus.contracts.orders import OrderRole, OrderType
from tradebus.execution import lifecycle
from tradebus.execution.closing.takeover import part_of, share_tag
from tradebus.execution.opening import new_order
from tradebus.execution.reconciliation import looks_ours
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Trade
from tradebus.trading.orders import BrokerFill, BrokerOrder


def explaining(trade: Trade, book: Sequence[BrokerOrder]) -> list[BrokerOrder]:
    """Orders of others that can have closed the trade, the newest last."""
    found = [
        line for line in book
        if line.instrument == trade.instrument and line.transaction is trade.exit_transaction
        and not looks_ours(line.tag) and line.fills and line.fills[-1].ts_event_ns >= (trade.opened_ns or 0)
    ]  # fmt: skip
    return sorted(found, key=lambda line: line.fills[-1].ts_event_ns)


def share_of(line: BrokerOrder, *, taken: int, number: int, wanted: int) -> tuple[str, tuple[BrokerFill, ...]]:
    """The tag and the fills of the line's next share: of what the `number` shares before it have not `taken`."""
    left = sum(fill.quantity for fill in line.fills) - taken
    return share_tag(line, number), part_of(line.fills, start=taken, quantity=min(wanted, left))


def settle(
    trade: Trade, step: TradeStep, fills: Sequence[BrokerFill], *, tag: str, reason: str, is_of_today: bool
) -> None:  # fmt: skip
    """Books the fills as an exit of the trade. Nothing where the trade has them, or holds less. What an earlier day has
    left at the broker has died there with it."""
    quantity = sum(fill.quantity for fill in fills)
    if trade.ended or not 0 < quantity <= trade.open_quantity or any(own.tag == tag for own in trade.orders):
        return
    order = new_order(
        trade, step, role=OrderRole.EXIT, transaction=trade.exit_transaction, order_type=OrderType.MARKET,
        quantity=quantity, at_ns=fills[0].ts_event_ns,
    )  # fmt: skip
    order.tag, order.reason = tag, f"settled: {reason}"
    for fill in fills:
        lifecycle.on_settled(trade, order, step, fill)
    if not is_of_today and trade.open_quantity == 0:
        for left in [one for one in trade.orders if not one.ended]:
            lifecycle.on_absent(trade, left, step, at_ns=fills[-1].ts_event_ns)
