"""What the exchange and the broker do at the day's instants: stops end, square-off, expiry, night."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date

from services.sandbox.domain.accounts.account import ClientAccount, DeliveryHolding, OpenPosition
from services.sandbox.domain.instruments.shape import ListingKind, kind_of
from services.sandbox.domain.orders.matching_engine import MatchingEngine
from services.sandbox.domain.orders.order import STOP_TYPES, WorkingOrder
from services.sandbox.domain.orders.order_entry import OrderEntry
from services.sandbox.domain.prices.market import SandboxMarket
from services.sandbox.ports import BrokerName, NewOrder, Refusal, SandboxInstrument, SandboxOrder, SandboxStatus
from tradebus.calendar import Market, MarketClass, TradingSession, market_of, range_reset_pct, settlement_day
from tradebus.contracts.instrument_key import Right
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.time import ist_date
from tradebus.trading.charges import exercise_stt_paise
from tradebus.trading.orders import Product


class DayEnd:
    """Works on all accounts of the exchange."""

    def __init__(
        self,
        instruments: Sequence[SandboxInstrument],
        order_entry: OrderEntry,
        matching: MatchingEngine,
        market: SandboxMarket,
        *,
        accounts: Callable[[], Iterable[ClientAccount]],
        now: Callable[[], int],
    ) -> None:
        self._instruments, self._entry, self._matching, self._market = instruments, order_entry, matching, market
        self._accounts, self._now = accounts, now
        self._kinds = [kind_of(one) for one in instruments]

    def _concerns(self, instrument: int, market_class: MarketClass, market: Market | None) -> bool:
        """Whether it is of the class and, where a market is named, expires there today."""
        listed = self._instruments[instrument]
        if listed.market_class != market_class:
            return False
        return market is None or (listed.key.expiry == ist_date(self._now()) and market_of(listed.key.name) is market)

    def _orders(
        self, account: ClientAccount, market_class: MarketClass, market: Market | None = None
    ) -> list[WorkingOrder]:
        return [
            order
            for order in list(account.open_orders.values())
            if self._concerns(order.request.instrument, market_class, market)
            and order.status is not SandboxStatus.AFTER_MARKET
        ]

    def begin_auction(self, session: TradingSession) -> None:
        """The exchange takes back the stops that have not triggered, and the limit orders that do not go on."""
        for account in self._accounts():
            for order in self._orders(account, session.market_class):
                if order.status is SandboxStatus.TRIGGER_PENDING and order.request.order_type in STOP_TYPES:
                    text = "the exchange cancels untriggered stop orders when continuous trading ends"
                    self._entry.end(order, SandboxStatus.CANCELLED, text)
                elif not session.carries_limit_orders:
                    text = "the exchange cancels what has not traded when continuous trading ends"
                    self._entry.end(order, SandboxStatus.CANCELLED, text)
                elif not self._inside(order, session.auction_band_pct or 0.0):
                    text = "the price is outside the closing auction's band"
                    self._entry.end(order, SandboxStatus.CANCELLED, text)

    def _inside(self, order: WorkingOrder, band_pct: float) -> bool:
        """Whether every price of the order lies so close around the last one."""
        last = self._market.last_paise(order.request.instrument)
        prices = (order.limit_paise, order.request.trigger_paise)
        return all(abs(price - last) * 100 <= last * band_pct for price in prices if price)

    def reset_range(self, market: Market) -> None:
        """The market's futures get a new operating range; orders outside it end, stops too."""
        percent = range_reset_pct(market, ist_date(self._now())) or 0.0
        for account in self._accounts():
            for order in self._orders(account, MarketClass.DERIVATIVE):
                number = order.request.instrument
                if (
                    self._kinds[number] is not ListingKind.FUTURE
                    or market_of(self._instruments[number].key.name) is not market
                ):
                    continue
                if not self._inside(order, percent):
                    text = "the price is outside the operating range set anew at the closing auction"
                    self._entry.end(order, SandboxStatus.CANCELLED, text)

    def end_day_orders(self, market_class: MarketClass, market: Market | None) -> None:
        """At the close; after-market orders for the next day stay."""
        for account in self._accounts():
            for order in self._orders(account, market_class, market):
                self._entry.end(order, SandboxStatus.CANCELLED, "the day's session has ended")

    def square_off(self, market_class: MarketClass, market: Market | None) -> None:
        """The broker closes intraday positions; open intraday orders end first."""
        for account in self._accounts():
            for order in self._orders(account, market_class, market):
                if order.request.product is Product.INTRADAY:
                    self._entry.end(order, SandboxStatus.CANCELLED, "intraday square-off")
            for (instrument, product), position in list(account.positions.items()):
                concerned = self._concerns(instrument, market_class, market)
                if product is Product.INTRADAY and position.quantity and concerned:
                    self.close_position(account, instrument, product, position, tag="squareoff")

    def close_position(
        self, account: ClientAccount, instrument: int, product: Product, position: OpenPosition, *, tag: str,
        source: BrokerName = BrokerName.KITE,
    ) -> list[str]:  # fmt: skip
        """Market orders, sliced by the freeze quantity; the ids of those that were taken."""
        left, placed = abs(position.quantity), []
        listed = self._instruments[instrument]
        largest = max(listed.freeze_quantity // listed.lot_size * listed.lot_size, listed.lot_size)
        transaction = Transaction.SELL if position.quantity > 0 else Transaction.BUY
        while left:
            quantity = min(left, largest)
            left -= quantity
            order = NewOrder(
                instrument=instrument, transaction=transaction, order_type=OrderType.MARKET, product=product,
                quantity=quantity, market_protection_pct=-1, tag=tag, source=source,
            )  # fmt: skip
            try:
                placed.append(self._entry.place(account.name, order, forced=True).order_id)
            except Refusal:
                return placed  # halted or closed: the position stays, as it would at the real exchange
        return placed

    def exit_all(self, account: ClientAccount, source: BrokerName) -> tuple[SandboxOrder, ...]:
        """Cancels what is open and closes every position at the market."""
        for order in list(account.open_orders.values()):
            self._entry.end(order, SandboxStatus.CANCELLED, "all positions are being closed")
        ids = [
            order_id
            for (instrument, product), position in list(account.positions.items())
            if position.quantity
            for order_id in self.close_position(account, instrument, product, position, tag="exitall", source=source)
        ]
        return tuple(self._entry.order(account.name, order_id) for order_id in ids)

    def expire(self, market: Market) -> None:
        """The market's contracts of the day are settled in cash at the underlying's value. Who holds an option that
        is in the money owes the tax on its exercise."""
        for account in self._accounts():
            for (instrument, _), position in account.positions.items():
                if position.quantity and self._concerns(instrument, MarketClass.DERIVATIVE, market):
                    closes, price = position.quantity, self._settlement(instrument)
                    position.fill(buys=closes < 0, quantity=abs(closes), price_paise=price)
                    self._matching.settle_outside(instrument, closes, price)
                    if closes > 0 and self._kinds[instrument] is ListingKind.OPTION:
                        account.tax_paise += exercise_stt_paise(
                            day=ist_date(self._now()), quantity=closes, worth_paise=price,
                            settlement_paise=self._market.spot_paise(instrument),
                        )  # fmt: skip

    def _settlement(self, instrument: int) -> int:
        key, spot = self._instruments[instrument].key, self._market.spot_paise(instrument)
        if key.strike_paise is None:
            return spot
        worth = spot - key.strike_paise if key.right is Right.CALL else key.strike_paise - spot
        return max(worth, 0)

    def roll(self) -> None:
        """The night: profits settle, deliveries become holdings, which come with their settlement, carried positions
        begin the next day."""
        over = ist_date(self._now() - 1)
        for account in self._accounts():
            for holding in account.holdings.values():
                holding.settled_until(over)
            for (instrument, product), position in list(account.positions.items()):
                if self._kinds[instrument] is ListingKind.FUTURE and position.quantity:
                    quantity, last = position.quantity, self._market.last_paise(instrument)
                    position.move(-quantity, last)  # marked to market
                    position.move(quantity, last)
                account.cash_paise += position.realised_paise
                if product is Product.DELIVERY:
                    self._deliver(account, instrument, position, day=over)
                if position.quantity == 0:
                    del account.positions[instrument, product]
                else:
                    account.positions[instrument, product] = OpenPosition(
                        quantity=position.quantity, cost_paise=position.cost_paise,
                        overnight_quantity=position.quantity, overnight_value_paise=position.cost_paise,
                    )  # fmt: skip
            account.cash_paise -= account.tax_paise
            account.tax_paise = 0
            account.begin_day()

    def _deliver(self, account: ClientAccount, instrument: int, position: OpenPosition, *, day: date) -> None:
        account.cash_paise -= position.cost_paise
        holding = account.holdings.setdefault(instrument, DeliveryHolding(0, 0))
        if position.quantity >= 0:
            holding.cost_paise += position.cost_paise
            due = settlement_day(day)
            holding.arriving[due] = holding.arriving.get(due, 0) + position.quantity
        elif holding.quantity:
            holding.cost_paise -= holding.cost_paise * -position.quantity // holding.quantity
        holding.quantity += position.quantity
        if holding.quantity <= 0:
            del account.holdings[instrument]
        position.quantity = position.cost_paise = 0
