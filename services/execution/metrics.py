"""What execution counts. Made once per process, at the top."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class ExecutionMetrics:
    """One per registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.taken = Counter("tradebus_execution_intents_total", "Intents taken", ["kind"], registry=registry)
        self.found_again = Counter(
            "tradebus_execution_found_again_total", "Approvals taken from the book: the bus had lost them", ["type"],
            registry=registry,
        )  # fmt: skip
        self.put_aside = Counter(
            "tradebus_execution_approvals_put_aside_total",
            "Approvals put aside: refused, left to their trade, or unanswered", ["outcome"], registry=registry,
        )  # fmt: skip
        self.alive = Gauge("tradebus_execution_trades_alive", "Trades this instance supervises", registry=registry)
        self.unprotected_seconds = Histogram(
            "tradebus_execution_unprotected_seconds",
            "Event seconds from a fill to its stop's acceptance, or from the stop's end to flat",
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300),
            registry=registry,
        )
        self.unprotected = Gauge(
            "tradebus_execution_unprotected_positions", "Positions without a stop at the broker now", registry=registry
        )
        self.position_unprotected = Gauge(
            "tradebus_execution_position_unprotected_seconds",
            "Seconds for which a position has been seen without a stop at the broker; gone when it is not",
            ["session", "symbol", "position"], registry=registry,
        )  # fmt: skip
        self.disputes = Gauge(
            "tradebus_execution_disputes", "Differences with a broker that nobody can explain", ["account"],
            registry=registry,
        )  # fmt: skip
        self.reconciled = Counter(
            "tradebus_execution_reconciliations_total", "Looks into a broker's books", ["account", "result"],
            registry=registry,
        )  # fmt: skip
