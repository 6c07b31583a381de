"""Averages of one value: live (`Ema`), over many instruments at once (`EmaBank`), over an array (`ema`).

`update` takes the next value and returns the figure after it, or None while there is not enough history: never NaN.
A live object costs about half a microsecond a value. Seeding:

- EMA: the first figure, at the `length`-th value, is the mean of the first `length` values; from then on
  `ema += 2 / (length + 1) * (value - ema)`.
- SMA: the mean of the last `length` values, from the `length`-th on.
- Relative volume: the value over the mean of the `length` values before it, from the one after the `length`-th on; not
  ready while that mean is 0 (an index, a halted contract).
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tradebus.indicators import _moving_kernel as core
from tradebus.indicators._series import Floats, IndicatorSeries, Int64s, as_floats, as_rows, positive, series

MovingStep = Callable[[Floats, float, int], float]
Run = Callable[[Int64s, Floats, int, Floats, Floats], int]


class LiveAverage:
    """One series of one value. `value` is the last figure, None while not ready."""

    def __init__(self, length: int, *, step: MovingStep, run: Run, width: int) -> None:
        self.length = positive(length)
        self.value: float | None = None
        self._step, self._run, self._state = step, run, np.zeros(width)

    def update(self, value: float) -> float | None:
        """Takes the next value. Raises ValueError, unchanged, where it is not finite."""
        figure = self._step(self._state, value, self.length)
        self.value = figure if figure == figure else None
        return self.value

    def extend(self, values: Floats) -> float | None:
        """Takes several values at once, as `update` does one after the other; the figure after the last.

        Raises ValueError, unchanged, where one is not finite.
        """
        if len(values):
            out = np.empty(len(values))
            rows = np.zeros(len(values), np.int64)
            series(out, self._run(rows, values, self.length, self._state.reshape(1, -1), out))
            self.value = float(out[-1]) if out[-1] == out[-1] else None
        return self.value


class AverageBank:
    """One series for each of `instruments`, updated by batches of (instrument, value) in one compiled call."""

    def __init__(self, instruments: int, length: int, *, run: Run, width: int) -> None:
        self.length = positive(length)
        self._run, self._states = run, np.zeros((positive(instruments), width))

    def reset(self, instrument: int) -> None:
        """The instrument begins anew: nothing seen."""
        self._states[instrument] = 0.0

    def update(self, instruments: npt.ArrayLike, values: npt.ArrayLike) -> IndicatorSeries:
        """Takes the pairs in order; an instrument may come several times. Returns the figure after each pair.

        Raises ValueError naming the row, with nothing taken, for an unknown instrument or a value that is not finite.
        """
        column = as_floats(values)
        rows, out = as_rows(instruments, column), np.empty(len(column))
        return series(out, self._run(rows, column, self.length, self._states, out))


class Ema(LiveAverage):
    """Exponential moving average, live."""

    def __init__(self, length: int) -> None:
        super().__init__(length, step=core.ema_step, run=core.ema_run, width=core.EMA_WIDTH)


class EmaBank(AverageBank):
    """Exponential moving averages of many instruments."""

    def __init__(self, instruments: int, length: int) -> None:
        super().__init__(instruments, length, run=core.ema_run, width=core.EMA_WIDTH)


class Sma(LiveAverage):
    """Simple moving average, live; of volumes, the rolling mean volume."""

    def __init__(self, length: int) -> None:
        super().__init__(length, step=core.sma_step, run=core.sma_run, width=core.sma_width(length))


class SmaBank(AverageBank):
    """Simple moving averages of many instruments."""

    def __init__(self, instruments: int, length: int) -> None:
        super().__init__(instruments, length, run=core.sma_run, width=core.sma_width(length))


class RelativeVolume(LiveAverage):
    """Volume over the mean of the `length` volumes before it, live."""

    def __init__(self, length: int) -> None:
        super().__init__(length, step=core.relative_step, run=core.relative_run, width=core.sma_width(length))


class RelativeVolumeBank(AverageBank):
    """Relative volumes of many instruments."""

    def __init__(self, instruments: int, length: int) -> None:
        super().__init__(instruments, length, run=core.relative_run, width=core.sma_width(length))


def _whole(bank: AverageBank, values: npt.ArrayLike) -> IndicatorSeries:
    column = as_floats(values)
    return bank.update(np.zeros(len(column), np.int64), column)


def ema(values: npt.ArrayLike, length: int) -> IndicatorSeries:
    """The EMA after each of `values` (shape [n])."""
    return _whole(EmaBank(1, length), values)


def sma(values: npt.ArrayLike, length: int) -> IndicatorSeries:
    """The SMA after each of `values` (shape [n])."""
    return _whole(SmaBank(1, length), values)


def relative_volume(volumes: npt.ArrayLike, length: int) -> IndicatorSeries:
    """The relative volume at each of `volumes` (shape [n])."""
    return _whole(RelativeVolumeBank(1, length), volumes)
