"""What a scope's holdings need of margin, by the estimates of when they were approved.

Invariant (property-tested): a leg that was sold counts as hedged only while each bought leg of its group is there in
the proportion that the group has them in; alone it counts in full.
"""

from collections.abc import Sequence

from tradebus.contracts.signals import Side
from tradebus.risk.state import RiskHolding


def held_margin_paise(live: Sequence[RiskHolding]) -> int:
    """Of all of them, counting what working entries may still fill."""
    return sum(_unit_paise(one, live) * one.rest_quantity for one in live if one.margin_unit_paise)


def _unit_paise(holding: RiskHolding, live: Sequence[RiskHolding]) -> int:
    sold = holding.leg
    if sold is None or not sold.hedges:
        return holding.margin_unit_paise
    hedging = sum(
        one.group_id == holding.group_id
        and one.side is Side.LONG
        and one.leg is not None
        and one.rest_quantity * sold.quantity_per_unit >= holding.rest_quantity * one.leg.quantity_per_unit
        for one in live
    )
    return sold.hedged_unit_paise if hedging >= sold.hedges else holding.margin_unit_paise
