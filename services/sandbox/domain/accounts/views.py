"""What an account sees of itself."""

from collections.abc import Callable, Sequence

import numpy as np

from services.sandbox.domain.accounts.account import ClientAccount
from services.sandbox.domain.accounts.hedges import HedgedSet, OptionLeg, hedge_benefit_paise
from services.sandbox.domain.accounts.margin import MarginRates
from services.sandbox.domain.instruments.shape import ListingKind, kind_of
from services.sandbox.ports import (
    NewOrder,
    Refusal,
    RequiredMargins,
    SandboxHolding,
    SandboxInstrument,
    SandboxMargins,
    SandboxPosition,
    Why,
)
from tradebus.contracts.orders import Transaction
from tradebus.contracts.records import Records
from tradebus.trading.orders import Product


class Views:
    """Reads accounts against the market's last prices."""

    def __init__(
        self,
        instruments: Sequence[SandboxInstrument],
        quotes: Records,
        margins: MarginRates,
        limit: Callable[[NewOrder], int],
    ) -> None:
        self._instruments, self._quotes, self._margins, self._limit = instruments, quotes, margins, limit

    def positions(self, account: ClientAccount) -> tuple[SandboxPosition, ...]:
        """Of everything open or traded today."""
        found = []
        for (instrument, product), one in account.positions.items():
            if one.idle and not one.overnight_quantity:
                continue
            last = int(self._quotes["price_paise"][instrument])
            found.append(
                SandboxPosition(
                    instrument=instrument, product=product,
                    overnight_quantity=one.overnight_quantity, overnight_value_paise=one.overnight_value_paise,
                    day_buy_quantity=one.day_buy_quantity, day_buy_value_paise=one.day_buy_value_paise,
                    day_sell_quantity=one.day_sell_quantity, day_sell_value_paise=one.day_sell_value_paise,
                    last_price_paise=last, previous_close_paise=int(self._quotes["previous_close_paise"][instrument]),
                    realised_paise=one.realised_paise, unrealised_paise=one.quantity * last - one.cost_paise,
                )
            )  # fmt: skip
        return tuple(found)

    def holdings(self, account: ClientAccount) -> tuple[SandboxHolding, ...]:
        """Less what has been sold of them today."""
        found = []
        for instrument, holding in account.holdings.items():
            position = account.positions.get((instrument, Product.DELIVERY))
            quantity = holding.quantity + min(position.quantity if position else 0, 0)
            average = round(holding.cost_paise / holding.quantity)
            last = int(self._quotes["price_paise"][instrument])
            close = int(self._quotes["previous_close_paise"][instrument])
            found.append(SandboxHolding(instrument, quantity, holding.waiting(quantity), average, last, close))
        return tuple(found)

    def margins(self, account: ClientAccount) -> SandboxMargins:
        used, realised = account.used_paise(self._margins), account.realised_paise()
        unrealised = sum(
            one.quantity * int(self._quotes["price_paise"][instrument]) - one.cost_paise
            for (instrument, _), one in account.positions.items()
        )
        return SandboxMargins(
            opening_paise=account.cash_paise, available_paise=account.funds_paise() - used, used_paise=used,
            realised_paise=realised, unrealised_paise=unrealised,
        )  # fmt: skip

    def required(self, orders: Sequence[NewOrder]) -> RequiredMargins:
        """Each alone and all together, nothing else held. Raises Refusal for what is not listed."""
        return RequiredMargins(tuple(self._required(order) for order in orders), self._benefit(orders))

    def _required(self, order: NewOrder) -> int:
        """Margin of the order alone. Raises Refusal for what is not listed."""
        if not 0 <= order.instrument < len(self._instruments):
            raise Refusal(Why.UNKNOWN_INSTRUMENT, f"there is no instrument {order.instrument}")
        rates = self._margins.rates(order.instrument, order.product)
        if order.transaction is Transaction.SELL:
            held = order.product is Product.DELIVERY
            return 0 if held else rates.short_fixed_paise * order.quantity
        value = order.quantity * (self._limit(order) or int(self._quotes["price_paise"][order.instrument]))
        return int(np.ceil(rates.long_share * value)) + rates.long_fixed_paise * order.quantity

    def _benefit(self, orders: Sequence[NewOrder]) -> int:
        sets: dict[HedgedSet, list[OptionLeg]] = {}
        for order in orders:
            hedged = self._margins.hedged_set(order.instrument, order.product)
            if hedged is None:
                continue
            sells = order.transaction is Transaction.SELL
            leg = self._margins.leg(
                order.instrument, bought=0 if sells else order.quantity, sold=order.quantity if sells else 0,
                sold_paise=self._required(order) if sells else 0,
            )  # fmt: skip
            sets.setdefault(hedged, []).append(leg)
        return sum(map(hedge_benefit_paise, sets.values()))

    def convert(
        self, account: ClientAccount, instrument: int, *, from_product: Product, to_product: Product, quantity: int
    ) -> None:
        """Moves open quantity to another product at its average cost. Raises Refusal."""
        source = account.positions.get((instrument, from_product))
        if source is None or not source.quantity:
            raise Refusal(Why.BAD_VALUE, f"there is no open {from_product.value.lower()} position to convert")
        if quantity <= 0 or quantity > abs(source.quantity):
            text = f"quantity {quantity} is not from 1 to the open {abs(source.quantity)}"
            raise Refusal(Why.BAD_VALUE, text)
        kind = kind_of(self._instruments[instrument])
        wrong = Product.CARRY if kind is ListingKind.EQUITY else Product.DELIVERY
        if to_product is wrong or to_product is from_product:
            raise Refusal(Why.NOT_ALLOWED, f"a position in {self._instruments[instrument].symbol} cannot become that")
        target = account.position(instrument, to_product)
        change = quantity if source.quantity > 0 else -quantity
        if to_product is Product.DELIVERY and change < 0:
            raise Refusal(Why.NOT_ALLOWED, "a short position cannot be converted to delivery")
        price = abs(source.cost_paise) // abs(source.quantity)
        before = (source.realised_paise, account.used_paise(self._margins))
        source.move(-change, price)
        target.move(change, price)
        missing = account.used_paise(self._margins) - account.funds_paise()
        if missing > 0 and account.used_paise(self._margins) > before[1]:
            target.move(-change, price)
            source.move(change, price)
            raise Refusal(Why.MARGIN, f"insufficient funds to convert: {missing / 100:.2f} more are needed")
        buys = change > 0
        for position, opens in ((source, False), (target, True)):
            _count(position, buys=buys == opens, quantity=quantity, price_paise=price)


def _count(position: object, *, buys: bool, quantity: int, price_paise: int) -> None:
    """Writes a conversion into the day's counters, so that they still add up to the open quantity."""
    side = "buy" if buys else "sell"
    for name, amount in ((f"day_{side}_quantity", quantity), (f"day_{side}_value_paise", quantity * price_paise)):
        setattr(position, name, getattr(position, name) + amount)
