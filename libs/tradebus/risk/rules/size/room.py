"""What a rule of size looks at, and what it answers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tradebus.kernel.money import format_rupees
from tradebus.risk.rules.ask import EntryProposal
from tradebus.risk.rules.scopes import RiskScope
from tradebus.risk.state import RiskHolding


@dataclass(frozen=True, slots=True)
class SizeProposal:
    """One contract, or a unit of a group of legs, before its size is known. Money in paise, per unit; a step is the
    least that can be added: a lot of the contract, one unit of a group."""

    ask: EntryProposal
    capital_paise: int  # the session's, or its equity
    price_paise: int
    risk_paise: int
    atr_paise: int  # the daily range; 0 where the mode of sizing does not ask
    margin_paise: int
    step: int
    lots_per_step: int  # of the leg that has the most
    freeze_quantity: int | None

    def held(self, scope: RiskScope) -> Sequence[RiskHolding]:
        """What the scope has beside this: the other legs of the group are in its price already."""
        group_id = self.ask.signal.group_id
        return [one for one in scope.live if group_id is None or one.group_id != group_id]

    def exposure_paise(self, scope: RiskScope) -> int:
        return sum(holding.exposure_paise for holding in self.held(scope))


@dataclass(frozen=True, slots=True)
class Room:
    """What a limit leaves: paise and what a unit takes of them, or units. `scope` is "" for the session."""

    left: int
    each: int = 1
    is_money: bool = False
    scope: str = ""

    @property
    def units(self) -> int:
        return max(0, self.left) // self.each

    def said(self, rule: str, *, step: int) -> str:
        """The room in words, and what one step would need."""
        whose = f"{rule} of {self.scope}" if self.scope else rule
        if self.is_money:
            left, least = max(0, self.left), step * self.each
            lacking = f": {format_rupees(least - self.left)} more" if left < least else ""
            return f"{whose} leaves {format_rupees(left)}, {step} take {format_rupees(least)}{lacking}"
        return f"{whose} leaves {self.units}, the least is {step}"


SizeRule = Callable[[SizeProposal], Iterator[Room]]
