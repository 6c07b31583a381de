"""Where a feed goes on, from what the streams and the feed's row say.

Invariants (property-tested): the same feed goes on exactly where the streams end; a finished one has nothing to do;
another feed may only follow in time, never overlap what is already there.
"""

from dataclasses import dataclass

from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_datetime


@dataclass(frozen=True, slots=True)
class Streams:
    """What the streams hold: all up to `end_ns` (0: nothing), and whether the last feed said that it had ended."""

    end_ns: int
    ended: bool


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """Where to go on. `fresh`: nothing of this feed is out yet, so nobody has to have settled anything."""

    start_ns: int
    fresh: bool
    finished: bool


def position_of(streams: Streams, *, held_identity: str | None, identity: str, first_open_ns: int) -> FeedPosition:
    """Decides. `held_identity` is whose content the streams hold. Raises InvalidInput where the feeds would overlap."""
    if streams.end_ns == 0:
        return FeedPosition(0, fresh=True, finished=False)  # from the beginning of time: no watermark can be behind it
    if held_identity == identity:
        return FeedPosition(streams.end_ns, fresh=False, finished=streams.ended)
    if streams.end_ns > first_open_ns:
        held = ist_datetime(streams.end_ns).strftime("%Y-%m-%d %H:%M")
        raise InvalidInput(
            f"the streams already hold another feed's market data up to {held} Indian time, and this one begins "
            "before that: choose later dates, or another TRADEBUS_NAMESPACE"
        )
    return FeedPosition(streams.end_ns, fresh=True, finished=False)
