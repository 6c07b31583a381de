"""Exits that somebody sent past execution, taken into the trades they closed. Pure.

One order at the broker may have closed several trades: each gets a share of it, an order of its own in the book whose
tag derives from the broker's order and the share's number. Invariants (property-tested): shares take each unit of the
order's fills once, in order; a trade is never given more than it holds; giving a share twice changes nothing.
"""

from dataclasses import replace

from tradebus.contracts.orders import OrderRole, OrderType
from tradebus.execution import lifecycle
from tradebus.execution.leaving import exits
from tradebus.execution.opening import new_order
from tradebus.execution.step import Notice, TradeStep
from tradebus.execution.trade import Trade
from tradebus.kernel.ids import derive_tag
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus

CLOSED_OUT, SECOND_ORDER = "closed_out", "second_order"
SHARES_PER_ORDER = 64


def share_tag(order: BrokerOrder, number: int) -> str:
    """The tag in the book of a share of the broker's order."""
    return derive_tag("share", order.broker_order_id, order.tag, number)


def part_of(fills: tuple[BrokerFill, ...], *, start: int, quantity: int) -> tuple[BrokerFill, ...]:
    """The units `start` to `start + quantity` of the fills, in their order."""
    parts, position = [], 0
    for fill in fills:
        first, last = max(start, position), min(start + quantity, position + fill.quantity)
        if first < last:
            parts.append(replace(fill, quantity=last - first))
        position += fill.quantity
    return tuple(parts)


def takes_from(trade: Trade, order: BrokerOrder) -> bool:
    """Whether the order can have closed some of the trade: what is held since before it filled, in its direction."""
    if trade.ended or trade.open_quantity <= 0 or trade.exit_transaction is not order.transaction:
        return False
    return trade.opened_ns is not None and any(fill.ts_event_ns >= trade.opened_ns for fill in order.fills)


def take_share(
    trade: Trade, step: TradeStep, order: BrokerOrder, *, number: int, start: int, quantity: int
) -> None:  # fmt: skip
    """Books a share of the order's fills as an exit of the trade. Nothing where the trade has it, or holds less."""
    tag = share_tag(order, number)
    if trade.ended or trade.open_quantity < quantity or any(own.tag == tag for own in trade.orders):
        return
    fills = part_of(order.fills, start=start, quantity=quantity)
    trade.exit_reason = trade.exit_reason or CLOSED_OUT
    own = new_order(
        trade, step, role=OrderRole.EXIT, transaction=order.transaction, order_type=OrderType.MARKET,
        quantity=quantity, at_ns=fills[0].ts_event_ns,
    )  # fmt: skip
    own.tag, own.reason = tag, f"closed past execution, by order {order.broker_order_id}"
    told = replace(
        order, tag=tag, status=BrokerStatus.FILLED, quantity=quantity, filled_quantity=quantity, fills=fills
    )  # fmt: skip
    lifecycle.on_report(trade, own, step, told)


def take_twin(trade: Trade, step: TradeStep, twin: BrokerOrder, *, order_id: str) -> None:
    """Books what a second order under the tag of one of ours has filled, so that it is undone: what it sold too much is
    bought back, and a position that it made larger is left. Nothing where the trade has it already."""
    tag = share_tag(twin, 0)
    if not twin.fills or any(own.tag == tag for own in trade.orders):
        return
    role, quantity, at_ns = trade.order(order_id).role, twin.filled_quantity, twin.fills[-1].ts_event_ns
    own = new_order(
        trade, step, role=role, transaction=twin.transaction, order_type=OrderType.LIMIT, quantity=quantity,
        at_ns=twin.fills[0].ts_event_ns,
    )  # fmt: skip
    own.tag, own.reason = tag, f"a second order under the tag {twin.tag}"
    step.notices.append(
        Notice(
            f"order {twin.broker_order_id}", ours=f"its tag {twin.tag} is another order",
            brokers=f"{twin.status} {quantity}/{twin.quantity}", action=f"{SECOND_ORDER}: what it filled is undone",
        )
    )  # fmt: skip
    told = replace(twin, tag=tag, status=BrokerStatus.FILLED, quantity=quantity)
    lifecycle.on_report(trade, own, step, told)
    if role is OrderRole.ENTRY:
        exits.request_exit(trade, step, reason=SECOND_ORDER, at_ns=at_ns)
