"""What the processes of `bench latency` share: frames on a socket in, order requests on a socket out, one clock."""

import json
from dataclasses import dataclass

from tradebus.kernel.clock import WallClock

FRAME_HEADER_BYTES = 4
# Event time is wall time moved to a trading morning, so that the market is open whenever this runs.
_TRADING_MORNING_NS = 1_704_082_500 * 1_000_000_000  # 2024-01-01 09:45 in India


@dataclass(frozen=True, slots=True)
class BenchClock:
    """Event time = wall time + offset, the same in every process."""

    offset_ns: int

    @classmethod
    def starting_now(cls) -> "BenchClock":
        return cls(_TRADING_MORNING_NS - WallClock().now_ns())

    def now_ns(self) -> int:
        return WallClock().now_ns() + self.offset_ns


def order_line(*, tag: str, at_ns: int) -> bytes:
    """An order request on the broker's socket."""
    return json.dumps({"tag": tag, "at_ns": at_ns}).encode() + b"\n"
