"""The lifecycle of a trade (SPEC 10), as a table.

Invariants, property-tested:
- a pair that the table does not list raises IllegalTransition; nothing is guessed,
- from every state a terminal one can be reached,
- no event leaves a terminal state except the late words of TRADE_REVIVALS: a fill is a fact whatever word the broker
  used before it, so the quantity decides, never the status,
- UNKNOWN means that the entry's outcome is not known and is left only by what the broker's book says. An exit whose
  answer was lost is the exit order's UNKNOWN: the trade stays EXIT_PENDING, which is what forbids a second exit.

The caller drops duplicate fills by fill id, applies fills before the word that ends an order, and names the event
from cumulative quantities, so the order in which a broker's updates arrive does not matter.

    SIGNAL_GENERATED ─► ENTRY_PENDING ─► ORDER_PLACED ─► POSITION_OPEN ─► EXIT_PENDING ─► CLOSED
                              └────► UNKNOWN ◄─┘
"""

from collections.abc import Mapping
from enum import StrEnum

from tradebus.kernel.errors import IllegalTransition


class TradeState(StrEnum):
    SIGNAL_GENERATED = "SIGNAL_GENERATED"
    ENTRY_PENDING = "ENTRY_PENDING"  # intent committed, entry order not yet accepted
    ORDER_PLACED = "ORDER_PLACED"  # entry accepted by the broker, nothing filled
    POSITION_OPEN = "POSITION_OPEN"  # quantity held, no exit under way (the stop may rest at the broker)
    EXIT_PENDING = "EXIT_PENDING"  # an exit is under way: no second one may be sent
    CLOSED = "CLOSED"
    REJECTED = "REJECTED"  # the broker refused the entry
    CANCELLED = "CANCELLED"  # ended without a fill, by us or by the broker
    UNKNOWN = "UNKNOWN"  # whether the entry is live is not known; resolved by its tag


class TradeEvent(StrEnum):
    APPROVED = "APPROVED"  # risk approved and the intent is committed
    BLOCKED = "BLOCKED"  # our own refusal: risk, a stale approval, expected slippage
    ENTRY_ACCEPTED = "ENTRY_ACCEPTED"
    ENTRY_REJECTED = "ENTRY_REJECTED"  # refused with nothing filled
    ENTRY_FILLED = "ENTRY_FILLED"  # any fill of the entry, whole or part
    ENTRY_CANCELLED = "ENTRY_CANCELLED"  # the entry ended with nothing filled
    ENTRY_REMAINDER_CANCELLED = "ENTRY_REMAINDER_CANCELLED"  # the entry ended after a part was filled
    ENTRY_UNKNOWN = "ENTRY_UNKNOWN"  # the entry's answer was lost
    ENTRY_NOT_FOUND = "ENTRY_NOT_FOUND"  # the broker's book does not know the entry's tag: it never arrived
    EXIT_REQUESTED = "EXIT_REQUESTED"  # somebody wants out
    STOP_ANSWERED = "STOP_ANSWERED"  # the resting stop was accepted, moved, refused, cancelled or lost: its order knows
    EXIT_ACCEPTED = "EXIT_ACCEPTED"
    EXIT_REJECTED = "EXIT_REJECTED"  # refused, and no other exit is live or unknown
    EXIT_CANCELLED = "EXIT_CANCELLED"  # ended short, and no other exit is live or unknown
    EXIT_UNKNOWN = "EXIT_UNKNOWN"  # the exit's answer was lost
    EXIT_PARTIALLY_FILLED = "EXIT_PARTIALLY_FILLED"  # exit or stop filled and quantity is left; such a stop is the exit
    EXIT_FILLED = "EXIT_FILLED"  # exit or stop filled and the position is flat
    ORDER_APPEARED = "ORDER_APPEARED"  # an order of it lives at the broker, after all of it was over
    EXIT_OVERFILLED = "EXIT_OVERFILLED"  # exit and stop both filled: the position is on the other side


_T, _TE = TradeState, TradeEvent

TRADE_TRANSITIONS: Mapping[tuple[TradeState, TradeEvent], TradeState] = {
    (_T.SIGNAL_GENERATED, _TE.APPROVED): _T.ENTRY_PENDING,
    (_T.SIGNAL_GENERATED, _TE.BLOCKED): _T.CANCELLED,
    (_T.SIGNAL_GENERATED, _TE.EXIT_REQUESTED): _T.CANCELLED,
    #
    (_T.ENTRY_PENDING, _TE.BLOCKED): _T.CANCELLED,
    (_T.ENTRY_PENDING, _TE.ENTRY_ACCEPTED): _T.ORDER_PLACED,
    (_T.ENTRY_PENDING, _TE.ENTRY_REJECTED): _T.REJECTED,
    (_T.ENTRY_PENDING, _TE.ENTRY_FILLED): _T.POSITION_OPEN,  # the fill overtook the acceptance
    (_T.ENTRY_PENDING, _TE.ENTRY_CANCELLED): _T.CANCELLED,
    (_T.ENTRY_PENDING, _TE.ENTRY_UNKNOWN): _T.UNKNOWN,
    (_T.ENTRY_PENDING, _TE.ENTRY_NOT_FOUND): _T.CANCELLED,  # a crash between commit and send
    (_T.ENTRY_PENDING, _TE.STOP_ANSWERED): _T.ENTRY_PENDING,
    (_T.ENTRY_PENDING, _TE.EXIT_OVERFILLED): _T.EXIT_PENDING,
    (_T.ENTRY_PENDING, _TE.EXIT_REQUESTED): _T.EXIT_PENDING,  # nothing held yet: the exit is the entry's cancellation
    #
    (_T.ORDER_PLACED, _TE.ENTRY_ACCEPTED): _T.ORDER_PLACED,  # answered by the request and by the order stream
    (_T.ORDER_PLACED, _TE.ENTRY_REJECTED): _T.REJECTED,  # the exchange refused what the broker had accepted
    (_T.ORDER_PLACED, _TE.ENTRY_FILLED): _T.POSITION_OPEN,
    (_T.ORDER_PLACED, _TE.ENTRY_CANCELLED): _T.CANCELLED,
    (_T.ORDER_PLACED, _TE.ENTRY_UNKNOWN): _T.UNKNOWN,
    (_T.ORDER_PLACED, _TE.EXIT_REQUESTED): _T.EXIT_PENDING,
    (_T.ORDER_PLACED, _TE.STOP_ANSWERED): _T.ORDER_PLACED,  # sent with the entry, answered before its first fill
    (_T.ORDER_PLACED, _TE.EXIT_OVERFILLED): _T.EXIT_PENDING,  # the stop's fill overtook the entry's
    #
    (_T.POSITION_OPEN, _TE.ENTRY_FILLED): _T.POSITION_OPEN,
    (_T.POSITION_OPEN, _TE.ENTRY_ACCEPTED): _T.POSITION_OPEN,  # a late answer
    (_T.POSITION_OPEN, _TE.ENTRY_REMAINDER_CANCELLED): _T.POSITION_OPEN,  # open with less than was asked
    (_T.POSITION_OPEN, _TE.ENTRY_UNKNOWN): _T.POSITION_OPEN,  # the filled part is known; the order itself is UNKNOWN
    (_T.POSITION_OPEN, _TE.EXIT_REQUESTED): _T.EXIT_PENDING,
    (_T.POSITION_OPEN, _TE.STOP_ANSWERED): _T.POSITION_OPEN,  # where it is refused or gone, the caller sees to it
    (_T.POSITION_OPEN, _TE.EXIT_PARTIALLY_FILLED): _T.EXIT_PENDING,  # the stop was hit
    (_T.POSITION_OPEN, _TE.EXIT_FILLED): _T.CLOSED,
    (_T.POSITION_OPEN, _TE.EXIT_OVERFILLED): _T.EXIT_PENDING,
    (_T.POSITION_OPEN, _TE.EXIT_ACCEPTED): _T.POSITION_OPEN,  # late words about an exit that has already failed
    (_T.POSITION_OPEN, _TE.EXIT_REJECTED): _T.POSITION_OPEN,
    (_T.POSITION_OPEN, _TE.EXIT_CANCELLED): _T.POSITION_OPEN,
    (_T.POSITION_OPEN, _TE.EXIT_UNKNOWN): _T.POSITION_OPEN,
    #
    (_T.EXIT_PENDING, _TE.EXIT_REQUESTED): _T.EXIT_PENDING,
    (_T.EXIT_PENDING, _TE.EXIT_ACCEPTED): _T.EXIT_PENDING,
    (_T.EXIT_PENDING, _TE.STOP_ANSWERED): _T.EXIT_PENDING,  # cancelling the resting stop does not end the exit
    (_T.EXIT_PENDING, _TE.EXIT_PARTIALLY_FILLED): _T.EXIT_PENDING,
    (_T.EXIT_PENDING, _TE.EXIT_FILLED): _T.CLOSED,
    (_T.EXIT_PENDING, _TE.EXIT_REJECTED): _T.POSITION_OPEN,  # still held: another exit may and must be sent
    (_T.EXIT_PENDING, _TE.EXIT_CANCELLED): _T.POSITION_OPEN,
    (_T.EXIT_PENDING, _TE.EXIT_UNKNOWN): _T.EXIT_PENDING,  # staying here is what forbids a second exit
    (_T.EXIT_PENDING, _TE.EXIT_OVERFILLED): _T.EXIT_PENDING,  # an order back to flat is the exit now
    (_T.EXIT_PENDING, _TE.ENTRY_ACCEPTED): _T.EXIT_PENDING,
    (_T.EXIT_PENDING, _TE.ENTRY_FILLED): _T.EXIT_PENDING,  # fills keep coming until the entry's cancel is confirmed
    (_T.EXIT_PENDING, _TE.ENTRY_REJECTED): _T.REJECTED,  # exit asked before any fill, and there will be none
    (_T.EXIT_PENDING, _TE.ENTRY_CANCELLED): _T.CANCELLED,
    (_T.EXIT_PENDING, _TE.ENTRY_NOT_FOUND): _T.CANCELLED,
    (_T.EXIT_PENDING, _TE.ENTRY_REMAINDER_CANCELLED): _T.EXIT_PENDING,
    (_T.EXIT_PENDING, _TE.ENTRY_UNKNOWN): _T.EXIT_PENDING,  # the wish stands while the entry's tag is looked up
    #
    (_T.UNKNOWN, _TE.ENTRY_UNKNOWN): _T.UNKNOWN,  # the look-up was lost as well
    (_T.UNKNOWN, _TE.ENTRY_ACCEPTED): _T.ORDER_PLACED,
    (_T.UNKNOWN, _TE.ENTRY_REJECTED): _T.REJECTED,
    (_T.UNKNOWN, _TE.ENTRY_FILLED): _T.POSITION_OPEN,
    (_T.UNKNOWN, _TE.ENTRY_CANCELLED): _T.CANCELLED,
    (_T.UNKNOWN, _TE.ENTRY_NOT_FOUND): _T.CANCELLED,
    (_T.UNKNOWN, _TE.EXIT_REQUESTED): _T.UNKNOWN,  # resolve first; the wish is kept in the trade's exit reason
    (_T.UNKNOWN, _TE.STOP_ANSWERED): _T.UNKNOWN,
    (_T.UNKNOWN, _TE.EXIT_OVERFILLED): _T.EXIT_PENDING,  # the stop filled, so the entry must have
    #
    # Late words after the end. Answers change nothing; fills do (TRADE_REVIVALS).
    (_T.CLOSED, _TE.ENTRY_ACCEPTED): _T.CLOSED,
    (_T.CLOSED, _TE.ENTRY_REMAINDER_CANCELLED): _T.CLOSED,
    (_T.CLOSED, _TE.ENTRY_UNKNOWN): _T.CLOSED,
    (_T.CLOSED, _TE.EXIT_REQUESTED): _T.CLOSED,
    (_T.CLOSED, _TE.EXIT_ACCEPTED): _T.CLOSED,
    (_T.CLOSED, _TE.EXIT_REJECTED): _T.CLOSED,
    (_T.CLOSED, _TE.EXIT_CANCELLED): _T.CLOSED,
    (_T.CLOSED, _TE.STOP_ANSWERED): _T.CLOSED,  # the resting stop's cancellation, confirmed after the exit filled
    (_T.CLOSED, _TE.EXIT_UNKNOWN): _T.CLOSED,
    (_T.CLOSED, _TE.EXIT_FILLED): _T.CLOSED,  # flat again, said twice
    (_T.CLOSED, _TE.ENTRY_FILLED): _T.POSITION_OPEN,  # the entry's remainder filled after we were flat
    (_T.CLOSED, _TE.EXIT_OVERFILLED): _T.EXIT_PENDING,  # the stop filled after the exit had: an order back is needed
    (_T.CLOSED, _TE.EXIT_PARTIALLY_FILLED): _T.EXIT_PENDING,  # an exit made larger at the broker may still fill
    (_T.CLOSED, _TE.ORDER_APPEARED): _T.EXIT_PENDING,  # it is cancelled, and what it fills meanwhile undone
    (_T.REJECTED, _TE.ORDER_APPEARED): _T.EXIT_PENDING,
    (_T.CANCELLED, _TE.ORDER_APPEARED): _T.EXIT_PENDING,
    (_T.REJECTED, _TE.ENTRY_ACCEPTED): _T.REJECTED,  # the order stream's refusal overtook the request's answer
    (_T.REJECTED, _TE.ENTRY_REJECTED): _T.REJECTED,
    (_T.REJECTED, _TE.ENTRY_UNKNOWN): _T.REJECTED,
    (_T.REJECTED, _TE.EXIT_REQUESTED): _T.REJECTED,
    (_T.REJECTED, _TE.STOP_ANSWERED): _T.REJECTED,
    (_T.REJECTED, _TE.EXIT_OVERFILLED): _T.EXIT_PENDING,  # a stop filled that had nothing to protect
    (_T.REJECTED, _TE.ENTRY_FILLED): _T.POSITION_OPEN,  # refused, they said, and yet it filled
    (_T.CANCELLED, _TE.ENTRY_ACCEPTED): _T.CANCELLED,
    (_T.CANCELLED, _TE.ENTRY_CANCELLED): _T.CANCELLED,
    (_T.CANCELLED, _TE.ENTRY_REJECTED): _T.CANCELLED,
    (_T.CANCELLED, _TE.ENTRY_NOT_FOUND): _T.CANCELLED,
    (_T.CANCELLED, _TE.ENTRY_UNKNOWN): _T.CANCELLED,
    (_T.CANCELLED, _TE.EXIT_REQUESTED): _T.CANCELLED,
    (_T.CANCELLED, _TE.STOP_ANSWERED): _T.CANCELLED,
    (_T.CANCELLED, _TE.EXIT_OVERFILLED): _T.EXIT_PENDING,  # a stop filled that had nothing to protect
    (_T.CANCELLED, _TE.ENTRY_FILLED): _T.POSITION_OPEN,  # the fill crossed the cancellation on the way
}

TERMINAL_TRADE_STATES = frozenset({_T.CLOSED, _T.REJECTED, _T.CANCELLED})

# The only pairs that leave a terminal state: fills, and orders, that arrive after the broker's last word.
TRADE_REVIVALS = frozenset(
    {
        (_T.CLOSED, _TE.ENTRY_FILLED),
        (_T.CLOSED, _TE.EXIT_OVERFILLED),
        (_T.CLOSED, _TE.EXIT_PARTIALLY_FILLED),
        (_T.CLOSED, _TE.ORDER_APPEARED),
        (_T.REJECTED, _TE.ORDER_APPEARED),
        (_T.CANCELLED, _TE.ORDER_APPEARED),
        (_T.REJECTED, _TE.ENTRY_FILLED),
        (_T.REJECTED, _TE.EXIT_OVERFILLED),
        (_T.CANCELLED, _TE.ENTRY_FILLED),
        (_T.CANCELLED, _TE.EXIT_OVERFILLED),
    }
)


def next_trade_state(state: TradeState, event: TradeEvent) -> TradeState:
    """The trade's state after `event`. Raises IllegalTransition for a pair that TRADE_TRANSITIONS does not list."""
    found = TRADE_TRANSITIONS.get((state, event))
    if found is None:
        legal = ", ".join(legal_trade_events(state))
        raise IllegalTransition(f"a trade in {state} has no {event}; legal: {legal}")
    return found


def legal_trade_events(state: TradeState) -> dict[str, str]:
    """The events that are legal in `state`, each with the state it leads to, in table order."""
    return {str(event): str(to) for (at, event), to in TRADE_TRANSITIONS.items() if at is state}
