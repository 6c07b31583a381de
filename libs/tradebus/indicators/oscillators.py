"""Wilder's RSI and ATR: live, over many instruments at once, over arrays. The shape of things is that of `moving.py`.

- RSI: the first figure comes with the `length`-th change (value length + 1), from the mean gain and mean loss of the
  first `length` changes; from then on `average += (new - average) / length`. 100 where nothing was lost, 0 where
  nothing was gained, 50 where nothing moved at all.
- ATR: true range is high - low for the first candle, then the largest of high - low, |high - last close| and
  |low - last close|. The first figure, at the `length`-th candle, is the mean of the first `length` true ranges; from
  then on `atr += (true range - atr) / length`. In the prices' unit. It runs on over the night: an opening gap counts.
"""

import numpy as np
import numpy.typing as npt

from tradebus.indicators import _bar_kernel as core
from tradebus.indicators._series import Floats, IndicatorSeries, as_floats, as_rows, positive, series


class Rsi:
    """Relative strength index, live. `value` is the last figure, None while not ready."""

    def __init__(self, length: int) -> None:
        self.length = positive(length)
        self.value: float | None = None
        self._state = np.zeros(core.RSI_WIDTH)

    def update(self, value: float) -> float | None:
        """Takes the next value. Raises ValueError, unchanged, where it is not finite."""
        figure = core.rsi_step(self._state, value, self.length)
        self.value = figure if figure == figure else None
        return self.value


class RsiBank:
    """RSIs of many instruments."""

    def __init__(self, instruments: int, length: int) -> None:
        self.length = positive(length)
        self._states = np.zeros((positive(instruments), core.RSI_WIDTH))

    def reset(self, instrument: int) -> None:
        """The instrument begins anew: nothing seen."""
        self._states[instrument] = 0.0

    def update(self, instruments: npt.ArrayLike, values: npt.ArrayLike) -> IndicatorSeries:
        """Takes (instrument, value) pairs in order. Raises ValueError as `AverageBank.update` does."""
        column = as_floats(values)
        rows, out = as_rows(instruments, column), np.empty(len(column))
        return series(out, core.rsi_run(rows, column, self.length, self._states, out))


class Atr:
    """Average true range, live. `value` is the last figure, None while not ready."""

    def __init__(self, length: int) -> None:
        self.length = positive(length)
        self.value: float | None = None
        self._state = np.zeros(core.ATR_WIDTH)

    def update(self, high: float, low: float, close: float) -> float | None:
        """Takes the next candle. Raises ValueError, unchanged, unless low ≤ close ≤ high, all finite."""
        figure = core.atr_step(self._state, high, low, close, self.length)
        self.value = figure if figure == figure else None
        return self.value

    def extend(self, high: Floats, low: Floats, close: Floats) -> float | None:
        """Takes several candles at once, as `update` does one after the other; the figure after the last.

        Raises ValueError, unchanged, unless low ≤ close ≤ high in all, all finite.
        """
        if len(high):
            out = np.empty(len(high))
            rows = np.zeros(len(high), np.int64)
            states = self._state.reshape(1, -1)
            series(out, core.atr_run(rows, high, low, close, self.length, states, out))
            self.value = float(out[-1]) if out[-1] == out[-1] else None
        return self.value


class AtrBank:
    """ATRs of many instruments."""

    def __init__(self, instruments: int, length: int) -> None:
        self.length = positive(length)
        self._states = np.zeros((positive(instruments), core.ATR_WIDTH))

    def reset(self, instrument: int) -> None:
        """The instrument begins anew: nothing seen."""
        self._states[instrument] = 0.0

    def update(
        self, instruments: npt.ArrayLike, *, high: npt.ArrayLike, low: npt.ArrayLike, close: npt.ArrayLike
    ) -> IndicatorSeries:
        """Takes candles in order, one per row. Raises ValueError naming the row, with nothing taken."""
        highs, lows, closes = as_floats(high), as_floats(low), as_floats(close)
        rows, out = as_rows(instruments, highs, lows, closes), np.empty(len(highs))
        return series(out, core.atr_run(rows, highs, lows, closes, self.length, self._states, out))


def rsi(values: npt.ArrayLike, length: int) -> IndicatorSeries:
    """The RSI after each of `values` (shape [n])."""
    column = as_floats(values)
    return RsiBank(1, length).update(np.zeros(len(column), np.int64), column)


def atr(*, high: npt.ArrayLike, low: npt.ArrayLike, close: npt.ArrayLike, length: int) -> IndicatorSeries:
    """The ATR after each candle (arrays of shape [n])."""
    column = as_floats(high)
    return AtrBank(1, length).update(np.zeros(len(column), np.int64), high=column, low=low, close=close)
