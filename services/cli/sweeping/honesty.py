"""What a sweep's best is worth, after all that was tried."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tradebus.engine.bulk.sweep import Swept
from tradebus.kernel.errors import InvalidInput
from tradebus.performance.daily import DAYS_PER_YEAR
from tradebus.performance.folds import sharpes
from tradebus.performance.overfitting import deflated_sharpe, minimum_years, moments, overfitting_probability


@dataclass(frozen=True, slots=True)
class Honesty:
    """Of the set with the highest Sharpe, which the one with the highest profit need not be. None where a figure is not
    defined: nothing traded, too few days or sets."""

    parameters: Mapping[str, Any]
    trials: int
    years: float
    sharpe_per_year: float
    deflated_sharpe: float | None
    overfitting: float | None
    minimum_years: float | None

    def lines(self) -> list[str]:
        """For people."""
        which = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        after = f"after {self.trials:,} trials on this file"
        found = [f"highest Sharpe {self.sharpe_per_year:.2f} a year ({which}), {after}"]
        if self.deflated_sharpe is not None:
            word = "yes" if self.deflated_sharpe > 0.95 else "no"
            found.append(f"deflated Sharpe {self.deflated_sharpe:.3f}: better than luck? {word} (yes above 0.95)")
        if self.overfitting is not None:
            found.append(f"probability of overfitting {self.overfitting:.2f} (noise has about 0.5)")
        if self.minimum_years is not None:
            word = "long enough" if self.years >= self.minimum_years else "TOO SHORT"
            found.append(f"{self.years:.1f} years of days; so many trials need {self.minimum_years:.1f}: {word}")
        return found

    def as_json(self) -> dict[str, Any]:
        return {
            "parameters": dict(self.parameters), "trials": self.trials, "years": round(self.years, 3),
            "sharpe_per_year": self.sharpe_per_year,
            "deflated_sharpe": self.deflated_sharpe, "overfitting_probability": self.overfitting,
            "minimum_years": self.minimum_years,
        }  # fmt: skip


def honesty_of(points: Sequence[Mapping[str, Any]], swept: Swept, *, trials: int) -> Honesty:
    """`points` are the sets that were swept, `trials` all that were ever tried on these days."""
    profits = swept.daily_paise.T.astype(np.float64)
    ratios = sharpes(profits) if len(profits) > 1 else np.zeros(profits.shape[1])
    best = int(ratios.argmax())
    per_year, years = float(ratios[best]) * math.sqrt(DAYS_PER_YEAR), len(profits) / DAYS_PER_YEAR
    one, count = moments(profits[:, best]), max(trials, len(ratios))
    variance = float(ratios.var(ddof=1)) if len(ratios) > 1 else 0.0
    try:
        overfitting = overfitting_probability(profits).probability
    except InvalidInput:
        overfitting = None
    return Honesty(
        points[best], count, years, per_year,
        None if one is None else deflated_sharpe(one, trials=count, trials_variance=variance), overfitting,
        minimum_years(trials=count, sharpe_per_year=per_year),
    )  # fmt: skip
