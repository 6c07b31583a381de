"""Walk-forward: parameters are chosen on some days and judged on later ones. Pure.

    days:  train ......... | embargo | test      the next fold's training reaches up to its own embargo

Days are judged whole: a position never lives over a night, so that no training day knows anything of a test day but
what its indicators' warm-up carries over; the embargo keeps so many days between the two out of both.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradebus.kernel.errors import InvalidInput

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fold:
    """Half-open ranges of days."""

    train: tuple[int, int]
    test: tuple[int, int]


@dataclass(frozen=True, slots=True)
class FoldOutcome:
    """What was chosen in a fold, its Sharpe (per day) where it was chosen and where it was judged, and its rank there:
    1 where it was the best of all again, 0 the worst."""

    fold: Fold
    chosen: int
    inside: float
    outside: float
    rank: float


def walk_forward_folds(days: int, *, folds: int, embargo_days: int, anchored: bool) -> list[Fold]:
    """`folds` tests one after the other, each as long as the first training. `anchored`: training begins with the first
    day, else it is as long as a test. Raises InvalidInput where a part would have fewer than two days."""
    if folds < 1 or embargo_days < 0:
        raise InvalidInput(f"folds: {folds} must be at least 1, and an embargo of {embargo_days} days not negative")
    edges = np.linspace(0, days, folds + 2).astype(int).tolist()
    found = []
    for number in range(1, folds + 1):
        begin = 0 if anchored else edges[number - 1]
        fold = Fold((begin, edges[number] - embargo_days), (edges[number], edges[number + 1]))
        if min(fold.train[1] - fold.train[0], fold.test[1] - fold.test[0]) < 2:
            raise InvalidInput(
                f"folds: {folds} with an embargo of {embargo_days} days leave too little of {days} days; ask for fewer"
            )
        found.append(fold)
    return found


def judge_folds(profits: npt.ArrayLike, folds: list[Fold]) -> list[FoldOutcome]:
    """Chooses by Sharpe in each fold's training. `profits` have the shape [days, sets of parameters]."""
    matrix = np.asarray(profits, np.float64)
    judged = []
    for fold in folds:
        trained, tested = sharpes(matrix[slice(*fold.train)]), sharpes(matrix[slice(*fold.test)])
        chosen = int(trained.argmax())
        others = len(tested) - 1
        rank = float((tested < tested[chosen]).sum() / others) if others else 1.0
        judged.append(FoldOutcome(fold, chosen, float(trained[chosen]), float(tested[chosen]), rank))
    return judged


def sharpes(matrix: Floats) -> Floats:
    """Of each column, per row; 0 where nothing deviates."""
    deviations = matrix.std(axis=0, ddof=1)
    means = matrix.mean(axis=0)
    found: Floats = np.divide(means, deviations, out=np.zeros_like(means), where=deviations > 0)
    return found
