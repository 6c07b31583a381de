"""How good a trade was, in multiples of the risk it took (SPEC 11).

    risk       |entry - initial stop| x quantity, at the average entry; None where the fill was at or beyond the stop
    R          realised P&L after charges / risk
    MAE in R   worst excursion against the position since entry / risk, never negative
    MFE in R   best excursion in favour / risk, never negative
    % of MFE   realised P&L after charges / best excursion in money; None where there was none
    IS         planned less realised P&L: in percent of the risk, and in bps of the planned entry value

Planned P&L is what the decision's prices would have given without charges: the expected entry and, where one is
given, the expected exit. Invariants, property-tested: long and short are mirror images; scaling the quantity changes
nothing; where the risk is zero every figure in R is None.
"""

from dataclasses import dataclass

from tradebus.contracts.signals import Side
from tradebus.kernel.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class TradeMetrics:
    """Realised P&L and risk in paise, the rest as named; None where it is not defined."""

    realised_paise: int
    risk_paise: int | None
    r_multiple: float | None
    mae_r: float | None
    mfe_r: float | None
    mfe_captured_pct: float | None
    implementation_shortfall_pct: float | None
    implementation_shortfall_bps: float


def r_metrics(
    *,
    side: Side,
    quantity: int,
    entry_value_paise: int,
    exit_value_paise: int,
    charges_paise: int,
    initial_stop_paise: int,
    highest_paise: int | None,
    lowest_paise: int | None,
    expected_entry_paise: int,
    expected_exit_paise: int | None = None,
) -> TradeMetrics:
    """The figures of a closed trade of `quantity` units; extremes are those since the entry, None where none was seen.

    Raises InvalidInput for a quantity or an expected entry that is not positive.
    """
    if quantity <= 0 or expected_entry_paise <= 0:
        raise InvalidInput(f"metrics: quantity {quantity} and expected entry {expected_entry_paise} must be positive")
    sign = side.sign
    realised = sign * (exit_value_paise - entry_value_paise) - charges_paise
    risk = sign * (entry_value_paise - initial_stop_paise * quantity)
    best, worst = (highest_paise, lowest_paise) if side is Side.LONG else (lowest_paise, highest_paise)
    favourable = 0 if best is None else max(0, sign * (best * quantity - entry_value_paise))
    adverse = 0 if worst is None else max(0, sign * (entry_value_paise - worst * quantity))
    planned_exit = exit_value_paise if expected_exit_paise is None else expected_exit_paise * quantity
    shortfall = sign * (planned_exit - expected_entry_paise * quantity) - realised
    known = risk > 0
    return TradeMetrics(
        realised_paise=realised,
        risk_paise=risk if known else None,
        r_multiple=realised / risk if known else None,
        mae_r=adverse / risk if known else None,
        mfe_r=favourable / risk if known else None,
        mfe_captured_pct=100 * realised / favourable if favourable else None,
        implementation_shortfall_pct=100 * shortfall / risk if known else None,
        implementation_shortfall_bps=10_000 * shortfall / (expected_entry_paise * quantity),
    )
