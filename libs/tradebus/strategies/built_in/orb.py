"""Opening-range breakout with candle patterns (SPEC 6.1), on one-minute candles.

candle ─► indicators ─► view ─► first setup of the priority chain ─► guards ─► decision
                                (orb_setups)

Invariants (property-tested):
- No signal before the opening range is complete, none for an entry in the last `last_entry_minutes` of the session.
- No entry with a position open, none within `lock_minutes` after the last signal.
- With a position, EXIT when the first setup of the chain points the other way and ranks above the setup that opened
  it; an opposite ORB breakout also closes an ORB position, which nothing ranks above.
- An entry's stop lies on the losing side of the close, at least `stop_floor_atr` x ATR away; its target on the other.
- A mirrored market gives mirrored decisions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tradebus.indicators import Atr, Ema, Vwap
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.strategies.built_in import patterns
from tradebus.strategies.built_in.levels import entry_levels
from tradebus.strategies.built_in.orb_parameters import OrbParameters
from tradebus.strategies.built_in.orb_setups import MOMENTUM, ORB, Participation, Setup, View, scan
from tradebus.strategies.built_in.windows import SumWindow
from tradebus.strategies.needs import OPTIONAL, Needs
from tradebus.strategies.protocol import Action, Candle, Context, Decision, Position, Strategy, hold

_MINUTE_NS = 60 * NANOSECONDS_PER_SECOND


@dataclass(slots=True)
class _Day:
    """What begins anew with every session."""

    open_ns: int
    range_high_paise: int = 0
    range_low_paise: int = 0
    range_candles: int = 0
    closes_beyond: int = 0  # consecutive closes above (+) or below (-) the range
    lock_until_ns: int = 0
    previous: Candle | None = None
    before_previous: Candle | None = None
    opened_by: Setup | None = None  # the setup of the last entry that was asked for

    def extend_range(self, candle: Candle) -> None:
        if self.range_candles == 0:
            self.range_high_paise, self.range_low_paise = candle.high_paise, candle.low_paise
        self.range_high_paise = max(self.range_high_paise, candle.high_paise)
        self.range_low_paise = min(self.range_low_paise, candle.low_paise)
        self.range_candles += 1

    def count_close(self, close_paise: int) -> None:
        if close_paise > self.range_high_paise:
            self.closes_beyond = max(self.closes_beyond, 0) + 1
        elif close_paise < self.range_low_paise:
            self.closes_beyond = min(self.closes_beyond, 0) - 1
        else:
            self.closes_beyond = 0


class Orb(Strategy[OrbParameters]):
    """ORB breakout, inside-bar breakout, reversals at a level, momentum: the first that holds."""

    NAME = "orb"
    TIMEFRAME_SECONDS = 60
    WARMUP_CANDLES = 400
    NEEDS = Needs(chain=OPTIONAL)  # for the put-call ratio
    PARAMETERS = OrbParameters

    def __init__(self, parameters: OrbParameters) -> None:
        super().__init__(parameters)
        self._ema_fast = Ema(parameters.ema_fast)
        self._ema_slow = Ema(parameters.ema_slow)
        self._atr = Atr(parameters.atr_length)
        self._vwap = Vwap()
        self._volumes = SumWindow(parameters.average_candles)
        self._ranges = SumWindow(parameters.average_candles)
        self._recent_ranges = SumWindow(parameters.squeeze_candles)
        self._day = _Day(open_ns=-1)

    def on_candle(self, candle: Candle, context: Context) -> Decision:
        if context.session_open_ns != self._day.open_ns:
            self._day = _Day(open_ns=context.session_open_ns)
            self._vwap.reset()
        view = self._view(candle, context)
        decision = self._decide(candle, context, view)
        self._remember(candle)
        return decision

    def warm_up(self, candles: Sequence[Candle]) -> bool:
        """What lasts beyond a day is in the averages and windows alone: no setup of an earlier day is looked for."""
        rows = np.array([(one.high_paise, one.low_paise, one.close_paise) for one in candles], float).reshape(-1, 3)
        high, low, close = (np.ascontiguousarray(column) for column in rows.T)
        self._ema_fast.extend(close)
        self._ema_slow.extend(close)
        self._atr.extend(high, low, close)
        ranges = [patterns.range_paise(candle) for candle in candles]
        self._volumes.extend([candle.volume for candle in candles])
        self._ranges.extend(ranges)
        self._recent_ranges.extend(ranges)
        self._day = _Day(open_ns=-1)
        return True

    def _decide(self, candle: Candle, context: Context, view: View | None) -> Decision:
        parameters, day = self.parameters, self._day
        if candle.ts_open_ns < context.session_open_ns:
            return hold("before_session")
        if candle.ts_open_ns < context.session_open_ns + parameters.range_minutes * _MINUTE_NS:
            return hold("opening_range_forming")
        if view is None:
            return hold("indicators_not_ready")
        found = scan(view, parameters)
        if context.position is not None:
            return self._with_position(candle, context.position, found.setup)
        if candle.ts_close_ns > context.session_close_ns - parameters.last_entry_minutes * _MINUTE_NS:
            return hold("late_session")
        if found.setup is None:
            return hold(found.refusals[0] if found.refusals else "no_setup")
        if candle.ts_close_ns < day.lock_until_ns:
            return hold(f"trade_locked: {found.setup.name}")
        return self._enter(candle, found.setup, view.atr_paise)

    def _with_position(self, candle: Candle, position: Position, setup: Setup | None) -> Decision:
        if setup is None or setup.side is position.side:
            return hold("in_position")
        opened_by = self._day.opened_by
        # A position whose setup is not known counts as the lowest, so that anything better against it closes it.
        rank = opened_by.priority if opened_by is not None and opened_by.side is position.side else MOMENTUM
        if setup.priority < rank or setup.priority == rank == ORB:
            self._lock(candle)
            return Decision(
                action=Action.EXIT, reason=f"opposite_{setup.name}: {setup.note}", confidence=setup.confidence
            )
        return hold(f"in_position: opposite {setup.name} does not outrank it")

    def _enter(self, candle: Candle, setup: Setup, atr_paise: float) -> Decision:
        levels = entry_levels(
            side=setup.side,
            price_paise=candle.close_paise,
            natural_stop_paise=setup.natural_stop_paise,
            floor_paise=self.parameters.stop_floor_atr * atr_paise,
            reward_multiple=self.parameters.reward_multiple,
        )
        if levels is None:
            return hold(f"stop_below_zero: {setup.name}")
        self._lock(candle)
        self._day.opened_by = setup
        return Decision(
            action=Action.ENTER_LONG if setup.side.sign > 0 else Action.ENTER_SHORT,
            reason=f"{setup.name}: {setup.note}",
            stop_paise=levels.stop_paise,
            target_paise=levels.target_paise,
            confidence=setup.confidence,
        )

    def _lock(self, candle: Candle) -> None:
        self._day.lock_until_ns = candle.ts_close_ns + self.parameters.lock_minutes * _MINUTE_NS

    def _view(self, candle: Candle, context: Context) -> View | None:
        """Updates every indicator with the candle; None until all that need history have it."""
        parameters, day = self.parameters, self._day
        fast = self._ema_fast.update(candle.close_paise)
        slow = self._ema_slow.update(candle.close_paise)
        atr = self._atr.update(candle.high_paise, candle.low_paise, candle.close_paise)
        in_session = candle.ts_open_ns >= context.session_open_ns
        vwap = self._vwap.update(candle) if in_session else None
        if in_session and candle.ts_open_ns < context.session_open_ns + parameters.range_minutes * _MINUTE_NS:
            day.extend_range(candle)
        elif day.range_candles:
            day.count_close(candle.close_paise)
        if fast is None or slow is None or atr is None or not self._ranges.full:
            return None
        has_range = day.range_candles >= parameters.range_candles_min
        return View(
            candle=candle,
            previous=day.previous,
            before_previous=day.before_previous,
            range_high_paise=day.range_high_paise if has_range else None,
            range_low_paise=day.range_low_paise if has_range else None,
            closes_beyond=day.closes_beyond,
            atr_paise=atr,
            ema_fast_paise=fast,
            ema_slow_paise=slow,
            vwap_paise=vwap,
            participation=self._participation(candle),
            squeezed=self._squeezed(),
            put_call_bias=self._put_call_bias(context.put_call_ratio),
        )

    def _participation(self, candle: Candle) -> Participation:
        """The volume test; for a series without volume (an index) the range-expansion test in its place."""
        if self._volumes.total + candle.volume == 0:
            multiple = self._ranges.ratio_of(patterns.range_paise(candle))
            note = f"no volume in series, range {multiple:.1f}x"
            return Participation(multiple >= self.parameters.range_multiple, note)
        multiple = self._volumes.ratio_of(candle.volume) if self._volumes.total else float("inf")
        return Participation(multiple >= self.parameters.volume_multiple, f"volume {multiple:.1f}x")

    def _squeezed(self) -> bool:
        parameters = self.parameters
        recent = self._recent_ranges.total * parameters.average_candles
        return recent < parameters.squeeze_ratio * self._ranges.total * parameters.squeeze_candles

    def _put_call_bias(self, ratio: float | None) -> int:
        """A high ratio (puts written under the market) is bullish, a low one bearish, between or unknown neutral."""
        if ratio is None:
            return 0
        return (ratio > self.parameters.put_call_bullish_above) - (ratio < self.parameters.put_call_bearish_below)

    def _remember(self, candle: Candle) -> None:
        range_paise = patterns.range_paise(candle)
        self._volumes.push(candle.volume)
        self._ranges.push(range_paise)
        self._recent_ranges.push(range_paise)
        self._day.before_previous, self._day.previous = self._day.previous, candle
