"""Figures of one trading session: VWAP, and the mean typical price where there is no volume.

Both take closed candles and weigh each candle's typical price (high + low + close) / 3: VWAP by its volume, the mean
typical price by 1. VWAP is not ready until a candle with volume came; on an index, which has none, it never is: whoever
wants a level there asks for `SessionTypicalMean` by name, because the two are not the same thing.

A live object is told of a new session by `reset()`; banks and batches by each row's session open instant.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from tradebus.indicators import _bar_kernel as core
from tradebus.indicators._series import Floats, IndicatorSeries, as_floats, as_rows, positive, series


class Bar(Protocol):
    """What is looked at in a candle."""

    @property
    def high_paise(self) -> int: ...
    @property
    def low_paise(self) -> int: ...
    @property
    def close_paise(self) -> int: ...
    @property
    def volume(self) -> int: ...


class SessionTypicalMean:
    """Mean typical price of the session's candles, live. `value` is the last figure, None before the first candle."""

    def __init__(self) -> None:
        self.value: float | None = None
        self._state = np.zeros(core.MEAN_WIDTH)

    def reset(self) -> None:
        """Begins a session: nothing seen."""
        self._state[:] = 0.0
        self.value = None

    def update(self, candle: Bar) -> float | None:
        """Takes the session's next closed candle; the figure in paise."""
        price = (candle.high_paise + candle.low_paise + candle.close_paise) / 3.0
        figure = core.mean_step(self._state, price, self._weight(candle))
        self.value = figure if figure == figure else None
        return self.value

    def _weight(self, candle: Bar) -> float:
        return 1.0


class Vwap(SessionTypicalMean):
    """Volume-weighted average price of the session, live. None while no candle of the session had volume."""

    def _weight(self, candle: Bar) -> float:
        return float(candle.volume)


class VwapBank:
    """VWAPs of many instruments, each with its own sessions; the mean typical price where every volume given is 1."""

    def __init__(self, instruments: int) -> None:
        self._states = np.zeros((positive(instruments), core.MEAN_WIDTH))

    def reset(self, instrument: int) -> None:
        """The instrument begins anew: nothing seen."""
        self._states[instrument] = 0.0

    def update(
        self,
        instruments: npt.ArrayLike,
        *,
        price: npt.ArrayLike,
        volume: npt.ArrayLike,
        session_open_ns: int | npt.NDArray[np.int64],
    ) -> IndicatorSeries:
        """Takes (typical price, volume) rows in order.

        Raises ValueError naming the row, with nothing taken, for an unknown instrument, a price that is not finite, a
        negative volume, or a session earlier than the instrument's last.
        """
        prices, volumes = as_floats(price), as_floats(volume)
        rows, out = as_rows(instruments, prices, volumes), np.empty(len(prices))
        opens = np.ascontiguousarray(np.broadcast_to(np.asarray(session_open_ns, np.int64), rows.shape))
        return series(out, core.mean_run(rows, prices, volumes, opens, self._states, out))


def typical_price(*, high: npt.ArrayLike, low: npt.ArrayLike, close: npt.ArrayLike) -> Floats:
    """(high + low + close) / 3 of each candle."""
    return (as_floats(high) + as_floats(low) + as_floats(close)) / 3.0


def session_vwap(
    *, price: npt.ArrayLike, volume: npt.ArrayLike, session_open_ns: int | npt.NDArray[np.int64]
) -> IndicatorSeries:
    """The VWAP after each row (typical price, volume) of one instrument; `session_open_ns` one for all or per row."""
    column = as_floats(price)
    bank = VwapBank(1)
    rows = np.zeros(len(column), np.int64)
    return bank.update(rows, price=column, volume=volume, session_open_ns=session_open_ns)


def session_typical_mean(*, price: npt.ArrayLike, session_open_ns: int | npt.NDArray[np.int64]) -> IndicatorSeries:
    """The mean of the session's typical prices after each row of one instrument."""
    column = as_floats(price)
    return session_vwap(price=column, volume=np.ones(len(column)), session_open_ns=session_open_ns)
