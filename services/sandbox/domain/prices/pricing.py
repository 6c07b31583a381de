"""Option prices and greeks: Black's formula on the future, a smile of implied volatility. Arrays in, arrays out.

Invariants (property-tested): call − put = discount × (forward − strike) to float rounding; a call falls and a put rises
with the strike; no price is below its discounted intrinsic value.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
RATE = 0.065  # per year, continuously compounded
YEAR_SECONDS = 365.0 * 86_400
_SKEW, _CURVATURE = -0.10, 0.06
_VOLATILITY_MIN, _VOLATILITY_MAX = 0.03, 2.5


def normal_cdf(x: Floats) -> Floats:
    """The normal distribution function, absolute error below 1e-7 (Zelen and Severo's polynomial)."""
    t = 1.0 / (1.0 + 0.2316419 * np.abs(x))
    tail = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    tail *= density(x)
    return np.where(x >= 0, 1.0 - tail, tail)


def density(x: Floats) -> Floats:
    """The normal density."""
    return np.asarray(np.exp(-0.5 * x * x) * 0.3989422804014327, np.float64)


def smile(forward: Floats, strike: Floats, years: Floats, at_the_money: Floats) -> Floats:
    """Implied volatility of each strike: skewed to the downside, curved, flatter with time."""
    distance = np.clip(np.log(strike / forward) / np.sqrt(np.maximum(years, 1 / 365)), -3.0, 3.0)
    factor = 1.0 + _SKEW * distance / 0.3 + _CURVATURE * (distance / 0.3) ** 2
    return np.asarray(np.clip(at_the_money * np.maximum(factor, 0.4), _VOLATILITY_MIN, _VOLATILITY_MAX), np.float64)


def option_prices(
    forward: Floats, strike: Floats, years: Floats, volatility: Floats, is_call: npt.NDArray[np.bool_]
) -> Floats:
    """Fair values in the unit of `forward`. An expired option is worth its intrinsic value."""
    discount = np.exp(-RATE * np.maximum(years, 0.0))
    d1, d2 = _d(forward, strike, years, volatility)
    # The side out of the money has the smaller relative error; parity gives the other one.
    out_call = strike >= forward
    side = np.where(out_call, 1.0, -1.0)
    cheap = discount * side * (forward * normal_cdf(side * d1) - strike * normal_cdf(side * d2))
    cheap = np.maximum(cheap, 0.0)
    parity = discount * (forward - strike)
    return np.where(is_call == out_call, cheap, cheap + np.where(is_call, parity, -parity))


def option_greeks(
    forward: Floats, strike: Floats, years: Floats, volatility: Floats, is_call: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Delta, gamma, theta per day, vega per point of volatility (0.01), of prices in the unit of `forward`."""
    discount = np.exp(-RATE * np.maximum(years, 0.0))
    d1, _ = _d(forward, strike, years, volatility)
    root = np.sqrt(np.maximum(years, 1e-9))
    delta = discount * np.where(is_call, normal_cdf(d1), normal_cdf(d1) - 1.0)
    gamma = discount * density(d1) / (forward * volatility * root)
    vega = discount * forward * density(d1) * root / 100.0
    value = option_prices(forward, strike, years, volatility, is_call)
    theta = (-discount * forward * density(d1) * volatility / (2 * root) + RATE * value) / 365.0
    return delta, gamma, theta, vega


def _d(forward: Floats, strike: Floats, years: Floats, volatility: Floats) -> tuple[Floats, Floats]:
    spread = volatility * np.sqrt(np.maximum(years, 1e-9))
    d1 = np.log(forward / strike) / spread + 0.5 * spread
    return d1, d1 - spread
