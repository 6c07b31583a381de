"""Which changes of an order the ticker's text stream tells of, and by which word.

Nothing is sent at plain placement and nothing for after-market orders. UPDATE says that terms or filled quantity
changed while the order lives on, OPEN that a stop was triggered; then come COMPLETE, CANCELLED or REJECTED.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from services.sandbox.ports import FINAL, SandboxOrder, SandboxStatus


@dataclass(frozen=True, slots=True)
class _Seen:
    status: SandboxStatus | None = None
    filled_quantity: int = 0
    modifications: int = 0


_NEW = _Seen()


class StreamedOrders:
    """One connection's memory of what it has said of each order."""

    def __init__(self, orders: Iterable[SandboxOrder] = ()) -> None:
        self._seen = {order.order_id: _seen(order) for order in orders}

    def word(self, order: SandboxOrder) -> str | None:
        """The stream's status for this change; None where it says nothing."""
        before, now = self._seen.get(order.order_id, _NEW), _seen(order)
        self._seen[order.order_id] = now
        if before == now:
            return None
        if order.status in FINAL:
            return order.status.value
        if (before.filled_quantity, before.modifications) != (now.filled_quantity, now.modifications):
            return "UPDATE"
        triggered = before.status is SandboxStatus.TRIGGER_PENDING and order.status is SandboxStatus.OPEN
        return "OPEN" if triggered else None


def _seen(order: SandboxOrder) -> _Seen:
    return _Seen(order.status, order.filled_quantity, order.modifications)
