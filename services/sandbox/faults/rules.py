"""Rules for what goes wrong: by broker, endpoint, account and market time, with a chance or a count.

The first rule that matches decides. A rule's chance is drawn from its seed and from how many requests it has seen, so
that the same requests in the same order meet the same faults.
"""

from collections.abc import Callable, Sequence
from datetime import date, time
from fnmatch import fnmatchcase
from typing import Self

from pydantic import Field, field_validator, model_validator

from services.sandbox.faults.ports import Fault, FaultKind
from services.sandbox.ports import BrokerName
from tradebus.contracts.base import Model
from tradebus.kernel.rng import seed_for, uniform
from tradebus.kernel.time import ist_date, ist_to_ns

OF_FRAMES = frozenset(
    {
        FaultKind.DISCONNECT, FaultKind.SILENT, FaultKind.HALF_OPEN, FaultKind.STACKED, FaultKind.TRUNCATED_FRAME,
        FaultKind.DUPLICATE, FaultKind.SHUFFLE_UPDATES,
    }
)  # fmt: skip
OF_REQUESTS = frozenset(FaultKind) - OF_FRAMES
_STREAMS = ("feed", "orders")


class FaultRule(Model):
    """`endpoint` is matched as in file names: "POST /orders/*" for requests, "feed" or "orders" for frames. `since` and
    `until` are Indian times of any day's market clock; `skip` lets the first matching ones pass, `count` ends the rule
    after so many faults."""

    kind: FaultKind
    broker: BrokerName | None = None
    endpoint: str = "*"
    account: str = "*"
    since: time | None = None
    until: time | None = None
    day: date | None = None
    probability: float = Field(default=1.0, gt=0, le=1)
    seed: int = 1
    skip: int = Field(default=0, ge=0)
    count: int | None = Field(default=None, gt=0)
    seconds: float = Field(default=1.0, ge=0, le=3600)
    status: int = Field(default=500, ge=400, le=599)

    @field_validator("since", "until")
    @classmethod
    def _naive(cls, value: time | None) -> time | None:
        return value.replace(tzinfo=None) if value else value

    @model_validator(mode="after")
    def _can_strike(self) -> Self:
        """A rule that can never match would pass for a test that was survived."""
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError(f"since {self.since} is not before until {self.until}: times are of one day")
        if self.kind in OF_FRAMES and not any(fnmatchcase(stream, self.endpoint) for stream in _STREAMS):
            raise ValueError(f"{self.kind} strikes frames: its endpoint is feed, orders or *, not {self.endpoint!r}")
        if self.kind in OF_REQUESTS and self.endpoint in _STREAMS:
            raise ValueError(f"{self.kind} strikes requests, as POST /orders/* or WS /*, not the frames of a stream")
        return self


class _Counted:
    def __init__(self, number: int, rule: FaultRule) -> None:
        self.number, self.rule, self.seen, self.done = number, rule, 0, 0


class RuleFaults:
    """Implements `ports.Faults`."""

    def __init__(self, now: Callable[[], int], rules: Sequence[FaultRule] = ()) -> None:
        self._now = now
        self._rules: dict[int, _Counted] = {}
        self._made = 0
        for rule in rules:
            self.add(rule)

    def add(self, rule: FaultRule) -> int:
        """Puts a rule behind the others; its number removes it."""
        self._made += 1
        self._rules[self._made] = _Counted(self._made, rule)
        return self._made

    def remove(self, number: int) -> bool:
        """Whether there was such a rule."""
        return self._rules.pop(number, None) is not None

    def clear(self) -> None:
        """No faults any more."""
        self._rules.clear()

    def listed(self) -> list[tuple[int, FaultRule, int, int]]:
        """Number, rule, how many it matched, how many it struck."""
        return [(one.number, one.rule, one.seen, one.done) for one in self._rules.values()]

    def for_request(self, broker: BrokerName, *, endpoint: str, account: str | None) -> Fault | None:
        return self._decide(broker, endpoint, account, OF_REQUESTS)

    def for_frame(self, broker: BrokerName, *, stream: str, account: str | None) -> Fault | None:
        return self._decide(broker, stream, account, OF_FRAMES)

    def _decide(self, broker: BrokerName, what: str, account: str | None, kinds: frozenset[FaultKind]) -> Fault | None:
        for one in self._rules.values():
            rule = one.rule
            if rule.kind not in kinds or rule.broker not in (None, broker) or not fnmatchcase(what, rule.endpoint):
                continue
            if not fnmatchcase(account or "", rule.account) or not self._due(rule):
                continue
            one.seen += 1
            if one.seen <= rule.skip or (rule.count is not None and one.done >= rule.count):
                continue
            if rule.probability < 1 and uniform(rule.seed, "fault", rule.kind, one.seen) >= rule.probability:
                continue
            one.done += 1
            return Fault(rule.kind, rule.seconds, rule.status)
        return None

    def _due(self, rule: FaultRule) -> bool:
        now_ns = self._now()
        today = ist_date(now_ns)
        if rule.day is not None and rule.day != today:
            return False
        if rule.since is not None and now_ns < ist_to_ns(today, rule.since):
            return False
        return rule.until is None or now_ns < ist_to_ns(today, rule.until)


def seeded_rules(seed: int, *, share: float = 0.01) -> tuple[FaultRule, ...]:
    """One rule of every kind that a client must survive, each striking about `share` of what it sees (frames a
    hundredth of that)."""
    return tuple(
        FaultRule(
            kind=kind,
            probability=share if kind in OF_REQUESTS else share / 100,
            seed=seed_for(seed, kind) % 2**31,
            seconds=0.5,
        )
        for kind in FaultKind
    )
