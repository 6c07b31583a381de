"""Compiled incremental kernels: candles and indicators. One implementation for live and batch.

The live indicators are here; candles, aggregation, tick paths and the batch functions in their own modules.
"""

from tradebus.indicators.moving import Ema, RelativeVolume, Sma
from tradebus.indicators.oscillators import Atr, Rsi
from tradebus.indicators.session import SessionTypicalMean, Vwap

__all__ = ["Atr", "Ema", "RelativeVolume", "Rsi", "SessionTypicalMean", "Sma", "Vwap"]
