"""Whether a result is more than the best of many tries. Pure; Sharpe ratios are per observation, not per year.

    deflated Sharpe      the chance that the true Sharpe is above what the best of so many worthless tries would show
    minimum length       the years without which so many worthless tries are expected to show a Sharpe as high
    overfitting          how often the best in one half of the days is below the median in the other

Sources: D. Bailey and M. López de Prado, The Deflated Sharpe Ratio, Journal of Portfolio Management 40 (2014);
D. Bailey, J. Borwein, M. López de Prado and Q. Zhu, Pseudo-Mathematics and Financial Charlatanism, Notices of the AMS
61 (2014), and The Probability of Backtest Overfitting, Journal of Computational Finance 20 (2017).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from tradebus.kernel.errors import InvalidInput

Floats = npt.NDArray[np.float64]
EULER_MASCHERONI: Final = 0.5772156649015329
BLOCKS: Final = 16
_NORMAL: Final = NormalDist()
_SPLITS_AT_ONCE: Final = 512


@dataclass(frozen=True, slots=True)
class ReturnMoments:
    """Of returns: Sharpe per observation, skewness, kurtosis (3 where normal) and how many there are."""

    sharpe: float
    skewness: float
    kurtosis: float
    observations: int


def moments(returns: npt.ArrayLike) -> ReturnMoments | None:
    """Of returns (shape [n]); None where they have no deviation, or are fewer than three."""
    values = np.asarray(returns, np.float64)
    if len(values) < 3 or not values.std() > 0.0:
        return None
    away = (values - values.mean()) / values.std()
    sharpe = float(values.mean() / values.std(ddof=1))
    return ReturnMoments(sharpe, float((away**3).mean()), float((away**4).mean()), len(values))


def expected_best(trials: int) -> float:
    """The expected maximum of so many draws of a standard normal, approximately:
    (1 - γ) Z⁻¹(1 - 1/N) + γ Z⁻¹(1 - 1/(N e)); 0 for one. Raises InvalidInput below one."""
    if trials < 1:
        raise InvalidInput(f"trials: {trials} must be at least 1")
    if trials == 1:
        return 0.0
    share = EULER_MASCHERONI
    first, second = _NORMAL.inv_cdf(1.0 - 1.0 / trials), _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return (1.0 - share) * first + share * second


def deflated_sharpe(one: ReturnMoments, *, trials: int, trials_variance: float) -> float:
    """The probability that the true Sharpe is above √V x `expected_best(N)`, where V is the variance of the Sharpe
    ratios that were tried: Z((SR - SR₀) √(T - 1) / √(1 - γ₃ SR + (γ₄ - 1) / 4 SR²)). Raises InvalidInput for a variance
    that is negative."""
    if trials_variance < 0:
        raise InvalidInput(f"trials_variance: {trials_variance} must not be negative")
    threshold = math.sqrt(trials_variance) * expected_best(trials)
    spread = 1.0 - one.skewness * one.sharpe + (one.kurtosis - 1.0) / 4.0 * one.sharpe**2
    return _NORMAL.cdf((one.sharpe - threshold) * math.sqrt(one.observations - 1) / math.sqrt(max(spread, 1e-12)))


def minimum_years(*, trials: int, sharpe_per_year: float) -> float | None:
    """How long a backtest must be so that so many tries of no worth are not expected to show this yearly Sharpe:
    (`expected_best(N)` / Sharpe)². None for a Sharpe that is not positive."""
    return (expected_best(trials) / sharpe_per_year) ** 2 if sharpe_per_year > 0 else None


@dataclass(frozen=True, slots=True)
class Overfitting:
    """`probability` that the best of one half is below the median of the other; `loses` how often it loses money there;
    `slope` of its Sharpe in the other half against that in its own. `splits` were looked at."""

    probability: float
    loses: float
    slope: float
    splits: int


def overfitting_probability(profits: npt.ArrayLike, *, blocks: int = BLOCKS) -> Overfitting:
    """By combinatorially symmetric cross-validation of profits (shape [days, trials]): the days are cut into an even
    number of blocks, and each half of the blocks chooses the best by its Sharpe ratio, which the other half then ranks:
    ω = rank / (N + 1), logit ln(ω / (1 - ω)); the probability is the share of logits at or below 0.

    Raises InvalidInput for fewer than two trials, an odd number of blocks, or fewer days than two for each block.
    """
    matrix = np.asarray(profits, np.float64)
    if matrix.ndim != 2 or matrix.shape[1] < 2:
        raise InvalidInput("overfitting: two sets of parameters at least are compared")
    if blocks < 2 or blocks % 2:
        raise InvalidInput(f"blocks: {blocks} must be an even number from 2 on")
    if len(matrix) < 2 * blocks:
        raise InvalidInput(f"overfitting: {len(matrix)} days are fewer than two for each of {blocks} blocks")
    days = len(matrix) // blocks * blocks  # the oldest that are too many are left out
    cut = matrix[len(matrix) - days :].reshape(blocks, days // blocks, -1)
    sums, squares, each = cut.sum(axis=1), (cut**2).sum(axis=1), days // 2
    whole, whole_squares = sums.sum(axis=0), squares.sum(axis=0)
    logits, inside, outside, losses = [], [], [], 0
    for chosen in _halves(blocks):
        own, own_squares = chosen @ sums, chosen @ squares
        trained = _sharpes(own, own_squares, each)
        tested = _sharpes(whole - own, whole_squares - own_squares, each)
        best, rows = trained.argmax(axis=1), np.arange(len(chosen))
        ranks = _ranks_of(tested, best)
        logits.append(np.log(ranks / (matrix.shape[1] + 1 - ranks)))
        inside.append(trained[rows, best])
        outside.append(tested[rows, best])
        losses += int(((whole - own)[rows, best] < 0).sum())
    found, shown = np.concatenate(logits), np.concatenate(inside)
    kept = np.concatenate(outside)
    away = shown - shown.mean()
    slope = float((away * (kept - kept.mean())).sum() / (away**2).sum()) if (away**2).sum() > 0 else 0.0
    return Overfitting(float((found <= 0).mean()), losses / len(found), slope, len(found))


def _halves(blocks: int) -> Iterator[Floats]:
    """Every choice of half of the blocks, some at a time, as rows of zeros and ones."""
    every = combinations(range(blocks), blocks // 2)
    while some := list(islice(every, _SPLITS_AT_ONCE)):
        rows = np.zeros((len(some), blocks))
        np.put_along_axis(rows, np.array(some), 1.0, axis=1)
        yield rows


def _sharpes(sums: Floats, squares: Floats, count: int) -> Floats:
    """0 where nothing deviates: what never trades is no best."""
    means = sums / count
    deviations = np.sqrt(np.maximum(squares / count - means**2, 0.0))
    found: Floats = np.divide(means, deviations, out=np.zeros_like(means), where=deviations > 1e-12)
    return found


def _ranks_of(values: Floats, places: npt.NDArray[np.int64]) -> Floats:
    """The rank, from 1 on, of one value of each row among the row; equals share theirs."""
    mine = np.take_along_axis(values, places[:, None], axis=1)
    below, equal = (values < mine).sum(axis=1), (values == mine).sum(axis=1)
    ranks: Floats = below + (equal + 1) / 2.0
    return ranks
