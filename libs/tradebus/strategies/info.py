"""What is said about a strategy without running it: its class's attributes as values, which a process may send."""

import re
from dataclasses import dataclass
from typing import Any

from tradebus.contracts.records import TIMEFRAMES_SECONDS
from tradebus.strategies.needs import Needs
from tradebus.strategies.protocol import Strategy
from tradebus.strategies.raised import in_words

WARMUP_CANDLES_MAX = 10_000
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


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
        """What `as_json` made. Raises KeyError or TypeError for anything else, ValueError with the words of
        `problem_of` for what no class may say: it comes from a user's process."""
        name, timeframe, warmup, wants_ticks = (
            data["name"], data["timeframe_seconds"], data["warmup_candles"], data["wants_ticks"]
        )  # fmt: skip
        needs = Needs.from_json(data["needs"])
        if (problem := problem_of(name, timeframe, warmup, needs)) is not None:
            raise ValueError(problem)
        if type(wants_ticks) is not bool:
            raise ValueError(f"WANTS_TICKS must be True or False, got {in_words(wants_ticks)}")
        return cls(name, timeframe, warmup, wants_ticks, needs)


def problem_of(name: Any, timeframe_seconds: Any, warmup_candles: Any, needs: Any) -> str | None:
    """What is wrong with what a class says of itself, None where nothing is: a user's code may say anything."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        return f"NAME must be lower-case letters, digits and underscores, at most 40, got {in_words(name)}"
    if type(timeframe_seconds) is not int or timeframe_seconds not in TIMEFRAMES_SECONDS:
        return f"TIMEFRAME_SECONDS must be one of {TIMEFRAMES_SECONDS}, got {in_words(timeframe_seconds)}"
    if type(warmup_candles) is not int or not 0 <= warmup_candles <= WARMUP_CANDLES_MAX:
        said = in_words(warmup_candles)
        return f"WARMUP_CANDLES must be a whole number from 0 to {WARMUP_CANDLES_MAX}, got {said}"
    if not isinstance(needs, Needs):
        return f"NEEDS must be tradebus.strategies.needs.Needs, got {in_words(needs)}"
    return needs.problem()


def info_of(strategy: type[Strategy[Any]]) -> StrategyInfo:
    return StrategyInfo(
        strategy.NAME,
        strategy.TIMEFRAME_SECONDS,
        strategy.WARMUP_CANDLES,
        bool(strategy.WANTS_TICKS),
        strategy.NEEDS,
    )
