"""The lifecycle of an order (SPEC 10), as a table.

Invariants, property-tested:
- a pair that the table does not list raises IllegalTransition; nothing is guessed,
- from every state a terminal one can be reached,
- no event leaves a terminal state except the late words of ORDER_REVIVALS,
- an answer that was lost leads to UNKNOWN, and UNKNOWN is left only by what the broker's book or stream says.

The caller drops duplicate fills by fill id and names the event from cumulative quantities, so the order in which a
broker's updates arrive does not matter.
"""

from collections.abc import Mapping
from enum import StrEnum

from tradebus.kernel.errors import IllegalTransition


class OrderState(StrEnum):
    PENDING = "PENDING"  # committed; whether it left us is not recorded, so after a crash its tag is looked up
    OPEN = "OPEN"
    TRIGGER_PENDING = "TRIGGER_PENDING"  # a stop that waits for its trigger
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCEL_PENDING = "CANCEL_PENDING"
    CANCELLED = "CANCELLED"  # may carry fills
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"


class OrderEvent(StrEnum):
    ACKNOWLEDGED = "ACKNOWLEDGED"  # on the book
    TRIGGER_WAITING = "TRIGGER_WAITING"  # on the book, waiting for its trigger
    TRIGGERED = "TRIGGERED"
    MODIFIED = "MODIFIED"
    APPEARED = "APPEARED"  # it lives at the broker, after we took it for over: a request that arrived very late
    RAISED = "RAISED"  # the broker's terminal made it larger, after we took it for whole: the rest may still fill
    PARTIAL_FILL = "PARTIAL_FILL"  # cumulative quantity below the order's
    FINAL_FILL = "FINAL_FILL"  # cumulative quantity equals the order's
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    CANCEL_REFUSED = "CANCEL_REFUSED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    OUTCOME_LOST = "OUTCOME_LOST"  # a timeout or 5xx: whatever was asked may or may not have happened
    NOT_FOUND = "NOT_FOUND"  # the broker's book does not know the tag


_O, _OE = OrderState, OrderEvent

ORDER_TRANSITIONS: Mapping[tuple[OrderState, OrderEvent], OrderState] = {
    (_O.PENDING, _OE.ACKNOWLEDGED): _O.OPEN,
    (_O.PENDING, _OE.TRIGGER_WAITING): _O.TRIGGER_PENDING,
    (_O.PENDING, _OE.TRIGGERED): _O.OPEN,
    (_O.PENDING, _OE.PARTIAL_FILL): _O.PARTIALLY_FILLED,  # the order stream overtook the request's answer
    (_O.PENDING, _OE.FINAL_FILL): _O.FILLED,
    (_O.PENDING, _OE.CANCEL_REQUESTED): _O.CANCEL_PENDING,
    (_O.PENDING, _OE.CANCELLED): _O.CANCELLED,
    (_O.PENDING, _OE.REJECTED): _O.REJECTED,
    (_O.PENDING, _OE.OUTCOME_LOST): _O.UNKNOWN,
    (_O.PENDING, _OE.NOT_FOUND): _O.CANCELLED,  # a crash between commit and send: it never left
    #
    (_O.OPEN, _OE.ACKNOWLEDGED): _O.OPEN,
    (_O.OPEN, _OE.TRIGGER_WAITING): _O.OPEN,  # an answer older than the trigger
    (_O.OPEN, _OE.TRIGGERED): _O.OPEN,
    (_O.OPEN, _OE.MODIFIED): _O.OPEN,
    (_O.OPEN, _OE.PARTIAL_FILL): _O.PARTIALLY_FILLED,
    (_O.OPEN, _OE.FINAL_FILL): _O.FILLED,
    (_O.OPEN, _OE.CANCEL_REQUESTED): _O.CANCEL_PENDING,
    (_O.OPEN, _OE.CANCELLED): _O.CANCELLED,
    (_O.OPEN, _OE.REJECTED): _O.REJECTED,  # the exchange refused what the broker had accepted
    (_O.OPEN, _OE.CANCEL_REFUSED): _O.UNKNOWN,  # and what became of it since is to be looked up
    (_O.OPEN, _OE.OUTCOME_LOST): _O.UNKNOWN,
    #
    (_O.TRIGGER_PENDING, _OE.ACKNOWLEDGED): _O.TRIGGER_PENDING,  # a late answer says nothing about the trigger
    (_O.TRIGGER_PENDING, _OE.TRIGGER_WAITING): _O.TRIGGER_PENDING,
    (_O.TRIGGER_PENDING, _OE.TRIGGERED): _O.OPEN,
    (_O.TRIGGER_PENDING, _OE.MODIFIED): _O.TRIGGER_PENDING,
    (_O.TRIGGER_PENDING, _OE.PARTIAL_FILL): _O.PARTIALLY_FILLED,
    (_O.TRIGGER_PENDING, _OE.FINAL_FILL): _O.FILLED,
    (_O.TRIGGER_PENDING, _OE.CANCEL_REQUESTED): _O.CANCEL_PENDING,
    (_O.TRIGGER_PENDING, _OE.CANCELLED): _O.CANCELLED,  # the exchange's own 15:15 cancellation comes unasked
    (_O.TRIGGER_PENDING, _OE.REJECTED): _O.REJECTED,  # triggered beyond the price band
    (_O.TRIGGER_PENDING, _OE.CANCEL_REFUSED): _O.UNKNOWN,
    (_O.TRIGGER_PENDING, _OE.OUTCOME_LOST): _O.UNKNOWN,
    #
    (_O.PARTIALLY_FILLED, _OE.ACKNOWLEDGED): _O.PARTIALLY_FILLED,
    (_O.PARTIALLY_FILLED, _OE.TRIGGER_WAITING): _O.PARTIALLY_FILLED,
    (_O.PARTIALLY_FILLED, _OE.TRIGGERED): _O.PARTIALLY_FILLED,
    (_O.PARTIALLY_FILLED, _OE.MODIFIED): _O.PARTIALLY_FILLED,
    (_O.PARTIALLY_FILLED, _OE.PARTIAL_FILL): _O.PARTIALLY_FILLED,
    (_O.PARTIALLY_FILLED, _OE.FINAL_FILL): _O.FILLED,
    (_O.PARTIALLY_FILLED, _OE.CANCEL_REQUESTED): _O.CANCEL_PENDING,
    (_O.PARTIALLY_FILLED, _OE.CANCELLED): _O.CANCELLED,  # keeps what it filled
    (_O.PARTIALLY_FILLED, _OE.REJECTED): _O.CANCELLED,  # the remainder was refused; REJECTED would hide the fills
    (_O.PARTIALLY_FILLED, _OE.CANCEL_REFUSED): _O.UNKNOWN,
    (_O.PARTIALLY_FILLED, _OE.OUTCOME_LOST): _O.UNKNOWN,
    #
    (_O.CANCEL_PENDING, _OE.ACKNOWLEDGED): _O.CANCEL_PENDING,
    (_O.CANCEL_PENDING, _OE.TRIGGER_WAITING): _O.CANCEL_PENDING,
    (_O.CANCEL_PENDING, _OE.TRIGGERED): _O.CANCEL_PENDING,
    (_O.CANCEL_PENDING, _OE.MODIFIED): _O.CANCEL_PENDING,
    (_O.CANCEL_PENDING, _OE.CANCEL_REQUESTED): _O.CANCEL_PENDING,
    (_O.CANCEL_PENDING, _OE.PARTIAL_FILL): _O.CANCEL_PENDING,  # fills come until the cancellation is confirmed
    (_O.CANCEL_PENDING, _OE.FINAL_FILL): _O.FILLED,  # the fill won the race
    (_O.CANCEL_PENDING, _OE.CANCELLED): _O.CANCELLED,
    (_O.CANCEL_PENDING, _OE.CANCEL_REFUSED): _O.UNKNOWN,  # filled, triggered or still resting: look it up
    (_O.CANCEL_PENDING, _OE.REJECTED): _O.CANCELLED,  # over either way; CANCELLED may carry fills
    (_O.CANCEL_PENDING, _OE.OUTCOME_LOST): _O.UNKNOWN,
    (_O.CANCEL_PENDING, _OE.NOT_FOUND): _O.CANCELLED,
    #
    (_O.UNKNOWN, _OE.ACKNOWLEDGED): _O.OPEN,
    (_O.UNKNOWN, _OE.TRIGGER_WAITING): _O.TRIGGER_PENDING,
    (_O.UNKNOWN, _OE.TRIGGERED): _O.OPEN,
    (_O.UNKNOWN, _OE.PARTIAL_FILL): _O.PARTIALLY_FILLED,  # a fill proves that it is live
    (_O.UNKNOWN, _OE.FINAL_FILL): _O.FILLED,
    (_O.UNKNOWN, _OE.CANCELLED): _O.CANCELLED,
    (_O.UNKNOWN, _OE.REJECTED): _O.REJECTED,
    (_O.UNKNOWN, _OE.NOT_FOUND): _O.CANCELLED,
    (_O.UNKNOWN, _OE.CANCEL_REQUESTED): _O.UNKNOWN,  # asking to cancel does not tell us whether it is there
    (_O.UNKNOWN, _OE.CANCEL_REFUSED): _O.UNKNOWN,
    (_O.UNKNOWN, _OE.MODIFIED): _O.UNKNOWN,  # answered while the order itself is being looked up
    (_O.UNKNOWN, _OE.OUTCOME_LOST): _O.UNKNOWN,
    #
    # Late words after the end. Answers change nothing; fills do (ORDER_REVIVALS).
    (_O.FILLED, _OE.ACKNOWLEDGED): _O.FILLED,
    (_O.FILLED, _OE.TRIGGER_WAITING): _O.FILLED,
    (_O.FILLED, _OE.TRIGGERED): _O.FILLED,
    (_O.FILLED, _OE.MODIFIED): _O.FILLED,
    (_O.FILLED, _OE.CANCEL_REFUSED): _O.FILLED,
    (_O.FILLED, _OE.OUTCOME_LOST): _O.FILLED,
    (_O.FILLED, _OE.CANCELLED): _O.FILLED,
    (_O.FILLED, _OE.REJECTED): _O.FILLED,
    (_O.FILLED, _OE.RAISED): _O.PARTIALLY_FILLED,
    (_O.FILLED, _OE.PARTIAL_FILL): _O.PARTIALLY_FILLED,  # it was made larger elsewhere, and the rest may come
    (_O.FILLED, _OE.FINAL_FILL): _O.FILLED,
    (_O.CANCELLED, _OE.ACKNOWLEDGED): _O.CANCELLED,
    (_O.CANCELLED, _OE.TRIGGER_WAITING): _O.CANCELLED,
    (_O.CANCELLED, _OE.TRIGGERED): _O.CANCELLED,
    (_O.CANCELLED, _OE.MODIFIED): _O.CANCELLED,
    (_O.CANCELLED, _OE.REJECTED): _O.CANCELLED,  # the remainder's refusal, said twice
    (_O.CANCELLED, _OE.CANCELLED): _O.CANCELLED,
    (_O.CANCELLED, _OE.CANCEL_REFUSED): _O.CANCELLED,
    (_O.CANCELLED, _OE.OUTCOME_LOST): _O.CANCELLED,
    (_O.CANCELLED, _OE.PARTIAL_FILL): _O.CANCELLED,  # crossed the cancellation on the way; the quantity counts
    (_O.CANCELLED, _OE.FINAL_FILL): _O.FILLED,
    (_O.CANCELLED, _OE.APPEARED): _O.OPEN,
    (_O.REJECTED, _OE.APPEARED): _O.OPEN,
    (_O.REJECTED, _OE.ACKNOWLEDGED): _O.REJECTED,
    (_O.REJECTED, _OE.TRIGGER_WAITING): _O.REJECTED,
    (_O.REJECTED, _OE.TRIGGERED): _O.REJECTED,
    (_O.REJECTED, _OE.REJECTED): _O.REJECTED,
    (_O.REJECTED, _OE.CANCEL_REFUSED): _O.REJECTED,
    (_O.REJECTED, _OE.OUTCOME_LOST): _O.REJECTED,
    (_O.REJECTED, _OE.PARTIAL_FILL): _O.UNKNOWN,  # a refused order that fills is not understood: look it up
    (_O.REJECTED, _OE.FINAL_FILL): _O.FILLED,
}

TERMINAL_ORDER_STATES = frozenset({_O.FILLED, _O.CANCELLED, _O.REJECTED})

# The only pairs that leave a terminal state: fills that arrive after the broker's last word, orders that arrive after
# it was certain that none would, and orders that somebody made larger at the broker. CANCELLED to FILLED stays
# terminal; REJECTED to UNKNOWN does not, because an order that was refused and fills in part is not understood.
ORDER_REVIVALS = frozenset(
    {
        (_O.CANCELLED, _OE.FINAL_FILL), (_O.REJECTED, _OE.FINAL_FILL), (_O.REJECTED, _OE.PARTIAL_FILL),
        (_O.FILLED, _OE.PARTIAL_FILL), (_O.FILLED, _OE.RAISED), (_O.CANCELLED, _OE.APPEARED),
        (_O.REJECTED, _OE.APPEARED),
    }
)  # fmt: skip


def next_order_state(state: OrderState, event: OrderEvent) -> OrderState:
    """The order's state after `event`. Raises IllegalTransition for a pair that ORDER_TRANSITIONS does not list."""
    found = ORDER_TRANSITIONS.get((state, event))
    if found is None:
        legal = ", ".join(legal_order_events(state))
        raise IllegalTransition(f"an order in {state} has no {event}; legal: {legal}")
    return found


def legal_order_events(state: OrderState) -> dict[str, str]:
    """The events that are legal in `state`, each with the state it leads to, in table order."""
    return {str(event): str(to) for (at, event), to in ORDER_TRANSITIONS.items() if at is state}
