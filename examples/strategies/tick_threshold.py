"""Tick threshold: a strategy that decides on ticks.

Enters LONG whenever the price crosses `level_paise` upwards; or, to measure the way from a tick to an order, at every
`every_ticks`-th tick of its symbol, whether it has a position or not. The stop lies 1 % below.

A tick strategy hears ticks from its session's start on. Ticks are not kept for it: after a restart, and at the start
of a day, it knows its candles and nothing of the ticks before.
"""

from typing import Self

from pydantic import Field, model_validator

from tradebus.strategies.protocol import Action, Candle, Context, Decision, Strategy, StrategyParameters, Tick, hold


class TickThresholdParameters(StrategyParameters):
    level_paise: int | None = Field(default=None, gt=0)
    every_ticks: int | None = Field(default=None, ge=1)
    stop_pct: float = Field(default=1.0, gt=0, lt=100)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.level_paise is None) == (self.every_ticks is None):
            raise ValueError("give either level_paise or every_ticks")
        return self


class TickThreshold(Strategy[TickThresholdParameters]):
    NAME = "tick_threshold"
    TIMEFRAME_SECONDS = 60
    WARMUP_CANDLES = 0
    WANTS_TICKS = True
    PARAMETERS = TickThresholdParameters

    def __init__(self, parameters: TickThresholdParameters) -> None:
        super().__init__(parameters)
        self._ticks = 0
        self._last_paise: int | None = None

    def on_candle(self, candle: Candle, context: Context) -> Decision:
        return hold("decides_on_ticks")

    def on_tick(self, tick: Tick, context: Context) -> Decision | None:
        last_paise, self._last_paise = self._last_paise, tick.price_paise
        self._ticks += 1
        every, level = self.parameters.every_ticks, self.parameters.level_paise
        if every is not None:
            return self._enter(tick, f"tick {self._ticks}") if self._ticks % every == 0 else None
        if level is None or last_paise is None or context.position is not None:
            return None
        if last_paise < level <= tick.price_paise:
            return self._enter(tick, f"crossed {level / 100:.2f}")
        return None

    def _enter(self, tick: Tick, reason: str) -> Decision:
        stop_paise = tick.price_paise - max(1, round(tick.price_paise * self.parameters.stop_pct / 100))
        return Decision(Action.ENTER_LONG, reason, stop_paise=stop_paise, confidence=1.0)
