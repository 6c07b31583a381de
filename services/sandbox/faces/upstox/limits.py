"""How often a user may ask: per calendar second, minute and half hour of the exchange's own clock (BROKERS 6).

Invariant (tested): in no window does anybody get more answers than the limit, and nobody pays for another.
"""

from dataclasses import dataclass
from enum import StrEnum

from services.sandbox.faces.upstox.errors import too_many

_WINDOWS_NS = (1_000_000_000, 60_000_000_000, 1_800_000_000_000)


class Kind(StrEnum):
    """What a path is counted as. PUBLIC needs no token and is not counted."""

    ORDER = "ORDER"
    OTHER = "OTHER"
    PUBLIC = "PUBLIC"


@dataclass(frozen=True, slots=True)
class Allowance:
    """Requests per second, minute and half hour; 0 in a place means no limit there."""

    second: int
    minute: int
    half_hour: int


ALLOWANCES = {Kind.ORDER: Allowance(10, 500, 2000), Kind.OTHER: Allowance(50, 500, 2000)}


class Limits:
    """Counts per account and kind."""

    def __init__(self, allowances: dict[Kind, Allowance] | None = None) -> None:
        self.allowances = dict(allowances or ALLOWANCES)
        self._counts: dict[tuple[str, Kind], list[tuple[int, int]]] = {}

    def take(self, account: str, kind: Kind, *, now_ns: int) -> None:
        """Counts one request. Raises UpstoxError 429 where it is one too many (it is then not counted)."""
        allowance = self.allowances.get(kind)
        if allowance is None:
            return
        counts = self._counts.setdefault((account, kind), [(0, 0)] * len(_WINDOWS_NS))
        limits = (allowance.second, allowance.minute, allowance.half_hour)
        following = []
        for (window, count), width_ns, limit in zip(counts, _WINDOWS_NS, limits, strict=True):
            current = now_ns // width_ns
            count = count + 1 if current == window else 1
            if limit and count > limit:
                raise too_many()
            following.append((current, count))
        self._counts[account, kind] = following
