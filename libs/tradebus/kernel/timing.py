"""How long a call takes. For figures that are printed; nothing is decided by them."""

from collections.abc import Callable
from statistics import median

from tradebus.kernel.clock import monotonic_ns

ROUNDS = 7


def seconds_a_call(call: Callable[[], object], seconds: float) -> float:
    """Seconds of one call: the median over rounds of enough calls to fill the time."""
    call()
    started_ns = monotonic_ns()
    call()
    once_ns = max(1, monotonic_ns() - started_ns)
    calls = max(1, int(seconds * 1e9 / ROUNDS / once_ns))
    took_ns = []
    for _ in range(ROUNDS):
        started_ns = monotonic_ns()
        for _ in range(calls):
            call()
        took_ns.append((monotonic_ns() - started_ns) / calls)
    return median(took_ns) / 1e9
