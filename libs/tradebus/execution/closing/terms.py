"""The exits of an account that is closed out: their tags, sizes, types and prices. Pure.

a position to close ─► exit_terms ─► a protected market order, then limits that reach farther each time
"""

from dataclasses import dataclass
from datetime import date

from tradebus.calendar import Contract, protective_limit_paise
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.execution.leaving.pricing import Touch, farther_limit_paise
from tradebus.kernel.ids import derive_tag

TAGS_PER_INSTRUMENT = 200


def closing_tag(account: str, *, segment: str, token: str, day: date, number: int) -> str:
    """The tag of an account's exit number so and so of an instrument that day: whoever closes the account out a second
    time finds the first one's exits by it."""
    return derive_tag("closing out", account, segment, token, day.isoformat(), number)


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
    reference = touch.facing_paise(transaction) if touch is not None else 0
    if reference <= 0 or (attempt == 0 and not contract.is_option):
        return ExitTerms(OrderType.MARKET, None)
    banded = protective_limit_paise(contract, transaction=transaction, trigger_paise=reference, day=day)
    if banded is not None:
        return ExitTerms(OrderType.LIMIT, banded)
    limit = farther_limit_paise(
        contract, transaction=transaction, reference_paise=reference, attempt=max(attempt, 1), day=day
    )
    return ExitTerms(OrderType.LIMIT, limit)
