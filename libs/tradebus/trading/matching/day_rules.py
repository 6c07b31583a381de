"""What the exchange does on its own to an order that rests on paper, by the market's clock of its contract. Pure.

    auction begins   untriggered stops of stocks with an auction end, limit orders that do not go on as well
    range set anew   a future's order outside the new operating range ends, a carried order outside the auction's band
    session ends     orders are for the day
    at matching      an option's order whose limit is outside the price protection ends

The exchange measures protection from the average trade of half a minute; here it is the tick that the order meets.
"""

from dataclasses import dataclass

from tradebus.calendar import Contract, market_of, protection_band, range_reset_ns, range_reset_pct, session_of
from tradebus.contracts.orders import Transaction
from tradebus.kernel.time import ist_date

AUCTION_BEGINS = "the exchange cancels it when continuous trading ends"
OUT_OF_RANGE = "the price is outside the operating range set anew at the closing auction"
SESSION_ENDS = "the day's session has ended"
UNPROTECTED = "price protection: the limit is too far from the price it would match at"


@dataclass(frozen=True, slots=True)
class DayRules:
    """Instants of one order's day, None where there is none. From `checked_ns` on its prices have to be within
    `checked_pct` of the first price told."""

    ends_ns: int | None = None
    ends_because: str = SESSION_ENDS
    stop_ends_ns: int | None = None  # while it has not triggered
    checked_ns: int | None = None
    checked_pct: float = 0.0


NO_RULES = DayRules()  # of a day or contract without a session


def day_rules(contract: Contract | None, effective_ns: int) -> DayRules:
    """Of an order that is in effect from `effective_ns` on: what was before does not concern it."""
    day = ist_date(effective_ns)
    session = session_of(contract, day) if contract is not None else None
    if contract is None or session is None:
        return NO_RULES
    auction_ns, ends_ns = session.stops_cancelled_ns, session.end_ns
    if auction_ns is not None and effective_ns < auction_ns:
        if not session.carries_limit_orders:
            return DayRules(auction_ns, AUCTION_BEGINS, auction_ns)
        return DayRules(ends_ns, SESSION_ENDS, auction_ns, auction_ns, session.auction_band_pct or 0.0)
    reset_ns = range_reset_ns(contract, day)
    if reset_ns is not None and effective_ns < reset_ns:
        percent = range_reset_pct(market_of(contract.underlying), day) or 0.0
        return DayRules(ends_ns, checked_ns=reset_ns, checked_pct=percent)
    return DayRules(ends_ns)


def within(rules: DayRules, reference_paise: int, *prices: int | None) -> bool:
    """Whether every price is as close to the reference as the check asks."""
    return all(abs(price - reference_paise) * 100 <= reference_paise * rules.checked_pct for price in prices if price)


def protected(
    contract: Contract | None, transaction: Transaction, limit_paise: int, price_paise: int, at_ns: int
) -> bool:
    """Whether price protection lets an order with this limit match at this price. True for what has none."""
    if contract is None or not contract.is_option:
        return True
    band = protection_band(contract, price_paise, ist_date(at_ns))
    if band is None:
        return True
    return limit_paise <= band[1] if transaction is Transaction.BUY else limit_paise >= band[0]
