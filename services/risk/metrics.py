"""What risk counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class RiskMetrics:
    """One per registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.verdicts = Counter(
            "tradebus_risk_verdicts_total", "Verdicts by rule", ["verdict", "rule"], registry=registry
        )
        self.armed = Counter(
            "tradebus_risk_armed_total", "ARM_LONG and ARM_SHORT signals noted", ["strategy"], registry=registry
        )
        self.sessions = Gauge("tradebus_risk_sessions", "Sessions taken up", registry=registry)
        self.positions = Gauge("tradebus_risk_positions", "Positions open or on their way", registry=registry)
        self.aside = Gauge(
            "tradebus_risk_sessions_aside", "Sessions put aside: their entries are refused", registry=registry
        )
        self.limit_used = Gauge(
            "tradebus_risk_limit_used_ratio", "The largest share of a limit that any session has used", ["limit"],
            registry=registry,
        )  # fmt: skip
        self.found_again = Counter(
            "tradebus_risk_found_again_total", "Messages the bus had lost, taken from the book", ["type"],
            registry=registry,
        )  # fmt: skip
