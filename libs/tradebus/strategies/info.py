"""What is said about a strategy without running it: its class's attributes as values, which a process may send."""

from dataclasses import dataclass
from typing import Any

from tradebus.strategies.needs import Needs
from tradebus.strategies.protocol import Strategy


@dataclass(frozen=True, slots=True)
class StrategyInfo:
    name: str
    timeframe_seconds: int
    warmup_candles: int
    wants_ticks: bool
    needs: Needs

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "timeframe_seconds": self.timeframe_seconds,
            "warmup_candles": self.warmup_candles,
            "wants_ticks": self.wants_ticks,
            "needs": self.needs.as_json(),
        }

    @classmethod
    def from_json(cls, data: Any) -> "StrategyInfo":
        """What `as_json` made. Raises ValueError, KeyError or TypeError for anything else."""
        return cls(
            str(data["name"]),
            int(data["timeframe_seconds"]),
            int(data["warmup_candles"]),
            bool(data["wants_ticks"]),
            Needs.from_json(data["needs"]),
        )


def info_of(strategy: type[Strategy[Any]]) -> StrategyInfo:
    return StrategyInfo(
        strategy.NAME,
        strategy.TIMEFRAME_SECONDS,
        strategy.WARMUP_CANDLES,
        bool(strategy.WANTS_TICKS),
        strategy.NEEDS,
    )
