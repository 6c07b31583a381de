"""How long a call takes, for the figures of `tradebus bench parse`."""

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
    repeats = max(1, int(seconds * 1e9 / ROUNDS / once_ns))
    took_ns = []
    for _ in range(ROUNDS):
        started_ns = monotonic_ns()
        for _ in range(repeats):
            call()
        took_ns.append((monotonic_ns() - started_ns) / repeats)
    return median(took_ns) / 1e9


def compared(packets: int, *, ours: float, sdk: float, floor: float) -> dict[str, float]:
    """Figures of three ways to read the same packets, each given in packets a second, and their ratios to the SDK's."""
    return {
        "packets": packets, "ours_per_second": ours, "sdk_per_second": sdk, "floor_per_second": floor,
        "ours_to_sdk": ours / sdk, "floor_to_sdk": floor / sdk,
    }  # fmt: skip
