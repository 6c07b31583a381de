"""Kite's two-leg triggers (GTT): a stop and a target, of which the first that is reached places its limit order.

Kite's rules: legs place LIMIT orders only, the last price is told with every request, a trigger bears no tag.
"""

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from tradebus.brokers.common.orders.outcomes import outcome_of
from tradebus.brokers.common.orders.standing import BrokerTrigger, StandingOrders, TriggerState
from tradebus.brokers.common.replies.rows import Row, Unreadable, paise_of, row_of, rows_of, text, whole
from tradebus.brokers.kite.client import KiteClient, get
from tradebus.brokers.kite.replies import identity, moment_ns, optional_text
from tradebus.brokers.kite.tickets import leg_tickets
from tradebus.brokers.ports import OrderGateway
from tradebus.brokers.reference import InstrumentOf, ListingOf
from tradebus.contracts.orders import Transaction
from tradebus.kernel.errors import TradebusError
from tradebus.trading.orders import UNLISTED_INSTRUMENT, OrderModification, OrderRequest, Outcome, Result

INTRADAY = "MIS"
_log = structlog.get_logger()
_STATES = {
    "active": TriggerState.WAITS, "triggered": TriggerState.FIRED, "disabled": TriggerState.OVER,
    "expired": TriggerState.OVER, "cancelled": TriggerState.OVER, "deleted": TriggerState.OVER,
    "rejected": TriggerState.REFUSED,
}  # fmt: skip


class KiteTriggers:
    """See `tradebus.brokers.common.orders.standing.TriggerGateway`."""

    def __init__(self, client: KiteClient, *, listing_of: ListingOf, instrument_of: InstrumentOf) -> None:
        self._client, self._listing_of, self._instrument_of = client, listing_of, instrument_of

    def beside(self, orders: OrderGateway, *, shows_all: bool) -> StandingOrders:
        """The gateway that places both."""
        return StandingOrders(orders, self, timers=self._client.timers, shows_all=shows_all)

    async def place(self, request: OrderRequest) -> Outcome:
        """One request."""
        return await self._sent("place gtt", request, lambda sdk, legs: sdk.place_gtt(**legs))

    async def modify(self, trigger_id: str, change: OrderModification) -> Outcome:
        """One request: both legs anew. Kite refuses it where one was reached."""
        if change.asked is None:
            return Outcome(Result.REFUSED, reason="not sent: a trigger is changed as a whole, and nobody says how")
        return await self._sent(
            "modify gtt", change.asked, lambda sdk, legs: sdk.modify_gtt(trigger_id, **legs), of=trigger_id
        )

    async def delete(self, trigger_id: str) -> Outcome:
        """One request."""
        return await self._outcome("delete gtt", lambda sdk: sdk.delete_gtt(trigger_id), of=trigger_id)

    async def listed(self) -> Sequence[BrokerTrigger]:
        data = await self._client.read("gtt", lambda sdk: get(sdk, "gtt"))
        return [self._trigger(row) for row in rows_of(data, what="triggers")]

    def _trigger(self, row: Row) -> BrokerTrigger:
        try:
            return trigger_of(row, instrument_of=self._instrument_of)
        except Unreadable as error:
            _log.error("kite: a trigger cannot be read", reason=self._client.redactor.text(error))
            return BrokerTrigger(trigger_id=identity(row, "id"), state=TriggerState.UNKNOWN)

    async def _sent(
        self, what: str, request: OrderRequest, use: Callable[[Any, dict[str, Any]], Any], *, of: str | None = None
    ) -> Outcome:
        try:
            legs = leg_tickets(request, self._listing_of(request.instrument))
        except (TradebusError, LookupError) as error:
            return Outcome(Result.REFUSED, reason=f"not sent: {error}")
        return await self._outcome(what, lambda sdk: use(sdk, legs), of=of)

    async def _outcome(self, what: str, use: Callable[[Any], Any], *, of: str | None = None) -> Outcome:
        return await outcome_of(
            what, self._client.once(what, use), lambda data: identity(row_of(data, what=what), "trigger_id"),
            redactor=self._client.redactor, of=of,
        )  # fmt: skip


def trigger_of(row: Row, *, instrument_of: InstrumentOf) -> BrokerTrigger:
    """Raises Unreadable, naming the trigger, where anything that decides about money cannot be read."""
    trigger_id = identity(row, "id")
    try:
        condition, legs = row_of(row.get("condition"), what="condition"), rows_of(row.get("orders"), what="orders")
        values = condition.get("trigger_values")
        if not isinstance(values, list) or not values or not legs:
            raise Unreadable("trigger_values: a trigger without legs")
        side = text(legs[0], "transaction_type")
        if side not in tuple(Transaction):
            raise Unreadable(f"transaction_type: {side!r:.20} is neither BUY nor SELL")
        order_id, reason = _placed(legs)
        state = _STATES.get(text(row, "status").strip().lower(), TriggerState.UNKNOWN)
        if state is TriggerState.FIRED and order_id is None:
            state = TriggerState.REFUSED if reason else TriggerState.UNKNOWN
        instrument = instrument_of(text(condition, "exchange"), identity(condition, "instrument_token"))
        is_ours = instrument is not None and text(legs[0], "product") == INTRADAY
        return BrokerTrigger(
            trigger_id=trigger_id, state=state, transaction=Transaction(side), quantity=whole(legs[0], "quantity"),
            instrument=UNLISTED_INSTRUMENT if instrument is None or not is_ours else instrument,
            triggers_paise=tuple(sorted(paise_of(str(value), name="trigger_values") for value in values)),
            order_id=order_id, reason=reason, created_ns=moment_ns(row, "created_at") or 0,
        )  # fmt: skip
    except Unreadable as error:
        raise Unreadable(f"trigger {trigger_id}: {error}") from None


def _placed(legs: Sequence[Row]) -> tuple[str | None, str]:
    """The order that a leg has placed, None where none has; and why it was refused."""
    for leg in legs:
        result = leg.get("result")
        if result is None:
            continue
        told = row_of(row_of(result, what="result").get("order_result"), what="order_result")
        order_id = optional_text(told, "order_id")
        return order_id or None, "" if order_id else optional_text(told, "rejection_reason") or "refused"
    return None, ""
