"""An order while it lives. What leaves is a snapshot; `number` goes up with each change."""

from dataclasses import replace

from services.sandbox.ports import FINAL, NewOrder, SandboxOrder, SandboxStatus, SandboxTrade
from tradebus.contracts.orders import OrderType, Transaction

STOP_TYPES = (OrderType.SL, OrderType.SL_M)


class WorkingOrder:
    """Mutable. `limit_paise` is the price it may trade at: set when it enters the book, protection included."""

    __slots__ = (
        "_snapshot",
        "account",
        "asked",
        "book_sequence",
        "exchange_order_id",
        "filled_quantity",
        "filled_value_paise",
        "history",
        "limit_paise",
        "modifications",
        "number",
        "order_id",
        "placed_ns",
        "reason",
        "request",
        "resting_since_ns",
        "status",
        "trades",
        "updated_ns",
    )  # fmt: skip

    def __init__(self, order_id: str, exchange_order_id: str, account: str, request: NewOrder, now_ns: int) -> None:
        self.order_id, self.exchange_order_id, self.account = order_id, exchange_order_id, account
        self.request = self.asked = request
        self.status, self.reason = SandboxStatus.VALIDATION_PENDING, ""
        self.filled_quantity = self.filled_value_paise = self.modifications = self.limit_paise = 0
        self.placed_ns = self.updated_ns = self.resting_since_ns = now_ns
        self.number = 1
        self.book_sequence = 0
        self.trades: tuple[SandboxTrade, ...] = ()
        self.history: tuple[tuple[SandboxStatus, int, str], ...] = ((self.status, now_ns, ""),)
        self._snapshot: SandboxOrder | None = None

    @property
    def buys(self) -> bool:
        return self.request.transaction is Transaction.BUY

    @property
    def remaining(self) -> int:
        return self.request.quantity - self.filled_quantity

    @property
    def final(self) -> bool:
        return self.status in FINAL

    @property
    def average_price_paise(self) -> int:
        """Rounded half up; 0 without a fill."""
        filled = self.filled_quantity
        return (2 * self.filled_value_paise + filled) // (2 * filled) if filled else 0

    def _changed(self, now_ns: int) -> None:
        self.number += 1
        self.updated_ns = now_ns
        self._snapshot = None

    def set_status(self, status: SandboxStatus, now_ns: int, reason: str = "") -> None:
        """Writes a line of the order's history."""
        self.status = status
        self.reason = reason or self.reason
        self.history = (*self.history, (status, now_ns, reason))
        self._changed(now_ns)

    def change_request(self, now_ns: int, **fields: object) -> None:
        """Replaces fields of the request as it is now."""
        self.request = replace(self.request, **fields)  # type: ignore[arg-type]
        self._changed(now_ns)

    def add_fill(self, trade: SandboxTrade) -> None:
        """Counts a fill; completes the order where it was the last."""
        self.filled_quantity += trade.quantity
        self.filled_value_paise += trade.quantity * trade.price_paise
        self.trades = (*self.trades, trade)
        self._changed(trade.at_ns)
        if self.remaining == 0:
            self.set_status(SandboxStatus.COMPLETE, trade.at_ns)

    def snapshot(self) -> SandboxOrder:
        """The order as of now."""
        if self._snapshot is None:
            self._snapshot = SandboxOrder(
                order_id=self.order_id, exchange_order_id=self.exchange_order_id, account=self.account,
                request=self.request, asked=self.asked, status=self.status, filled_quantity=self.filled_quantity,
                average_price_paise=self.average_price_paise, placed_ns=self.placed_ns, updated_ns=self.updated_ns,
                number=self.number, modifications=self.modifications, reason=self.reason, trades=self.trades,
                history=self.history,
            )  # fmt: skip
        return self._snapshot
