"""What the exchange's checks say about an order: whether it comes at the right time, and what turns it down.

The dated rules and halts refuse the request; freeze quantity, band, trigger, shares and margin reject the order.
"""

from collections.abc import Sequence
from dataclasses import replace

from services.sandbox.domain.accounts.account import ClientAccount
from services.sandbox.domain.accounts.margin import MarginRates
from services.sandbox.domain.instruments.shape import contract_of
from services.sandbox.domain.orders.order import STOP_TYPES, WorkingOrder
from services.sandbox.domain.orders.rules import at_market, check_legal, protected_paise, rejection_of
from services.sandbox.domain.prices.market import SandboxMarket
from services.sandbox.ports import NewOrder, Refusal, SandboxInstrument, Why
from tradebus.calendar import protection_band
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.time import ist_date
from tradebus.trading.orders import Product


class Checks:
    """Reads market, margins and accounts; changes nothing."""

    def __init__(self, instruments: Sequence[SandboxInstrument], market: SandboxMarket, margins: MarginRates) -> None:
        self._instruments, self._market, self._margins = instruments, market, margins

    def check_time(self, asked: NewOrder, instrument: SandboxInstrument, now_ns: int) -> None:
        """Raises Refusal."""
        if self._market.halted[instrument.index]:
            raise Refusal(Why.MARKET_CLOSED, f"trading in {instrument.symbol} is halted")
        session_ends = self._market.shape.expiry_ns[instrument.index]
        if session_ends and now_ns >= session_ends:
            raise Refusal(Why.UNKNOWN_INSTRUMENT, f"{instrument.symbol} has expired")
        if not asked.after_market:
            self.check_rules(asked, instrument, now_ns)
            return
        try:
            self.check_rules(replace(asked, market_protection_pct=-1), instrument, now_ns)
        except Refusal as refusal:
            if refusal.why is Why.MARKET_CLOSED:
                return
            raise
        raise Refusal(Why.NOT_ALLOWED, "after-market orders are taken only while the market is closed")

    def check_rules(self, asked: NewOrder, instrument: SandboxInstrument, now_ns: int) -> None:
        """The dated rules, by the market as it stands. Raises Refusal."""
        check_legal(asked, instrument, now_ns, last_paise=self._market.last_paise(instrument.index))

    def rejection(
        self,
        account: ClientAccount,
        order: WorkingOrder,
        instrument: SandboxInstrument,
        now_ns: int,
        *,
        stop_waits: bool = True,
    ) -> tuple[Why, str] | None:
        """What the exchange's risk checks say against it."""
        request, number = order.request, instrument.index
        turned_down = rejection_of(request, instrument, now_ns)
        if turned_down is not None:
            return turned_down
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

    def _shortage(
        self, account: ClientAccount, order: WorkingOrder, instrument: SandboxInstrument
    ) -> tuple[Why, str] | None:
        """Shares to deliver or money that is missing."""
        request = order.request
        if request.product is Product.DELIVERY and not order.buys:
            have = self.deliverable(account, instrument.index, leaving_out=order)
            if order.remaining > have:
                text = f"{order.remaining} {instrument.symbol} cannot be sold for delivery: {have} are held"
                return Why.HOLDINGS, text
        already = order.order_id in account.open_orders
        before = account.used_paise(self._margins)
        used = before if already else account.used_paise(self._margins, (order,))
        available = account.funds_paise() - used
        if available < 0 and (already or used > before):
            text = f"insufficient funds: {-available / 100:.2f} more are needed"
            return Why.MARGIN, text
        return None

    def deliverable(self, account: ClientAccount, instrument: int, *, leaving_out: WorkingOrder | None = None) -> int:
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

    def limit(self, request: NewOrder, instrument: SandboxInstrument) -> int:
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

    def unprotected(self, order: WorkingOrder, instrument: SandboxInstrument, now_ns: int) -> bool:
        """Whether price protection takes the order back where it would match: its limit is too far beyond the average
        of the last half minute. Of options alone, and whatever was right when the order was taken."""
        number = instrument.index
        average = round(float(self._market.recent_paise[number]))
        band = protection_band(contract_of(instrument), average, ist_date(now_ns))
        if band is None:
            return False
        return order.limit_paise > band[1] if order.buys else order.limit_paise < band[0]

    def _reference(self, request: NewOrder) -> int:
        """What a market order's protection is measured from: the best price against it, else the last trade."""
        quotes = self._market.quotes
        side = "ask_paise" if request.transaction is Transaction.BUY else "bid_paise"
        return int(quotes[side][request.instrument, 0]) or int(quotes["price_paise"][request.instrument])
