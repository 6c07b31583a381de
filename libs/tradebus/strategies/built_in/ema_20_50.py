"""EMA 20/50 crossover on five-minute candles (SPEC 6.3).

Enters while a cross of the fast over the slow EMA is fresh and the slow EMA no longer runs against it, RSI agrees
without being stretched, and price is on the right side of the session's VWAP; leaves on the opposite cross.

Invariants (property-tested):
- No entry with a position open, in the first `first_entry_minutes` or the last `last_entry_minutes` of the session.
- One entry per cross at most. With a position, EXIT while the EMAs stand against it.
- An entry's stop is `stop_atr` x ATR on the losing side of the close, rounded away from it.
- A mirrored market gives mirrored decisions.
"""

from typing import Self

from pydantic import Field, model_validator

from tradebus.contracts.signals import Side
from tradebus.indicators import Atr, Ema, Rsi, Vwap
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.strategies.built_in.crossing import Crossing
from tradebus.strategies.built_in.levels import LONGEST, MULTIPLE_MAX, entry_levels
from tradebus.strategies.protocol import Action, Candle, Context, Decision, Strategy, StrategyParameters, hold

_MINUTE_NS = 60 * NANOSECONDS_PER_SECOND


class Ema2050Parameters(StrategyParameters):
    """Lengths in candles of five minutes; `*_atr` are multiples of the ATR."""

    fast: int = Field(default=20, ge=2)
    slow: int = Field(default=50, ge=3, le=400)
    cross_window_candles: int = Field(default=3, ge=1, le=LONGEST)  # an entry may come so many candles after the cross
    slope_candles: int = Field(default=3, ge=1, le=400)
    slope_min_atr: float = Field(default=0.0, ge=0)  # the slow EMA's move over slope_candles, in the trade's direction
    rsi_length: int = Field(default=14, ge=2, le=400)
    rsi_neutral: float = Field(default=50.0, gt=0, lt=100)  # long above it; short below its mirror, 100 minus it
    rsi_stretched: float = Field(default=75.0, gt=0, lt=100)  # no long above it; no short below its mirror
    vwap_filter: bool = True
    atr_length: int = Field(default=14, ge=2, le=400)
    stop_atr: float = Field(default=2.0, gt=0, le=MULTIPLE_MAX)
    # None: no target, the opposite cross alone closes.
    reward_multiple: float | None = Field(default=3.0, gt=0, le=MULTIPLE_MAX)
    first_entry_minutes: int = Field(default=15, ge=0, le=LONGEST)
    last_entry_minutes: int = Field(default=30, ge=0, le=LONGEST)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.fast >= self.slow:
            raise ValueError("fast must be below slow")
        if self.rsi_neutral >= self.rsi_stretched:
            raise ValueError("rsi_neutral must be below rsi_stretched")
        return self


class Ema2050(Strategy[Ema2050Parameters]):
    NAME = "ema_20_50"
    TIMEFRAME_SECONDS = 300
    WARMUP_CANDLES = 250
    PARAMETERS = Ema2050Parameters

    def __init__(self, parameters: Ema2050Parameters) -> None:
        super().__init__(parameters)
        self._fast, self._slow = Ema(parameters.fast), Ema(parameters.slow)
        self._rsi, self._atr, self._vwap = Rsi(parameters.rsi_length), Atr(parameters.atr_length), Vwap()
        self._slow_history: list[float] = []
        self._session_open_ns = -1
        self._cross = Crossing()

    def on_candle(self, candle: Candle, context: Context) -> Decision:
        if context.session_open_ns != self._session_open_ns:
            self._session_open_ns = context.session_open_ns
            self._vwap.reset()
        fast, slow = self._fast.update(candle.close_paise), self._slow.update(candle.close_paise)
        rsi = self._rsi.update(candle.close_paise)
        atr = self._atr.update(candle.high_paise, candle.low_paise, candle.close_paise)
        vwap = self._vwap.update(candle)
        if fast is None or slow is None or rsi is None or atr is None:
            return hold("indicators_not_ready")
        slope_paise = self._slope(slow)
        self._cross.follow(fast, slow)
        if slope_paise is None:
            return hold("indicators_not_ready")
        if context.position is not None:
            return self._cross.with_position(context.position.side)
        refusal = self._refusal(candle, context, rsi=rsi, slope_atr=slope_paise / atr if atr else 0.0, vwap=vwap)
        return hold(refusal) if refusal else self._enter(candle, rsi=rsi, atr_paise=atr)

    def _slope(self, slow: float) -> float | None:
        """The slow EMA's move over the last `slope_candles`, None until there are so many."""
        self._slow_history.append(slow)
        if len(self._slow_history) <= self.parameters.slope_candles:
            return None
        return slow - self._slow_history.pop(0)

    def _refusal(
        self, candle: Candle, context: Context, *, rsi: float, slope_atr: float, vwap: float | None
    ) -> str | None:
        """The first filter that stands against an entry, None where none does."""
        parameters, sign = self.parameters, self._cross.stance
        if not self._cross.is_fresh(parameters.cross_window_candles):
            return f"no_fresh_cross: {self._cross.order}"
        if candle.ts_close_ns < context.session_open_ns + parameters.first_entry_minutes * _MINUTE_NS:
            return "early_session"
        if candle.ts_close_ns > context.session_close_ns - parameters.last_entry_minutes * _MINUTE_NS:
            return "late_session"
        if slope_atr * sign < parameters.slope_min_atr:
            return f"no_trend: {self._cross.order}, slow EMA slope {slope_atr:.2f} ATR"
        strength = rsi if sign > 0 else 100.0 - rsi
        if strength <= parameters.rsi_neutral:
            return f"rsi_neutral: {self._cross.order}, RSI {rsi:.1f}"
        if strength >= parameters.rsi_stretched:
            return f"rsi_stretched: {self._cross.order}, RSI {rsi:.1f}"
        if parameters.vwap_filter and vwap is not None and (candle.close_paise - vwap) * sign <= 0:
            return f"wrong_side_of_vwap: {self._cross.order}"
        return None

    def _enter(self, candle: Candle, *, rsi: float, atr_paise: float) -> Decision:
        side = Side.LONG if self._cross.stance > 0 else Side.SHORT
        levels = entry_levels(
            side=side,
            price_paise=candle.close_paise,
            natural_stop_paise=candle.close_paise,
            floor_paise=self.parameters.stop_atr * atr_paise,
            reward_multiple=self.parameters.reward_multiple,
        )
        if levels is None:
            return hold(f"stop_below_zero: {self._cross.order}")
        self._cross.spend()
        return Decision(
            action=Action.ENTER_LONG if side is Side.LONG else Action.ENTER_SHORT,
            reason=f"ema_cross: {self._cross.order}, RSI {rsi:.1f}",
            stop_paise=levels.stop_paise,
            target_paise=levels.target_paise,
            confidence=self._confidence(rsi),
        )

    def _confidence(self, rsi: float) -> float:
        """0.5 at the neutral RSI, rising to 0.8 where it is about to be stretched."""
        parameters = self.parameters
        strength = rsi if self._cross.stance > 0 else 100.0 - rsi
        share = (strength - parameters.rsi_neutral) / (parameters.rsi_stretched - parameters.rsi_neutral)
        return round(0.5 + 0.3 * min(1.0, max(0.0, share)), 2)
