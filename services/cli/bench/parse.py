"""`bench parse`: broker frames to record batches, each beside the official SDK's parser on the same frames."""

from typing import Any

from tradebus.brokers.dhan.measure import measure_parse as measure_dhan
from tradebus.brokers.kite.measure import measure_parse as measure_kite
from tradebus.brokers.upstox.measure import measure_parse as measure_upstox


def measure() -> dict[str, Any]:
    """Ticks a second per protocol, frame to record batch with depth, and how many times the SDK's that is."""
    found: dict[str, Any] = {}
    for broker, figures in (("kite", measure_kite()), ("dhan", measure_dhan()), ("upstox", measure_upstox())):
        nested = {name: value for name, value in figures.items() if isinstance(value, dict)}
        found |= {f"{broker}, {name.removeprefix(f'{broker}, ')}": value for name, value in nested.items()}
        if len(nested) < len(figures):
            found[broker] = {name: value for name, value in figures.items() if not isinstance(value, dict)}
    return found
