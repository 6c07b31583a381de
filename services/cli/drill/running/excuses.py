"""AwaySpans in which nobody could act, and a position may stand bare for longer than it should. Everything else is a
violation.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from tradebus.calendar import Contract, session_of
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_RECOVERING_NS = NANOSECONDS_PER_SECOND  # a new life has read its book by then
_ORPHAN_NS = 17 * NANOSECONDS_PER_SECOND  # 15 s of silence, found at a look a second later
NOBODY, AWAY, PAUSED = "no execution ran", "the broker was away", "the exchange took no order"
Excuse = tuple[int, int, str]
AwaySpans = Sequence[Sequence[int]]  # each with its end once that has come


def excuses(*, down_ns: Mapping[str, AwaySpans], away_ns: AwaySpans, end_ns: int) -> Sequence[Excuse]:
    """From, to, why. `down_ns` by instance: what one leaves another takes over, where one runs."""
    found = []
    for name, spans in down_ns.items():
        others = [down for other, down in down_ns.items() if other != name]
        for one in spans:
            until_ns = _end(one, end_ns)
            if others:
                until_ns = min(until_ns, _somebody_ns(others, one[0] + _ORPHAN_NS, end_ns))
            found.append((one[0], until_ns + _RECOVERING_NS, NOBODY))
    found += [(one[0], _end(one, end_ns) + _RECOVERING_NS, AWAY) for one in away_ns]
    return found


def _somebody_ns(others: Sequence[AwaySpans], at_ns: int, end_ns: int) -> int:
    """The first moment from then on at which any of the others runs."""
    while at_ns < end_ns:
        down = [
            max((_end(one, end_ns) for one in spans if one[0] <= at_ns < _end(one, end_ns)), default=0)
            for spans in others
        ]
        if not all(down):
            return at_ns
        at_ns = min(down)
    return end_ns


def pauses(contract: Contract, day: date) -> list[Excuse]:
    """Those in which its exchange takes no order."""
    session = session_of(contract, day)
    phases = session.phases if session is not None else ()
    return [(one.start_ns, one.end_ns + _RECOVERING_NS, PAUSED) for one in phases if not one.order_types]


def _end(span: Sequence[int], end_ns: int) -> int:
    return span[1] if len(span) > 1 else end_ns
