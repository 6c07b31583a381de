"""Spans in which nobody could act, and a position may stand bare for longer than it should. Everything else is a
violation.
"""

from collections.abc import Sequence
from datetime import date

from tradebus.calendar import Contract, session_of
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_RECOVERING_NS = NANOSECONDS_PER_SECOND  # a new life has read its book by then
_ORPHAN_NS = 17 * NANOSECONDS_PER_SECOND  # 15 s of silence, found at a look a second later
NOBODY, AWAY, PAUSED = "no execution ran", "the broker was away", "the exchange took no order"
Excuse = tuple[int, int, str]


def excuses(
    *, down_ns: Sequence[Sequence[int]], away_ns: Sequence[Sequence[int]], adopted: bool, end_ns: int
) -> Sequence[Excuse]:
    """From, to, why. `adopted`: there is another instance that takes over what one leaves."""
    found = []
    for one in down_ns:
        until_ns = min(_end(one, end_ns), one[0] + _ORPHAN_NS) if adopted else _end(one, end_ns)
        found.append((one[0], until_ns + _RECOVERING_NS, NOBODY))
    found += [(one[0], _end(one, end_ns) + _RECOVERING_NS, AWAY) for one in away_ns]
    return found


def pauses(contract: Contract, day: date) -> list[Excuse]:
    """Those in which its exchange takes no order."""
    session = session_of(contract, day)
    phases = session.phases if session is not None else ()
    return [(one.start_ns, one.end_ns + _RECOVERING_NS, PAUSED) for one in phases if not one.order_types]


def _end(span: Sequence[int], end_ns: int) -> int:
    return span[1] if len(span) > 1 else end_ns
