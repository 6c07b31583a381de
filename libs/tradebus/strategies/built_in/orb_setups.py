"""The setups of the ORB strategy and their order of priority. Pure: a market view in, the first setup out.

    1 orb_breakout         close leaves the opening range, with volume
    2 inside_bar_breakout  close leaves the mother bar that the bar before stayed within
    3 engulfing, hammer, shooting_star   only near VWAP or the slow EMA
    4 momentum             strong candle in the direction of EMA 9/21, not out of a squeeze

Invariants (property-tested): a setup's natural stop lies on the losing side of the close or at it; confidence is in
0..1; a mirrored market gives the mirrored setup; without volume in the series no setup depends on VWAP or volume.
"""

from dataclasses import dataclass, field

from tradebus.contracts.signals import Side
from tradebus.kernel.money import plain_rupees
from tradebus.strategies.built_in import patterns
from tradebus.strategies.built_in.orb_parameters import OrbParameters
from tradebus.strategies.protocol import Candle

ORB, INSIDE_BAR, REVERSAL, MOMENTUM = 1, 2, 3, 4

# Confidence before adjustment, by setup (docs/strategies.md).
_CONFIDENCE = {
    "orb_breakout": 0.70,
    "inside_bar_breakout": 0.60,
    "engulfing": 0.55,
    "hammer": 0.50,
    "shooting_star": 0.50,
    "momentum": 0.45,
}


@dataclass(slots=True)  # one a candle: not frozen, because a frozen value costs a microsecond more to make
class Participation:
    """Whether the candle was carried by volume; for a series without volume, whether its range expanded instead."""

    confirmed: bool
    note: str


@dataclass(slots=True)
class View:
    """All a setup may look at when a candle has closed. Prices in paise; averages are those before the candle."""

    candle: Candle
    previous: Candle | None  # the two candles before it, of the same day
    before_previous: Candle | None
    range_high_paise: int | None  # None where the opening range had too few candles
    range_low_paise: int | None
    closes_beyond: int  # consecutive closes above (+) or below (-) the opening range, this one included
    atr_paise: float
    ema_fast_paise: float
    ema_slow_paise: float
    vwap_paise: float | None  # None where the series has no volume
    participation: Participation
    squeezed: bool
    put_call_bias: int  # +1 bullish, -1 bearish, 0 neutral or unknown

    @property
    def trend(self) -> int:
        """+1, -1 or 0: where the fast EMA stands to the slow one."""
        return (self.ema_fast_paise > self.ema_slow_paise) - (self.ema_fast_paise < self.ema_slow_paise)


@dataclass(frozen=True, slots=True)
class Setup:
    name: str
    priority: int
    side: Side
    natural_stop_paise: int
    confidence: float
    note: str


@dataclass(slots=True)
class Scan:
    """The first setup that holds, or the first reason why one that took shape was refused."""

    setup: Setup | None = None
    refusals: list[str] = field(default_factory=list)


def scan(view: View, parameters: OrbParameters) -> Scan:
    """Goes down the chain of priorities and stops at the first setup that holds."""
    result = Scan()
    for find in (_orb_breakout, _inside_bar_breakout, _reversal, _momentum):
        result.setup = find(view, parameters, result.refusals)
        if result.setup is not None:
            break
    return result


def _orb_breakout(view: View, parameters: OrbParameters, refusals: list[str]) -> Setup | None:
    high, low, beyond = view.range_high_paise, view.range_low_paise, view.closes_beyond
    if high is None or low is None or beyond == 0 or abs(beyond) > parameters.breakout_window_candles:
        return None
    if not view.participation.confirmed:
        refusals.append(f"orb_breakout_unconfirmed: {view.participation.note}")
        return None
    side = Side.LONG if beyond > 0 else Side.SHORT
    edge, opposite = (high, low) if beyond > 0 else (low, high)
    note = f"close {plain_rupees(view.candle.close_paise)} beyond {plain_rupees(edge)}, {view.participation.note}"
    return _setup(view, "orb_breakout", ORB, side, stop_paise=opposite, note=note)


def _inside_bar_breakout(view: View, parameters: OrbParameters, refusals: list[str]) -> Setup | None:
    mother, inside, candle = view.before_previous, view.previous, view.candle
    if mother is None or inside is None or not patterns.is_inside_bar(mother, inside):
        return None
    if patterns.range_paise(mother) < parameters.inside_bar_mother_atr * view.atr_paise:
        return None
    if candle.close_paise > mother.high_paise and patterns.direction(candle) > 0:
        side, edge, opposite = Side.LONG, mother.high_paise, mother.low_paise
    elif candle.close_paise < mother.low_paise and patterns.direction(candle) < 0:
        side, edge, opposite = Side.SHORT, mother.low_paise, mother.high_paise
    else:
        return None
    if _put_call_against(view, side, "inside_bar_breakout", refusals):
        return None
    note = f"close {plain_rupees(candle.close_paise)} beyond mother bar {plain_rupees(edge)}"
    return _setup(view, "inside_bar_breakout", INSIDE_BAR, side, stop_paise=opposite, note=note)


def _reversal(view: View, parameters: OrbParameters, refusals: list[str]) -> Setup | None:
    found = _reversal_pattern(view)
    if found is None:
        return None
    name, side, extreme = found
    near = _nearest_level(view, parameters)
    if near is None:
        refusals.append(f"no_mans_land: {name} away from VWAP and EMA")
        return None
    if _put_call_against(view, side, name, refusals):
        return None
    return _setup(view, name, REVERSAL, side, stop_paise=extreme, note=f"at {near}")


def _reversal_pattern(view: View) -> tuple[str, Side, int] | None:
    """The pattern, its side and its extreme. Engulfing, of two candles, comes before the pins."""
    candle, previous = view.candle, view.previous
    if previous is not None and patterns.is_bullish_engulfing(previous, candle):
        return "engulfing", Side.LONG, min(previous.low_paise, candle.low_paise)
    if previous is not None and patterns.is_bearish_engulfing(previous, candle):
        return "engulfing", Side.SHORT, max(previous.high_paise, candle.high_paise)
    if patterns.is_hammer(candle):
        return "hammer", Side.LONG, candle.low_paise
    if patterns.is_shooting_star(candle):
        return "shooting_star", Side.SHORT, candle.high_paise
    return None


def _nearest_level(view: View, parameters: OrbParameters) -> str | None:
    """The level the candle came within `location_atr` of. The slow EMA only: the fast one follows price so closely
    that it would let everything pass."""
    reach_paise = parameters.location_atr * view.atr_paise
    for name, level in (("vwap", view.vwap_paise), ("ema_slow", view.ema_slow_paise)):
        if level is not None and patterns.distance_to_level_paise(view.candle, level) <= reach_paise:
            return f"{name} {plain_rupees(level)}"
    return None


def _momentum(view: View, parameters: OrbParameters, refusals: list[str]) -> Setup | None:
    candle = view.candle
    strong = patterns.strong_direction(candle)
    if strong == 0 or patterns.range_paise(candle) < parameters.momentum_range_atr * view.atr_paise:
        return None
    if strong != view.trend:
        refusals.append("momentum_against_trend: strong candle against EMA fast/slow")
        return None
    if view.squeezed:
        refusals.append("squeeze: momentum needs an open range")
        return None
    side = Side.LONG if strong > 0 else Side.SHORT
    if _put_call_against(view, side, "momentum", refusals):
        return None
    extreme = candle.low_paise if strong > 0 else candle.high_paise
    return _setup(view, "momentum", MOMENTUM, side, stop_paise=extreme, note="strong candle with EMA fast/slow")


def _put_call_against(view: View, side: Side, name: str, refusals: list[str]) -> bool:
    if view.put_call_bias != -side.sign:
        return False
    refusals.append(f"put_call_ratio_against: {name}")
    return True


def _setup(view: View, name: str, priority: int, side: Side, *, stop_paise: int, note: str) -> Setup:
    confidence = _CONFIDENCE[name]
    if view.squeezed and priority in (ORB, INSIDE_BAR):
        confidence += 0.10
        note += ", out of a squeeze"
    if priority != MOMENTUM and view.trend == side.sign:
        confidence += 0.05
    if view.put_call_bias:
        confidence += 0.05 if view.put_call_bias == side.sign else -0.15
        note += f", put-call ratio {'for' if view.put_call_bias == side.sign else 'against'}"
    return Setup(name, priority, side, stop_paise, round(confidence, 2), note)
