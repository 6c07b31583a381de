"""Which position a strategy had at an instant, from what execution reports.

Invariants (property-tested): `at(key, t)` depends only on the set of facts given, not on their order or repetition;
a position is seen from the first nanosecond after it opened to the nanosecond it closed, so that a candle that closes
at `t` sees what was done before `t` and nothing that is done at `t`, in a live run and in a rebuilt one alike.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import NamedTuple

from tradebus.strategies.protocol import Position
from tradebus.trading.facts import PositionClosed, PositionOpened


class PositionKey(NamedTuple):
    session_id: str
    strategy: str
    symbol: str


class LegSpan(NamedTuple):
    """A position that is a leg of a group."""

    symbol: str
    instrument: int
    group_id: str
    position: Position


@dataclass(slots=True)
class _Span:
    opened_ns: int
    position: Position
    closed_ns: int | None = None
    leg: tuple[str, int] = ("", 0)  # group id and instrument, of a leg


@dataclass(slots=True)
class _Spans:
    """Of one key. Closed spans are sorted by when they closed: who asks about now looks at the open ones only."""

    by_id: dict[str, _Span] = field(default_factory=dict)
    open: dict[str, _Span] = field(default_factory=dict)
    closed: list[tuple[int, str]] = field(default_factory=list)

    def held_at(self, ts_ns: int) -> list[_Span]:
        """Those open just before `ts_ns`, the oldest first."""
        if not (self.open or (self.closed and self.closed[-1][0] >= ts_ns)):
            return []
        candidates = list(self.open.values())
        candidates += [self.by_id[pos_id] for _, pos_id in self.closed[bisect_left(self.closed, (ts_ns, "")) :]]
        held = [span for span in candidates if span.opened_ns < ts_ns]
        return sorted(held, key=lambda span: (span.opened_ns, span.position.pos_id)) if len(held) > 1 else held


class PositionBook:
    """The spans of time in which each (session, strategy, symbol) had a position; legs apart from the rest."""

    def __init__(self) -> None:
        self._spans: dict[PositionKey, _Spans] = {}
        self._legs: dict[PositionKey, _Spans] = {}

    def apply(self, fact: PositionOpened | PositionClosed) -> None:
        """Takes one fact; repeating it changes nothing. One that names no position says nothing here."""
        if fact.pos_id is None:
            return
        key = PositionKey(fact.session_id, fact.strategy, fact.symbol)
        spans = (self._spans if fact.group_id is None else self._legs).setdefault(key, _Spans())
        span = spans.by_id.get(fact.pos_id)
        if isinstance(fact, PositionOpened):
            opened = _opened(fact, fact.pos_id)
            if span is None:
                spans.by_id[fact.pos_id] = spans.open[fact.pos_id] = opened
            else:  # its end was heard first, or this is a repetition: the opening fact is what counts
                span.opened_ns, span.position = opened.opened_ns, opened.position
        elif span is None or span.closed_ns is None:
            span = span or _opened_before(fact, fact.pos_id)
            span.closed_ns = fact.ts_event_ns
            spans.by_id[fact.pos_id] = span
            spans.open.pop(fact.pos_id, None)
            insort(spans.closed, (fact.ts_event_ns, fact.pos_id))

    def at(self, key: PositionKey, ts_ns: int) -> Position | None:
        """The position open just before `ts_ns`: the oldest, where there are several."""
        spans = self._spans.get(key)
        held = None if spans is None else spans.held_at(ts_ns)
        return held[0].position if held else None

    def legs_at(self, session_id: str, strategy: str, ts_ns: int) -> list[LegSpan]:
        """Every leg of the strategy that was open just before `ts_ns`."""
        return [
            LegSpan(key.symbol, span.leg[1], span.leg[0], span.position)
            for key, spans in self._legs.items()
            if key.session_id == session_id and key.strategy == strategy
            for span in spans.held_at(ts_ns)
        ]

    def forget_closed_before(self, ts_ns: int) -> None:
        """Lets go of positions that closed earlier: nobody asks about so long ago any more."""
        for spans in (*self._spans.values(), *self._legs.values()):
            gone = bisect_left(spans.closed, (ts_ns, ""))
            for _, pos_id in spans.closed[:gone]:
                del spans.by_id[pos_id]
            del spans.closed[:gone]

    def holders(self, session_id: str, symbol: str, ts_ns: int) -> list[tuple[str, Position]]:
        """Each strategy of the session that had a position in the symbol just before `ts_ns`, with it."""
        keys = [key for key in self._spans if key.session_id == session_id and key.symbol == symbol]
        held = [(key.strategy, self.at(key, ts_ns)) for key in keys]
        return [(strategy, position) for strategy, position in held if position is not None]

    def forget_session(self, session_id: str) -> None:
        for found in (self._spans, self._legs):
            for key in [key for key in found if key.session_id == session_id]:
                del found[key]


def _opened(fact: PositionOpened, pos_id: str) -> _Span:
    position = Position(pos_id, fact.side, fact.quantity, fact.average_price_paise, fact.ts_event_ns)
    return _Span(fact.ts_event_ns, position, leg=(fact.group_id or "", fact.instrument))


def _opened_before(fact: PositionClosed, pos_id: str) -> _Span:
    position = Position(pos_id, fact.side, fact.quantity, fact.entry_price_paise, fact.opened_ts_ns)
    return _Span(fact.opened_ts_ns, position, leg=(fact.group_id or "", fact.instrument))
