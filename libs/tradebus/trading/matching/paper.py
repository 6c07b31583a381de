"""How a paper order meets the market. Pure: an order and a tick in, the order afterwards and its fills out.

Rules, all in event time; those of fills are of the model TOUCH, the other model is `conservative`:
- A request takes effect `latency_ms` after it was decided; until then the market does not know it.
- MARKET fills at the first tick from then on; LIMIT when the market is at its price or better; SL and SL-M wake when
  the market reaches the trigger and then behave like LIMIT and MARKET. GTT waits at the broker, beyond the exchange's
  rules; at the first tick that reaches its stop or its target it places that leg's LIMIT, `latency_ms` later.
- Where the tick quotes one side only, nobody stands on the other: nothing fills against it.
- The price of a market fill is the opposite quote where the tick has one, else the tick's price moved_against_us by
  `slippage_bps`, rounded to the tick size against us. A limit order never fills beyond its limit.
- The exchange ends orders of its own accord as it does outside (`day_rules`): at the auction's start, at a new
  operating range, at the session's end and by price protection.
- A fill takes the whole remainder, or with `partial_fill_probability` about half of it in whole lots; the rest waits
  for the next tick. The draw depends on seed, instrument, time and direction only, so it repeats.

Invariants (property-tested): filled never exceeds quantity; a limit is never exceeded; nothing fills before it is in
effect, after it is final, or outside the tick's price by more than the slippage.
"""

from dataclasses import dataclass, replace

from tradebus.calendar import AUCTION_PHASES, order_legal, session_of
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.contracts.sessions import PaperSettings
from tradebus.kernel import rng
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.ids import derive_id
from tradebus.kernel.money import round_down_to_lot
from tradebus.kernel.time import ist_date
from tradebus.trading.matching.conservative import MarketMet, OpenOrder, TickQuote, moved_against_us
from tradebus.trading.matching.day_rules import (
    AUCTION_BEGINS,
    NO_RULES,
    OUT_OF_RANGE,
    UNPROTECTED,
    DayRules,
    day_rules,
    protected,
    within,
)
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus, OrderModification, OrderRequest


@dataclass(frozen=True, slots=True)
class PaperOrder:
    """An order in the paper book."""

    broker_order_id: str
    request: OrderRequest
    settings: PaperSettings
    status: BrokerStatus
    quantity: int
    price_paise: int | None
    trigger_paise: int | None
    effective_ns: int
    as_of_ns: int
    fills: tuple[BrokerFill, ...] = ()
    cancel_effective_ns: int | None = None
    change: OrderModification | None = None
    change_effective_ns: int | None = None
    triggered: bool = False
    reason: str = ""
    day: DayRules = NO_RULES
    met: MarketMet | None = None  # of the conservative model

    @property
    def waits(self) -> bool:
        """Whether it is a stop or a trigger that has not been reached."""
        return self.trigger_paise is not None and not self.triggered

    @property
    def as_conservative(self) -> OpenOrder:
        return OpenOrder(self.request, self.settings, self.price_paise, self.remaining, self.filled_quantity, self.met)

    @property
    def filled_quantity(self) -> int:
        return sum(fill.quantity for fill in self.fills)

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled_quantity


def accept(request: OrderRequest, settings: PaperSettings) -> PaperOrder:
    """The order as it enters the book."""
    stands = request.order_type is OrderType.GTT
    waits = stands or request.order_type in (OrderType.SL, OrderType.SL_M)
    effective_ns = request.at_ns + settings.latency_ms * 1_000_000
    return PaperOrder(
        broker_order_id=derive_id(request.at_ns, "paper", request.account, request.tag),
        request=request,
        settings=settings,
        status=BrokerStatus.TRIGGER_PENDING if waits else BrokerStatus.OPEN,
        quantity=request.quantity,
        price_paise=request.price_paise,
        trigger_paise=request.trigger_paise,
        effective_ns=effective_ns,
        as_of_ns=request.at_ns,
        day=NO_RULES if stands else day_rules(request.contract, effective_ns),
    )


def refusal(request: OrderRequest) -> str | None:
    """Why the exchange would not take the request, None where it would: the dated rules of its contract, at the event
    time of the request. No ticks are traded in the closing auction, and nothing is filled without one."""
    if request.contract is None:
        return f"{request.symbol}: the order names no contract, so that no rule can be asked"
    if request.order_type is OrderType.GTT and request.target_paise is None:
        return f"{request.symbol}: a trigger of two legs needs a target"
    try:
        found = order_legal(request.contract, request.proposed(), ts_ns=request.at_ns)
    except InvalidInput as error:
        return str(error)
    if not found.allowed:
        return f"{found.rule}: {found.detail}"
    session = session_of(request.contract, ist_date(request.at_ns))
    if session is not None and session.phase_at(request.at_ns) in AUCTION_PHASES:
        return "closing_auction: paper holds none, the order would rest without ever being filled"
    return None


def request_cancel(order: PaperOrder, *, at_ns: int) -> PaperOrder:
    """The order with a cancellation on its way. A final order is returned as it is."""
    if order.status.final or order.cancel_effective_ns is not None:
        return order
    latency_ns = order.settings.latency_ms * 1_000_000
    return replace(order, status=BrokerStatus.CANCEL_PENDING, cancel_effective_ns=at_ns + latency_ns)


def request_change(order: PaperOrder, change: OrderModification) -> PaperOrder:
    """The order with a modification on its way."""
    latency_ns = order.settings.latency_ms * 1_000_000
    return replace(order, change=change, change_effective_ns=change.at_ns + latency_ns)


def catch_up(order: PaperOrder, now_ns: int) -> PaperOrder:
    """Lets what was on its way take effect: first a modification, then a cancellation, each at its time. An order that
    has ended is as it ended."""
    if order.status.final:
        return order
    if order.change is not None and order.change_effective_ns is not None and order.change_effective_ns <= now_ns:
        filled = order.filled_quantity
        order = replace(
            order,
            quantity=max(order.change.quantity, filled),
            price_paise=order.change.price_paise,
            trigger_paise=order.change.trigger_paise,
            change=None,
            change_effective_ns=None,
            met=None,
        )
        if order.remaining == 0 and not order.status.final:
            order = replace(order, status=BrokerStatus.FILLED if filled else BrokerStatus.CANCELLED)
    if order.cancel_effective_ns is not None and order.cancel_effective_ns <= now_ns and not order.status.final:
        order = replace(
            order,
            status=BrokerStatus.CANCELLED,
            as_of_ns=max(order.as_of_ns, order.cancel_effective_ns),
            reason="cancelled on request",
        )
    return _ended_by_the_clock(order, now_ns)


def due_instants(order: PaperOrder) -> tuple[int | None, ...]:
    """When time alone changes the order."""
    stop_ends_ns = order.day.stop_ends_ns if order.waits else None
    return order.cancel_effective_ns, order.change_effective_ns, order.day.ends_ns, stop_ends_ns


def match(order: PaperOrder, quote: TickQuote) -> PaperOrder:
    """The order after one tick."""
    order = catch_up(order, quote.at_ns)
    if order.status.final or quote.at_ns < order.effective_ns or quote.at_ns <= order.as_of_ns:
        return order
    rules, triggered = order.day, order.triggered
    if rules.checked_ns is not None and rules.checked_ns <= quote.at_ns:
        if not within(rules, quote.price_paise, order.price_paise, order.trigger_paise):
            return _taken_back(order, quote.at_ns, OUT_OF_RANGE)
        rules = replace(rules, checked_ns=None)
    if order.waits:
        at_stop, at_target = _legs_reached(order, quote)
        if not (at_stop or at_target):
            return replace(order, as_of_ns=quote.at_ns, day=rules)
        if order.request.order_type is OrderType.GTT:
            return _fired(order, quote.at_ns, limit_paise=order.price_paise if at_stop else order.request.target_paise)
        triggered = True
    if order.settings.is_conservative:
        order = replace(order, met=order.as_conservative.met_at(quote))
    found = _filled(order, quote)
    if found is None:
        return replace(order, as_of_ns=quote.at_ns, day=rules, triggered=triggered, status=_open_status(order))
    price_paise, quantity = found
    request = order.request
    if order.price_paise is not None and not protected(
        request.contract, request.transaction, order.price_paise, price_paise=quote.price_paise, at_ns=quote.at_ns
    ):
        return _taken_back(replace(order, day=rules, triggered=triggered), quote.at_ns, UNPROTECTED)
    fill = BrokerFill(
        fill_id=derive_id(quote.at_ns, "fill", order.broker_order_id, len(order.fills) + 1),
        quantity=quantity,
        price_paise=price_paise,
        ts_event_ns=quote.at_ns,
    )
    return replace(
        order, as_of_ns=quote.at_ns, day=rules, triggered=triggered, fills=(*order.fills, fill),
        status=BrokerStatus.FILLED if quantity == order.remaining else _open_status(order),
    )  # fmt: skip


def _legs_reached(order: PaperOrder, quote: TickQuote) -> tuple[bool, bool]:
    """Whether the tick reaches the stop, and the target where there is one."""
    settings = order.settings
    if settings.is_conservative and order.as_conservative.needs_trade and quote.last_quantity == 0:
        return False, False
    at_stop, at_target = _touches_trigger(order, quote.price_paise), _touches_target(order, quote.price_paise)
    if at_target and quote.rest_paise is not None:
        low_paise, high_paise = quote.rest_paise
        sells = order.request.transaction is Transaction.SELL
        at_target = not _touches_trigger(order, low_paise if sells else high_paise)
    return at_stop, at_target


def _filled(order: PaperOrder, quote: TickQuote) -> tuple[int, int] | None:
    """What the tick fills of an order at the exchange: price and quantity."""
    if order.settings.is_conservative:
        open_order = order.as_conservative
        found = open_order.price_and_quantity(quote)
        if found is None or open_order.is_capped(quote):
            return found
        return found[0], _fill_quantity(order, quote.at_ns)  # how much there was is not known
    price_paise = _fill_price(order, quote)
    return None if price_paise is None else (price_paise, _fill_quantity(order, quote.at_ns))


def report(order: PaperOrder) -> BrokerOrder:
    """The order as a broker shows it."""
    return BrokerOrder(
        broker_order_id=order.broker_order_id,
        tag=order.request.tag,
        account=order.request.account,
        instrument=order.request.instrument,
        transaction=order.request.transaction,
        status=order.status,
        # A modification on its way counts as made, unless the order ended before it.
        quantity=order.quantity if order.change is None or order.status.final else order.change.quantity,
        filled_quantity=order.filled_quantity,
        trigger_paise=order.trigger_paise,
        fills=order.fills,
        as_of_ns=order.as_of_ns,
        reason=order.reason,
    )


def _ended_by_the_clock(order: PaperOrder, now_ns: int) -> PaperOrder:
    rules = order.day
    if order.status.final:
        return order
    if rules.stop_ends_ns is not None and rules.stop_ends_ns <= now_ns and rules.stop_ends_ns in due_instants(order):
        return _taken_back(order, rules.stop_ends_ns, AUCTION_BEGINS)
    if rules.ends_ns is not None and rules.ends_ns <= now_ns:
        return _taken_back(order, rules.ends_ns, rules.ends_because)
    return order


def _taken_back(order: PaperOrder, at_ns: int, reason: str) -> PaperOrder:
    return replace(order, status=BrokerStatus.CANCELLED, as_of_ns=max(order.as_of_ns, at_ns), reason=reason)


def _open_status(order: PaperOrder) -> BrokerStatus:
    return BrokerStatus.CANCEL_PENDING if order.cancel_effective_ns is not None else BrokerStatus.OPEN


def _touches_trigger(order: PaperOrder, price_paise: int) -> bool:
    trigger = order.trigger_paise or 0  # never 0: `refusal` and `request_change` demand one
    return price_paise <= trigger if order.request.transaction is Transaction.SELL else price_paise >= trigger


def _touches_target(order: PaperOrder, price_paise: int) -> bool:
    target = order.request.target_paise
    if target is None:
        return False
    return price_paise >= target if order.request.transaction is Transaction.SELL else price_paise <= target


def _fired(order: PaperOrder, at_ns: int, *, limit_paise: int | None) -> PaperOrder:
    """One leg is an order at the exchange from now on; the other, and a change on its way, are gone."""
    effective_ns = at_ns + order.settings.latency_ms * 1_000_000
    return replace(
        order, triggered=True, price_paise=limit_paise, as_of_ns=at_ns, effective_ns=effective_ns, change=None,
        change_effective_ns=None, status=_open_status(order), day=day_rules(order.request.contract, effective_ns),
        met=None,
    )  # fmt: skip


def _fill_price(order: PaperOrder, quote: TickQuote) -> int | None:
    buy = order.request.transaction is Transaction.BUY
    quoted, other = (quote.ask_paise, quote.bid_paise) if buy else (quote.bid_paise, quote.ask_paise)
    if quoted <= 0 < other:
        return None  # the feed tells quotes, and nobody stands on the other side
    market = quoted if quoted > 0 else moved_against_us(
        quote.price_paise, round(order.settings.slippage_bps * 100), tick_size_paise=order.request.tick_size_paise,
        buys=buy,
    )  # fmt: skip
    limit = order.price_paise
    if limit is None:
        return market
    best = quoted if quoted > 0 else quote.price_paise
    # Slippage may cost up to the limit, never more.
    reached = best <= limit if buy else best >= limit
    if not reached:
        return None
    return min(market, limit) if buy else max(market, limit)


def _fill_quantity(order: PaperOrder, at_ns: int) -> int:
    lot = order.request.lot_size
    lots = order.remaining // lot
    draw = rng.uniform(order.settings.seed, "partial", order.request.instrument, at_ns, order.request.transaction)
    if lots < 2 or draw >= order.settings.partial_fill_probability:
        return order.remaining
    return round_down_to_lot(order.remaining // 2, lot) or lot
