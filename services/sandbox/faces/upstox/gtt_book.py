"""Standing orders (GTT) as Upstox means them, over the exchange's one- and two-legged triggers.

    SINGLE     ENTRY ─► order
    MULTIPLE   ENTRY ─► order ─ filled ─► TARGET and STOPLOSS, whichever is reached first cancels the other

ENTRY IMMEDIATE is an order at once. An entry and a target are limit orders at their trigger price; a stop loss, and a
rule with `market_protection`, is a market order with protection. The book moves on when it is looked at and with
every update of the account's orders.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from services.sandbox.ports import (
    FINAL,
    BrokerName,
    Exchange,
    NewOrder,
    Refusal,
    SandboxStatus,
    StandingTrigger,
    TriggerLeg,
    TriggerStatus,
    Why,
)
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.time import NANOSECONDS_PER_DAY

_LIVES_NS = 365 * NANOSECONDS_PER_DAY
ENTRY, TARGET, STOPLOSS = "ENTRY", "TARGET", "STOPLOSS"
IMMEDIATE = "IMMEDIATE"


class RuleStatus(StrEnum):
    """Where a rule stands, in Upstox's words."""

    PENDING = "PENDING"  # waits for the entry
    SCHEDULED = "SCHEDULED"  # waits for its price
    OPEN = "OPEN"  # its order is in the market
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


_ENDED = frozenset({RuleStatus.COMPLETED, RuleStatus.CANCELLED, RuleStatus.FAILED, RuleStatus.EXPIRED})


@dataclass(slots=True)
class GttRule:
    """One rule; `status`, `order_id` and `message` change."""

    strategy: str
    trigger_type: str
    trigger_paise: int
    transaction: Transaction
    trailing_gap_paise: int | None = None
    protection: float | None = None
    status: RuleStatus = RuleStatus.PENDING
    order_id: str | None = None
    message: str = ""


@dataclass(slots=True)
class Gtt:
    """One standing order with its rules, the entry first."""

    gtt_id: str
    account: str
    instrument: int
    quantity: int
    rules: list[GttRule]
    order: NewOrder  # what its orders are made of
    kind: str
    created_ns: int
    entry_trigger: str | None = None
    exit_trigger: str | None = None
    told: tuple[object, ...] = field(default=())

    @property
    def entry(self) -> GttRule:
        return self.rules[0]

    @property
    def exits(self) -> list[GttRule]:
        return self.rules[1:]

    @property
    def ended(self) -> bool:
        return all(rule.status in _ENDED for rule in self.rules)

    @property
    def expires_ns(self) -> int:
        return self.created_ns + _LIVES_NS


class GttBook:
    """All accounts' standing orders. `on_change` hears of every one that changed."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._gtts: dict[str, Gtt] = {}
        self._by_account: dict[str, list[Gtt]] = {}
        self.on_change: list[Callable[[Gtt], None]] = []

    def place(self, *, account: str, kind: str, order: NewOrder, rules: list[GttRule]) -> Gtt:
        """Raises Refusal where the exchange refuses the entry."""
        now_ns = self._exchange.now_ns
        gtt = Gtt(
            f"GTT-{len(self._gtts) + 1:08d}", account, order.instrument, order.quantity, rules, order, kind, now_ns
        )  # fmt: skip
        self._start(gtt)
        self._gtts[gtt.gtt_id] = gtt
        self._by_account.setdefault(account, []).append(gtt)
        self.advance(account)
        return gtt

    def get(self, account: str, gtt_id: str) -> Gtt:
        """Raises Refusal UNKNOWN_ORDER."""
        found = self._gtts.get(gtt_id)
        if found is None or found.account != account:
            raise Refusal(Why.UNKNOWN_ORDER, "GTT order not found")
        self.advance(account)
        return found

    def all_of(self, account: str) -> list[Gtt]:
        self.advance(account)
        return list(self._by_account.get(account, ()))

    def active(self, account: str) -> bool:
        return any(not gtt.ended for gtt in self._by_account.get(account, ()))

    def modify(self, gtt: Gtt, *, quantity: int, rules: list[GttRule]) -> None:
        """New prices and quantity for what has not been triggered yet. Raises Refusal where that is nothing."""
        if gtt.entry.status is RuleStatus.SCHEDULED and gtt.entry_trigger is not None:
            gtt.quantity, gtt.rules = quantity, rules
            gtt.entry.status = RuleStatus.SCHEDULED
            self._exchange.modify_trigger(gtt.account, gtt.entry_trigger, [self._leg(gtt, gtt.entry)])
        elif gtt.exit_trigger is not None and any(rule.status is RuleStatus.SCHEDULED for rule in gtt.exits):
            gtt.rules = [gtt.entry, *rules[1:]]
            for rule in gtt.exits:
                rule.status = RuleStatus.SCHEDULED
            legs = [self._leg(gtt, rule) for rule in gtt.exits]
            self._exchange.modify_trigger(gtt.account, gtt.exit_trigger, legs)
        else:
            raise Refusal(Why.ORDER_ENDED, "the GTT order is no longer waiting for its price")
        self.advance(gtt.account)

    def cancel(self, gtt: Gtt) -> None:
        """Cancels what waits for its price; orders already in the market stay. Raises Refusal where nothing waits."""
        waiting = [rule for rule in gtt.rules if rule.status in (RuleStatus.PENDING, RuleStatus.SCHEDULED)]
        if not waiting:
            raise Refusal(Why.ORDER_ENDED, "the GTT order is no longer waiting for its price")
        for trigger_id in (gtt.entry_trigger, gtt.exit_trigger):
            trigger = self._trigger(gtt, trigger_id)
            if trigger is not None and trigger.status is TriggerStatus.ACTIVE:
                self._exchange.cancel_trigger(gtt.account, trigger.trigger_id)
        for rule in waiting:
            rule.status = RuleStatus.CANCELLED
        self._tell(gtt)

    def advance(self, account: str) -> None:
        """Brings every standing order of the account to where the exchange is."""
        for gtt in self._by_account.get(account, ()):
            if not gtt.ended:
                self._follow(gtt)
                self._tell(gtt)

    def _start(self, gtt: Gtt) -> None:
        entry = gtt.entry
        if entry.trigger_type == IMMEDIATE:
            entry.order_id = self._exchange.place(gtt.account, self._leg(gtt, entry).order).order_id
            entry.status = RuleStatus.OPEN
            return
        trigger = self._exchange.place_trigger(
            gtt.account, BrokerName.UPSTOX, gtt.instrument, [self._leg(gtt, entry)]
        )  # fmt: skip
        gtt.entry_trigger, entry.status = trigger.trigger_id, RuleStatus.SCHEDULED

    def _follow(self, gtt: Gtt) -> None:
        self._follow_trigger(gtt, gtt.entry_trigger, [gtt.entry])
        self._follow_order(gtt, gtt.entry)
        if gtt.entry.status is RuleStatus.COMPLETED and gtt.exit_trigger is None and gtt.exits:
            self._arm(gtt)
        elif gtt.entry.status in (RuleStatus.FAILED, RuleStatus.CANCELLED, RuleStatus.EXPIRED):
            for rule in gtt.exits:
                rule.status = RuleStatus.CANCELLED
        self._follow_trigger(gtt, gtt.exit_trigger, gtt.exits)
        for rule in gtt.exits:
            self._follow_order(gtt, rule)

    def _arm(self, gtt: Gtt) -> None:
        """The entry is filled: its exits begin to wait."""
        if any(rule.status is not RuleStatus.PENDING for rule in gtt.exits):
            return
        try:
            trigger = self._exchange.place_trigger(
                gtt.account, BrokerName.UPSTOX, gtt.instrument, [self._leg(gtt, rule) for rule in gtt.exits]
            )  # fmt: skip
        except Refusal as refusal:
            for rule in gtt.exits:
                rule.status, rule.message = RuleStatus.FAILED, refusal.text
            return
        gtt.exit_trigger = trigger.trigger_id
        for rule in gtt.exits:
            rule.status = RuleStatus.SCHEDULED

    def _follow_trigger(self, gtt: Gtt, trigger_id: str | None, rules: list[GttRule]) -> None:
        trigger = self._trigger(gtt, trigger_id)
        if trigger is None or trigger.status is TriggerStatus.ACTIVE:
            return
        for number, rule in enumerate(rules):
            if rule.status is not RuleStatus.SCHEDULED:
                continue
            fired = trigger.triggered_leg in (number, None)
            if trigger.status is TriggerStatus.TRIGGERED and fired:
                rule.status, rule.order_id = RuleStatus.OPEN, trigger.order_id
            elif trigger.status is TriggerStatus.REJECTED and fired:
                rule.status, rule.order_id = RuleStatus.FAILED, trigger.order_id
            elif trigger.status is TriggerStatus.EXPIRED:
                rule.status = RuleStatus.EXPIRED
            else:
                rule.status = RuleStatus.CANCELLED

    def _follow_order(self, gtt: Gtt, rule: GttRule) -> None:
        if rule.status is not RuleStatus.OPEN or rule.order_id is None:
            return
        order = self._exchange.order(gtt.account, rule.order_id)
        if order.status not in FINAL:
            return
        ended = {SandboxStatus.COMPLETE: RuleStatus.COMPLETED, SandboxStatus.CANCELLED: RuleStatus.CANCELLED}
        rule.status, rule.message = ended.get(order.status, RuleStatus.FAILED), order.reason

    def _trigger(self, gtt: Gtt, trigger_id: str | None) -> StandingTrigger | None:
        if trigger_id is None:
            return None
        triggers = self._exchange.triggers(gtt.account)
        return next((trigger for trigger in triggers if trigger.trigger_id == trigger_id), None)

    def _leg(self, gtt: Gtt, rule: GttRule) -> TriggerLeg:
        at_market = rule.protection is not None or (rule.strategy == STOPLOSS)
        order = NewOrder(
            instrument=gtt.instrument, transaction=rule.transaction, product=gtt.order.product, quantity=gtt.quantity,
            order_type=OrderType.MARKET if at_market else OrderType.LIMIT,
            price_paise=0 if at_market else rule.trigger_paise,
            market_protection_pct=(-1.0 if rule.protection is None else rule.protection) if at_market else 0.0,
            tag=gtt.gtt_id, source=BrokerName.UPSTOX,
        )  # fmt: skip
        return TriggerLeg(rule.trigger_paise, order, rule.strategy)

    def _tell(self, gtt: Gtt) -> None:
        """Once per change."""
        now = tuple((rule.status, rule.order_id, rule.trigger_paise) for rule in gtt.rules)
        if now != gtt.told:
            gtt.told = now
            for listener in self.on_change:
                listener(gtt)
