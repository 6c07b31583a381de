"""A sandbox exchange whose days pass at once."""

from datetime import datetime

from tradebus.kernel.time import IST, datetime_to_ns

COARSE = {"step_ms": 120_000, "ticks_per_second": 60.0}


def go(exchange, moment):
    """Moves the market to an Indian time."""
    to_ns = datetime_to_ns(datetime.fromisoformat(moment).replace(tzinfo=IST))
    exchange.floor.advance_to(to_ns)
    assert exchange.now_ns == to_ns
