"""Where the order governor sits: every request of an account passes here, one after the other, before it leaves."""

from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tradebus.execution.decisions import Priority


class Pacing(Protocol):
    """Asked by the account's sender, in the order in which requests may leave. It may wait; whoever waits here holds up
    its own account only, and is asked again for whatever is first by then."""

    async def admit(self, account: str, priority: Priority) -> None:
        """Returns when the next request may leave."""


class PassThrough:
    """Lets everything through, and counts it: brokers' adapters keep to their own limits."""

    def __init__(self, metrics: "SenderMetrics") -> None:
        self._metrics = metrics

    async def admit(self, account: str, priority: Priority) -> None:
        self._metrics.admitted.labels(account, priority.name).inc()


class SenderMetrics:
    """One per registry, shared by all senders."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.admitted = Counter(
            "tradebus_execution_requests_total", "Requests that left for a broker", ["account", "priority"],
            registry=registry,
        )  # fmt: skip
        self.waiting = Gauge(
            "tradebus_execution_requests_waiting", "Requests that wait for their account", ["account"],
            registry=registry,
        )  # fmt: skip
        self.under_way = Gauge(
            "tradebus_execution_requests_under_way", "Requests a broker has not answered yet", ["account"],
            registry=registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "tradebus_execution_request_seconds", "From leaving to the answer", ["account"], registry=registry,
            buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20),
        )  # fmt: skip
