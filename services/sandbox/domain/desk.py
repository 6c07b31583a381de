"""Takes orders, lets them trade, ends them: the one place where orders, books and accounts change together.

    place ─► checks ─► REJECTED | AFTER_MARKET | TRIGGER_PENDING | OPEN ─► deals ─► COMPLETE | CANCELLED
    quotes of a step ─► instruments whose orders they reach (one vectorised look) ─► stops wake, resting orders trade

Invariants (property-tested): bought equals sold over accounts and market together, in units and in money; every fill
is in both its order and its position; a final order is in no book.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields as fields_of
from dataclasses import replace
from heapq import heappop, heappush

import numpy as np

from services.sandbox.domain.account import Account
from services.sandbox.domain.book import Book
from services.sandbox.domain.checks import Checks
from services.sandbox.domain.margin import Margins
from services.sandbox.domain.market import Market
from services.sandbox.domain.matching import Deal, deals, reached
from services.sandbox.domain.orders import STOP_TYPES, Order
from services.sandbox.domain.rules import (
    MODIFICATIONS_MAX,
    at_market,
    check_legal,
    check_values,
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
from tradebus.contracts.orders import OrderType
from tradebus.kernel.time import ist_date

_MINUTE_NS = 60_000_000_000
_CHANGEABLE = tuple(field.name for field in fields_of(ChangedOrder))


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
        self._instruments, self._market = instruments, market
        self._checks = Checks(instruments, market, margins)
        self._now, self._account_of, self._changed = now, account_of, changed
        self._books: dict[int, Book] = {}
        self.watch = Watch(len(instruments))
        self.trading: Flags = np.zeros(len(instruments), np.bool_)  # whose orders match now
        self._orders_made = self._trades_made = 0
        self.market_cash_paise = 0  # what the market's side of all deals paid and got
        self.market_units: Ints = np.zeros(len(instruments), np.int64)
        self.traded: set[int] = set()  # since whoever listens to quotes was last told
        self.after_market: dict[str, Order] = {}
        self._timed: list[tuple[int, str, Order]] = []  # a heap of orders that live some minutes

    # requests

    def place(self, account_name: str, asked: NewOrder, *, forced: bool = False) -> SandboxOrder:
        """Raises Refusal. A forced order is the broker's own: no kill switch and no margin holds it up."""
        now_ns, account = self._now(), self._account_of(account_name)
        instrument = self._instrument(asked.instrument)
        if account.killed and not forced:
            raise Refusal(Why.KILL_SWITCH, "the kill switch of this account is on: no order is taken")
        check_values(asked, instrument, now_ns)
        self._checks.check_time(asked, instrument, now_ns)
        order = self._new_order(account, asked, now_ns)
        account.take(order)
        problem = None if forced else self._checks.rejection(account, order, instrument, now_ns)
        if problem is not None:
            order.set_status(SandboxStatus.REJECTED, now_ns, problem[1])
            account.has_ended(order)
        elif asked.after_market:
            account.open_orders[order.order_id] = self.after_market[order.order_id] = order
            order.set_status(SandboxStatus.AFTER_MARKET, now_ns)
        else:
            account.open_orders[order.order_id] = order
            if asked.validity is Validity.TTL:
                heappush(self._timed, (now_ns + asked.validity_minutes * _MINUTE_NS, order.order_id, order))
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
        check_values(wanted, instrument, now_ns)
        if order.status is not SandboxStatus.AFTER_MARKET:
            check_legal(replace(wanted, market_protection_pct=wanted.market_protection_pct or -1), instrument, now_ns)
        if wanted.quantity <= order.filled_quantity:
            text = f"quantity {wanted.quantity} is not above what has traded already, {order.filled_quantity}"
            raise Refusal(Why.BAD_VALUE, text)
        before, limit_before = order.request, order.limit_paise
        woken = order.status is SandboxStatus.OPEN and before.order_type in STOP_TYPES
        waits = wanted.order_type in STOP_TYPES and not woken  # a stop that has woken is a limit order
        order.request = wanted
        order.limit_paise = self._checks.limit(wanted, instrument)
        problem = self._checks.rejection(account, order, instrument, now_ns, stop_waits=waits)
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
        self._account_of(order.account).has_ended(order)
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
            order.limit_paise = self._checks.limit(order.request, instrument)
            problem = self._checks.rejection(account, order, instrument, now_ns)
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
        return self._checks.limit(request, self._instrument(request.instrument))

    def end_timed(self, now_ns: int) -> None:
        """Ends the orders whose minutes are over."""
        while self._timed and self._timed[0][0] <= now_ns:
            order = heappop(self._timed)[2]
            if not order.final:
                self.end(order, SandboxStatus.CANCELLED, "its time to live is over")

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

    def settle_outside(self, instrument: int, units: int, price_paise: int) -> None:
        """The market's side of what was settled without an order: it takes `units` (negative: gives them)."""
        self.market_units[instrument] += units
        self.market_cash_paise -= units * price_paise

    # inside

    def _new_order(self, account: Account, asked: NewOrder, now_ns: int) -> Order:
        self._orders_made += 1
        order_id = f"{ist_date(now_ns):%y%m%d}{self._orders_made:09d}"
        order = Order(order_id, f"1{order_id}", account.name, asked, now_ns)
        order.limit_paise = self._checks.limit(asked, self._instruments[asked.instrument])
        return order

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
        request, number = order.request, order.request.instrument
        if at_market(request.order_type) and request.market_protection_pct != 0:
            order.change_request(now_ns, order_type=OrderType.LIMIT, price_paise=order.limit_paise)
        order.set_status(SandboxStatus.OPEN, now_ns)
        if self._checks.unprotected(order, self._instruments[number], now_ns):
            self.end(order, SandboxStatus.CANCELLED, "price protection: the limit is too far from the average price")
        elif self._continuous(number, now_ns):
            quoted_ns = int(self._market.quoted_ns[number])
            for deal in deals(order, self._book(number), self._market.quotes[number : number + 1], quoted_ns):
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
        self._market.trade(number, price_paise=deal.price_paise, quantity=deal.quantity, now_ns=now_ns)
        self.traded.add(number)
        self._report(deal.taker)

    def _fill(self, order: Order, quantity: int, price_paise: int, now_ns: int) -> None:
        self._trades_made += 1
        trade = SandboxTrade(f"{self._trades_made:08d}", order.order_id, quantity, price_paise, now_ns)
        order.add_fill(trade)
        account, request = self._account_of(order.account), order.request
        position = account.position(request.instrument, request.product)
        position.fill(buys=order.buys, quantity=quantity, price_paise=price_paise)
        if order.final:
            account.has_ended(order)
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
    fields = {name: getattr(change, name) for name in _CHANGEABLE if getattr(change, name) is not None}
    changed = replace(request, **fields)
    if at_market(changed.order_type) and changed.market_protection_pct == 0:
        changed = replace(changed, market_protection_pct=-1)  # a modification to MARKET brings no protection of its own
    return changed
