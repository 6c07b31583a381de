"""What execution says about a trade. Ids derive from the order and what happened to it."""

from typing import Any

from tradebus.contracts.orders import BrokerRequest, OrderRole
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.ids import derive_id
from tradebus.trading import facts
from tradebus.trading.orders import BrokerFill


def placed(trade: Trade, order: Order, step: TradeStep, ts_ns: int, *, would_send: BrokerRequest | None = None) -> None:
    """ORDER_PLACED, or STOP_PLACED for a protective stop."""
    if order.role is OrderRole.STOP and order.trigger_paise is not None:
        _order(
            facts.StopPlaced, trade, order, step, ts_ns, trigger_paise=order.trigger_paise, would_send=would_send
        )  # fmt: skip
        return
    _order(
        facts.OrderPlaced,
        trade,
        order,
        step,
        ts_ns,
        price_paise=order.price_paise,
        trigger_paise=order.trigger_paise,
        would_send=would_send,
    )


def filled(trade: Trade, order: Order, step: TradeStep, fill: BrokerFill) -> None:
    """ORDER_FILLED when the order is complete, ORDER_PARTIALLY_FILLED before."""
    shared: dict[str, Any] = {
        "fill_id": fill.fill_id,
        "fill_quantity": fill.quantity,
        "fill_price_paise": fill.price_paise,
        "filled_quantity": order.filled_quantity,
        "cause": fill.fill_id,
    }
    if order.filled_quantity >= order.quantity:
        shared["average_price_paise"] = order.average_price_paise
        _order(facts.OrderFilled, trade, order, step, fill.ts_event_ns, **shared)
    else:
        _order(facts.OrderPartiallyFilled, trade, order, step, fill.ts_event_ns, **shared)


def rejected(trade: Trade, order: Order, step: TradeStep, ts_ns: int, *, reason: str) -> None:
    _order(facts.OrderRejected, trade, order, step, ts_ns, reason=reason)


def cancelled(trade: Trade, order: Order, step: TradeStep, ts_ns: int, *, reason: str) -> None:
    _order(facts.OrderCancelled, trade, order, step, ts_ns, filled_quantity=order.filled_quantity, reason=reason)


def timed_out(trade: Trade, order: Order, step: TradeStep, ts_ns: int, *, timeout_seconds: int) -> None:
    _order(
        facts.OrderTimeout,
        trade,
        order,
        step,
        ts_ns,
        filled_quantity=order.filled_quantity,
        timeout_seconds=timeout_seconds,
    )


def unknown(trade: Trade, order: Order, step: TradeStep, ts_ns: int, *, reason: str) -> None:
    _order(facts.OrderUnknown, trade, order, step, ts_ns, reason=reason)


def slipped(trade: Trade, order: Order, step: TradeStep, fill: BrokerFill, *, slippage_pct: float) -> None:
    _order(
        facts.OrderSlippage,
        trade,
        order,
        step,
        fill.ts_event_ns,
        expected_price_paise=trade.expected_price_paise,
        fill_price_paise=fill.price_paise,
        slippage_pct=slippage_pct,
        max_slippage_pct=trade.max_slippage_pct,
        cause=fill.fill_id,
    )


def stop_moved(
    trade: Trade, order: Order, step: TradeStep, ts_ns: int, *, previous_trigger_paise: int, previous_quantity: int
) -> None:
    _order(
        facts.StopMoved,
        trade,
        order,
        step,
        ts_ns,
        trigger_paise=order.trigger_paise or 0,
        previous_trigger_paise=previous_trigger_paise,
        previous_quantity=previous_quantity,
        cause=f"{order.quantity}@{order.trigger_paise}",
    )


def opened(trade: Trade, step: TradeStep, ts_ns: int) -> None:
    """POSITION_OPENED, once, at the first fill; further entry fills are ORDER_FILLED and ORDER_PARTIALLY_FILLED."""
    _position(
        facts.PositionOpened,
        trade,
        step,
        ts_ns,
        quantity=trade.entry_quantity,
        average_price_paise=trade.entry_price_paise,
        stop_paise=trade.stop_paise,
        target_paise=trade.target_paise,
    )


def closed(trade: Trade, step: TradeStep, ts_ns: int, *, gross_pnl_paise: int, again: bool) -> None:
    """POSITION_CLOSED; `again` where it had been closed before and filled since: it tells of the whole trade."""
    _position(
        facts.PositionClosed,
        trade,
        step,
        ts_ns,
        quantity=trade.entry_quantity,
        entry_price_paise=trade.entry_price_paise,
        exit_price_paise=trade.exit_price_paise,
        gross_pnl_paise=gross_pnl_paise,
        charges_paise=trade.charges_paise,
        net_pnl_paise=gross_pnl_paise - trade.charges_paise,
        r_multiple=trade.r_multiple,
        mae_r=trade.mae_r,
        mfe_r=trade.mfe_r,
        reason=trade.exit_reason or "exit",
        opened_ts_ns=trade.opened_ns,
        cause=f"{trade.entry_quantity} {len(trade.fill_ids)}" if again else "",
    )


def square_off_forced(trade: Trade, step: TradeStep, ts_ns: int, *, hard_end_ns: int) -> None:
    _position(
        facts.SquareOffForced, trade, step, ts_ns, quantity=trade.open_quantity, hard_end_ns=hard_end_ns,
        cause=str(hard_end_ns),
    )  # fmt: skip


def position_unprotected(trade: Trade, step: TradeStep, ts_ns: int, *, seconds: int) -> None:
    _position(
        facts.PositionUnprotected, trade, step, ts_ns, quantity=trade.there_quantity, seconds=seconds,
        cause=f"unprotected {trade.version}",
    )  # fmt: skip


def _order(
    fact: type[facts.OrderFact],
    trade: Trade,
    order: Order,
    step: TradeStep,
    ts_ns: int,
    *,
    cause: str = "",
    **fields: Any,
) -> None:
    step.facts.append(
        fact(
            **_envelope(fact.TYPE, trade, step, ts_ns, order.order_id, cause),
            order_id=order.order_id,
            broker_order_id=order.broker_order_id,
            tag=order.tag,
            role=order.role,
            strategy=trade.strategy,
            symbol=trade.symbol,
            instrument=trade.instrument,
            transaction=order.transaction,
            order_type=order.order_type,
            quantity=order.quantity,
            **fields,
        )
    )


def _position(
    fact: type[facts.PositionOpened | facts.PositionClosed | facts.SquareOffForced | facts.PositionUnprotected],
    trade: Trade,
    step: TradeStep,
    ts_ns: int,
    *,
    cause: str = "",
    **fields: Any,
) -> None:
    step.facts.append(
        fact(
            **_envelope(fact.TYPE, trade, step, ts_ns, trade.pos_id, cause or str(trade.entry_quantity)),
            strategy=trade.strategy,
            symbol=trade.symbol,
            instrument=trade.instrument,
            side=trade.side,
            **fields,
        )
    )


def _envelope(fact_type: str, trade: Trade, step: TradeStep, ts_ns: int, *cause: str) -> dict[str, Any]:
    return {
        "event_id": derive_id(ts_ns, fact_type, *cause),
        "ts_event_ns": ts_ns,
        "trace_id": trade.trace_id,
        "causation_id": step.cause_id,
        "user_id": trade.user_id,
        "session_id": trade.session_id,
        "pos_id": trade.pos_id,
        "group_id": trade.group_id,
        "database_id": trade.trade_id,
    }
