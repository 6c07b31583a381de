"""How a sandbox market is made: one value, validated, from settings, a test or a command line."""

from dataclasses import dataclass, field
from datetime import datetime

from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import IST, datetime_to_ns

PAISE_PER_CRORE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class MarketOptions:
    """`start` is Indian time. `speed` is market seconds per wall second; 0 stands still until `advance` is called.

    `instruments` is about how many are listed; `ticks_per_second` how many quotes change per market second in all, None
    for about one a second and instrument. `step_ms` is the market time of one step, None for one that suits the speed.
    `skip_closed` jumps over the time in which nothing trades.
    """

    seed: int = 1
    start: datetime = field(default_factory=lambda: datetime(2026, 11, 25, 10, 0))  # noqa: DTZ001 - made aware below
    speed: float = 1.0
    instruments: int = 1200
    ticks_per_second: float | None = None
    step_ms: int | None = None
    opening_paise: int = PAISE_PER_CRORE
    skip_closed: bool = False
    days_kept: int = 5
    orders_kept: int = 7_000  # ended orders an account may still look at in the day

    def __post_init__(self) -> None:
        for name, low, high in (
            ("seed", 0, 2**62), ("speed", 0, 100_000), ("instruments", 1, 50_000), ("opening_paise", 0, 10**17),
            ("days_kept", 1, 60), ("orders_kept", 0, 10**6),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                raise InvalidInput(f"{name}: {getattr(self, name)} is not from {low} to {high}")
        if self.step_ms is not None and not 10 <= self.step_ms <= 600_000:
            raise InvalidInput(f"step_ms: {self.step_ms} is not from 10 to 600000")
        if self.ticks_per_second is not None and not 0 < self.ticks_per_second <= 1e7:
            raise InvalidInput(f"ticks_per_second: {self.ticks_per_second} is not above 0")

    @property
    def start_ns(self) -> int:
        """UTC."""
        moment = self.start if self.start.tzinfo else self.start.replace(tzinfo=IST)
        return datetime_to_ns(moment)

    @property
    def step_ns(self) -> int:
        """Market time of one step."""
        if self.step_ms is not None:
            return self.step_ms * 1_000_000
        return int(min(5_000, max(100, self.speed * 50))) * 1_000_000
