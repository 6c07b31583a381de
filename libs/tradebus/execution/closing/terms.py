"""The exits of an account that is closed out: their tags, sizes, types and prices. Pure.

a position to close ─► exit_terms ─► a protected market order, then limits that reach farther each time
"""

from dataclasses import dataclass
from datetime import date

from tradebus.calendar import Contract, protective_limit_paise
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.ids import derive_tag

TAGS_PER_INSTRUMENT = 200
_STEP_PCT, _FARTHEST_PCT = 1, 8


def closing_tag(account: str, *, segment: str, token: str, day: date, number: int) -> str:
    """The tag of an account's exit number so and so of an instrument that day: whoever closes the account out a second
    time finds the first one's exits by it."""
    return derive_tag("closing out", account, segment, token, day.isoformat(), number)


def slices(quantity: int, *, lot_size: int, freeze_quantity: int | None) -> list[int]:
    """The quantity in orders that the exchange takes, the largest first."""
    if freeze_quantity is None or quantity <= freeze_quantity:
        return [quantity]
    most = max(freeze_quantity // lot_size * lot_size, 1)
    whole, rest = divmod(quantity, most)
    return [most] * whole + ([rest] if rest else [])


@dataclass(frozen=True, slots=True)
class Touch:
    """The best prices of now, in paise; 0 where there is none."""

    bid_paise: int
    ask_paise: int
    last_paise: int


@dataclass(frozen=True, slots=True)
class ExitTerms:
    """`price_paise` is None for a protected market order."""

    order_type: OrderType
    price_paise: int | None


def exit_terms(
    contract: Contract, *, transaction: Transaction, attempt: int, touch: Touch | None, day: date
) -> ExitTerms:
    """How the exit goes out the first time (attempt 0) and when it rested unfilled or was refused.

    An option by a limit inside its price protection; anything else by a protected market order first, whose limit the
    market may have run past, and then by limits a hundredth farther from the market of now each time. Where no price
    is known it is the market order again.
    """
    reference = 0
    if touch is not None:
        best = touch.bid_paise if transaction is Transaction.SELL else touch.ask_paise
        reference = best or touch.last_paise
    if reference <= 0 or (attempt == 0 and not contract.is_option):
        return ExitTerms(OrderType.MARKET, None)
    banded = protective_limit_paise(contract, transaction=transaction, trigger_paise=reference, day=day)
    if banded is not None:
        return ExitTerms(OrderType.LIMIT, banded)
    beyond = reference * min(_STEP_PCT * max(attempt, 1), _FARTHEST_PCT) // 100
    tick = contract.tick_size_paise
    if transaction is Transaction.SELL:
        return ExitTerms(OrderType.LIMIT, max(tick, (reference - beyond) // tick * tick))
    return ExitTerms(OrderType.LIMIT, -(-(reference + beyond) // tick) * tick)
