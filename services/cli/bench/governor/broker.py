"""The sandbox, counting order requests as a broker does whose clock is not ours: each account by a clock of its own."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.sandbox.assembly import Sandbox, assemble
from services.sandbox.exchange import generated_exchange
from services.sandbox.faults.limits import RateLimit, RateLimits, class_of
from services.sandbox.options import MarketOptions
from services.sandbox.ports import BrokerName
from tradebus.kernel.clock import WallClock
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_CLOCK = WallClock()


@dataclass
class Counted:
    """Order requests by account and the broker's second, those that got a 429 among them."""

    seconds: Counter[tuple[str, int]] = field(default_factory=Counter)
    refused: int = 0


class SkewedLimits(RateLimits):
    """`skews_ns`: how far the clock that counts an account is ahead of ours."""

    def __init__(self, skews_ns: Mapping[str, int]) -> None:
        super().__init__()
        self._skews_ns, self.counted = skews_ns, Counted()

    def exceeded(
        self, broker: BrokerName, account: str, *, method: str, path: str, now_ns: int, detail: str = ""
    ) -> RateLimit | None:
        """See `RateLimits`; the time is the account's."""
        theirs_ns = _CLOCK.now_ns() + self._skews_ns.get(account, 0)
        broken = super().exceeded(broker, account, method=method, path=path, now_ns=theirs_ns, detail=detail)
        if class_of(method, path) == "orders":
            self.counted.seconds[account, theirs_ns // NANOSECONDS_PER_SECOND] += 1
            self.counted.refused += broken is not None
        return broken


def skewed_sandbox(skews_ns: Mapping[str, int]) -> tuple[Sandbox, SkewedLimits]:
    """Listening, not running yet; with accounts that can afford whatever is asked for."""
    limits = SkewedLimits(skews_ns)
    options = MarketOptions(instruments=60, ticks_per_second=60, opening_paise=10**15)
    return assemble(generated_exchange(options), limits=limits), limits
