"""How many units a trade may take (SPEC 9). Integers throughout; fractions in the limits are cut to millionths.

    risk_per_trade_pct   capital x pct / |price - stop|            what sizing asks for
    max_leverage         capital x leverage / price                of this position alone
    max_exposure_pct     capital x leverage x share, less what is already open
    capital_per_ticker   budget x leverage / price                 where a budget is given
    max_lots_per_trade   lots x lot size
    freeze_quantity      what the exchange takes in one order of the contract

The smallest decides, rounded down to whole lots; on a tie the earlier in the table is named.

Invariants, property-tested: the quantity exceeds no limit, is a whole number of lots, is 0 below one lot, and does
not fall when the capital grows.
"""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import round_down_to_lot

_MILLIONTHS = 1_000_000


@dataclass(frozen=True, slots=True)
class Sized:
    """`quantity` in units, 0 for no trade; `rule` the limit that decided; `requested` what the risk alone allowed."""

    quantity: int
    rule: str
    requested: int

    @property
    def reduced(self) -> bool:
        """Whether a limit cut what the risk per trade asked for."""
        return self.quantity < self.requested


def millionths(value: float | Decimal) -> int:
    """A fraction as whole millionths, cut downwards, by its decimal spelling (0.1 is 100,000)."""
    return int((Decimal(str(value)) * _MILLIONTHS).to_integral_value(rounding=ROUND_FLOOR))


def position_size(
    *,
    capital_paise: int,
    price_paise: int,
    stop_paise: int,
    lot_size: int,
    risk_per_trade_pct: float,
    max_leverage: float,
    max_exposure_pct: float,
    open_exposure_paise: int = 0,
    capital_per_ticker_paise: int | None = None,
    max_lots_per_trade: int | None = None,
    freeze_quantity: int | None = None,
) -> Sized:
    """The size of a new position. `max_exposure_pct` is a share (0.8), `risk_per_trade_pct` a percentage (1.0).

    A stop at the price gives 0 by the rule "stop_distance". Raises InvalidInput for a price, stop or lot that is not
    positive and for a negative limit.
    """
    if min(price_paise, stop_paise, lot_size) <= 0:
        raise InvalidInput(f"sizing: price {price_paise}, stop {stop_paise} and lot {lot_size} must be positive")
    if min(risk_per_trade_pct, max_leverage, max_exposure_pct) < 0 or open_exposure_paise < 0:
        raise InvalidInput("sizing: limits and the open exposure must not be negative")
    risk_per_unit_paise = abs(price_paise - stop_paise)
    if risk_per_unit_paise == 0:
        return Sized(0, "stop_distance", 0)
    capital_paise = max(0, capital_paise)
    leverage, share = millionths(max_leverage), millionths(max_exposure_pct)
    by_risk = capital_paise * millionths(risk_per_trade_pct) // (100 * _MILLIONTHS * risk_per_unit_paise)
    exposure_paise = capital_paise * leverage * share // _MILLIONTHS**2 - open_exposure_paise
    limits = {
        "risk_per_trade_pct": by_risk,
        "max_leverage": _leveraged(capital_paise, leverage, price_paise),
        "max_exposure_pct": max(0, exposure_paise) // price_paise,
    }
    if capital_per_ticker_paise is not None:
        limits["capital_per_ticker"] = _leveraged(max(0, capital_per_ticker_paise), leverage, price_paise)
    if max_lots_per_trade is not None:
        limits["max_lots_per_trade"] = max_lots_per_trade * lot_size
    if freeze_quantity is not None:
        limits["freeze_quantity"] = freeze_quantity
    rule = min(limits, key=lambda name: limits[name])
    return Sized(round_down_to_lot(limits[rule], lot_size), rule, round_down_to_lot(by_risk, lot_size))


def _leveraged(capital_paise: int, leverage: int, price_paise: int) -> int:
    return capital_paise * leverage // (_MILLIONTHS * price_paise)
