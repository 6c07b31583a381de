"""A trade that cannot be handled is set aside, loudly, and tried again after a while; the others go on.

What it has at the broker (its stop) stays there meanwhile. An exit that is asked for is tried all the same.
"""

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers

_FIRST_SECONDS, _LAST_SECONDS = 1, 60
_log = structlog.get_logger()


class Quarantine:
    """Which positions are left alone until when."""

    def __init__(self, timers: Timers, registry: CollectorRegistry) -> None:
        self._timers = timers
        self._until_ns: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._now = Gauge(
            "tradebus_execution_trades_quarantined", "Trades that cannot be handled now", registry=registry
        )
        self._count = Counter("tradebus_execution_trade_failures_total", "Changes that failed", registry=registry)

    def put(self, pos_id: str, error: BaseException) -> None:
        """The trade failed: longer each time in a row."""
        failures = self._failures[pos_id] = self._failures.get(pos_id, 0) + 1
        seconds = min(_LAST_SECONDS, _FIRST_SECONDS * 2 ** min(failures - 1, 10))
        self._until_ns[pos_id] = self._timers.monotonic_ns() + seconds * NANOSECONDS_PER_SECOND
        self._count.inc()
        self._now.set(len(self._failures))
        _log.error(
            "trade set aside: look at it and at its orders at the broker", pos_id=pos_id, failures=failures,
            again_in_seconds=seconds, exc_info=error,
        )  # fmt: skip

    def holds(self, pos_id: str) -> bool:
        """Whether the trade is to be left alone now."""
        return self._until_ns.get(pos_id, 0) > self._timers.monotonic_ns()

    def release(self, pos_id: str) -> None:
        """It was handled."""
        if self._failures.pop(pos_id, None) is not None:
            self._until_ns.pop(pos_id, None)
            self._now.set(len(self._failures))
