"""What the runtime counts. A registry is made once per process, at the top, and handed to whoever measures."""

from prometheus_client import CollectorRegistry, Counter, GCCollector, PlatformCollector, ProcessCollector


def process_registry() -> CollectorRegistry:
    """A new registry that shows the process itself (memory, processor, garbage collection)."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class ConsumerMetrics:
    """One per registry, shared by all its consumers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.handled = Counter(
            "tradebus_consumer_handled_total", "Entries handled", ["consumer", "stream"], registry=registry
        )
        self.put_aside = Counter(
            "tradebus_consumer_put_aside_total",
            "Entries among the dead letters: nobody could handle them",
            ["consumer", "stream"],
            registry=registry,
        )
        self.tried_again = Counter(
            "tradebus_consumer_tried_again_total",
            "Attempts put off because a server was away or a handler failed",
            ["consumer", "stream"],
            registry=registry,
        )
        self.gaps = Counter(
            "tradebus_consumer_gaps_total",
            "Times that entries were gone before this consumer read them",
            ["consumer", "stream"],
            registry=registry,
        )
        self.chores_done = Counter(
            "tradebus_consumer_chores_done_total", "Periodic work that was done to its end", ["consumer", "chore"],
            registry=registry,
        )  # fmt: skip
        self.chores_failed = Counter(
            "tradebus_consumer_chores_failed_total", "Periodic work that failed", ["consumer", "chore"],
            registry=registry,
        )  # fmt: skip
