"""Counters on the default Prometheus registry."""

from prometheus_client import Counter, Gauge

VERDICTS = Counter("tradebus_risk_verdicts_total", "Verdicts by rule", ["verdict", "rule"])
ARMED = Counter("tradebus_risk_armed_total", "ARM_LONG and ARM_SHORT signals noted", ["strategy"])
SESSIONS = Gauge("tradebus_risk_sessions", "Sessions taken up")
POSITIONS = Gauge("tradebus_risk_positions", "Positions open or on their way")
DEAD_LETTERS = Counter("tradebus_risk_dead_letters_total", "Messages that could not be handled", ["stream"])
