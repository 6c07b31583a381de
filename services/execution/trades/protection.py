"""How long positions stand without a stop at the broker (SPEC 10), in event time.

From the fill to the stop's acceptance, and from the stop's end to the moment the position is flat.
"""

from collections.abc import Iterable

from services.execution.metrics import ExecutionMetrics
from tradebus.contracts.orders import OrderRole
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.trading.states import OrderState

ALARM_SECONDS = 5
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
        self._seen_ns: dict[str, tuple[Trade, int]] = {}  # by position, since when (monotonic) it is seen so here
        self._told: set[str] = set()

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

    def look(self, trades: Iterable[Trade], *, monotonic_ns: int) -> list[tuple[Trade, int]]:
        """Looks at all of this instance's trades, also those that an earlier life left so; how long each has been seen
        without a stop is shown. Those, with their seconds, that have been for `ALARM_SECONDS` and were not told."""
        bare = {trade.pos_id: trade for trade in trades if is_unprotected(trade)}
        for pos_id in self._seen_ns.keys() - bare.keys():
            self._metrics.position_unprotected.remove(*_labels(self._seen_ns.pop(pos_id)[0]))
            self._told.discard(pos_id)
        overdue = []
        for pos_id, trade in bare.items():
            _, since_ns = self._seen_ns.setdefault(pos_id, (trade, monotonic_ns))
            seconds = (monotonic_ns - since_ns) / NANOSECONDS_PER_SECOND
            self._metrics.position_unprotected.labels(*_labels(trade)).set(seconds)
            if seconds >= ALARM_SECONDS and pos_id not in self._told:
                self._told.add(pos_id)
                overdue.append((trade, int(seconds)))
        return overdue

    def forget(self, pos_id: str) -> None:
        """The trade is another instance's now, or will be read again."""
        self._since_ns.pop(pos_id, None)
        self._metrics.unprotected.set(len(self._since_ns))


def _labels(trade: Trade) -> tuple[str, str, str]:
    return trade.session_id, trade.symbol, trade.pos_id


def _rests(order: Order) -> bool:
    """A stop that was turned into the exit protects for as long as it is known to wait for its trigger; a broker's own
    trigger for as long as none of its legs is reached: the other is gone then, and what that has placed may rest."""
    waits = not order.is_turned or order.state is OrderState.TRIGGER_PENDING
    if order.is_standing:
        waits = order.state in (OrderState.TRIGGER_PENDING, OrderState.CANCEL_PENDING)
    return order.role is OrderRole.STOP and order.state in _RESTS and waits
