"""What the exchange and the broker do at the day's instants: stops end, square-off, expiry, night."""

from collections.abc import Callable, Iterable, Sequence

from services.sandbox.domain.account import Account, Holding, Position
from services.sandbox.domain.desk import Desk
from services.sandbox.domain.orders import STOP_TYPES, Order
from services.sandbox.domain.shape import Kind, kind_of
from services.sandbox.ports import BrokerName, NewOrder, Refusal, SandboxInstrument, SandboxOrder, SandboxStatus
from tradebus.calendar import MarketClass
from tradebus.contracts.instrument_key import Right
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.time import ist_date
from tradebus.trading.orders import Product


class DayEnd:
    """Works on all accounts of the exchange."""

    def __init__(
        self,
        instruments: Sequence[SandboxInstrument],
        desk: Desk,
        *,
        accounts: Callable[[], Iterable[Account]],
        last_paise: Callable[[int], int],
        spot_paise: Callable[[int], int],
        now: Callable[[], int],
    ) -> None:
        self._instruments, self._desk, self._accounts = instruments, desk, accounts
        self._last, self._spot, self._now = last_paise, spot_paise, now
        self._kinds = [kind_of(one) for one in instruments]

    def _of_class(self, account: Account, market_class: MarketClass) -> list[Order]:
        return [
            order
            for order in list(account.open_orders.values())
            if self._instruments[order.request.instrument].market_class == market_class
        ]

    def end_stops(self, market_class: MarketClass) -> None:
        """The exchange takes back the stops that have not triggered."""
        for account in self._accounts():
            for order in self._of_class(account, market_class):
                if order.status is SandboxStatus.TRIGGER_PENDING and order.request.order_type in STOP_TYPES:
                    text = "the exchange cancels untriggered stop orders when continuous trading ends"
                    self._desk.end(order, SandboxStatus.CANCELLED, text)

    def end_day_orders(self, market_class: MarketClass) -> None:
        """At the close; after-market orders for the next day stay."""
        for account in self._accounts():
            for order in self._of_class(account, market_class):
                if order.status is not SandboxStatus.AFTER_MARKET:
                    self._desk.end(order, SandboxStatus.CANCELLED, "the day's session has ended")

    def square_off(self, market_class: MarketClass) -> None:
        """The broker closes intraday positions; open intraday orders end first."""
        for account in self._accounts():
            for order in self._of_class(account, market_class):
                if order.request.product is Product.INTRADAY and order.status is not SandboxStatus.AFTER_MARKET:
                    self._desk.end(order, SandboxStatus.CANCELLED, "intraday square-off")
            for (instrument, product), position in list(account.positions.items()):
                of_class = self._instruments[instrument].market_class == market_class
                if product is Product.INTRADAY and position.quantity and of_class:
                    self.close_position(account, instrument, product, position, tag="squareoff")

    def close_position(
        self, account: Account, instrument: int, product: Product, position: Position, *, tag: str,
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
                placed.append(self._desk.place(account.name, order, forced=True).order_id)
            except Refusal:
                return placed  # halted or closed: the position stays, as it would at the real exchange
        return placed

    def exit_all(self, account: Account, source: BrokerName) -> tuple[SandboxOrder, ...]:
        """Cancels what is open and closes every position at the market."""
        for order in list(account.open_orders.values()):
            self._desk.end(order, SandboxStatus.CANCELLED, "all positions are being closed")
        ids = [
            order_id
            for (instrument, product), position in list(account.positions.items())
            if position.quantity
            for order_id in self.close_position(account, instrument, product, position, tag="exitall", source=source)
        ]
        return tuple(self._desk.order(account.name, order_id) for order_id in ids)

    def expire(self) -> None:
        """Contracts of the day are settled in cash at the underlying's value."""
        today = ist_date(self._now())
        for account in self._accounts():
            for (instrument, _), position in account.positions.items():
                if position.quantity and self._instruments[instrument].key.expiry == today:
                    closes, price = position.quantity, self._settlement(instrument)
                    position.fill(buys=closes < 0, quantity=abs(closes), price_paise=price)
                    self._desk.settle_outside(instrument, closes, price)

    def _settlement(self, instrument: int) -> int:
        key, spot = self._instruments[instrument].key, self._spot(instrument)
        if key.strike_paise is None:
            return spot
        worth = spot - key.strike_paise if key.right is Right.CALL else key.strike_paise - spot
        return max(worth, 0)

    def roll(self) -> None:
        """The night: profits settle, deliveries become holdings, carried positions begin the next day."""
        for account in self._accounts():
            for (instrument, product), position in list(account.positions.items()):
                if self._kinds[instrument] is Kind.FUTURE and position.quantity:
                    quantity, last = position.quantity, self._last(instrument)
                    position.move(-quantity, last)  # marked to market
                    position.move(quantity, last)
                account.cash_paise += position.realised_paise
                if product is Product.DELIVERY:
                    self._deliver(account, instrument, position)
                if position.quantity == 0:
                    del account.positions[instrument, product]
                else:
                    account.positions[instrument, product] = Position(
                        quantity=position.quantity, cost_paise=position.cost_paise,
                        overnight_quantity=position.quantity, overnight_value_paise=position.cost_paise,
                    )  # fmt: skip
            account.begin_day()

    def _deliver(self, account: Account, instrument: int, position: Position) -> None:
        account.cash_paise -= position.cost_paise
        holding = account.holdings.setdefault(instrument, Holding(0, 0))
        if position.quantity >= 0:
            holding.cost_paise += position.cost_paise
        elif holding.quantity:
            holding.cost_paise -= holding.cost_paise * -position.quantity // holding.quantity
        holding.quantity += position.quantity
        if holding.quantity <= 0:
            del account.holdings[instrument]
        position.quantity = position.cost_paise = 0
