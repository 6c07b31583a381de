"""Standing triggers: orders that wait outside the book, over days, for a price (GTT, forever orders).

A leg fires when the last price comes to its trigger from the side it was on when the trigger was set. The first leg
that fires cancels the other.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np

from services.sandbox.domain.instruments.shape import Ints
from services.sandbox.domain.orders.book import NEVER_ABOVE, NEVER_BELOW
from services.sandbox.domain.orders.rules import check_values
from services.sandbox.ports import (
    BrokerName,
    NewOrder,
    Refusal,
    SandboxInstrument,
    SandboxOrder,
    SandboxStatus,
    StandingTrigger,
    TriggerLeg,
    TriggerStatus,
    Why,
)
from tradebus.kernel.time import ist_date, ist_midnight_ns

_LIFE = timedelta(days=365)


class Triggers:
    """All accounts' standing triggers and the prices at which they fire."""

    def __init__(
        self,
        instruments: Sequence[SandboxInstrument],
        *,
        now: Callable[[], int],
        last_paise: Callable[[int], int],
        place: Callable[[str, NewOrder], SandboxOrder],
    ) -> None:
        self._instruments, self._now, self._last, self._place = instruments, now, last_paise, place
        self._triggers: dict[str, dict[str, StandingTrigger]] = {}
        self._on: dict[int, list[str]] = {}  # instrument -> ids of the active ones
        self._owner: dict[str, str] = {}
        self._up: Ints = np.full(len(instruments), NEVER_ABOVE, np.int64)
        self._down: Ints = np.full(len(instruments), NEVER_BELOW, np.int64)

    def place(self, account: str, source: BrokerName, instrument: int, legs: Sequence[TriggerLeg]) -> StandingTrigger:
        """Raises Refusal."""
        last = self._check(instrument, legs)
        trigger_id, now_ns = str(100_000_001 + len(self._owner)), self._now()
        trigger = StandingTrigger(
            trigger_id, account, source, instrument, tuple(legs), last, TriggerStatus.ACTIVE, now_ns, now_ns
        )
        self._owner[trigger_id] = account
        self._triggers.setdefault(account, {})[trigger_id] = trigger
        self._on.setdefault(instrument, []).append(trigger_id)
        self._watch(instrument)
        return trigger

    def modify(self, account: str, trigger_id: str, legs: Sequence[TriggerLeg]) -> StandingTrigger:
        """Raises Refusal."""
        trigger = self._active(account, trigger_id)
        last = self._check(trigger.instrument, legs)
        return self._store(replace(trigger, legs=tuple(legs), reference_paise=last, updated_ns=self._now()))

    def cancel(self, account: str, trigger_id: str) -> StandingTrigger:
        """Raises Refusal."""
        return self._end(self._active(account, trigger_id), TriggerStatus.CANCELLED)

    def of(self, account: str) -> tuple[StandingTrigger, ...]:
        """Every trigger of the account, ended ones too."""
        return tuple(self._triggers.get(account, {}).values())

    def on_quotes(self, which: Ints, last: Ints) -> None:
        """Fires what the last prices have reached."""
        found = (last >= self._up[which]) | (last <= self._down[which])
        for instrument in which[found].tolist():
            for trigger_id in list(self._on.get(instrument, ())):
                self._look(self._triggers[self._owner[trigger_id]][trigger_id])

    def expire(self) -> None:
        """In the night: ends those older than a year and those of instruments that have expired."""
        now_ns = self._now()
        for triggers in self._triggers.values():
            for trigger in list(triggers.values()):
                expiry = self._instruments[trigger.instrument].key.expiry
                gone = expiry is not None and expiry < ist_date(now_ns)
                old = ist_date(trigger.created_ns) + _LIFE < ist_date(ist_midnight_ns(now_ns))
                if trigger.status is TriggerStatus.ACTIVE and (gone or old):
                    self._end(trigger, TriggerStatus.EXPIRED)

    def _look(self, trigger: StandingTrigger) -> None:
        last = self._last(trigger.instrument)
        for number, leg in enumerate(trigger.legs):
            up = leg.trigger_paise >= trigger.reference_paise
            if (last >= leg.trigger_paise) if up else (last <= leg.trigger_paise):
                self._fire(trigger, number)
                return

    def _fire(self, trigger: StandingTrigger, number: int) -> None:
        fired = replace(trigger, triggered_leg=number)
        try:
            order = self._place(trigger.account, trigger.legs[number].order)
        except Refusal:
            self._end(fired, TriggerStatus.REJECTED)
            return
        rejected = order.status is SandboxStatus.REJECTED
        status = TriggerStatus.REJECTED if rejected else TriggerStatus.TRIGGERED
        self._end(replace(fired, order_id=order.order_id), status)

    def _end(self, trigger: StandingTrigger, status: TriggerStatus) -> StandingTrigger:
        self._on[trigger.instrument].remove(trigger.trigger_id)
        return self._store(replace(trigger, status=status, updated_ns=self._now()))

    def _store(self, trigger: StandingTrigger) -> StandingTrigger:
        self._triggers[trigger.account][trigger.trigger_id] = trigger
        self._watch(trigger.instrument)
        return trigger

    def _watch(self, instrument: int) -> None:
        up, down = NEVER_ABOVE, NEVER_BELOW
        for trigger_id in self._on.get(instrument, ()):
            trigger = self._triggers[self._owner[trigger_id]][trigger_id]
            for leg in trigger.legs:
                if leg.trigger_paise >= trigger.reference_paise:
                    up = min(up, leg.trigger_paise)
                else:
                    down = max(down, leg.trigger_paise)
        self._up[instrument], self._down[instrument] = up, down

    def _active(self, account: str, trigger_id: str) -> StandingTrigger:
        trigger = self._triggers.get(account, {}).get(trigger_id)
        if trigger is None:
            raise Refusal(Why.UNKNOWN_ORDER, f"there is no trigger {trigger_id!r}")
        if trigger.status is not TriggerStatus.ACTIVE:
            raise Refusal(Why.ORDER_ENDED, f"trigger {trigger_id} has ended: {trigger.status.value}")
        return trigger

    def _check(self, instrument: int, legs: Sequence[TriggerLeg]) -> int:
        """The last price the triggers are measured from."""
        if not 0 <= instrument < len(self._instruments):
            raise Refusal(Why.UNKNOWN_INSTRUMENT, f"there is no instrument {instrument}")
        if not 1 <= len(legs) <= 3:
            raise Refusal(Why.BAD_VALUE, f"a trigger has one leg or two, not {len(legs)}")
        last = self._last(instrument)
        for leg in legs:
            tick = self._instruments[instrument].tick_size_paise
            if leg.trigger_paise <= 0 or leg.trigger_paise % tick:
                text = f"trigger {leg.trigger_paise / 100:.2f} is not a positive multiple of the tick {tick / 100:.2f}"
                raise Refusal(Why.TRIGGER_PRICE, text)
            if leg.order.instrument != instrument:
                raise Refusal(Why.BAD_VALUE, "a leg's order must be in the trigger's instrument")
            check_values(leg.order, self._instruments[instrument], self._now())
        if len(legs) == 2 and (legs[0].trigger_paise < last) == (legs[1].trigger_paise < last):
            raise Refusal(Why.TRIGGER_PRICE, "the two triggers must lie on both sides of the last price")
        return last
