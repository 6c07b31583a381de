"""What a position needs of margin, estimated: percentages in the place of the exchange's SPAN and exposure margins.

    share, intraday    a share of its value
    future             a share of its value, less of an index than of a stock
    option bought      its premium
    option sold        that share of the underlying's value (of the strike, where the underlying's price is not known)

An estimate for paper and for before an order leaves: a broker's own figure decides in the end, and knows hedges, which
this counts leg by leg and so never too low.

Invariants, property-tested: never negative, does not fall with the price, and a bought option needs its premium.
"""

from tradebus.calendar import Contract, Market, market_of
from tradebus.contracts.signals import Side

_SHARE_PCT, _INDEX_PCT, _STOCK_PCT = 20, 15, 25


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


def _percent(paise: int, percent: int) -> int:
    return -(-paise * percent // 100)
