"""The plainest crossover: long while a fast EMA is above a slow one, short while it is below, on one-minute candles.

Enters within `cross_window_candles` of a cross, once per cross; leaves on the opposite cross, at its stop, or at its
target where one is asked for. What it is for: a first run, a measure of the engine, and the strategy that sweeps are
shown with. It has no filter, so it trades often and pays for it.

Invariants (property-tested):
- No entry with a position open. One entry per cross at most. With a position, EXIT while the EMAs stand against it.
- An entry's stop is `stop_pct` per cent of the close on the losing side of it, rounded away from it.
- A mirrored market gives mirrored decisions.
"""

from typing import Self

from pydantic import Field, model_validator

from tradebus.contracts.signals import Side
from tradebus.indicators import Ema
from tradebus.strategies.built_in.crossing import Crossing
from tradebus.strategies.built_in.levels import LONGEST, MULTIPLE_MAX, entry_levels
from tradebus.strategies.protocol import Action, Candle, Context, Decision, Strategy, StrategyParameters, hold

WARMUP_CANDLES = 200


class EmaCrossParameters(StrategyParameters):
    """Lengths in candles of one minute."""

    fast: int = Field(default=9, ge=1)
    slow: int = Field(default=21, ge=2, le=WARMUP_CANDLES)
    cross_window_candles: int = Field(default=3, ge=1, le=LONGEST)  # an entry may come so many candles after the cross
    stop_pct: float = Field(default=1.0, gt=0, le=90)
    # None: no target, the opposite cross alone closes.
    reward_multiple: float | None = Field(default=None, gt=0, le=MULTIPLE_MAX)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.fast >= self.slow:
            raise ValueError("fast must be below slow")
        return self


class EmaCross(Strategy[EmaCrossParameters]):
    NAME = "ema_cross"
    TIMEFRAME_SECONDS = 60
    WARMUP_CANDLES = WARMUP_CANDLES
    PARAMETERS = EmaCrossParameters

    def __init__(self, parameters: EmaCrossParameters) -> None:
        super().__init__(parameters)
        self._fast, self._slow = Ema(parameters.fast), Ema(parameters.slow)
        self._cross = Crossing()

    def on_candle(self, candle: Candle, context: Context) -> Decision:
        fast, slow = self._fast.update(candle.close_paise), self._slow.update(candle.close_paise)
        if fast is None or slow is None:
            return hold("indicators_not_ready")
        self._cross.follow(fast, slow)
        if context.position is not None:
            return self._cross.with_position(context.position.side)
        if not self._cross.is_fresh(self.parameters.cross_window_candles):
            return hold(f"no_fresh_cross: {self._cross.order}")
        return self._enter(candle)

    def _enter(self, candle: Candle) -> Decision:
        side = Side.LONG if self._cross.stance > 0 else Side.SHORT
        levels = entry_levels(
            side=side,
            price_paise=candle.close_paise,
            natural_stop_paise=candle.close_paise,
            floor_paise=self.parameters.stop_pct * candle.close_paise / 100.0,
            reward_multiple=self.parameters.reward_multiple,
        )
        if levels is None:
            return hold(f"stop_below_zero: {self._cross.order}")
        self._cross.spend()
        return Decision(
            action=Action.ENTER_LONG if side is Side.LONG else Action.ENTER_SHORT,
            reason=f"ema_cross: {self._cross.order}",
            stop_paise=levels.stop_paise,
            target_paise=levels.target_paise,
        )
