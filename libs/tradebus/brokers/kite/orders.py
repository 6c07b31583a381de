"""Orders at Kite behind the order gateway's port.

    place ─► checked here ─► pace ─► one request ─► order_id        ACCEPTED
                   │                            ├─► Kite's own no   REFUSED
                   └─► REFUSED, nothing sent    └─► anything else   UNKNOWN: look the tag up

Kite has no idempotency key, so nothing is ever sent twice (except after Kite refused it for its token alone).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tradebus.brokers.common.orders.book import FillsByOrder
from tradebus.brokers.common.orders.lookup import BookReader
from tradebus.brokers.common.orders.outcomes import outcome_of
from tradebus.brokers.common.orders.settling import SETTLE_SECONDS, Settling
from tradebus.brokers.common.replies.rows import Row
from tradebus.brokers.kite.book import KiteLine, fills_by_order, line_of, order_of
from tradebus.brokers.kite.client import KiteClient, get
from tradebus.brokers.kite.limits import CHANGES_PER_ORDER, ORDERS_PER_MINUTE, OrderPace
from tradebus.brokers.kite.replies import identity
from tradebus.brokers.kite.settings import BROKER
from tradebus.brokers.kite.tickets import change_ticket, order_ticket
from tradebus.brokers.reference import InstrumentOf, ListedInstrument
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import TradebusError
from tradebus.trading.orders import BrokerFill, BrokerOrder, OrderModification, OrderRequest, Outcome, Result

REGULAR = "regular"


class KiteOrders(BookReader[KiteLine]):
    """`listing_of` names an instrument at Kite (it may raise InvalidInput or LookupError), `instrument_of` finds the
    instrument of a row by exchange and instrument_token. `variety` is that of new orders (regular, amo). What
    `settle_seconds` is for: `common.settling`; `pace` holds to Kite's own limits where none is given.
    """

    def __init__(
        self,
        client: KiteClient,
        *,
        listing_of: Callable[[int], ListedInstrument],
        instrument_of: InstrumentOf,
        variety: str = REGULAR,
        settle_seconds: float = SETTLE_SECONDS,
        clock: Clock | None = None,
        pace: OrderPace | None = None,
    ) -> None:
        self._client = client
        self._listing_of, self._instrument_of = listing_of, instrument_of
        self._variety, self._clock, self._pace = (
            variety,
            clock or client.timers,
            pace or OrderPace(timers=client.timers),
        )
        super().__init__(BROKER, self._client, Settling(settle_seconds, timers=client.timers))
        self._variety_of: dict[str, str] = {}  # by order id, where it is not regular
        self._changes: dict[str, int] = {}

    async def place(self, request: OrderRequest) -> Outcome:
        """One request. MARKET and SL-M always carry market protection: as asked for, or Kite's own choice (-1)."""
        try:
            ticket = order_ticket(request, self._listing_of(request.instrument), variety=self._variety)
        except (TradebusError, LookupError) as error:
            return Outcome(Result.REFUSED, reason=f"not sent: {error}")
        placing = self._order_call("place order", lambda sdk: sdk.place_order(**ticket))
        outcome = await self._settling.placed(request.tag, placing)
        if outcome.broker_order_id is not None and self._variety != REGULAR:
            self._variety_of[outcome.broker_order_id] = self._variety
        return outcome

    async def modify(self, account: str, broker_order_id: str, change: OrderModification) -> Outcome:
        """One request. Kite refuses the 26th change of an order; it is not sent."""
        del account  # a Kite login is one account
        changes = self._changes.get(broker_order_id, 0)
        if changes >= CHANGES_PER_ORDER:
            return Outcome(Result.REFUSED, reason=f"not sent: {changes} changes of one order are all that Kite allows")
        try:
            ticket = change_ticket(change)
        except TradebusError as error:
            return Outcome(Result.REFUSED, reason=f"not sent: {error}")
        self._changes[broker_order_id] = changes + 1
        variety = self._variety_of.get(broker_order_id, REGULAR)
        return await self._order_call(
            "modify order", lambda sdk: sdk.modify_order(variety, broker_order_id, **ticket), of=broker_order_id
        )

    async def cancel(self, account: str, broker_order_id: str, *, at_ns: int) -> Outcome:
        """One request. ACCEPTED says that the cancellation is under way."""
        del account, at_ns
        variety = self._variety_of.get(broker_order_id, REGULAR)
        return await self._order_call(
            "cancel order", lambda sdk: sdk.cancel_order(variety, broker_order_id), urgent=True, of=broker_order_id
        )

    async def lines(self) -> tuple[list[KiteLine], int]:
        lines, unreadable = await super().lines()
        self._variety_of |= {line.order_id: line.variety for line in lines if line.variety != REGULAR}
        return lines, unreadable

    async def ask_orders(self) -> object:
        return await self._client.read("orders", lambda sdk: get(sdk, "orders"))

    async def ask_trades(self) -> object:
        return await self._client.read("trades", lambda sdk: get(sdk, "trades"))

    async def ask_trades_of(self, broker_order_id: str, *, patient: bool) -> object:
        ask = self._client.read if patient else self._client.once
        return await ask("order trades", lambda sdk: get(sdk, "order.trades", url_args={"order_id": broker_order_id}))

    def line_in(self, row: Row) -> KiteLine:
        return line_of(row)

    def fills_in(self, rows: Iterable[Row]) -> FillsByOrder:
        return fills_by_order(rows)

    def report(self, account: str, line: KiteLine, fills: Sequence[BrokerFill]) -> BrokerOrder:
        now_ns = self._clock.now_ns()
        return order_of(line, fills, account=account, instrument_of=self._instrument_of, now_ns=now_ns)

    async def _order_call(
        self, what: str, use: Callable[[Any], Any], *, urgent: bool = False, of: str | None = None
    ) -> Outcome:
        if not await self._pace.turn(urgent=urgent):
            return Outcome(Result.REFUSED, reason=f"not sent: {ORDERS_PER_MINUTE} order calls in this minute")
        return await outcome_of(
            what, self._client.once(what, use), lambda order_id: identity({"order_id": order_id}, "order_id"),
            redactor=self._client.redactor, of=of,
        )  # fmt: skip
