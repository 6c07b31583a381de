"""The size: what the mode asks for, cut to the room that every limit leaves, in whole steps.

On a tie the earlier decides: the mode, then the rules in their order. Invariants, property-tested: the size exceeds no
limit, is a whole number of steps, is 0 below one, and is never above what was asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tradebus.kernel.money import round_down_to_lot
from tradebus.risk.rules.size.freeze_quantity import freeze_quantity
from tradebus.risk.rules.size.margin import margin, max_margin_paise
from tradebus.risk.rules.size.max_exposure_paise import max_exposure_paise
from tradebus.risk.rules.size.max_exposure_pct import max_exposure_pct
from tradebus.risk.rules.size.max_leverage import max_leverage
from tradebus.risk.rules.size.max_lots_per_trade import max_lots_per_trade
from tradebus.risk.rules.size.room import Room, SizeProposal, SizeRule
from tradebus.risk.rules.size.strategy_budget import strategy_budget
from tradebus.trading.size.sizing import SizeWish, units_wanted

SIZE_RULES: tuple[SizeRule, ...] = (
    max_leverage,
    max_exposure_pct,
    max_exposure_paise,
    strategy_budget,
    max_lots_per_trade,
    freeze_quantity,
    margin,
    max_margin_paise,
)


@dataclass(frozen=True, slots=True)
class Sized:
    """`quantity` in units, 0 for no trade; `rule` what decided, `why` says it in words; `requested` what the mode asked
    for, in whole steps."""

    quantity: int
    rule: str
    requested: int
    why: Callable[[], str] = str

    @property
    def reduced(self) -> bool:
        """Whether a limit cut what was asked for."""
        return self.quantity < self.requested


def fitted(size: SizeProposal) -> Sized:
    """The largest size that no limit is exceeded by."""
    wanted, asked = units_wanted(_wish(size)), SIZE_RULES
    rule, room = wanted.rule, Room(wanted.units)
    for size_rule in asked:
        for other in size_rule(size):
            if other.units < room.units:
                rule, room = size_rule.__name__, other
    requested = round_down_to_lot(wanted.units, size.step)
    quantity = round_down_to_lot(room.units, size.step)
    why = wanted.why if rule == wanted.rule else partial(room.said, rule, step=size.step)
    return Sized(quantity, rule, requested, why)


def _wish(size: SizeProposal) -> SizeWish:
    terms, signal = size.ask.situation.terms, size.ask.signal
    budget_paise = terms.strategy_budgets_paise.get(signal.strategy)
    return SizeWish(
        sizing=terms.sizing_of(signal.strategy, lots=signal.lots),
        capital_paise=size.capital_paise if budget_paise is None else min(budget_paise, size.capital_paise),
        price_paise=size.price_paise,
        risk_paise=size.risk_paise,
        atr_paise=size.atr_paise,
        step=size.step,
        lots_per_step=size.lots_per_step,
        risk_per_trade_pct=terms.risk_per_trade_pct(signal.strategy),
        max_leverage=terms.limits.max_leverage,
        confidence=signal.confidence,
    )
