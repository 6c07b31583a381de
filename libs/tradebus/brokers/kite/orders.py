"""Orders at Kite behind the order gateway's port.

    place ─► checked here ─► pace ─► one request ─► order_id        ACCEPTED
                   │                            ├─► Kite's own no   REFUSED
                   └─► REFUSED, nothing sent    └─► anything else   UNKNOWN: look the tag up

Kite has no idempotency key, so nothing is ever sent twice (except after Kite refused it for its token alone).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from tradebus.brokers.errors import BrokerError, Refused, Throttled, TokenExpired
from tradebus.brokers.kite.book import BookLine, InstrumentOf, fills_by_order, line_of, order_of
from tradebus.brokers.kite.client import KiteClient, get
from tradebus.brokers.kite.limits import CHANGES_PER_ORDER, ORDERS_PER_MINUTE, OrderPace
from tradebus.brokers.kite.replies import Unreadable, identity, rows_of
from tradebus.brokers.kite.settings import KiteSettings
from tradebus.brokers.kite.tickets import change_ticket, order_ticket
from tradebus.brokers.ports import BrokerFill, BrokerOrder, BrokerStatus, Change, Lookup, OrderRequest, Outcome, Result
from tradebus.brokers.reference import ListedInstrument
from tradebus.kernel.clock import Clock, WallClock, monotonic_ns
from tradebus.kernel.errors import TradebusError

_log = structlog.get_logger()
REGULAR = "regular"


class KiteOrders:
    """`listing_of` names an instrument at Kite (it may raise InvalidInput or LookupError), `instrument_of` finds the
    instrument of a row by exchange and instrument_token. `variety` is that of new orders (regular, amo).

    A tag that the book does not have is absent for certain only `settle_seconds` after the last moment at which an
    order of that tag can have left this process or the one before it.
    """

    def __init__(
        self,
        settings: KiteSettings,
        *,
        listing_of: Callable[[int], ListedInstrument],
        instrument_of: InstrumentOf,
        client: KiteClient | None = None,
        variety: str = REGULAR,
        settle_seconds: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        self._client = client or KiteClient(settings)
        self._listing_of, self._instrument_of = listing_of, instrument_of
        self._variety, self._settle_ns, self._clock = variety, int(settle_seconds * 1e9), clock or WallClock()
        self._pace = OrderPace()
        self._since_ns = monotonic_ns()
        self._under_way: set[str] = set()
        self._lost_ns: dict[str, int] = {}  # by tag: when its request ended without an answer
        self._variety_of: dict[str, str] = {}  # by order id, where it is not regular
        self._changes: dict[str, int] = {}

    async def place(self, request: OrderRequest) -> Outcome:
        """One request. MARKET and SL-M always carry market protection: as asked for, or Kite's own choice (-1)."""
        try:
            ticket = order_ticket(request, self._listing_of(request.instrument), variety=self._variety)
        except (TradebusError, LookupError) as error:
            return Outcome(Result.REFUSED, reason=f"not sent: {error}")
        self._under_way.add(request.tag)
        try:
            outcome = await self._order_call("place order", lambda sdk: sdk.place_order(**ticket))
        finally:
            self._under_way.discard(request.tag)
            self._lost_ns[request.tag] = monotonic_ns()
        if outcome.result is not Result.UNKNOWN:
            self._lost_ns.pop(request.tag, None)
        if outcome.broker_order_id is not None and self._variety != REGULAR:
            self._variety_of[outcome.broker_order_id] = self._variety
        return outcome

    async def modify(self, account: str, broker_order_id: str, change: Change) -> Outcome:
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
        return await self._order_call("modify order", lambda sdk: sdk.modify_order(variety, broker_order_id, **ticket))

    async def cancel(self, account: str, broker_order_id: str, *, at_ns: int) -> Outcome:
        """One request. ACCEPTED says that the cancellation is under way."""
        del account, at_ns
        variety = self._variety_of.get(broker_order_id, REGULAR)
        return await self._order_call(
            "cancel order", lambda sdk: sdk.cancel_order(variety, broker_order_id), urgent=True
        )

    async def find_by_tag(self, account: str, tag: str) -> Lookup:
        """The order with its fills. Absent for certain only where the whole book was read, and had time to settle."""
        asked_ns = monotonic_ns()
        if tag in self._under_way:
            return Lookup(None, definitive=False)
        try:
            lines, unreadable = await self._lines()
        except (BrokerError, Unreadable) as error:
            _log.warning("kite: the order book cannot be read", tag=tag, reason=self._client.redactor.text(error))
            return Lookup(None, definitive=False)
        found = [line for line in lines if tag in line.tags]
        if not found:
            last_ns = max(self._since_ns, self._lost_ns.get(tag, 0))
            settled = tag not in self._under_way and asked_ns - last_ns >= self._settle_ns
            return Lookup(None, definitive=settled and not unreadable)
        order = await self._with_fills(account, _liveliest(tag, found))
        return Lookup(order, definitive=True)

    async def order_book(self, account: str) -> Sequence[BrokerOrder] | None:
        try:
            lines, unreadable = await self._lines()
            if unreadable:  # leaving an order out would say that it is not there
                return None
            fills: Mapping[str, tuple[BrokerFill, ...]] = {}
            if any(line.filled_quantity for line in lines):
                trades = await self._client.read("trades", lambda sdk: get(sdk, "trades"))
                fills = fills_by_order(rows_of(trades, what="trades"))
        except (BrokerError, Unreadable) as error:
            _log.warning("kite: the order book cannot be read", reason=self._client.redactor.text(error))
            return None
        return [self._report(account, line, fills.get(line.order_id, ())) for line in lines]

    async def fills(self, broker_order_id: str) -> Sequence[BrokerFill]:
        """The fills of one order as far as Kite tells them now; none where it does not answer."""
        try:
            rows = await self._client.read(
                "order trades", lambda sdk: get(sdk, "order.trades", url_args={"order_id": broker_order_id})
            )
            return fills_by_order(rows_of(rows, what="order trades")).get(broker_order_id, ())
        except (BrokerError, Unreadable) as error:
            reason = self._client.redactor.text(error)
            _log.warning("kite: trades cannot be read", broker_order_id=broker_order_id, reason=reason)
            return ()

    async def _with_fills(self, account: str, line: BookLine) -> BrokerOrder:
        fills = await self.fills(line.order_id) if line.filled_quantity > 0 else ()
        return self._report(account, line, fills)

    def _report(self, account: str, line: BookLine, fills: Sequence[BrokerFill]) -> BrokerOrder:
        now_ns = self._clock.now_ns()
        return order_of(line, fills, account=account, instrument_of=self._instrument_of, now_ns=now_ns)

    async def _lines(self) -> tuple[list[BookLine], int]:
        """The book's rows, and how many cannot be read. Raises BrokerError or Unreadable."""
        rows = rows_of(await self._client.read("orders", lambda sdk: get(sdk, "orders")), what="orders")
        lines: list[BookLine] = []
        for row in rows:
            try:
                lines.append(line_of(row))
            except Unreadable as error:
                _log.error("kite: a row of the order book cannot be read", reason=self._client.redactor.text(error))
        self._variety_of |= {line.order_id: line.variety for line in lines if line.variety != REGULAR}
        return lines, len(rows) - len(lines)

    async def _order_call(self, what: str, use: Callable[[Any], Any], *, urgent: bool = False) -> Outcome:
        if not await self._pace.turn(urgent=urgent):
            return Outcome(Result.REFUSED, reason=f"not sent: {ORDERS_PER_MINUTE} order calls in this minute")
        try:
            order_id = identity({"order_id": await self._client.once(what, use)}, "order_id")
        except (Refused, Throttled, TokenExpired) as error:  # Kite's own word: it did nothing
            return Outcome(Result.REFUSED, reason=str(error))
        except BrokerError as error:
            return Outcome(Result.UNKNOWN, reason=str(error))
        except Unreadable as error:
            return Outcome(Result.UNKNOWN, reason=self._client.redactor.text(f"{what}: {error}"))
        return Outcome(Result.ACCEPTED, broker_order_id=order_id)


def _liveliest(tag: str, lines: Sequence[BookLine]) -> BookLine:
    """Kite does not keep tags unique. What can have made or can still make a position goes before what was refused."""
    if len(lines) > 1:
        _log.error("kite: one tag, several orders", tag=tag, order_ids=[line.order_id for line in lines])
    return max(lines, key=lambda line: (line.word.strip().upper() != BrokerStatus.REJECTED, line.filled_quantity))
