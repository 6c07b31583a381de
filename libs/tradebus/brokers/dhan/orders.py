"""Orders at Dhan behind the order gateway's port, through the official SDK.

Invariants (property-tested): nothing that Dhan or the network does raises; REFUSED only by Dhan's own documented word
(or ours, before anything was sent); whatever else is not a plain acceptance is UNKNOWN, to be looked up by tag; a tag
is absent for certain only where the whole order book was read, after it could settle, and lacks it.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from tradebus.brokers.common.orders.outcomes import outcome_of
from tradebus.brokers.common.orders.settling import SETTLE_SECONDS, Settling
from tradebus.brokers.dhan.client import DhanClient
from tradebus.brokers.dhan.failures import NothingThere, Said
from tradebus.brokers.dhan.fields import Row, mapping_of, rows_of, text, text_or_none
from tradebus.brokers.dhan.order_rows import Reader, filled_of, fills_by_order
from tradebus.brokers.dhan.words import FEED_NUMBERS, INDEX, ORDER_TYPE_WORDS, PRODUCT_WORDS
from tradebus.brokers.errors import BrokerError
from tradebus.brokers.reference import InstrumentOf, ListedInstrument, ListingOf
from tradebus.contracts.orders import OrderType
from tradebus.kernel.clock import Clock
from tradebus.trading.orders import BrokerFill, BrokerOrder, Lookup, OrderModification, OrderRequest, Outcome, Result

_log = structlog.get_logger()
_TAG = re.compile(r"[A-Za-z0-9 _-]{1,30}")
_ORDER_ID = re.compile(r"[A-Za-z0-9_-]{1,60}")
_TRIGGERED = (OrderType.SL, OrderType.SL_M)
_PRICED = (OrderType.LIMIT, OrderType.SL)


class DhanOrders:
    """`listing_of` raises KeyError for what Dhan does not list; `instrument_of` takes its segment and security id."""

    def __init__(
        self,
        client: DhanClient,
        *,
        listing_of: ListingOf,
        instrument_of: InstrumentOf,
        clock: Clock | None = None,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._client = client
        self._listing_of, self._instrument_of = listing_of, instrument_of
        self._clock = clock or client.timers
        self._settling = Settling(settle_seconds, timers=client.timers)

    async def place(self, request: OrderRequest) -> Outcome:
        """One attempt. MARKET is protected by Dhan itself, which turns it into a limit order near the market."""
        try:
            listed = self._listing_of(request.instrument)
        except KeyError:
            return Outcome(Result.REFUSED, reason=f"{request.symbol}: Dhan does not list it; load its master again")
        problem = _unfit(request, listed)
        if problem is not None:
            return Outcome(Result.REFUSED, reason=problem)
        return await self._settling.placed(request.tag, self._order("place", lambda sdk: _placed(sdk, request, listed)))

    async def modify(self, account: str, broker_order_id: str, change: OrderModification) -> Outcome:
        """The quantity is the new total, as Dhan counts too. The type follows from price and trigger."""
        if not _ORDER_ID.fullmatch(broker_order_id):
            return _no_order(broker_order_id)
        if change.quantity <= 0:
            return Outcome(Result.REFUSED, reason=f"quantity {change.quantity}: must be more than 0")
        if (change.price_paise or 0) < 0 or (change.trigger_paise or 0) < 0:
            return Outcome(Result.REFUSED, reason="price and trigger must not be negative")
        return await self._order("modify", lambda sdk: _modified(sdk, broker_order_id, change), of=broker_order_id)

    async def cancel(self, account: str, broker_order_id: str, *, at_ns: int) -> Outcome:
        if not _ORDER_ID.fullmatch(broker_order_id):
            return _no_order(broker_order_id)
        return await self._order("cancel", lambda sdk: sdk.cancel_order(broker_order_id), of=broker_order_id)

    async def find_by_tag(self, account: str, tag: str) -> Lookup:
        """By Dhan's own search for a correlation id; where it finds none, by the whole order book, which must have had
        time to settle."""
        if not _TAG.fullmatch(tag):
            return Lookup(None, definitive=True)  # `place` refuses it too
        try:
            found = await self._by_tag(tag)
            if not found:
                asked_ns = self._client.timers.monotonic_ns()
                book = [*rows_of("order book", await self._client.read("order book", lambda sdk: sdk.get_order_list()))]
                found = [row for row in book if text_or_none(row.get("correlationId")) == tag]
                if not found:
                    settled = self._settling.absent(tag, asked_ns=asked_ns)
                    return Lookup(None, definitive=settled and all(map(_names_its_tag, book)))
            row = _the_one(found)
            fills = await self._fills(row)
            return Lookup(self._reader(account).order(row, fills), definitive=True)
        except BrokerError as error:
            _log.warning("dhan: an order could not be looked up", tag=tag, reason=str(error))
            return Lookup(None, definitive=False)

    async def order_book(self, account: str) -> Sequence[BrokerOrder] | None:
        reader = self._reader(account)
        try:
            rows = [*rows_of("order book", await self._client.read("order book", lambda sdk: sdk.get_order_list()))]
            fills: dict[str, list[BrokerFill]] = {}
            if any(filled_of(row) != 0 for row in rows):
                trades = await self._client.read("trade book", lambda sdk: sdk.get_trade_book())
                fills = fills_by_order(rows_of("trade book", trades))
            return [reader.order(row, fills.get(text_or_none(row.get("orderId")) or "", ())) for row in rows]
        except BrokerError as error:
            _log.warning("dhan: the order book could not be read", reason=str(error))
            return None

    async def _order(self, what: str, use: Callable[[Any], Any], *, of: str | None = None) -> Outcome:
        """One request, and what is known of it afterwards."""
        return await outcome_of(
            what, self._client.once(what, use), lambda answer: text(what, mapping_of(what, answer), "orderId"),
            redactor=self._client.redactor, of=of,
            unclear=(NothingThere,),  # no answer to a request to do something
        )  # fmt: skip

    async def _by_tag(self, tag: str) -> list[Row]:
        """What Dhan's search has; nothing where it says that it has nothing."""
        try:
            body = await self._client.read("order by tag", lambda sdk: sdk.get_order_by_correlationID(tag))
        except Said:
            return []
        rows = [body] if isinstance(body, dict) and body else body
        # An answer to another question is no answer to this one.
        return [row for row in rows_of("order by tag", rows) if text_or_none(row.get("correlationId")) == tag]

    async def _fills(self, row: Row) -> list[BrokerFill]:
        order_id = text("order", row, "orderId")
        if filled_of(row) == 0 or not _ORDER_ID.fullmatch(order_id):
            return []
        trades = await self._client.read("trades of an order", lambda sdk: sdk.get_trade_book(order_id))
        return fills_by_order(rows_of("trades of an order", trades)).get(order_id, [])

    def _reader(self, account: str) -> Reader:
        return Reader(account, self._instrument_of, self._clock.now_ns())


def _placed(sdk: Any, request: OrderRequest, listed: ListedInstrument) -> Any:
    return sdk.place_order(
        security_id=listed.token, exchange_segment=listed.broker_segment, transaction_type=request.transaction.value,
        quantity=request.quantity, order_type=ORDER_TYPE_WORDS[request.order_type],
        product_type=PRODUCT_WORDS[request.product],
        price=_rupees(request.price_paise if request.order_type in _PRICED else None),
        trigger_price=_rupees(request.trigger_paise if request.order_type in _TRIGGERED else None), tag=request.tag,
    )  # fmt: skip


def _modified(sdk: Any, broker_order_id: str, change: OrderModification) -> Any:
    priced, triggered = bool(change.price_paise), bool(change.trigger_paise)
    order_type = {
        (True, False): OrderType.LIMIT, (True, True): OrderType.SL, (False, True): OrderType.SL_M,
        (False, False): OrderType.MARKET,
    }[priced, triggered]  # fmt: skip
    return sdk.modify_order(
        order_id=broker_order_id, order_type=ORDER_TYPE_WORDS[order_type], leg_name="ENTRY_LEG",
        quantity=change.quantity, price=_rupees(change.price_paise), trigger_price=_rupees(change.trigger_paise),
        disclosed_quantity=0, validity="DAY",
    )  # fmt: skip


def _unfit(request: OrderRequest, listed: ListedInstrument) -> str | None:
    """What is wrong with a request that Dhan could not even be asked; None where nothing is."""
    if not _TAG.fullmatch(request.tag):
        return f"tag {request.tag[:40]!r}: Dhan takes 1 to 30 of A-Z a-z 0-9 space _ -"
    if listed.broker_segment not in FEED_NUMBERS or listed.broker_segment == INDEX:
        return f"{request.symbol}: nothing is traded in Dhan's segment {listed.broker_segment!r}"
    if request.quantity <= 0:
        return f"{request.symbol}: quantity {request.quantity} must be more than 0"
    if request.order_type in _PRICED and (request.price_paise or 0) <= 0:
        return f"{request.symbol}: {request.order_type} needs a price"
    if request.order_type in _TRIGGERED and (request.trigger_paise or 0) <= 0:
        return f"{request.symbol}: {request.order_type} needs a trigger"
    return None


def _the_one(rows: Sequence[Row]) -> Row:
    """Of several orders with one tag, which Dhan does not prevent: the one most was filled of, then the newest."""
    if len(rows) > 1:
        _log.error("dhan: several orders carry one tag", orders=[text_or_none(row.get("orderId")) for row in rows])
    return max(rows, key=lambda row: (filled_of(row) or 0, str(row.get("createTime"))))


def _names_its_tag(row: Row) -> bool:
    """A row that does not could be the one that is looked for. null and "" say that the order has none."""
    tag = row.get("correlationId", 0)
    return tag is None or isinstance(tag, str)


def _no_order(broker_order_id: str) -> Outcome:
    return Outcome(Result.REFUSED, reason=f"{broker_order_id[:60]!r} is no order id of Dhan's")


def _rupees(paise: int | None) -> float:
    return (paise or 0) / 100
