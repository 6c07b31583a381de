"""Orders at Upstox behind the order gateway's port.

    place ─► checked here ─► pace ─► one request ─► order_ids: one      ACCEPTED
                   │                            ├─► Upstox's own no     REFUSED
                   └─► REFUSED, nothing sent    └─► anything else       UNKNOWN: look the tag up

Upstox has no idempotency key, so nothing is ever sent twice (except after it refused it for its token alone).
"""

from collections.abc import Callable, Mapping, Sequence

import structlog

from tradebus.brokers.errors import BrokerError, Refused, Throttled, TokenExpired
from tradebus.brokers.ports import BrokerFill, BrokerOrder, BrokerStatus, Change, Lookup, OrderRequest, Outcome, Result
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.upstox.book import BookLine, InstrumentOf, fills_by_order, line_of, order_of
from tradebus.brokers.upstox.client import API_VERSION, UpstoxClient, Use
from tradebus.brokers.upstox.pace import ORDER_WINDOWS, WindowPace
from tradebus.brokers.upstox.replies import Unreadable, row_of, rows_of, text
from tradebus.brokers.upstox.settings import UpstoxSettings
from tradebus.brokers.upstox.tickets import DAY, Placed, change_ticket, order_ticket
from tradebus.kernel.clock import Clock, WallClock, monotonic_ns
from tradebus.kernel.errors import TradebusError

_log = structlog.get_logger()
_REMEMBERED_MAX = 20_000


class UpstoxOrders:
    """`listing_of` names an instrument at Upstox (it may raise InvalidInput or LookupError), `instrument_of` finds the
    instrument of a row by segment (NSE_FO) and instrument key (NSE_FO|50978).

    A tag that the book does not have is absent for certain only `settle_seconds` after the last moment at which an
    order of that tag can have left this process or the one before it.
    """

    def __init__(
        self,
        settings: UpstoxSettings,
        *,
        listing_of: Callable[[int], ListedInstrument],
        instrument_of: InstrumentOf,
        client: UpstoxClient | None = None,
        settle_seconds: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        self._client = client or UpstoxClient(settings)
        self._listing_of, self._instrument_of = listing_of, instrument_of
        self._settle_ns, self._clock = int(settle_seconds * 1e9), clock or WallClock()
        self._pace = WindowPace(ORDER_WINDOWS)
        self._since_ns = monotonic_ns()
        self._under_way: set[str] = set()
        self._lost_ns: dict[str, int] = {}  # by tag: when its request ended without an answer
        self._placed: dict[str, Placed] = {}  # by order id

    async def place(self, request: OrderRequest) -> Outcome:
        """One request. MARKET and SL-M always carry market protection: as asked for, or Upstox's own choice (-1)."""
        try:
            ticket = order_ticket(request, self._listing_of(request.instrument))
        except (TradebusError, LookupError) as error:
            return Outcome(Result.REFUSED, reason=f"not sent: {error}")
        self._under_way.add(request.tag)
        try:
            outcome = await self._order_call(
                "place order",
                lambda sdk, raw: sdk.api("OrderApiV3").place_order(sdk.model("PlaceOrderV3Request", **ticket), **raw),
                _only_order_id,
            )
        finally:
            self._under_way.discard(request.tag)
            self._lost_ns[request.tag] = monotonic_ns()
        if outcome.result is not Result.UNKNOWN:
            self._lost_ns.pop(request.tag, None)
        if outcome.broker_order_id is not None:
            self._remember(outcome.broker_order_id, Placed.of(request))
        return outcome

    async def modify(self, account: str, broker_order_id: str, change: Change) -> Outcome:
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
            "cancel order", lambda sdk, raw: sdk.api("OrderApiV3").cancel_order(broker_order_id, **raw), _order_id
        )

    async def find_by_tag(self, account: str, tag: str) -> Lookup:
        """The order with its fills. Absent for certain only where the whole book was read after it could settle."""
        asked_ns = monotonic_ns()
        if tag in self._under_way:
            return Lookup(None, definitive=False)
        try:
            lines, unreadable = await self._lines()
        except (BrokerError, Unreadable) as error:
            _log.warning("upstox: the order book cannot be read", tag=tag, reason=self._client.redactor.text(error))
            return Lookup(None, definitive=False)
        found = [line for line in lines if line.tag == tag]
        if not found:
            last_ns = max(self._since_ns, self._lost_ns.get(tag, 0))
            settled = tag not in self._under_way and asked_ns - last_ns >= self._settle_ns
            return Lookup(None, definitive=settled and not unreadable)
        line = _liveliest(tag, found)
        fills = await self.fills(line.order_id) if line.filled_quantity > 0 else ()
        return Lookup(self._report(account, line, fills), definitive=True)

    async def order_book(self, account: str) -> Sequence[BrokerOrder] | None:
        try:
            lines, unreadable = await self._lines()
            if unreadable:  # leaving an order out would say that it is not there
                return None
            fills: Mapping[str, tuple[BrokerFill, ...]] = {}
            if any(line.filled_quantity for line in lines):
                trades = await self._client.read(
                    "trades", lambda sdk, raw: sdk.api("OrderApi").get_trade_history(API_VERSION, **raw)
                )
                fills = fills_by_order(rows_of(trades, what="trades"))
        except (BrokerError, Unreadable) as error:
            _log.warning("upstox: the order book cannot be read", reason=self._client.redactor.text(error))
            return None
        return [self._report(account, line, fills.get(line.order_id, ())) for line in lines]

    async def fills(self, broker_order_id: str, *, patient: bool = True) -> Sequence[BrokerFill]:
        """The fills of one order as far as Upstox tells them now; none where it does not answer, asked once or, where
        `patient`, as often as a read may be."""
        ask = self._client.read if patient else self._client.once
        try:
            rows = await ask(
                "order trades",
                lambda sdk, raw: sdk.api("OrderApi").get_trades_by_order(broker_order_id, API_VERSION, **raw),
            )
            return fills_by_order(rows_of(rows, what="order trades")).get(broker_order_id, ())
        except (BrokerError, Unreadable) as error:
            reason = self._client.redactor.text(error)
            _log.warning("upstox: trades cannot be read", broker_order_id=broker_order_id, reason=reason)
            return ()

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
            line.order_type, line.price_paise or None, line.trigger_paise or None, None, line.validity or DAY,
            line.disclosed_quantity,
        )  # fmt: skip
        self._remember(broker_order_id, placed)
        return placed

    def _remember(self, broker_order_id: str, placed: Placed) -> None:
        while len(self._placed) >= _REMEMBERED_MAX:
            self._placed.pop(next(iter(self._placed)))
        self._placed[broker_order_id] = placed

    def _report(self, account: str, line: BookLine, fills: Sequence[BrokerFill]) -> BrokerOrder:
        now_ns = self._clock.now_ns()
        return order_of(line, fills, account=account, instrument_of=self._instrument_of, now_ns=now_ns)

    async def _lines(self) -> tuple[list[BookLine], int]:
        """The book's rows, and how many cannot be read. Raises BrokerError or Unreadable."""
        book = await self._client.read(
            "orders", lambda sdk, raw: sdk.api("OrderApi").get_order_book(API_VERSION, **raw)
        )
        rows = rows_of(book, what="orders")
        lines: list[BookLine] = []
        for row in rows:
            try:
                lines.append(line_of(row))
            except Unreadable as error:
                _log.error("upstox: a row of the order book cannot be read", reason=self._client.redactor.text(error))
        return lines, len(rows) - len(lines)

    async def _order_call(self, what: str, use: Use, read: Callable[[object], str]) -> Outcome:
        await self._pace.turn()
        try:
            order_id = read(await self._client.once(what, use))
        except (Refused, Throttled, TokenExpired) as error:  # Upstox's own word: it did nothing
            return Outcome(Result.REFUSED, reason=str(error))
        except BrokerError as error:
            return Outcome(Result.UNKNOWN, reason=str(error))
        except Unreadable as error:
            return Outcome(Result.UNKNOWN, reason=self._client.redactor.text(f"{what}: {error}"))
        return Outcome(Result.ACCEPTED, broker_order_id=order_id)


def _only_order_id(data: object) -> str:
    """Of a placement, which answers with a list because of slicing."""
    order_ids = row_of(data, what="data").get("order_ids")
    if not isinstance(order_ids, list) or len(order_ids) != 1 or not isinstance(order_ids[0], str) or not order_ids[0]:
        raise Unreadable(f"order_ids: {order_ids!r:.80} is not one order id")
    return order_ids[0]


def _order_id(data: object) -> str:
    return text(row_of(data, what="data"), "order_id")


def _liveliest(tag: str, lines: Sequence[BookLine]) -> BookLine:
    """Upstox does not keep tags unique. What made or can still make a position goes before what was refused."""
    if len(lines) > 1:
        _log.error("upstox: one tag, several orders", tag=tag, order_ids=[line.order_id for line in lines])
    return max(lines, key=lambda line: (line.word.strip().upper() != BrokerStatus.REJECTED, line.filled_quantity))
