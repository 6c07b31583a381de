"""What came of a request about an order: one of three outcomes, never an exception."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tradebus.brokers.common.replies.rows import Unreadable
from tradebus.brokers.errors import BrokerError, Refused, Throttled, TokenExpired
from tradebus.brokers.redaction import Redactor
from tradebus.trading.orders import Outcome, Result

T = TypeVar("T")


async def outcome_of(
    what: str,
    answer: Awaitable[T],
    read: Callable[[T], str],
    *,
    redactor: Redactor,
    unclear: tuple[type[BrokerError], ...] = (),
    of: str | None = None,
) -> Outcome:
    """`answer` is the one request, `read` finds the order id in what it brings. `unclear`: refusals that do not say
    that nothing was done. `of` is the order that was to be changed or cancelled: an answer about another one says
    nothing of it."""
    try:
        order_id = read(await answer)
    except unclear as error:
        return Outcome(Result.UNKNOWN, reason=str(error))
    except (Refused, Throttled, TokenExpired) as error:  # the broker's own word: it did nothing
        return Outcome(Result.REFUSED, reason=str(error))
    except BrokerError as error:
        return Outcome(Result.UNKNOWN, reason=str(error))
    except Unreadable as error:
        return Outcome(Result.UNKNOWN, reason=redactor.text(f"{what}: {error}"))
    if of is not None and order_id != of:
        return Outcome(Result.UNKNOWN, reason=redactor.text(f"{what}: the answer is about order {order_id:.60}"))
    return Outcome(Result.ACCEPTED, broker_order_id=order_id)
