"""How the underlyings move: a factor common to the market, each one's own noise, jumps, volatility that breathes.

Invariant: the same seed and the same sequence of steps give the same values for ever.

Volatility and activity are U-shaped over the session (`season`). Jumps are rare, common or own. Implied volatility and
the basis between spot and forward wander around their means.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from services.sandbox.domain.instruments.shape import Process
from services.sandbox.domain.prices.paths import ValuePath
from services.sandbox.domain.prices.pricing import Floats
from tradebus.kernel.rng import seed_for

TRADING_SECONDS_PER_YEAR = 252 * 6.25 * 3600
_JUMPS_PER_SECOND = 1.0 / 7200
_JUMP_SIZE = 0.15  # of a day's deviation
_VOLATILITY_PULL_PER_SECOND = 1 / 3600
_VOLATILITY_NOISE = 0.0006  # per root second
_BASIS_PULL_PER_SECOND = 1 / 120
_BASIS_NOISE = 0.00001
_VALUE_PULL_PER_SECOND = 1 / 40_000  # back to where the process began, so that months stay near it
_RISK_PREMIUM = 1.08  # implied above realised volatility


def season(fraction: float) -> float:
    """Volatility at this share of the session relative to its mean: high at the open, low at noon, higher again."""
    place = min(max(fraction, 0.0), 1.0)
    return float(0.6 + 1.0 * (2 * place - 1) ** 2 + 0.9 * np.exp(-place * 25)) / 1.02


class Processes:
    """State of shape [processes]: values in paise, at-the-money volatilities, bases."""

    def __init__(self, processes: Sequence[Process], *, seed: int) -> None:
        self.names = tuple(process.name for process in processes)
        self.value: Floats = np.array([process.price_paise for process in processes])
        self.volatility: Floats = np.array([process.annual_volatility for process in processes])
        self._share: Floats = np.array([process.market_correlation for process in processes])
        self._own: Floats = np.sqrt(1.0 - self._share**2)
        self._anchor = self.value.copy()
        self._log_volatility = np.zeros(len(processes))
        self.basis: Floats = np.zeros(len(processes))
        self._generator = np.random.Generator(np.random.SFC64(seed_for(seed, "processes")))
        self.forced = np.zeros(len(processes), np.bool_)  # moved by a path, not by chance
        self.paths: dict[int, ValuePath] = {}

    @property
    def implied_volatility(self) -> Floats:
        """At the money, annual."""
        return np.asarray(self.volatility * _RISK_PREMIUM * np.exp(self._log_volatility), np.float64)

    def follow(self, paths: Mapping[str, ValuePath]) -> None:
        """From now on the named ones take their values from these."""
        for name, path in paths.items():
            if name in self.names:
                self.paths[self.names.index(name)] = path
                self.forced[self.names.index(name)] = True

    def step(self, seconds: float, *, now_ns: int, fraction: float) -> None:
        """Moves everything by `seconds` of trading, to `now_ns`, at this share of the session."""
        count, draw = len(self.value), self._generator
        common, own = draw.standard_normal(), draw.standard_normal(count)
        deviation = self.volatility * np.sqrt(seconds / TRADING_SECONDS_PER_YEAR) * season(fraction)
        move = deviation * (self._share * common + self._own * own)
        jump, size = draw.random(count + 1), draw.standard_normal(count + 1)
        hit = np.where(jump < _JUMPS_PER_SECOND * seconds, size, 0.0)
        daily = self.volatility / np.sqrt(252) * _JUMP_SIZE
        move += daily * (self._share * hit[-1] + self._own * hit[:-1])
        move -= np.log(self.value / self._anchor) * min(1.0, _VALUE_PULL_PER_SECOND * seconds)
        self.value = np.where(self.forced, self.value, self.value * np.exp(move))
        for process, path in self.paths.items():
            self.value[process] = path.at(now_ns)
        root = np.sqrt(seconds)
        self._log_volatility += -self._log_volatility * min(
            1.0, _VOLATILITY_PULL_PER_SECOND * seconds
        ) + root * _VOLATILITY_NOISE * (draw.standard_normal(count) - 0.7 * common)
        self.basis += -self.basis * min(
            1.0, _BASIS_PULL_PER_SECOND * seconds
        ) + root * _BASIS_NOISE * draw.standard_normal(count)

    def night(self) -> None:
        """The gap between two sessions, a third of a day's deviation."""
        draw = self._generator
        common, own = draw.standard_normal(), draw.standard_normal(len(self.value))
        gap = self.volatility / np.sqrt(252) * 0.33 * (self._share * common + self._own * own)
        self.value = np.where(self.forced, self.value, self.value * np.exp(gap))

    def shock(self, process: int, share: float) -> None:
        """Moves one underlying by `share` of its value at once (0.01 is up one percent)."""
        self.value[process] *= 1.0 + share
        self._anchor[process] *= 1.0 + share
