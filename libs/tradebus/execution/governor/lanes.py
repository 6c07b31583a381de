"""What a request of a trade is to the governor: its exchange segment and its lane."""

from tradebus.calendar import Contract
from tradebus.calendar.rows import MarketClass
from tradebus.contracts.orders import OrderRole
from tradebus.execution.governor.budget import OrderAsk
from tradebus.execution.governor.limits import OrderLane
from tradebus.execution.governor.ratio import counts_to_ratio
from tradebus.execution.leaving.covering import rounds
from tradebus.execution.leaving.taken_back import taken_back
from tradebus.execution.step import Cancel, Modify, Place, Request
from tradebus.execution.trade import Order, Trade
from tradebus.trading.states import OrderState

EQUITY, DERIVATIVES = "NSE", "NFO"
# An exit refused so often in a row, or priced anew so often, is one that others must not pay for.
_REFUSED_MAX, _REPRICED_MAX = 3, 5


def segment_of(contract: Contract) -> str:
    """The exchange segment that counts orders in the contract."""
    return DERIVATIVES if contract.market_class == MarketClass.DERIVATIVE else EQUITY


def ask_of(trade: Trade, request: Request) -> OrderAsk:
    """The request as it stands now: whatever is asked for while a position is being left is an exit."""
    order = trade.order(request.order_id)
    lane = OrderLane.EXIT
    if isinstance(request, Place):
        if order.role is OrderRole.ENTRY:
            lane = OrderLane.ENTRY
        elif order.role is OrderRole.EXIT and max(_refused_in_a_row(trade), taken_back(trade)) >= _REFUSED_MAX:
            lane = OrderLane.AGAIN
    elif isinstance(request, Modify) and order.role is not OrderRole.ENTRY and order.changes > _REPRICED_MAX:
        lane = OrderLane.AGAIN
    return OrderAsk(
        segment_of(trade.contract), lane,
        counted=not isinstance(request, Cancel) and counts_to_ratio(trade, order),
    )  # fmt: skip


def _refused_in_a_row(trade: Trade) -> int:
    """How often the exit was refused, at last."""
    refused = list[Order]()
    for order in reversed([one for one in trade.orders if one.role is OrderRole.EXIT and one.ended]):
        if order.state is not OrderState.REJECTED or order.filled_quantity:
            break
        refused.append(order)
    return rounds(trade, refused)
