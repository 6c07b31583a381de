"""What a step of a trade says on `orders.v1`."""

import structlog

from services.execution.books.ports import CONSUMER
from tradebus.contracts.base import Message, event_id_for
from tradebus.contracts.orders import Difference, ReconcileMismatch
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Trade
from tradebus.runtime.rendering import message_of

_log = structlog.get_logger()


def messages_of(trade: Trade, step: TradeStep, *, recorded_ns: int) -> list[Message]:
    """In order, each once; what somebody did at the broker last, for a person. `recorded_ns` is our wall clock."""
    said: list[Message] = [message_of(fact, source=CONSUMER, recorded_ns=recorded_ns) for fact in step.facts]
    if step.notices:
        said.append(_mismatch(trade, step, recorded_ns=recorded_ns))
    return list({one.event_id: one for one in said}.values())


def _mismatch(trade: Trade, step: TradeStep, *, recorded_ns: int) -> ReconcileMismatch:
    at_ns = max(order.updated_ns for order in trade.orders)
    shown = tuple(Difference(what=n.what, ours=n.ours, brokers=n.brokers, action=n.action) for n in step.notices)
    _log.error("changed at the broker, not by us", pos_id=trade.pos_id, differences=[str(one) for one in shown])
    event_id = event_id_for(
        ReconcileMismatch.TYPE, at_ns, trade.pos_id, *(part for one in shown for part in (one.what, one.brokers))
    )
    return ReconcileMismatch(
        event_id=event_id, ts_event_ns=at_ns, ts_recorded_ns=recorded_ns, source=CONSUMER, trace_id=trade.trace_id,
        user_id=trade.user_id, session_id=trade.session_id, pos_id=trade.pos_id, database_id=trade.trade_id,
        group_id=trade.group_id, differences=shown,
    )  # fmt: skip
