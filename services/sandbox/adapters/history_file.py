"""Real prices instead of generated ones: one-minute candles or ticks of a file, as paths of underlyings.

What `tradebus backtest --history` reads is read here, by the same reader and the same rules; rows outside trading hours
move nothing. A candle becomes four points: its open, the two extremes (the low first where it rose), its close. Between
points the value moves evenly; before the first and after the last it stands still.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import structlog

from services.sandbox.domain.prices.paths import ValuePath
from tradebus.history.columns import PRICE_COLUMNS, Columns
from tradebus.history.history_file import UnnamedInstrument
from tradebus.history.loading import load_history
from tradebus.history.validate import summary_of
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import PAISE_PER_RUPEE
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_POINTS_SECONDS = (0, 15, 35, 59)
_log = structlog.get_logger()


def read_paths(path: Path, *, symbol: str | None = None) -> Mapping[str, ValuePath]:
    """By underlying. `symbol` says what a file that does not name it is about. Raises InvalidInput."""
    try:
        history = load_history(path, symbols=(symbol,) if symbol else (), from_date=None, to_date=None)
    except UnnamedInstrument as error:
        raise InvalidInput(f"{error} (TRADEBUS_SANDBOX_HISTORY_SYMBOL)") from None
    summary = summary_of(history)
    _log.info("prices follow a history", file=str(path), holds=str(summary), said=summary.said)
    columns = history.columns
    return {name: _path_of(columns.where(columns.symbol == code)) for code, name in enumerate(columns.names)}


def _path_of(columns: Columns) -> ValuePath:
    """Rupees of one underlying's candles or ticks into a path of paise."""
    columns = columns.pick(np.argsort(columns.ts_ns, kind="stable"))
    if columns.is_ticks:
        return ValuePath(columns.ts_ns, columns.values["price"] * PAISE_PER_RUPEE)
    opened, high, low, close = (columns.values[name] * PAISE_PER_RUPEE for name in PRICE_COLUMNS)
    rose = close >= opened
    points = np.stack([opened, np.where(rose, low, high), np.where(rose, high, low), close], axis=1)
    offsets = np.array(_POINTS_SECONDS) * NANOSECONDS_PER_SECOND
    return ValuePath((columns.ts_ns[:, None] + offsets).reshape(-1), points.reshape(-1))
