"""The ORB strategy's typed parameters."""

from typing import Self

from pydantic import Field, model_validator

from tradebus.strategies.built_in.levels import LONGEST, MULTIPLE_MAX
from tradebus.strategies.protocol import StrategyParameters


class OrbParameters(StrategyParameters):
    """Lengths in candles are candles of one minute; `*_atr` are multiples of the ATR."""

    range_minutes: int = Field(default=15, ge=1, le=240)
    range_candles_min: int = Field(default=5, ge=1, le=LONGEST)  # a thinner opening range gives no breakouts that day
    breakout_window_candles: int = Field(default=3, ge=1, le=LONGEST)  # a break counts for so many closes
    volume_multiple: float = Field(default=1.5, gt=0)  # of the mean volume of `average_candles`
    range_multiple: float = Field(default=1.3, gt=0)  # of their mean range, where the series has no volume
    average_candles: int = Field(default=20, ge=5, le=400)
    squeeze_candles: int = Field(default=5, ge=2)
    squeeze_ratio: float = Field(default=0.7, gt=0, lt=1)  # recent mean range below this share of the longer mean
    ema_fast: int = Field(default=9, ge=2)
    ema_slow: int = Field(default=21, ge=3, le=400)
    atr_length: int = Field(default=14, ge=2, le=400)
    location_atr: float = Field(default=0.25, ge=0)  # how near a reversal must be to VWAP or the slow EMA
    inside_bar_mother_atr: float = Field(default=1.0, ge=0)  # a smaller mother bar is noise
    momentum_range_atr: float = Field(default=1.5, ge=0)
    stop_floor_atr: float = Field(default=1.5, gt=0, le=MULTIPLE_MAX)
    reward_multiple: float = Field(default=2.0, gt=0, le=MULTIPLE_MAX)
    lock_minutes: int = Field(default=5, ge=0, le=LONGEST)
    last_entry_minutes: int = Field(default=30, ge=0, le=LONGEST)  # no entry so near the session's close
    put_call_bullish_above: float = Field(default=1.2, gt=0)
    put_call_bearish_below: float = Field(default=0.8, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.ema_fast >= self.ema_slow:
            raise ValueError("ema_fast must be below ema_slow")
        if self.squeeze_candles >= self.average_candles:
            raise ValueError("squeeze_candles must be below average_candles")
        if self.put_call_bearish_below >= self.put_call_bullish_above:
            raise ValueError("put_call_bearish_below must be below put_call_bullish_above")
        return self
