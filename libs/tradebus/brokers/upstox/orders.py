"""Orders at Upstox behind the order gateway's port.

    place ─► checked here ─► pace ─► one request ─► order_ids: one      ACCEPTED
                   │                            ├─► Upstox's own no     REFUSED
                   └─► REFUSED, nothing sent    └─► anything else       UNKNOWN: look the tag up

Upstox has no idempotency key, so nothing is ever sent twice (except after it refused it for its token alone).
"""

from collections.abc import Callable, Iterable, Sequence

from tradebus.brokers.calls import Pacer
from tradebus.brokers.common.access.pace import WindowPace
from tradebus.brokers.common.orders.book import FillsByOrder
from tradebus.brokers.common.orders.lookup import BookReader
from tradebus.brokers.common.orders.outcomes import outcome_of
from tradebus.brokers.common.orders.settling import SETTLE_SECONDS, Settling
from tradebus.brokers.common.replies.rows import Row, Unreadable, row_of, text
from tradebus.brokers.errors import BrokerError, Refused, TokenExpired
from tradebus.brokers.reference import InstrumentOf, ListedInstrument
from tradebus.brokers.upstox.book import UpstoxLine, fills_by_order, line_of, order_of
from tradebus.brokers.upstox.client import API_VERSION, UpstoxClient, Use
from tradebus.brokers.upstox.pace import ORDER_WINDOWS
from tradebus.brokers.upstox.settings import BROKER
from tradebus.brokers.upstox.tickets import DAY, Placed, change_ticket, order_ticket
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import TradebusError
from tradebus.trading.orders import BrokerFill, BrokerOrder, OrderModification, OrderRequest, Outcome, Result

_REMEMBERED_MAX = 20_000


class UpstoxOrders(BookReader[UpstoxLine]):
    """`listing_of` names an instrument at Upstox (it may raise InvalidInput or LookupError), `instrument_of` finds the
    instrument of a row by segment (NSE_FO) and instrument key (NSE_FO|50978). What `settle_seconds` is for:
    `common.settling`; `pace` holds to Upstox' own limits where none is given.
    """

    def __init__(
        self,
        client: UpstoxClient,
        *,
        listing_of: Callable[[int], ListedInstrument],
        instrument_of: InstrumentOf,
        settle_seconds: float = SETTLE_SECONDS,
        clock: Clock | None = None,
        pace: Pacer | None = None,
    ) -> None:
        self._client = client
        self._listing_of, self._instrument_of = listing_of, instrument_of
        self._clock, self._pace = clock or client.timers, pace or WindowPace(ORDER_WINDOWS, timers=client.timers)
        super().__init__(BROKER, self._client, Settling(settle_seconds, timers=client.timers))
        self._placed: dict[str, Placed] = {}  # by order id

    async def place(self, request: OrderRequest) -> Outcome:
        """One request. MARKET and SL-M always carry market protection: as asked for, or Upstox's own choice (-1)."""
        try:
            ticket = order_ticket(request, self._listing_of(request.instrument))
        except (TradebusError, LookupError) as error:
            return Outcome(Result.REFUSED, reason=f"not sent: {error}")
        placing = self._order_call(
            "place order",
            lambda sdk, raw: sdk.api("OrderApiV3").place_order(sdk.model("PlaceOrderV3Request", **ticket), **raw),
            _only_order_id,
        )
        outcome = await self._settling.placed(request.tag, placing)
        if outcome.broker_order_id is not None:
            self._remember(outcome.broker_order_id, Placed.of(request))
        return outcome

    async def modify(self, account: str, broker_order_id: str, change: OrderModification) -> Outcome:
        """Upstox wants the whole order again; what an order placed elsewhere looks like is read first.

        UNKNOWN also where that reading fails: nothing was sent, and nothing is known of the order.
        """
        del account  # an Upstox login is one account
        try:
            placed = self._placed.get(broker_order_id) or await self._as_placed(broker_order_id)
            placed = placed.changed(change)
            ticket = change_ticket(broker_order_id, change.quantity, placed)
        except (Refused, TokenExpired) as error:
            return Outcome(Result.REFUSED, reason=f"not sent: {error}")
        except (BrokerError, Unreadable) as error:
            return Outcome(Result.UNKNOWN, reason=self._client.redactor.text(f"not sent: {error}"))
        except TradebusError as error:
            return Outcome(Result.REFUSED, reason=f"not sent: {error}")
        outcome = await self._order_call(
            "modify order",
            lambda sdk, raw: sdk.api("OrderApiV3").modify_order(sdk.model("ModifyOrderRequest", **ticket), **raw),
            _order_id,
            of=broker_order_id,
        )
        if outcome.result is Result.ACCEPTED:
            self._remember(broker_order_id, placed)
        elif outcome.result is Result.UNKNOWN:
            self._placed.pop(broker_order_id, None)  # it may have been changed: the next change looks
        return outcome

    async def cancel(self, account: str, broker_order_id: str, *, at_ns: int) -> Outcome:
        """One request. ACCEPTED says that the cancellation is under way."""
        del account, at_ns
        return await self._order_call(
            "cancel order", lambda sdk, raw: sdk.api("OrderApiV3").cancel_order(broker_order_id, **raw), _order_id,
            of=broker_order_id,
        )  # fmt: skip

    async def ask_orders(self) -> object:
        return await self._client.read(
            "orders", lambda sdk, raw: sdk.api("OrderApi").get_order_book(API_VERSION, **raw)
        )

    async def ask_trades(self) -> object:
        return await self._client.read(
            "trades", lambda sdk, raw: sdk.api("OrderApi").get_trade_history(API_VERSION, **raw)
        )

    async def ask_trades_of(self, broker_order_id: str, *, patient: bool) -> object:
        ask = self._client.read if patient else self._client.once
        return await ask(
            "order trades",
            lambda sdk, raw: sdk.api("OrderApi").get_trades_by_order(broker_order_id, API_VERSION, **raw),
        )

    def line_in(self, row: Row) -> UpstoxLine:
        return line_of(row)

    def fills_in(self, rows: Iterable[Row]) -> FillsByOrder:
        return fills_by_order(rows)

    def report(self, account: str, line: UpstoxLine, fills: Sequence[BrokerFill]) -> BrokerOrder:
        now_ns = self._clock.now_ns()
        return order_of(line, fills, account=account, instrument_of=self._instrument_of, now_ns=now_ns)

    async def _as_placed(self, broker_order_id: str) -> Placed:
        """From the order's own row (the SDK calls that its status; its details are the history). Raises BrokerError or
        Unreadable."""
        row = await self._client.read(
            "order", lambda sdk, raw: sdk.api("OrderApi").get_order_status(order_id=broker_order_id, **raw)
        )
        line = line_of(row_of(row, what="order"))
        if line.order_id != broker_order_id or line.order_type is None:
            raise Unreadable(f"order {broker_order_id}: its type cannot be read")
        placed = Placed(
            line.order_type, line.price_paise or None, line.trigger_paise, None, line.validity or DAY,
            line.disclosed_quantity,
        )  # fmt: skip
        self._remember(broker_order_id, placed)
        return placed

    def _remember(self, broker_order_id: str, placed: Placed) -> None:
        while len(self._placed) >= _REMEMBERED_MAX:
            self._placed.pop(next(iter(self._placed)))
        self._placed[broker_order_id] = placed

    async def _order_call(
        self, what: str, use: Use, read: Callable[[object], str], *, of: str | None = None
    ) -> Outcome:
        await self._pace.turn()
        return await outcome_of(what, self._client.once(what, use), read, redactor=self._client.redactor, of=of)


def _only_order_id(data: object) -> str:
    """Of a placement, which answers with a list because of slicing."""
    order_ids = row_of(data, what="data").get("order_ids")
    if not isinstance(order_ids, list) or len(order_ids) != 1 or not isinstance(order_ids[0], str) or not order_ids[0]:
        raise Unreadable(f"order_ids: {order_ids!r:.80} is not one order id")
    return order_ids[0]


def _order_id(data: object) -> str:
    return text(row_of(data, what="data"), "order_id")
