"""From losses of data to spans of minutes that history has to fill.

    lost ─► open, from the minute of the group's last tick ─► its data again ─► ended, with the minute it came back in

Invariants (property-tested): a group has at most one open span; a span starts no later than the minute of the group's
last tick before the loss and ends after the minute of its first tick since, so that no minute seen in part is left as
it was seen; what one group loses says nothing of another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from services.market_data.gaps.gap import FeedGroup
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

MINUTE_NS = 60 * NANOSECONDS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes [from_ns, to_ns) of a group; `to_ns` None while data is away. `silent`: it stayed away for long."""

    group: FeedGroup
    from_ns: int
    lost_ns: int
    reason: str
    silent: bool
    to_ns: int | None = None


class Spans:
    """`since` is, per group, the instant up to which its data is known to be complete."""

    def __init__(self, since: Mapping[FeedGroup, int]) -> None:
        self._last_tick_ns = dict(since)
        self._open: dict[FeedGroup, Span] = {}

    @property
    def open(self) -> Mapping[FeedGroup, Span]:
        """The spans whose data is still away."""
        return self._open

    def begin(self, groups: Iterable[FeedGroup], now_ns: int) -> None:
        """Their session begins: whatever they did not say before it is not missing."""
        for group in groups:
            self._last_tick_ns[group] = max(now_ns, self._last_tick_ns.get(group, 0))

    def ticked(self, groups: Iterable[FeedGroup], now_ns: int) -> list[Span]:
        """Told whose data came by `now_ns`. The spans this ends."""
        ended = []
        for group in groups:
            self._last_tick_ns[group] = now_ns
            span = self._open.pop(group, None)
            if span is not None:
                ended.append(replace(span, to_ns=_minute(now_ns) + MINUTE_NS))
        return ended

    def lost(self, groups: Iterable[FeedGroup], now_ns: int, *, reason: str, silent: bool) -> list[Span]:
        """Told whose data has stopped. The spans this opens, and those it finds to be longer than they seemed."""
        changed = []
        for group in groups:
            span = self._open.get(group)
            if span is None:
                from_ns = _minute(min(self._last_tick_ns.get(group, now_ns), now_ns))
                span = Span(group, from_ns, now_ns, reason, silent)
            elif silent and not span.silent:
                span = replace(span, reason=reason, silent=True)
            else:
                continue
            self._open[group] = span
            changed.append(span)
        return changed


def _minute(ts_ns: int) -> int:
    return ts_ns // MINUTE_NS * MINUTE_NS
