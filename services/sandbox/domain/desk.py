"""Takes orders, lets them trade, ends them: the one place where orders, books and accounts change together.

    place ─► checks ─► REJECTED | AFTER_MARKET | TRIGGER_PENDING | OPEN ─► deals ─► COMPLETE | CANCELLED
    quotes of a step ─► instruments whose orders they reach (one vectorised look) ─► stops wake, resting orders trade

Invariants (property-tested): bought equals sold over accounts and market together, in units and in money; every fill
is in both its order and its position; a final order is in no book.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from services.sandbox.domain.account import Account
from services.sandbox.domain.book import Book
from services.sandbox.domain.margin import Margins
from services.sandbox.domain.market import Market
from services.sandbox.domain.matching import Deal, deals, reached
from services.sandbox.domain.orders import STOP_TYPES, Order
from services.sandbox.domain.rules import (
    MODIFICATIONS_MAX,
    at_market,
    check_legal,
    check_values,
    protected_paise,
)
from services.sandbox.domain.shape import Flags, Ints
from services.sandbox.domain.watch import Watch
from services.sandbox.ports import (
    ChangedOrder,
    NewOrder,
    Refusal,
    SandboxInstrument,
    SandboxOrder,
    SandboxStatus,
    SandboxTrade,
    Validity,
    Why,
)
from tradebus.brokers.ports import Product
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.time import ist_date

_MINUTE_NS = 60_000_000_000


class Desk:
    """`changed` is called with every order that changed, once per change."""

    def __init__(
        self,
        instruments: Sequence[SandboxInstrument],
        market: Market,
        margins: Margins,
        *,
        now: Callable[[], int],
        account_of: Callable[[str], Account],
        changed: Callable[[SandboxOrder], None],
    ) -> None:
        self._instruments, self._market, self._margins = instruments, market, margins
        self._now, self._account_of, self._changed = now, account_of, changed
        self._books: dict[int, Book] = {}
        self.watch = Watch(len(instruments))
        self.trading: Flags = np.zeros(len(instruments), np.bool_)  # whose orders match now
        self._orders_made = self._trades_made = 0
        self.market_cash_paise = 0  # what the market's side of all deals paid and got
        self.market_units: Ints = np.zeros(len(instruments), np.int64)
        self.after_market: dict[str, Order] = {}

    # requests

    def place(self, account_name: str, asked: NewOrder, *, forced: bool = False) -> SandboxOrder:
        """Raises Refusal. A forced order is the broker's own: no kill switch and no margin holds it up."""
        now_ns, account = self._now(), self._account_of(account_name)
        instrument = self._instrument(asked.instrument)
        if account.killed and not forced:
            raise Refusal(Why.KILL_SWITCH, "the kill switch of this account is on: no order is taken")
        check_values(asked, instrument)
        self._check_time(asked, instrument, now_ns)
        order = self._new_order(account, asked, now_ns)
        account.orders[order.order_id] = order
        problem = None if forced else self._rejection(account, order, instrument)
        if problem is not None:
            order.set_status(SandboxStatus.REJECTED, now_ns, problem[1])
        elif asked.after_market:
            account.open_orders[order.order_id] = self.after_market[order.order_id] = order
            order.set_status(SandboxStatus.AFTER_MARKET, now_ns)
        else:
            account.open_orders[order.order_id] = order
            self._enter(order, now_ns)
        return self._report(order)

    def modify(self, account_name: str, order_id: str, change: ChangedOrder) -> SandboxOrder:
        """Raises Refusal. An order that only gives up quantity keeps its place in time."""
        now_ns, account = self._now(), self._account_of(account_name)
        order = self._open_order(account, order_id)
        if order.modifications >= MODIFICATIONS_MAX:
            text = f"order {order_id} has been modified {MODIFICATIONS_MAX} times, which is the most there is"
            raise Refusal(Why.TOO_MANY_MODIFICATIONS, text)
        instrument = self._instrument(order.request.instrument)
        wanted = _changed_request(order.request, change)
        check_values(wanted, instrument)
        if order.status is not SandboxStatus.AFTER_MARKET:
            check_legal(replace(wanted, market_protection_pct=wanted.market_protection_pct or -1), instrument, now_ns)
        if wanted.quantity <= order.filled_quantity:
            text = f"quantity {wanted.quantity} is not above what has traded already, {order.filled_quantity}"
            raise Refusal(Why.BAD_VALUE, text)
        before, limit_before = order.request, order.limit_paise
        woken = order.status is SandboxStatus.OPEN and before.order_type in STOP_TYPES
        waits = wanted.order_type in STOP_TYPES and not woken  # a stop that has woken is a limit order
        order.request = wanted
        order.limit_paise = self._limit(wanted, instrument)
        problem = self._rejection(account, order, instrument, stop_waits=waits)
        order.request, limit_after = before, order.limit_paise
        order.limit_paise = limit_before
        if problem is not None:
            raise Refusal(*problem)
        self._book(before.instrument).remove(order)
        order.modifications += 1
        keeps_place = limit_after == limit_before and wanted == replace(before, quantity=wanted.quantity)
        keeps_place = keeps_place and wanted.quantity <= before.quantity
        self._reenter(order, wanted, limit_after, now_ns, keeps_place=keeps_place, waits=waits)
        return self._report(order)

    def cancel(self, account_name: str, order_id: str, *, reason: str = "") -> SandboxOrder:
        """Raises Refusal."""
        order = self._open_order(self._account_of(account_name), order_id)
        self.end(order, SandboxStatus.CANCELLED, reason)
        return order.snapshot()

    def end(self, order: Order, status: SandboxStatus, reason: str = "") -> None:
        """Takes an open order out of everything."""
        self._book(order.request.instrument).remove(order)
        self.after_market.pop(order.order_id, None)
        order.set_status(status, self._now(), reason)
        self._account_of(order.account).open_orders.pop(order.order_id, None)
        self._look_after(order.request.instrument)
        self._report(order)

    def release_after_market(self, market_class: str) -> None:
        """At the open of a class: what was left for it goes to the book, or is rejected where it no longer may."""
        now_ns = self._now()
        for order in list(self.after_market.values()):
            instrument = self._instruments[order.request.instrument]
            if instrument.market_class != market_class:
                continue
            del self.after_market[order.order_id]
            account = self._account_of(order.account)
            order.limit_paise = self._limit(order.request, instrument)
            problem = self._rejection(account, order, instrument)
            if problem is not None:
                self.end(order, SandboxStatus.REJECTED, problem[1])
                continue
            self._enter(order, now_ns)
            self._report(order)

    def order(self, account_name: str, order_id: str) -> SandboxOrder:
        """Raises Refusal for what the day does not know."""
        order = self._account_of(account_name).orders.get(order_id)
        if order is None:
            raise Refusal(Why.UNKNOWN_ORDER, f"there is no order {order_id!r} today")
        return order.snapshot()

    def limit_of(self, request: NewOrder) -> int:
        """The price a request could trade at now."""
        return self._limit(request, self._instrument(request.instrument))

    # what the market does

    def on_quotes(self, which: Ints) -> None:
        """New quotes of these instruments: wakes stops, fills what they reach."""
        quotes = self._market.quotes
        hit = self.watch.hit(
            which,
            last=quotes["price_paise"][which],
            bid=quotes["bid_paise"][which, 0],
            ask=quotes["ask_paise"][which, 0],
        )
        for instrument in hit.tolist():
            self.on_quote(instrument)

    def on_quote(self, instrument: int) -> None:
        """One instrument's turn."""
        book, now_ns = self._book(instrument), self._now()
        if not self._continuous(instrument, now_ns):
            return
        quotes = self._market.quotes[instrument : instrument + 1]
        for order in [*book.buys, *book.sells]:
            for deal in reached(order, quotes):
                self._settle(deal, now_ns)
        for order in book.triggered(int(quotes["price_paise"][0])):
            book.remove(order)
            self._to_book(order, now_ns)
            self._report(order)
        self._look_after(instrument)

    def auction(self, instrument: int) -> None:
        """The closing auction's match: what crosses the closing price trades at it, the rest ends."""
        book, now_ns = self._book(instrument), self._now()
        price = int(self._market.quotes["price_paise"][instrument])
        for order in [*book.buys, *book.sells]:
            good = order.limit_paise >= price if order.buys else order.limit_paise <= price
            if good:
                self._settle(Deal(order, None, order.remaining, price), now_ns)

    # inside

    def _check_time(self, asked: NewOrder, instrument: SandboxInstrument, now_ns: int) -> None:
        if self._market.halted[instrument.index]:
            raise Refusal(Why.MARKET_CLOSED, f"trading in {instrument.symbol} is halted")
        session_ends = self._market.shape.expiry_ns[instrument.index]
        if session_ends and now_ns >= session_ends:
            raise Refusal(Why.UNKNOWN_INSTRUMENT, f"{instrument.symbol} has expired")
        if not asked.after_market:
            check_legal(asked, instrument, now_ns)
            return
        try:
            check_legal(replace(asked, market_protection_pct=-1), instrument, now_ns)
        except Refusal as refusal:
            if refusal.why is Why.MARKET_CLOSED:
                return
            raise
        raise Refusal(Why.NOT_ALLOWED, "after-market orders are taken only while the market is closed")

    def _new_order(self, account: Account, asked: NewOrder, now_ns: int) -> Order:
        self._orders_made += 1
        day: date = ist_date(now_ns)
        order_id = f"{day:%y%m%d}{self._orders_made:09d}"
        order = Order(order_id, f"1{day:%y%m%d}{self._orders_made:09d}", account.name, asked, now_ns)
        order.limit_paise = self._limit(asked, self._instruments[asked.instrument])
        return order

    def _limit(self, request: NewOrder, instrument: SandboxInstrument) -> int:
        """The price it may trade at, once it trades."""
        if not at_market(request.order_type):
            return request.price_paise
        number = instrument.index
        stop = request.order_type is OrderType.SL_M
        return protected_paise(
            request, instrument,
            reference_paise=request.trigger_paise if stop else self._reference(request),
            lower_paise=int(self._market.lower[number]), upper_paise=int(self._market.upper[number]),
        )  # fmt: skip

    def _reference(self, request: NewOrder) -> int:
        """What a market order's protection is measured from: the best price against it, else the last trade."""
        quotes = self._market.quotes
        side = "ask_paise" if request.transaction is Transaction.BUY else "bid_paise"
        return int(quotes[side][request.instrument, 0]) or int(quotes["price_paise"][request.instrument])

    def _rejection(
        self, account: Account, order: Order, instrument: SandboxInstrument, *, stop_waits: bool = True
    ) -> tuple[Why, str] | None:
        """What the exchange's risk checks say against it."""
        request, number = order.request, instrument.index
        if request.quantity > instrument.freeze_quantity:
            text = f"quantity {request.quantity} of {instrument.symbol} is above the freeze quantity of "
            return Why.FREEZE_QUANTITY, f"{text}{instrument.freeze_quantity}"
        lower, upper = int(self._market.lower[number]), int(self._market.upper[number])
        for name, paise in (("price", request.price_paise), ("trigger price", request.trigger_paise)):
            named = name == "price" and not at_market(request.order_type)
            named = named or (name != "price" and request.order_type in STOP_TYPES)
            if named and not lower <= paise <= upper:
                text = f"{name} {paise / 100:.2f} of {instrument.symbol} is outside the day's band of "
                return Why.PRICE_BAND, f"{text}{lower / 100:.2f} to {upper / 100:.2f}"
        if stop_waits and request.order_type in STOP_TYPES and self._trigger_passed(request):
            last = int(self._market.quotes["price_paise"][number])
            way = "above" if order.buys else "below"
            text = f"trigger price {request.trigger_paise / 100:.2f} must be {way} the last price {last / 100:.2f}"
            return Why.TRIGGER_PRICE, text
        return self._shortage(account, order, instrument)

    def _trigger_passed(self, request: NewOrder) -> bool:
        last = int(self._market.quotes["price_paise"][request.instrument])
        return (
            request.trigger_paise <= last if request.transaction is Transaction.BUY else request.trigger_paise >= last
        )

    def _shortage(self, account: Account, order: Order, instrument: SandboxInstrument) -> tuple[Why, str] | None:
        """Shares to deliver or money that is missing."""
        request = order.request
        if request.product is Product.DELIVERY and not order.buys:
            have = self.deliverable(account, instrument.index, leaving_out=order)
            if order.remaining > have:
                text = f"{order.remaining} {instrument.symbol} cannot be sold for delivery: {have} are held"
                return Why.HOLDINGS, text
        already = order.order_id in account.open_orders
        before = account.used_paise(self._margins.rates)
        used = before if already else account.used_paise(self._margins.rates, (order,))
        available = account.cash_paise + account.realised_paise() - used
        if available < 0 and (already or used > before):
            text = f"insufficient funds: {-available / 100:.2f} more are needed"
            return Why.MARGIN, text
        return None

    def deliverable(self, account: Account, instrument: int, *, leaving_out: Order | None = None) -> int:
        """How many shares may be sold for delivery now."""
        holding = account.holdings.get(instrument)
        position = account.positions.get((instrument, Product.DELIVERY))
        have = (holding.quantity if holding else 0) + (position.quantity if position else 0)
        return have - sum(
            one.remaining
            for one in account.open_orders.values()
            if one is not leaving_out
            and not one.buys
            and one.request.instrument == instrument
            and one.request.product is Product.DELIVERY
        )

    def _enter(self, order: Order, now_ns: int) -> None:
        """Into the book for the first time: a stop waits, anything else trades what it can and rests."""
        if order.request.order_type in STOP_TYPES:
            order.set_status(SandboxStatus.TRIGGER_PENDING, now_ns)
            self._book(order.request.instrument).wait(order, now_ns)
        else:
            self._to_book(order, now_ns)
        self._look_after(order.request.instrument)

    def _reenter(
        self, order: Order, wanted: NewOrder, limit_paise: int, now_ns: int, *, keeps_place: bool, waits: bool
    ) -> None:
        book = self._book(wanted.instrument)
        order.request, order.limit_paise = wanted, limit_paise
        if order.status is SandboxStatus.AFTER_MARKET:
            order.set_status(SandboxStatus.AFTER_MARKET, now_ns)
        elif waits:
            order.set_status(SandboxStatus.TRIGGER_PENDING, now_ns)
            book.wait(order, now_ns)
        elif keeps_place:
            order.set_status(SandboxStatus.OPEN, now_ns)
            book.put_back(order)
        else:
            self._to_book(order, now_ns)
        self._look_after(wanted.instrument)

    def _to_book(self, order: Order, now_ns: int) -> None:
        """Trades what it can at once; the rest waits, or ends where it may not."""
        request = order.request
        if at_market(request.order_type) and request.market_protection_pct != 0:
            order.change_request(now_ns, order_type=OrderType.LIMIT, price_paise=order.limit_paise)
        order.set_status(SandboxStatus.OPEN, now_ns)
        number = request.instrument
        if self._continuous(number, now_ns):
            for deal in deals(order, self._book(number), self._market.quotes[number : number + 1]):
                self._settle(deal, now_ns)
        if order.final:
            return
        if request.validity is Validity.IOC:
            self.end(order, SandboxStatus.CANCELLED, "the rest of an IOC order found nobody")
        else:
            self._book(number).rest(order, now_ns)

    def _continuous(self, instrument: int, now_ns: int) -> bool:
        """Whether orders match now (in the closing auction they only gather)."""
        return bool(self.trading[instrument]) and not bool(self._market.halted[instrument])

    def _settle(self, deal: Deal, now_ns: int) -> None:
        """Books one deal on both sides."""
        number = deal.taker.request.instrument
        self._fill(deal.taker, deal.quantity, deal.price_paise, now_ns)
        if deal.resting is not None:
            self._fill(deal.resting, deal.quantity, deal.price_paise, now_ns)
            self._report(deal.resting)
        else:
            sign = 1 if deal.taker.buys else -1
            self.market_cash_paise += sign * deal.quantity * deal.price_paise
            self.market_units[number] -= sign * deal.quantity
        one = np.array([number])
        self._market.add_volume(one, np.array([deal.price_paise]), np.array([deal.quantity]))
        self._report(deal.taker)

    def _fill(self, order: Order, quantity: int, price_paise: int, now_ns: int) -> None:
        self._trades_made += 1
        trade = SandboxTrade(f"{self._trades_made:08d}", order.order_id, quantity, price_paise, now_ns)
        order.add_fill(trade)
        account, request = self._account_of(order.account), order.request
        position = account.position(request.instrument, request.product)
        position.fill(buys=order.buys, quantity=quantity, price_paise=price_paise)
        if order.final:
            account.open_orders.pop(order.order_id, None)
            self._book(request.instrument).remove(order)
            self._look_after(request.instrument)

    def _report(self, order: Order) -> SandboxOrder:
        snapshot = order.snapshot()
        self._changed(snapshot)
        return snapshot

    def _look_after(self, instrument: int) -> None:
        self.watch.set_book(instrument, self._book(instrument))

    def _book(self, instrument: int) -> Book:
        return self._books.setdefault(instrument, Book())

    def _instrument(self, number: int) -> SandboxInstrument:
        if not 0 <= number < len(self._instruments):
            raise Refusal(Why.UNKNOWN_INSTRUMENT, f"there is no instrument {number}")
        return self._instruments[number]

    def _open_order(self, account: Account, order_id: str) -> Order:
        order = account.orders.get(order_id)
        if order is None:
            raise Refusal(Why.UNKNOWN_ORDER, f"there is no order {order_id!r} today")
        if order.final:
            raise Refusal(Why.ORDER_ENDED, f"order {order_id} has ended: {order.status.value}")
        return order


def _changed_request(request: NewOrder, change: ChangedOrder) -> NewOrder:
    fields = {
        name: getattr(change, name)
        for name in ("quantity", "price_paise", "trigger_paise", "order_type", "validity", "disclosed_quantity")
        if getattr(change, name) is not None
    }
    changed = replace(request, **fields)
    if at_market(changed.order_type) and changed.market_protection_pct == 0:
        changed = replace(changed, market_protection_pct=-1)  # a modification to MARKET brings no protection of its own
    return changed
