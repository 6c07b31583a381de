"""How many units a trade is asked for (SPEC 9), before any limit. Integers throughout; fractions are cut to millionths.

    risk_per_trade       capital x risk_per_trade_pct / |price - stop|
    fixed_lots           lots x lot size
    fixed_rupees         amount / price
    capital_pct          capital x pct / price
    capital_per_ticker   amount x leverage / price
    atr                  capital x risk_per_trade_pct / (multiple x the daily range)

`by_score` takes the share of it that the signal's confidence is.

Invariants, property-tested: never more than the mode says, never negative, does not fall when the capital grows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import TypeVar, assert_never

from tradebus.contracts.sessions import Sizing, SizingMode
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import format_rupees

_MILLIONTHS = 1_000_000
T = TypeVar("T", int, float)


@dataclass(frozen=True, slots=True)
class SizeWish:
    """What a size is asked by. Money in paise, per unit; a step is a lot of the contract, or one unit of a group, whose
    largest leg has `lots_per_step` lots. `confidence` is in 0..1."""

    sizing: Sizing
    capital_paise: int
    price_paise: int
    risk_paise: int
    atr_paise: int  # the daily range; 0 where the mode does not ask
    step: int
    lots_per_step: int
    risk_per_trade_pct: float
    max_leverage: float
    confidence: float


@dataclass(frozen=True, slots=True)
class SizeWanted:
    """Units, not yet whole steps; the mode's name, and what says its figures to people: few sizes are explained."""

    rule: str
    units: int
    why: Callable[[], str]


@lru_cache(maxsize=1_024)  # of what somebody has configured
def millionths(value: float | Decimal) -> int:
    """A fraction as whole millionths, cut downwards, by its decimal spelling (0.1 is 100,000)."""
    return int((Decimal(str(value)) * _MILLIONTHS).to_integral_value(rounding=ROUND_FLOOR))


def leveraged_paise(capital_paise: int, leverage: float, share: float = 1.0) -> int:
    """The capital times the leverage, and of that a share; a capital that is lost gives 0. Rounded down."""
    return max(0, capital_paise) * millionths(leverage) * millionths(share) // _MILLIONTHS**2


def units_wanted(wish: SizeWish) -> SizeWanted:
    """Raises InvalidInput for a price, a risk or a lot that is not positive, and for a mode without its figure."""
    if min(wish.price_paise, wish.risk_paise, wish.step, wish.lots_per_step) <= 0:
        raise InvalidInput(f"sizing: price {wish.price_paise} and risk {wish.risk_paise} must be positive")
    wanted = _by_mode(wish)
    if not wish.sizing.by_score:
        return wanted
    units = wanted.units * millionths(min(1.0, max(0.0, wish.confidence))) // _MILLIONTHS
    return SizeWanted(wanted.rule, units, lambda: f"{wanted.why()}, by its confidence of {wish.confidence:g}")


def _by_mode(wish: SizeWish) -> SizeWanted:
    sizing, capital_paise = wish.sizing, max(0, wish.capital_paise)
    match sizing.mode:
        case SizingMode.RISK_PER_TRADE:
            return _bought(
                "risk_per_trade_pct", _risked_paise(wish), each_paise=wish.risk_paise, wish=wish, of_capital=True
            )
        case SizingMode.FIXED_LOTS:
            lots = _needed(sizing.lots, "lots", sizing)
            units = lots // wish.lots_per_step * wish.step
            return SizeWanted("fixed_lots", units, lambda: f"{lots} lots are asked for")
        case SizingMode.FIXED_RUPEES:
            paise = _needed(sizing.amount_paise, "amount", sizing)
            return _bought("fixed_rupees", paise, each_paise=wish.price_paise, wish=wish)
        case SizingMode.CAPITAL_PCT:
            share = millionths(_needed(sizing.capital_pct, "capital_pct", sizing))
            return _bought(
                "capital_pct", capital_paise * share // (100 * _MILLIONTHS), each_paise=wish.price_paise, wish=wish,
                of_capital=True,
            )  # fmt: skip
        case SizingMode.CAPITAL_PER_TICKER:
            paise = leveraged_paise(_needed(sizing.amount_paise, "amount", sizing), wish.max_leverage)
            return _bought("capital_per_ticker", paise, each_paise=wish.price_paise, wish=wish)
        case SizingMode.ATR:
            return _by_range(wish, millionths(_needed(sizing.atr_multiple, "atr_multiple", sizing)))
        case _ as never:
            assert_never(never)


def _risked_paise(wish: SizeWish) -> int:
    """What a trade may risk: one R."""
    return max(0, wish.capital_paise) * millionths(wish.risk_per_trade_pct) // (100 * _MILLIONTHS)


def _by_range(wish: SizeWish, multiple: int) -> SizeWanted:
    """`multiple` in millionths; what a unit moves is rounded up."""
    if wish.atr_paise <= 0:
        raise InvalidInput("sizing: mode atr needs the instrument's daily range")
    each_paise = -(-wish.atr_paise * multiple // _MILLIONTHS)
    return _bought("atr", _risked_paise(wish), each_paise=each_paise, wish=wish, of_capital=True)


def _bought(rule: str, paise: int, *, each_paise: int, wish: SizeWish, of_capital: bool = False) -> SizeWanted:
    """As many units as the amount pays for, which is a share of the capital where `of_capital`."""
    step, step_paise = wish.step, wish.step * each_paise

    def why() -> str:
        said = f"{rule} gives {format_rupees(paise)}, {step} take {format_rupees(step_paise)}"
        if paise >= step_paise:
            return said
        if not of_capital or paise <= 0:
            return f"{said}: {format_rupees(step_paise - paise)} more"
        # Rounded up twice over: what is said is enough.
        needed_paise = -(-wish.capital_paise * step_paise // paise)
        return (
            f"{said}: this needs {format_rupees(needed_paise)} of capital, there is {format_rupees(wish.capital_paise)}"
        )

    return SizeWanted(rule, paise // each_paise, why)


def _needed(value: T | None, name: str, sizing: Sizing) -> T:
    if value is None:
        raise InvalidInput(f"sizing: mode {sizing.mode} needs {name}")
    return value
