"""/super/orders: an entry whose target and stop loss go to the book by themselves once it is filled.

entry filled ─► one standing trigger with two legs (first reached cancels the other) ─► an order of the exit side
"""

from dataclasses import dataclass, replace

from services.sandbox.faces.dhan.forever import SUPER_LEGS
from services.sandbox.faces.dhan.problems import DhanProblem
from services.sandbox.faces.dhan.words import status_word
from services.sandbox.ports import (
    FINAL,
    BrokerName,
    ChangedOrder,
    Exchange,
    NewOrder,
    Refusal,
    SandboxOrder,
    StandingTrigger,
    TriggerLeg,
    TriggerStatus,
)
from tradebus.contracts.orders import OrderType, Transaction

ENTRY, TARGET, STOP_LOSS = "ENTRY_LEG", "TARGET_LEG", "STOP_LOSS_LEG"
# The legs of a super order as the exchange keeps them.
LEG_NAME = {TARGET: "SUPER_TARGET", STOP_LOSS: "SUPER_STOP_LOSS"}
assert set(LEG_NAME.values()) == SUPER_LEGS


@dataclass
class SuperOrder:
    """Prices in paise, 0 where the leg is not wanted. `trigger_id` once the legs stand."""

    account: str
    entry_id: str
    entry: NewOrder
    target_paise: int
    stop_paise: int
    trail_paise: int
    trigger_id: str | None = None
    best_paise: int = 0  # the most favourable price seen since the stop stands; trailing counts from it
    cancelled: bool = False
    left: str | None = None  # the leg that left at once, without a trigger

    @property
    def buys(self) -> bool:
        return self.entry.transaction is Transaction.BUY


class SuperOrders:
    """The face's own state: what the exchange does not know of super orders."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._held: dict[str, SuperOrder] = {}

    def place(self, account: str, entry: NewOrder, *, target: int, stop: int, trail: int) -> SandboxOrder:
        """Raises Refusal, or DhanProblem where target and stop are on the wrong sides of the price."""
        _check(entry, target=target, stop=stop)
        order = self._exchange.place(account, entry)
        self._held[order.order_id] = SuperOrder(account, order.order_id, entry, target, stop, trail)
        self.look(order.order_id)
        return order

    def get(self, account: str, order_id: str) -> SuperOrder:
        """Raises DhanProblem."""
        held = self._held.get(order_id)
        if held is None or held.account != account:
            raise DhanProblem("DH-906", f"no super order {order_id[:30]!r}")
        return held

    def of(self, account: str) -> list[SuperOrder]:
        """Of the day, in placement order, looked after first."""
        today = {order.order_id for order in self._exchange.orders(account)}
        for held in [each for each in self._held.values() if each.account == account]:
            if held.entry_id in today:
                self.look(held.entry_id)
            else:
                self._end_of_day(held)
        return [held for held in self._held.values() if held.account == account]

    def trigger(self, held: SuperOrder) -> StandingTrigger | None:
        """The legs that stand or stood."""
        triggers = self._exchange.triggers(held.account) if held.trigger_id else ()
        return next((each for each in triggers if each.trigger_id == held.trigger_id), None)

    def look(self, order_id: str) -> bool:
        """Does what is due: sets the legs up after the fill, trails the stop. False when nothing is left to do."""
        held = self._held.get(order_id)
        if held is None:
            return False
        try:
            order = self._exchange.order(held.account, order_id)
        except Refusal:  # it is another day
            self._end_of_day(held)
            return False
        if held.trigger_id is None:
            if held.cancelled or order.status not in FINAL:
                return not held.cancelled
            if order.filled_quantity == 0:
                return False
            if held.left is None:
                self._protect(held, order.filled_quantity)
            return held.trigger_id is not None
        trigger = self.trigger(held)
        if trigger is None or trigger.status is not TriggerStatus.ACTIVE:
            return False
        self._trail(held, trigger)
        return True

    def change_entry(self, held: SuperOrder, change: ChangedOrder, *, target: int, stop: int, trail: int) -> None:
        """The whole order before its fill. Raises Refusal."""
        price = change.price_paise or held.entry.price_paise
        _check(replace(held.entry, price_paise=price), target=target, stop=stop)
        self._exchange.modify(held.account, held.entry_id, change)
        held.target_paise, held.stop_paise, held.trail_paise = target, stop, trail

    def change_leg(self, held: SuperOrder, *, target: int | None = None, stop: int | None = None,
                   trail: int | None = None) -> None:  # fmt: skip
        """Another target, or another stop. Raises Refusal."""
        held.target_paise = held.target_paise if target is None else target
        held.stop_paise = held.stop_paise if stop is None else stop
        held.trail_paise = held.trail_paise if trail is None else trail
        self._stand(held)

    def cancel(self, held: SuperOrder, leg: str) -> None:
        """The entry with everything that hangs on it, or one leg for good. Raises Refusal."""
        if leg == ENTRY:
            order = self._exchange.order(held.account, held.entry_id)
            if order.status not in FINAL:
                self._exchange.cancel(held.account, held.entry_id)
            elif held.trigger_id is None:
                raise DhanProblem("DH-906", "the super order has ended")
            held.cancelled, held.target_paise, held.stop_paise = True, 0, 0
        elif leg == TARGET:
            held.target_paise = 0
        else:
            held.stop_paise = 0
        self._stand(held)

    def status(self, held: SuperOrder) -> str:
        """Of the whole: the entry's word until it is filled, then CLOSED once a leg has left."""
        order = self._exchange.order(held.account, held.entry_id)
        trigger = self.trigger(held)
        if held.left or (trigger is not None and trigger.status is TriggerStatus.TRIGGERED):
            return "CLOSED"
        return "CANCELLED" if held.cancelled and order.filled_quantity == 0 else status_word(order)

    def _end_of_day(self, held: SuperOrder) -> None:
        """A super order lives for its day, and so do its legs."""
        trigger = self.trigger(held)
        if trigger is not None and trigger.status is TriggerStatus.ACTIVE:
            self._exchange.cancel_trigger(held.account, trigger.trigger_id)
        del self._held[held.entry_id]

    def _protect(self, held: SuperOrder, quantity: int) -> None:
        """Sets the legs up. One that the price has passed already leaves at once: it is the exit."""
        legs, price = self._legs(held, quantity), self._price(held)
        passed = next((leg for leg in legs if self._reached(held, leg, price)), None)
        if passed is not None:
            self._exchange.place(held.account, passed.order)
            held.left = passed.name
        elif legs:
            trigger = self._exchange.place_trigger(held.account, BrokerName.DHAN, held.entry.instrument, legs)
            held.trigger_id, held.best_paise = trigger.trigger_id, price

    @staticmethod
    def _reached(held: SuperOrder, leg: TriggerLeg, price: int) -> bool:
        falls = held.buys == (leg.name == LEG_NAME[STOP_LOSS])  # a long's stop and a short's target lie below
        return price <= leg.trigger_paise if falls else price >= leg.trigger_paise

    def _stand(self, held: SuperOrder) -> None:
        trigger = self.trigger(held)
        if trigger is None or trigger.status is not TriggerStatus.ACTIVE:
            return
        legs = self._legs(held, trigger.legs[0].order.quantity)
        if legs:
            self._exchange.modify_trigger(held.account, trigger.trigger_id, legs)
        else:
            self._exchange.cancel_trigger(held.account, trigger.trigger_id)

    def _legs(self, held: SuperOrder, quantity: int) -> list[TriggerLeg]:
        exit_side = Transaction.SELL if held.buys else Transaction.BUY
        out = replace(
            held.entry, transaction=exit_side, quantity=quantity, price_paise=0, trigger_paise=0,
            order_type=OrderType.MARKET, market_protection_pct=-1.0,
        )  # fmt: skip
        at_target = replace(
            out, order_type=OrderType.LIMIT, price_paise=held.target_paise, market_protection_pct=0.0
        )  # fmt: skip
        legs = [TriggerLeg(held.stop_paise, out, LEG_NAME[STOP_LOSS])] if held.stop_paise else []
        return legs + ([TriggerLeg(held.target_paise, at_target, LEG_NAME[TARGET])] if held.target_paise else [])

    def _trail(self, held: SuperOrder, trigger: StandingTrigger) -> None:
        if held.trail_paise == 0 or held.stop_paise == 0:
            return
        price = self._price(held)
        gain = price - held.best_paise if held.buys else held.best_paise - price
        jumps = gain // held.trail_paise
        if jumps > 0:
            move = jumps * held.trail_paise
            held.best_paise += move if held.buys else -move
            held.stop_paise += move if held.buys else -move
            self._stand(held)

    def _price(self, held: SuperOrder) -> int:
        return int(self._exchange.quotes["price_paise"][held.entry.instrument])


def _check(entry: NewOrder, *, target: int, stop: int) -> None:
    if target == 0 and stop == 0:
        raise DhanProblem("DH-905", "targetPrice or stopLossPrice is required")
    buys, price = entry.transaction is Transaction.BUY, entry.price_paise
    if price and target and (target <= price if buys else target >= price):
        raise DhanProblem("DH-905", "targetPrice is on the wrong side of price")
    if price and stop and (stop >= price if buys else stop <= price):
        raise DhanProblem("DH-905", "stopLossPrice is on the wrong side of price")
