"""Several strategies of one session want one symbol at one instant: which of them enters.

    independent          each has its own position, as if the others were not there
    highest_confidence   the most confident enters; of equals, the one that stands first in the session
    priority             the one that stands first in the session enters
    net_out              opposite entries cancel each other by their confidence; the most confident of the heavier side
                         enters, nobody where both weigh the same

Invariants (property-tested), but for independent: at most one entry is left per session, symbol and instant; none
against a position that another strategy of the session has in the symbol; exits and HOLDs stay as they are; what is
held back is a HOLD that says for whom.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tradebus.contracts.signals import Side
from tradebus.strategies.lane.asking import Settled
from tradebus.strategies.protocol import Action, Position, hold


class Conflicts(StrEnum):
    INDEPENDENT = "independent"
    HIGHEST_CONFIDENCE = "highest_confidence"
    PRIORITY = "priority"
    NET_OUT = "net_out"


@dataclass(slots=True)
class Bid:
    """A decision among those of one entry. `rank` is the strategy's place in its session."""

    session_id: str
    symbol: str
    strategy: str
    rank: int
    settled: Settled


# (session, symbol, instant) ─► who has what in it just before.
Held = Callable[[str, str, int], Sequence[tuple[str, Position]]]

_SIDE = {Action.ENTER_LONG: Side.LONG, Action.ENTER_SHORT: Side.SHORT}


def settle_conflicts(bids: Sequence[Bid], rule: Conflicts, held: Held) -> None:
    """Makes a HOLD of every entry that the rule holds back."""
    if rule is Conflicts.INDEPENDENT:
        return
    entries: dict[tuple[str, str, int], list[Bid]] = {}
    for bid in bids:
        if bid.settled.decision.action in _SIDE:
            place = (bid.session_id, bid.symbol, bid.settled.moment.ts_event_ns)
            entries.setdefault(place, []).append(bid)
    for place, rivals in entries.items():
        others = held(*place)
        free = [bid for bid in rivals if not _held_against(bid, others)]
        winner = _winner(free, rule)
        for bid in free:
            if winner is None:
                _hold(bid, "nets out against the opposite side")
            elif bid is not winner:
                _hold(bid, f"{winner.strategy} enters")


def _held_against(bid: Bid, others: Sequence[tuple[str, Position]]) -> bool:
    side = _SIDE[bid.settled.decision.action]
    for strategy, position in others:
        if strategy != bid.strategy and position.side is not side:
            _hold(bid, f"{strategy} holds {position.side}")
            return True
    return False


def _winner(free: Sequence[Bid], rule: Conflicts) -> Bid | None:
    if not free:
        return None
    if rule is Conflicts.PRIORITY:
        return min(free, key=lambda bid: bid.rank)
    if rule is Conflicts.NET_OUT:
        weight = sum(_SIDE[bid.settled.decision.action].sign * bid.settled.decision.confidence for bid in free)
        free = [bid for bid in free if _SIDE[bid.settled.decision.action].sign * weight > 0]
    return min(free, key=lambda bid: (-bid.settled.decision.confidence, bid.rank)) if free else None


def _hold(bid: Bid, why: str) -> None:
    bid.settled.decision = hold(f"conflict: {why}: {bid.settled.decision.reason}")
