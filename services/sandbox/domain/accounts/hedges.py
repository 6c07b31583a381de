"""What bought options take off the margin of sold ones.

    legs of one underlying, expiry and product ─► the most their strikes can lose + exposure of what is sold
                                               ─► taken off: what the sold ones need alone, beyond that

Invariants (property-tested): never below 0, nothing where the loss has no end, no more than the sold legs need.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from services.sandbox.ports import SandboxInstrument
from tradebus.contracts.instrument_key import Right
from tradebus.trading.orders import Product


@dataclass(frozen=True, slots=True)
class HedgedSet:
    """What hedges what: options of one underlying that end on one day, held under one product."""

    underlying: str
    expiry: date
    product: Product


@dataclass(frozen=True, slots=True)
class OptionLeg:
    """Units held and sold of one option; `sold_paise` is what the sold ones need alone, and `exposure_paise` what each
    needs whatever hedges it."""

    strike_paise: int
    right: Right
    bought: int
    sold: int
    sold_paise: int
    exposure_paise: int

    def due_paise(self, at_paise: int) -> int:
        away = at_paise - self.strike_paise
        return (self.bought - self.sold) * max(0, away if self.right is Right.CALL else -away)


def hedged_set_of(instrument: SandboxInstrument, product: Product) -> HedgedSet | None:
    key = instrument.key
    if not key.is_option or key.expiry is None:
        return None
    return HedgedSet(key.name, key.expiry, product)


def hedge_benefit_paise(legs: Iterable[OptionLeg]) -> int:
    """Of one set."""
    held = list(legs)
    alone_paise = sum(one.sold_paise for one in held)
    calls = sum(one.bought - one.sold for one in held if one.right is Right.CALL)
    if not alone_paise or calls < 0 or not any(one.bought for one in held):
        return 0
    lost_paise = max(
        -sum(one.due_paise(at_paise) for one in held) for at_paise in (0, *(one.strike_paise for one in held))
    )
    return max(0, alone_paise - max(0, lost_paise) - sum(one.sold * one.exposure_paise for one in held))
