"""How long positions stand without a stop at the broker (SPEC 10), in event time.

From the fill to the stop's acceptance, and from the stop's end to the moment the position is flat.
"""

from services.execution.metrics import ExecutionMetrics
from tradebus.contracts.orders import OrderRole
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.trading.states import OrderState

# The stop is known to rest at the broker; until its cancellation is confirmed it can still fill.
_RESTS = (OrderState.OPEN, OrderState.TRIGGER_PENDING, OrderState.PARTIALLY_FILLED, OrderState.CANCEL_PENDING)


def is_unprotected(trade: Trade) -> bool:
    """Whether something is held, at the broker too, that no resting stop covers."""
    covered = sum(order.quantity - order.filled_quantity for order in trade.orders if _rests(order))
    return trade.there_quantity != 0 and covered < trade.there_quantity


class Protection:
    """Notes every committed change of a trade."""

    def __init__(self, metrics: ExecutionMetrics) -> None:
        self._metrics = metrics
        self._since_ns: dict[str, int] = {}

    def note(self, trade: Trade, *, now_ns: int) -> float | None:
        """The seconds an unprotected time that has just ended took, None where none has. `now_ns` is the event time."""
        changed_ns = max(order.updated_ns for order in trade.orders)
        seconds = None
        if is_unprotected(trade):
            self._since_ns.setdefault(trade.pos_id, changed_ns)
        elif (since_ns := self._since_ns.pop(trade.pos_id, None)) is not None:
            seconds = max(0, max(changed_ns, now_ns) - since_ns) / NANOSECONDS_PER_SECOND
            self._metrics.unprotected_seconds.observe(seconds)
        self._metrics.unprotected.set(len(self._since_ns))
        return seconds

    def forget(self, pos_id: str) -> None:
        """The trade is another instance's now, or will be read again."""
        self._since_ns.pop(pos_id, None)
        self._metrics.unprotected.set(len(self._since_ns))


def _rests(order: Order) -> bool:
    return order.role is OrderRole.STOP and order.state in _RESTS
