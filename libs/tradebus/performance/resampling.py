"""Monte-Carlo of trades: what the same trades would have come to in another order, or with some of them missed. Pure.

The order does not change the sum, only the way there: how deep the equity falls. Missing trades changes both.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.rng import seed_for

Int64s = npt.NDArray[np.int64]
QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Resampled:
    """Quantiles (QUANTILES) of the net profit and of the deepest fall of the equity, both in paise; the share of runs
    that lost money."""

    runs: int
    net_paise: tuple[int, ...]
    drawdown_paise: tuple[int, ...]
    losing: float


def shuffled(net_paise: npt.ArrayLike, *, runs: int, seed: int) -> Resampled:
    """The trades in random orders. Raises InvalidInput for no trades or runs."""
    return _resampled(net_paise, runs=runs, seed=seed, missed=0.0, what="order")


def skipped(net_paise: npt.ArrayLike, *, missed: float, runs: int, seed: int) -> Resampled:
    """The trades in their order, each missed with that probability. Raises InvalidInput for no trades or runs, and
    for a probability outside 0..1."""
    if not 0.0 <= missed <= 1.0:
        raise InvalidInput(f"missed: {missed} is no share from 0 to 1")
    return _resampled(net_paise, runs=runs, seed=seed, missed=missed, what="skip")


def deepest_fall(net_paise: Int64s) -> int:
    """Of the running sum below its highest point so far, the beginning counted; never negative."""
    equity = np.concatenate(([0], np.cumsum(net_paise)))
    return int((np.maximum.accumulate(equity) - equity).max())


def _resampled(net_paise: npt.ArrayLike, *, runs: int, seed: int, missed: float, what: str) -> Resampled:
    trades = np.asarray(net_paise, np.int64)
    if not len(trades) or runs < 1:
        raise InvalidInput(f"resampling: {len(trades)} trades and {runs} runs must both be at least 1")
    draws = np.random.default_rng(seed_for(seed, "resampling", what))
    nets, falls = np.empty(runs, np.int64), np.empty(runs, np.int64)
    for run in range(runs):
        taken = draws.permutation(trades) if what == "order" else trades * (draws.random(len(trades)) >= missed)
        nets[run], falls[run] = taken.sum(), deepest_fall(taken)
    return Resampled(runs, _quantiles(nets), _quantiles(falls), float((nets < 0).mean()))


def _quantiles(values: Int64s) -> tuple[int, ...]:
    found = np.quantile(values, QUANTILES, method="lower")
    return tuple(int(one) for one in found)
