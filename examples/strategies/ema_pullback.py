"""EMA pullback: a strategy of one's own, in one file.

In a trend (fast EMA on one side of the slow one) price comes back to the fast EMA and turns again: enter in the
trend's direction, stop beyond the pullback, leave when the trend is over.

    tradebus trade --history FILE --symbol NIFTY --strategy-file examples/strategies/ema_pullback.py
"""

from pydantic import Field

from tradebus.contracts.signals import Side
from tradebus.indicators import Atr, Ema
from tradebus.strategies.built_in.levels import entry_levels
from tradebus.strategies.protocol import Action, Candle, Context, Decision, Strategy, StrategyParameters, hold

LAST_ENTRY_NS = 30 * 60 * 1_000_000_000


class EmaPullbackParameters(StrategyParameters):
    fast: int = Field(default=20, ge=2)
    slow: int = Field(default=50, ge=3)
    stop_atr: float = Field(default=1.5, gt=0)
    reward_multiple: float = Field(default=2.0, gt=0)


class EmaPullback(Strategy[EmaPullbackParameters]):
    NAME = "ema_pullback"
    TIMEFRAME_SECONDS = 300
    WARMUP_CANDLES = 200
    PARAMETERS = EmaPullbackParameters

    def __init__(self, parameters: EmaPullbackParameters) -> None:
        super().__init__(parameters)
        self._fast, self._slow, self._atr = Ema(parameters.fast), Ema(parameters.slow), Atr(14)

    def on_candle(self, candle: Candle, context: Context) -> Decision:
        fast, slow = self._fast.update(candle.close_paise), self._slow.update(candle.close_paise)
        atr = self._atr.update(candle.high_paise, candle.low_paise, candle.close_paise)
        if fast is None or slow is None or atr is None:
            return hold("indicators_not_ready")
        side = Side.LONG if fast > slow else Side.SHORT
        if context.position is not None:
            if context.position.side is side:
                return hold("in_position")
            return Decision(Action.EXIT, "trend_over")
        if candle.ts_close_ns > context.session_close_ns - LAST_ENTRY_NS:
            return hold("late_session")
        extreme = candle.low_paise if side is Side.LONG else candle.high_paise
        touched = (extreme - fast) * side.sign <= 0
        turned = (candle.close_paise - max(fast * side.sign, candle.open_paise * side.sign) * side.sign) * side.sign > 0
        if not (touched and turned):
            return hold("no_pullback")
        levels = entry_levels(
            side=side,
            price_paise=candle.close_paise,
            natural_stop_paise=extreme,
            floor_paise=self.parameters.stop_atr * atr,
            reward_multiple=self.parameters.reward_multiple,
        )
        if levels is None:
            return hold("stop_below_zero")
        action = Action.ENTER_LONG if side is Side.LONG else Action.ENTER_SHORT
        reason = f"pullback: touched EMA {fast / 100:.2f} and turned"
        return Decision(action, reason, levels.stop_paise, levels.target_paise, confidence=0.6)
