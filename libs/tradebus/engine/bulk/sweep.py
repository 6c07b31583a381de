"""Many sets of parameters over one market: figures and the profit of each day, per set. Pure.

    sets ─► blocks of days: each average once per length ─► accounted for every pair ─► figures [set], profit [set, day]

`many` is what a pool's map is given: it needs nothing but the run and some sets, so that threads, processes and
machines do the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tradebus.engine.bulk import _trade as core
from tradebus.engine.bulk.run import DAYS_AT_ONCE, BulkBooks, BulkRun, averages_of, cross_days
from tradebus.kernel.errors import InvalidInput
from tradebus.strategies.built_in.ema_cross.strategy import EmaCrossParameters
from tradebus.strategies.protocol import StrategyParameters

FIGURES: Final = ("trades", "winners", "gained_paise", "lost_paise", "charges_paise", "blocked", "unfilled")


@dataclass(frozen=True, slots=True)
class Swept:
    """`figures` [set, FIGURES], `daily_paise` [set, day]."""

    figures: npt.NDArray[np.int64]
    daily_paise: npt.NDArray[np.int64]

    @property
    def net_paise(self) -> npt.NDArray[np.int64]:
        net: npt.NDArray[np.int64] = self.figures[:, 2] - self.figures[:, 3]
        return net


def many(run: BulkRun, sets: Sequence[StrategyParameters]) -> Swept:
    """Each as `BulkRun.run` does it alone. Raises InvalidInput as `BulkBooks.figures` does, naming the set."""
    pairs = [one for one in sets if isinstance(one, EmaCrossParameters)]
    books = _crosses(run, pairs) if len(pairs) == len(sets) else [run.run(one, trades=0) for one in sets]
    rows = []
    for one, book in zip(sets, books, strict=True):
        try:
            found = book.figures()
        except InvalidInput as error:
            raise InvalidInput(f"{one!r}: {error}") from error
        rows.append([getattr(found, name) for name in FIGURES])
    figures = np.array(rows, np.int64).reshape(-1, len(FIGURES))
    return Swept(figures, np.array([book.daily for book in books], np.int64).reshape(len(books), -1))


def _crosses(run: BulkRun, sets: Sequence[EmaCrossParameters]) -> list[BulkBooks]:
    """Block of days after block of days, so that its averages stay in the cache for all pairs."""
    books = [BulkBooks(len(run.market.days)) for _ in sets]
    lengths = sorted({length for one in sets for length in (one.fast, one.slow)})
    places = run.rows.days[:, [core.WARM_ROW, core.END_ROW]].copy()
    for first in range(0, len(places), DAYS_AT_ONCE):
        end = min(first + DAYS_AT_ONCE, len(places))
        averages = {length: averages_of(run.rows, places, first, end, length) for length in lengths}
        for one, book in zip(sets, books, strict=True):
            cross_days(run, one, book, first, end, fast=averages[one.fast], slow=averages[one.slow])
    return books
