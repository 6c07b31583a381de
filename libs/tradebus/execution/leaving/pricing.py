"""What an exit that rests is priced anew at. Pure.

    the market of now, the changes made so far ─► a limit on the tick, farther from the market each time

Invariants (property-tested): never on the better side of the market; never outside the exchange's price protection
around it; farther, or as far, with each change; on the tick and above zero.
"""

from dataclasses import dataclass
from datetime import date

from tradebus.calendar import Contract, protection_band
from tradebus.contracts.orders import Transaction

STEP_PCT, FARTHEST_PCT = 1, 8
# Of the width of an option's price protection. What it is measured from is an average, which a price that runs leaves
# behind: a limit at the very edge would be taken back when it matches.
_BAND_SHARES_PCT = (25, 50, 60, 70, 75)


@dataclass(frozen=True, slots=True)
class Touch:
    """The best prices of now, in paise; 0 where there is none."""

    bid_paise: int
    ask_paise: int
    last_paise: int
    recent_paise: float = 0.0  # average of the last half minute, the newest weighing most: as far as we have seen it

    def facing_paise(self, transaction: Transaction) -> int:
        """What an order of that side meets: the best price opposite, the last one where nobody stands there."""
        best = self.bid_paise if transaction is Transaction.SELL else self.ask_paise
        return best or self.last_paise


def farther_limit_paise(
    contract: Contract, *, transaction: Transaction, reference_paise: int, attempt: int, day: date
) -> int:
    """The limit of an exit at its change number `attempt`, from 1 on: a hundredth beyond the market for each, of an
    option a growing share of its price protection."""
    band = protection_band(contract, reference_paise, day)
    if band is None:
        beyond = reference_paise * min(STEP_PCT * attempt, FARTHEST_PCT) // 100
    else:
        share = _BAND_SHARES_PCT[min(attempt, len(_BAND_SHARES_PCT)) - 1]
        beyond = (band[1] - reference_paise) * share // 100
    tick = contract.tick_size_paise
    if transaction is Transaction.BUY:
        # Rounded towards the market, unless that is on its wrong side.
        return max((reference_paise + beyond) // tick, -(-reference_paise // tick)) * tick
    return max(1, min(-(-(reference_paise - beyond) // tick), reference_paise // tick)) * tick


def is_farther(limit_paise: int, *, than_paise: int | None, transaction: Transaction) -> bool:
    """Whether it would trade where the other does not. An order without a limit of ours is at the broker's own."""
    if than_paise is None:
        return True
    return limit_paise < than_paise if transaction is Transaction.SELL else limit_paise > than_paise
