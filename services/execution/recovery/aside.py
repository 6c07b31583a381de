"""An approval that is put aside is refused as a stale one is: nobody waits for an order that will never leave.

    put aside ─► which one? ─┬─ nothing was placed for it ─► ORDER_CANCELLED "put_aside: …", intent ─┬─► dead letter
                             ├─ its trade lives ───────────► left to the trade, and asked for again ─┤
                             └─ nobody can say ────────────► log, metric; found in the book later ───┘

Invariants (tested on twins and Postgres): one transaction has the claim of the position, the inbox row, the intent and
the report, so that an approval is refused at most once, and never after it was taken.
"""

from collections.abc import Awaitable, Callable

import structlog

from services.execution.books import Books
from services.execution.books.approvals import ApprovalFields, approval_in
from services.execution.books.ports import CONSUMER
from services.execution.metrics import ExecutionMetrics
from tradebus.bus.port import Entry, Subscription
from tradebus.contracts.base import event_id_for
from tradebus.contracts.orders import OrderCancelled, OrderRole, OrderType, Transaction
from tradebus.contracts.signals import Side
from tradebus.contracts.streams import ORDERS
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.ids import derive_id, derive_tag
from tradebus.runtime.consuming.handling import bury, reason_of
from tradebus.runtime.patience import PASSING

_OUTCOME = "put_aside"
_REASON_MAX = 200
_log = structlog.get_logger()


class AsideApprovals:
    """`stream` is where approvals come from, `publish` sends out what was committed."""

    def __init__(
        self, books: Books, *, stream: str, clock: Clock, publish: Callable[[], Awaitable[None]],
        metrics: ExecutionMetrics,
    ) -> None:  # fmt: skip
        self._book, self._ledger, self._stream = books.book, books.ledger, stream
        self._clock, self._publish, self._metrics = clock, publish, metrics

    async def bury(self, subscription: Subscription, entry: Entry, reason: str) -> None:
        """What a consumer puts an entry aside with. Raises only what a server's absence raises."""
        if entry.stream == self._stream and entry.body:
            outcome = await self._answered(entry, reason)
            self._metrics.put_aside.labels(outcome).inc()
        await bury(subscription, entry, reason)

    async def refuse(self, approval: ApprovalFields, *, reason: str) -> bool:
        """Refuses it, once and durably. False where it was answered before, or an order of it may have left: then its
        trade answers for it. Raises InvalidInput where too little of it can be read."""
        if not (approval.intent_id and approval.pos_id and approval.session_id):
            raise InvalidInput("an approval without intent_id, pos_id and session_id cannot be refused")
        report = None if approval.is_exit else self._report(approval, reason)
        async with self._book.begin() as tx:
            await tx.lock(approval.pos_id)
            if not await self._ledger.claim_unopened(tx, approval.pos_id):
                trade = await self._ledger.load(approval.pos_id) if approval.is_exit else None
                if trade is None or not trade.ended:
                    return False
            if not await tx.first_time(CONSUMER, approval.intent_id):
                return False
            await self._ledger.insert_intent(tx, approval, outcome=_OUTCOME)
            if report is not None:
                tx.emit(ORDERS.name, report)
        _log.error(
            "an approval that was put aside is refused, no order of it left", intent_id=approval.intent_id,
            session_id=approval.session_id, pos_id=approval.pos_id, reason=reason,
        )  # fmt: skip
        return True

    async def _answered(self, entry: Entry, reason: str) -> str:
        """What became of the approval in the entry, as a word of the metric."""
        found = approval_in(entry.body)
        try:
            if not found.names_any:
                raise InvalidInput("nothing says which approval it is; the book is asked for what nobody has taken")
            untaken = await self._ledger.untaken()
            in_book = next((one.approval for one in untaken if one.approval.is_same(found)), found)
            refused = await self.refuse(in_book, reason=reason)
            await self._publish()
        except PASSING:
            raise
        except Exception as error:  # noqa: BLE001 - what cannot be refused is told all the same, and ends no process
            _log.error(
                "an approval was put aside and cannot be refused: see the dead letters", stream=entry.stream,
                entry_id=entry.entry_id, reason=reason, problem=reason_of(error), exc_info=error,
            )  # fmt: skip
            return "unanswered"
        return "refused" if refused else "left"

    def _report(self, approval: ApprovalFields, reason: str) -> OrderCancelled:
        """As `opening.refuse_trade` has it. Raises InvalidInput where a field is missing that it needs."""
        fields = approval.fields
        try:
            at_ns, side = fields["ts_event_ns"], Side(fields["side"])
            order_id = derive_id(at_ns, "order", approval.pos_id, OrderRole.ENTRY, 1)
            return OrderCancelled(
                event_id=event_id_for(OrderCancelled.TYPE, at_ns, order_id, ""), ts_event_ns=at_ns,
                ts_recorded_ns=self._clock.now_ns(), source=CONSUMER, trace_id=fields["trace_id"],
                causation_id=approval.event_id or None, user_id=fields.get("user_id"), session_id=approval.session_id,
                pos_id=approval.pos_id, group_id=fields.get("group_id"), order_id=order_id,
                tag=derive_tag(approval.pos_id, OrderRole.ENTRY, 1), role=OrderRole.ENTRY, strategy=fields["strategy"],
                symbol=fields["symbol"], instrument=fields["instrument"],
                transaction=Transaction.BUY if side is Side.LONG else Transaction.SELL, order_type=OrderType.LIMIT,
                quantity=fields["quantity"], filled_quantity=0, reason=f"{_OUTCOME}: {reason}"[:_REASON_MAX],
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"an approval lacks what its refusal says: {reason_of(error)}") from error
