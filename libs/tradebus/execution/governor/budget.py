"""What has left of one account, and whether the next request may. Working state beside its decision.

Invariants (property-tested):
- In no second, wherever it begins, more than `kept` requests reach the broker, as long as their ways there differ by
  less than `SPREAD_NS`. The broker's calendar second is such a second, however its clock stands against ours.
- In no longer span more than `kept` leave, but for exits that insist: one in `INSIST_NS` where the broker's own count
  may be smaller than ours.
- Entries never use the reserve of a span, exits that were refused again and again never more than half of it.
- A clock that is set back blocks nothing longer than the span itself.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from tradebus.execution.governor.limits import DAY_SECONDS, OrderLane, OrderLimit
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import IST_OFFSET_NS, NANOSECONDS_PER_SECOND

# Two requests of one login differ by less than this in the time they take to the broker. What is let out counts so much
# longer than a second: nine that were late and nine that were not never meet in one.
SPREAD_NS = 200_000_000
INSIST_NS = 10 * NANOSECONDS_PER_SECOND
_SECOND_NS = NANOSECONDS_PER_SECOND + SPREAD_NS
_PARTS = 12  # of a span longer than a second: counted by part, the one that has begun and twelve before it
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class OrderAsk:
    """One request that wants to leave: for which exchange segment, on which lane, and whether it counts towards the
    order-to-trade ratio."""

    segment: str
    lane: OrderLane
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """Admitted; or to ask again in `wait_ns`; or refused for a `reason` that a person understands."""

    wait_ns: int = 0
    reason: str = ""
    span: str = ""  # the name of the limit that is used up, where it is longer than a second
    more: int = 0  # so many others like it may leave with one that is admitted

    @property
    def admitted(self) -> bool:
        return not self.wait_ns and not self.reason


ADMITTED = Admission()


@dataclass(slots=True)
class OrderBudget:
    """Of one account. `moments` are the last departures with their segments, `counts` those of longer spans by part,
    `messages` and `trades` those of the `day` that make the order-to-trade ratio."""

    moments: list[tuple[int, str]] = field(default_factory=list)
    counts: dict[int, dict[int, int]] = field(default_factory=dict)
    last_ns: int = 0
    messages: int = 0
    trades: int = 0
    day: int = 0

    def take(self, limits: Sequence[OrderLimit], ask: OrderAsk, *, now_ns: int, more: int = 0) -> Admission:
        """Whether the request may leave now; then it has, and is counted. With it up to `more` others like it, as if
        each had been asked for."""
        admission, others = self.look(limits, ask, now_ns=now_ns), 0
        if not admission.admitted:
            return admission
        self.left(limits, ask, at_ns=now_ns)
        while others < more and self.look(limits, ask, now_ns=now_ns).admitted:
            self.left(limits, ask, at_ns=now_ns)
            others += 1
        return replace(admission, more=others) if others else admission

    def look(self, limits: Sequence[OrderLimit], ask: OrderAsk, *, now_ns: int) -> Admission:
        """As `take`, and nothing leaves."""
        self._tidy(now_ns)
        wait_ns, slow_ns, spent = 0, 0, None
        for limit in limits:
            used = self.used(limit, ask.segment, now_ns=now_ns)
            open_to = limit.open_to(ask.lane)
            if used < open_to:
                continue
            free_ns = self._free_ns(limit, ask.segment, used - open_to + 1) - now_ns
            if limit.seconds == 1:
                wait_ns = max(wait_ns, free_ns)
            elif ask.lane is OrderLane.ENTRY:
                return Admission(reason=_used_up(limit, used, free_ns), span=limit.name)
            elif free_ns > slow_ns:
                slow_ns, spent = free_ns, limit
        if ask.lane is OrderLane.EXIT:  # getting out is tried in any case
            slow_ns = min(slow_ns, max(0, self.last_ns + INSIST_NS - now_ns))
        return Admission(max(wait_ns, min(slow_ns, INSIST_NS)), span=spent.name if spent is not None else "")

    def left(self, limits: Sequence[OrderLimit], ask: OrderAsk, *, at_ns: int) -> None:
        """A request has left. `at_ns` may be a little before another that is counted already."""
        self.moments.append((at_ns, ask.segment))
        self.moments.sort()
        for limit in limits:
            if limit.seconds > 1:
                parts, part = self.counts.setdefault(limit.seconds, {}), _part(limit.seconds, at_ns)
                parts[part] = parts.get(part, 0) + 1
        self.last_ns = max(self.last_ns, at_ns)
        self._begin_day(at_ns)
        self.messages += ask.counted

    def stayed(self, limits: Sequence[OrderLimit], ask: OrderAsk, *, at_ns: int) -> None:
        """A request that was counted as having left then has not."""
        if (at_ns, ask.segment) in self.moments:
            self.moments.remove((at_ns, ask.segment))
        for limit in limits:
            parts, part = self.counts.get(limit.seconds, {}), _part(limit.seconds, at_ns)
            if limit.seconds > 1 and parts.get(part, 0) > 0:
                parts[part] -= 1
        if self.day == _part(DAY_SECONDS, at_ns):
            self.messages = max(0, self.messages - ask.counted)

    def traded(self, count: int, *, at_ns: int) -> None:
        """So many trades were made, for the order-to-trade ratio."""
        self._begin_day(at_ns)
        self.trades += count

    def used(self, limit: OrderLimit, segment: str, *, now_ns: int) -> int:
        """How many requests of the span that ends now have left."""
        if limit.seconds > 1:
            oldest = _part(limit.seconds, now_ns) - _kept_parts(limit.seconds)
            return sum(count for part, count in self.counts.get(limit.seconds, {}).items() if part > oldest)
        return sum(at_ns > now_ns - _SECOND_NS for at_ns, _ in self._of(limit, segment))

    def copy(self) -> "OrderBudget":
        """One that may be decided on."""
        counts = {seconds: dict(parts) for seconds, parts in self.counts.items()}
        return replace(self, moments=list(self.moments), counts=counts)

    def to_json(self, limits: Sequence[OrderLimit] = ()) -> str:
        """As `read_budget` takes it; with the account's caps, for whoever shows it (`standing`)."""
        caps = [[limit.seconds, limit.kept] for limit in limits if limit.scope == "account"]
        return json.dumps({
            "format": _FORMAT, "moments": self.moments, "last_ns": self.last_ns,
            "counts": [[seconds, part, count] for seconds, parts in self.counts.items()
                       for part, count in parts.items()],
            "messages": self.messages, "trades": self.trades, "day": self.day, "caps": caps,
        }, separators=(",", ":"))  # fmt: skip

    def _of(self, limit: OrderLimit, segment: str) -> Iterable[tuple[int, str]]:
        if limit.scope == "account":
            return self.moments
        return [one for one in self.moments if one[1] == segment]

    def _free_ns(self, limit: OrderLimit, segment: str, too_many: int) -> int:
        """When so many of those that are counted now are not any more."""
        if limit.seconds == 1:
            return list(self._of(limit, segment))[too_many - 1][0] + _SECOND_NS
        for part, count in sorted(self.counts[limit.seconds].items()):
            too_many -= count
            if too_many <= 0:
                return _begins_ns(limit.seconds, part + _kept_parts(limit.seconds))
        raise AssertionError("unreachable: only what was counted is too many")

    def _tidy(self, now_ns: int) -> None:
        """Forgets what no span counts any more. What lies in the future, the clock having been set back, left now at
        the latest."""
        self.moments = [(min(at_ns, now_ns), segment) for at_ns, segment in self.moments if at_ns > now_ns - _SECOND_NS]
        for seconds, parts in self.counts.items():
            now = _part(seconds, now_ns)
            kept: dict[int, int] = {}
            for part, count in parts.items():
                if part > now - _kept_parts(seconds):
                    kept[min(part, now)] = kept.get(min(part, now), 0) + count
            self.counts[seconds] = kept
        self.last_ns = min(self.last_ns, now_ns)
        self._begin_day(now_ns)

    def _begin_day(self, at_ns: int) -> None:
        day = _part(DAY_SECONDS, at_ns)
        if day > self.day:
            self.day, self.messages, self.trades = day, 0, 0


def read_budget(text: str | None) -> OrderBudget:
    """A budget as `to_json` wrote it; a new one for None. Raises InvalidInput for anything else."""
    if text is None:
        return OrderBudget()
    try:
        stated = json.loads(text)
        if stated["format"] != _FORMAT:
            raise ValueError(f"format {stated['format']!r}")
        found = OrderBudget(
            moments=[(int(at_ns), str(segment)) for at_ns, segment in stated["moments"]],
            last_ns=int(stated["last_ns"]), messages=int(stated["messages"]), trades=int(stated["trades"]),
            day=int(stated["day"]),
        )  # fmt: skip
        for seconds, part, count in stated["counts"]:
            found.counts.setdefault(int(seconds), {})[int(part)] = int(count)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidInput(f"order budget: not one that this version wrote ({error!r}): delete the row") from None
    return found


def _used_up(limit: OrderLimit, used: int, free_ns: int) -> str:
    return (
        f"order limit: {used:,} of the {limit.kept:,} requests of {limit.broker} for one {limit.name} are used, the "
        f"last {limit.reserve:,} are kept for exits and stops; room again in {-(-free_ns // NANOSECONDS_PER_SECOND)} s"
    )


def _kept_parts(seconds: int) -> int:
    return 1 if seconds == DAY_SECONDS else _PARTS + 1


def _part_ns(seconds: int) -> int:
    return seconds * NANOSECONDS_PER_SECOND // (1 if seconds == DAY_SECONDS else _PARTS)


def _offset_ns(seconds: int) -> int:
    return IST_OFFSET_NS if seconds == DAY_SECONDS else 0


def _part(seconds: int, at_ns: int) -> int:
    return (at_ns + _offset_ns(seconds)) // _part_ns(seconds)


def _begins_ns(seconds: int, part: int) -> int:
    return part * _part_ns(seconds) - _offset_ns(seconds)
