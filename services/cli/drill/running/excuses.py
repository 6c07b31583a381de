"""Why a position may stand bare for longer than it should: spans in which nobody could act, and what is known to be
open (decision 30). Everything else is a violation.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from services.cli.drill.running.truth import OwnTag
from services.sandbox.ports import SandboxOrder, SandboxStatus
from tradebus.contracts.orders import OrderRole
from tradebus.execution.trade import Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_RECOVERING_NS = NANOSECONDS_PER_SECOND  # a new life has read its book by then
_ORPHAN_NS = 17 * NANOSECONDS_PER_SECOND  # 15 s of silence, found at a look a second later
_PROTECTION_NS = 65 * NANOSECONDS_PER_SECOND  # until it is tried again, at the latest
NOBODY, LOST_EXIT, PROTECTION, AWAY = (
    "no execution ran", "the answer to an exit was lost", "price protection took the exit back", "the broker was away",
)  # fmt: skip
Excuse = tuple[int, int, str]


def excuses(
    trades: Mapping[str, Trade], changes: Sequence[SandboxOrder], tags: Mapping[str, OwnTag], *,
    decided_ns: Mapping[str, int], down_ns: Sequence[Sequence[int]], away_ns: Sequence[Sequence[int]],
    adopted: bool, end_ns: int,
) -> Mapping[str, Sequence[Excuse]]:  # fmt: skip
    """By position: from, to, why. `adopted`: there is another instance that takes over what one leaves."""
    found: dict[str, list[Excuse]] = defaultdict(list)
    arrivals_ns: dict[str, int] = {}
    for change in changes:
        arrivals_ns.setdefault(change.request.tag, change.updated_ns)
    everybody = []
    for one in down_ns:
        until_ns = min(_end(one, end_ns), one[0] + _ORPHAN_NS) if adopted else _end(one, end_ns)
        everybody.append((one[0], until_ns + _RECOVERING_NS, NOBODY))
    everybody += [(one[0], _end(one, end_ns) + _RECOVERING_NS, AWAY) for one in away_ns]
    for trade in trades.values():
        found[trade.pos_id] += everybody
        exits = [order for order in trade.orders if order.role is OrderRole.EXIT]
        for number, order in enumerate(exits):
            following_ns = decided_ns[exits[number + 1].tag] if number + 1 < len(exits) else end_ns
            arrived_ns = arrivals_ns.get(order.tag, following_ns)
            found[trade.pos_id].append((decided_ns[order.tag], arrived_ns + _RECOVERING_NS, LOST_EXIT))
    for change in changes:
        own = tags.get(change.request.tag)
        taken_back = change.status is SandboxStatus.CANCELLED and change.reason.startswith("price protection")
        if own is not None and taken_back:
            found[own.trade.pos_id].append((change.updated_ns, change.updated_ns + _PROTECTION_NS, PROTECTION))
    return found


def _end(span: Sequence[int], end_ns: int) -> int:
    return span[1] if len(span) > 1 else end_ns
