"""What a position needs of margin, estimated: percentages in the place of the exchange's SPAN and exposure margins.

    share, intraday    a share of its value
    future             a share of its value, less of an index than of a stock
    option bought      its premium
    option sold        that share of the underlying's value (of the strike, where the underlying's price is not known)

An estimate for paper and for before an order leaves: a broker's own figure decides in the end.
It knows one kind of hedge:

    legs, all options of one underlying and expiry, whose loss has an end
        ─► premiums bought + the most that their strikes can lose + a share of the underlying for each unit sold

The share stands for the exposure margin, which no hedge takes away, and for what expiry day adds to it; what is got for
options sold is counted nowhere. Everything else is counted leg by leg, and so never too low.

Invariants, property-tested: never negative, does not fall with the price, and a bought option needs its premium; legs
together need no more than each alone, and where that is less, no less than they can lose.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tradebus.calendar import Contract, Market, market_of
from tradebus.contracts.instrument_key import Right
from tradebus.contracts.signals import Side

_SHARE_PCT, _INDEX_PCT, _STOCK_PCT = 20, 15, 25
_INDEX_SOLD_PCT, _STOCK_SOLD_PCT = 4, 6


@dataclass(frozen=True, slots=True)
class MarginLeg:
    """A leg as a unit of its group has it: so many units of the contract at a price in paise."""

    contract: Contract
    side: Side
    quantity: int
    price_paise: int


def margin_paise(
    contract: Contract, side: Side, *, price_paise: int, underlying_paise: int | None = None
) -> int:  # fmt: skip
    """Per unit, rounded up."""
    if contract.kind == "EQUITY":
        return _percent(price_paise, _SHARE_PCT)
    share = _INDEX_PCT if market_of(contract.underlying) is Market.INDEX else _STOCK_PCT
    if not contract.is_option:
        return _percent(price_paise, share)
    if side is Side.LONG:
        return price_paise
    return _percent(underlying_paise or contract.strike_paise or price_paise, share)


def legs_margin_paise(legs: Sequence[MarginLeg], *, underlying_paise: int | None) -> list[int]:
    """Per unit of each leg as long as all are held; of one that is bought what it needs alone. Rounded up."""
    alone = [
        margin_paise(one.contract, one.side, price_paise=one.price_paise, underlying_paise=underlying_paise)
        for one in legs
    ]
    lost_paise = _most_lost_paise(legs)
    if lost_paise is None:
        return alone
    sold = [(one, paise) for one, paise in zip(legs, alone, strict=True) if one.side is Side.SHORT]
    together = lost_paise + sum(one.quantity * _exposure_paise(one.contract, underlying_paise) for one, _ in sold)
    each = sum(one.quantity * paise for one, paise in sold)
    return [
        min(paise, -(-paise * together // each)) if one.side is Side.SHORT else paise
        for one, paise in zip(legs, alone, strict=True)
    ]


def _most_lost_paise(legs: Sequence[MarginLeg]) -> int | None:
    """By what is due at expiry alone, premiums left out. None where nothing is sold, nothing hedges it, or it has no
    end. It bends at strikes only: between two of them no more is lost than at one."""
    listed = [one.contract for one in legs]
    one_expiry = len({(one.underlying, one.expiry) for one in listed}) == 1 and listed[0].expiry is not None
    if not one_expiry or {one.side for one in legs} != set(Side):
        return None
    if not all(one.is_option and one.right is not None and one.strike_paise is not None for one in listed):
        return None
    if sum(one.side.sign * one.quantity for one in legs if one.contract.right is Right.CALL) < 0:
        return None
    return max(-_due_paise(legs, at_paise) for at_paise in (0, *(one.strike_paise or 0 for one in listed)))


def _due_paise(legs: Sequence[MarginLeg], at_paise: int) -> int:
    """What expiry at that price brings."""
    total = 0
    for one in legs:
        away = at_paise - (one.contract.strike_paise or 0)
        total += one.side.sign * one.quantity * max(0, away if one.contract.right is Right.CALL else -away)
    return total


def _exposure_paise(contract: Contract, underlying_paise: int | None) -> int:
    share = _INDEX_SOLD_PCT if market_of(contract.underlying) is Market.INDEX else _STOCK_SOLD_PCT
    return _percent(underlying_paise or contract.strike_paise or 0, share)


def _percent(paise: int, percent: int) -> int:
    return -(-paise * percent // 100)
