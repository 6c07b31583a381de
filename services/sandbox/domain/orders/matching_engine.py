"""The accounts' orders against each other and the market: one book an instrument, moved by orders and by quotes.

    enter ─► stop waits | deals ─► rest, or end        quotes of a step ─► books they reach (one vectorised look) ─►
                                                       stops wake, resting orders trade

Invariants (property-tested): bought equals sold over accounts and market together, in units and in money; every fill
is in both its order and its position; a final order is in no book.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from services.sandbox.domain.accounts.account import ClientAccount
from services.sandbox.domain.instruments.shape import Flags, Ints
from services.sandbox.domain.orders.book import OrderBook
from services.sandbox.domain.orders.checks import Checks
from services.sandbox.domain.orders.matching import Deal, deals, reached
from services.sandbox.domain.orders.order import STOP_TYPES, WorkingOrder
from services.sandbox.domain.orders.rules import at_market
from services.sandbox.domain.orders.watch import BookWatch
from services.sandbox.domain.prices.market import SandboxMarket
from services.sandbox.ports import NewOrder, SandboxInstrument, SandboxOrder, SandboxStatus, SandboxTrade, Validity
from tradebus.contracts.orders import OrderType


class MatchingEngine:
    """`changed` is called with every order that changed, once per change."""

    def __init__(
        self,
        instruments: Sequence[SandboxInstrument],
        market: SandboxMarket,
        checks: Checks,
        *,
        now: Callable[[], int],
        account_of: Callable[[str], ClientAccount],
        changed: Callable[[SandboxOrder], None],
    ) -> None:
        self._instruments, self._market, self._checks = instruments, market, checks
        self._now, self._account_of, self._changed = now, account_of, changed
        self.books: defaultdict[int, OrderBook] = defaultdict(OrderBook)  # by instrument
        self.trading: Flags = np.zeros(len(instruments), np.bool_)  # whose orders match now
        self.market_cash_paise = 0  # what the market's side of all deals paid and got
        self.market_units: Ints = np.zeros(len(instruments), np.int64)
        self.traded: set[int] = set()  # since whoever listens to quotes was last told
        self._watch = BookWatch(len(instruments))
        self._trades_made = 0

    # orders

    def enter(self, order: WorkingOrder, now_ns: int) -> None:
        """Into the book for the first time: a stop waits, anything else trades what it can and rests."""
        if order.request.order_type in STOP_TYPES:
            order.set_status(SandboxStatus.TRIGGER_PENDING, now_ns)
            self.books[order.request.instrument].wait(order, now_ns)
        else:
            self._to_book(order, now_ns)
        self._look_after(order.request.instrument)

    def reenter(
        self, order: WorkingOrder, wanted: NewOrder, limit_paise: int, now_ns: int, *, keeps_place: bool, waits: bool
    ) -> None:
        """After `remove`, as `wanted` has it."""
        book = self.books[wanted.instrument]
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

    def remove(self, order: WorkingOrder) -> None:
        """Out of its book, to be entered anew."""
        self.books[order.request.instrument].remove(order)

    def end(self, order: WorkingOrder, status: SandboxStatus, reason: str = "") -> None:
        """Out of its book for good."""
        self.remove(order)
        order.set_status(status, self._now(), reason)
        self._account_of(order.account).has_ended(order)
        self._look_after(order.request.instrument)
        self.report(order)

    def report(self, order: WorkingOrder) -> SandboxOrder:
        """Tells of the order as it is now."""
        snapshot = order.snapshot()
        self._changed(snapshot)
        return snapshot

    # what the market does

    def on_quotes(self, which: Ints) -> None:
        """New quotes of these instruments: wakes stops, fills what they reach."""
        quotes = self._market.quotes
        hit = self._watch.hit(
            which,
            last=quotes["price_paise"][which],
            bid=quotes["bid_paise"][which, 0],
            ask=quotes["ask_paise"][which, 0],
        )
        for instrument in hit.tolist():
            self.on_quote(instrument)

    def on_quote(self, instrument: int) -> None:
        """One instrument's turn."""
        book, now_ns = self.books[instrument], self._now()
        if not self._continuous(instrument):
            return
        quotes = self._market.quotes[instrument : instrument + 1]
        for order in [*book.buys, *book.sells]:
            for deal in reached(order, quotes):
                self._settle(deal, now_ns)
        for order in book.triggered(int(quotes["price_paise"][0])):
            book.remove(order)
            self._to_book(order, now_ns)
            self.report(order)
        self._look_after(instrument)

    def auction(self, instrument: int) -> None:
        """The closing auction's match: what crosses the closing price trades at it, the rest ends."""
        book, now_ns = self.books[instrument], self._now()
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

    def _to_book(self, order: WorkingOrder, now_ns: int) -> None:
        """Trades what it can at once; the rest waits, or ends where it may not."""
        request, number = order.request, order.request.instrument
        if at_market(request.order_type) and request.market_protection_pct != 0:
            order.change_request(now_ns, order_type=OrderType.LIMIT, price_paise=order.limit_paise)
        order.set_status(SandboxStatus.OPEN, now_ns)
        if self._checks.unprotected(order, self._instruments[number], now_ns):
            self.end(order, SandboxStatus.CANCELLED, "price protection: the limit is too far from the average price")
        elif self._continuous(number):
            quoted_ns = int(self._market.quoted_ns[number])
            for deal in deals(order, self.books[number], self._market.quotes[number : number + 1], quoted_ns):
                self._settle(deal, now_ns)
        if order.final:
            return
        if request.validity is Validity.IOC:
            self.end(order, SandboxStatus.CANCELLED, "the rest of an IOC order found nobody")
        else:
            self.books[number].rest(order, now_ns)

    def _continuous(self, instrument: int) -> bool:
        """Whether orders match now (in the closing auction they only gather)."""
        return bool(self.trading[instrument]) and not bool(self._market.halted[instrument])

    def _settle(self, deal: Deal, now_ns: int) -> None:
        """Books one deal on both sides."""
        number = deal.taker.request.instrument
        self._fill(deal.taker, deal.quantity, deal.price_paise, now_ns)
        if deal.resting is not None:
            self._fill(deal.resting, deal.quantity, deal.price_paise, now_ns)
            self.report(deal.resting)
        else:
            sign = 1 if deal.taker.buys else -1
            self.market_cash_paise += sign * deal.quantity * deal.price_paise
            self.market_units[number] -= sign * deal.quantity
        self._market.trade(number, price_paise=deal.price_paise, quantity=deal.quantity, now_ns=now_ns)
        self.traded.add(number)
        self.report(deal.taker)

    def _fill(self, order: WorkingOrder, quantity: int, price_paise: int, now_ns: int) -> None:
        self._trades_made += 1
        trade = SandboxTrade(f"{self._trades_made:08d}", order.order_id, quantity, price_paise, now_ns)
        order.add_fill(trade)
        account, request = self._account_of(order.account), order.request
        position = account.position(request.instrument, request.product)
        position.fill(buys=order.buys, quantity=quantity, price_paise=price_paise)
        if order.final:
            account.has_ended(order)
            self.remove(order)
            self._look_after(request.instrument)

    def _look_after(self, instrument: int) -> None:
        self._watch.set_book(instrument, self.books[instrument])
