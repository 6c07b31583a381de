"""How often a broker lets an account ask: per class of request, by the market's own calendar second, minute, hour, day.

    orders      place, modify, cancel      quotes, history, chain      market data by request      other      the rest

The seconds are the market's. Where it stands still (speed 0) a second never ends, so whoever drives it by hand sets
`scale` 0 or moves the clock on. Dhan counts option chains by underlying and expiry: `detail` says which.
"""

from dataclasses import dataclass

from services.sandbox.ports import BrokerName
from tradebus.kernel.time import IST_OFFSET_NS, NANOSECONDS_PER_SECOND

_SECOND, _MINUTE, _HOUR, _DAY = 1, 60, 3600, 86_400


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `count` requests in one calendar window of `seconds`."""

    seconds: int
    count: int


def _limits(*pairs: tuple[int, int]) -> tuple[RateLimit, ...]:
    return tuple(RateLimit(seconds, count) for seconds, count in pairs)


_UPSTOX_OTHER = _limits((_SECOND, 50), (_MINUTE, 500), (1800, 2_000))
LIMITS: dict[BrokerName, dict[str, tuple[RateLimit, ...]]] = {
    BrokerName.KITE: {
        "orders": _limits((_SECOND, 10), (_MINUTE, 400), (_DAY, 5_000)),
        "quotes": _limits((_SECOND, 1)),
        "history": _limits((_SECOND, 3)),
        "other": _limits((_SECOND, 10)),
    },
    BrokerName.DHAN: {
        "orders": _limits((_SECOND, 10), (_MINUTE, 250), (_HOUR, 1_000), (_DAY, 7_000)),
        "quotes": _limits((_SECOND, 1)),
        "history": _limits((_SECOND, 5), (_DAY, 100_000)),
        "chain": _limits((3, 1)),
        "other": _limits((_SECOND, 20)),
    },
    BrokerName.UPSTOX: {
        "orders": _limits((_SECOND, 10), (_MINUTE, 500), (1800, 2_000)),
        "quotes": _UPSTOX_OTHER,
        "history": _UPSTOX_OTHER,
        "chain": _UPSTOX_OTHER,
        "other": _UPSTOX_OTHER,
    },
}
_ORDER_PATHS = ("/orders", "/order/", "/gtt", "/forever", "/super", "/alerts")
_UNLIMITED = ("/login", "/connect", "/session", "/instruments", "/authorize")


def class_of(method: str, path: str) -> str | None:
    """The class of a request; None where it is not counted (logins, instrument masters)."""
    is_order = any(part in path for part in _ORDER_PATHS)
    if method != "GET" and is_order:
        return "orders"
    if not is_order and ("histor" in path or "/charts/" in path):
        return "history"
    if not is_order and any(part in path for part in _UNLIMITED):
        return None
    if path.endswith(("/optionchain", "/option/chain")):
        return "chain"
    if "quote" in path or "marketfeed" in path:
        return "quotes"
    return "other"


class RateLimits:
    """Counts per broker, account and class. `scale` multiplies every count (0 switches the limits off)."""

    def __init__(self, *, scale: float = 1.0) -> None:
        self.scale = scale
        self._counts: dict[tuple[BrokerName, str, str, int], tuple[int, int]] = {}

    def exceeded(
        self, broker: BrokerName, account: str, *, method: str, path: str, now_ns: int, detail: str = ""
    ) -> RateLimit | None:
        """Counts the request; the limit it breaks, if any. A refused request does not count."""
        name = class_of(method, path)
        if name is None or not self.scale:
            return None
        limits = LIMITS[broker].get(name, LIMITS[broker]["other"])
        counted = []
        for limit in limits:
            window = (now_ns + IST_OFFSET_NS) // NANOSECONDS_PER_SECOND // limit.seconds
            key = (broker, account, name + detail, limit.seconds)
            at, count = self._counts.get(key, (window, 0))
            count = count if at == window else 0
            if count >= max(1, int(limit.count * self.scale)):
                return limit
            counted.append((key, (window, count + 1)))
        self._counts.update(counted)
        return None
