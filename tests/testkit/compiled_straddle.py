"""A small strategy of legs twice: plain, and compiled. Property: they decide the same."""

import numpy as np
from pydantic import Field

from tradebus.contracts.records import Records
from tradebus.contracts.signals import Side
from tradebus.strategies.needs import Needs, Role, Symbol
from tradebus.strategies.opinions import ENTER_LEGS, ENTER_LONG, EXIT, OPINION, CompiledStrategy, Int64s
from tradebus.strategies.protocol import (
    Action,
    Candle,
    Context,
    Decision,
    RoleLeg,
    Strategy,
    StrategyParameters,
    hold,
)

MINUTE_NS = 60_000_000_000
NAME = "straddle_twice"
CALL, PUT = Symbol("NIFTY2410421700CE"), Symbol("NIFTY2410421700PE")
NEEDS = Needs(instruments=(CALL, PUT))
_LOCK_MINUTES = 3
_SINGLE_AFTER = 5
ENTERED, WAITS, LEAVES, IN_GROUP, IN_POSITION, ALONE = range(6)
REASONS = (
    "{0:.2f} since the open", "not_the_minute: {1:.0f}", "time_is_over", "in_group", "in_position", "alone: {0:.2f}"
)  # fmt: skip


class StraddleParameters(StrategyParameters):
    every_minutes: int = Field(default=30, ge=1)
    exit_minutes: int = Field(default=20, ge=0)
    stop_pct: float = Field(default=30.0, gt=0)
    target_pct: float | None = Field(default=60.0, gt=0)
    alone: bool = False  # whether it buys the underlying too, five minutes after each entry


def leg_sets_of(parameters: StraddleParameters) -> tuple[tuple[RoleLeg, ...], ...]:
    """Both sold while the price is above the open; the call bought and two puts sold for it while it is below."""

    def leg(role: Role, side: Side, ratio: int = 1) -> RoleLeg:
        return RoleLeg(role, side, ratio=ratio, stop_pct=parameters.stop_pct, target_pct=parameters.target_pct)

    return (
        (leg(CALL, Side.SHORT), leg(PUT, Side.SHORT)),
        (leg(CALL, Side.LONG), leg(PUT, Side.SHORT, 2)),
    )  # fmt: skip


class Straddle(Strategy[StraddleParameters]):
    NAME = NAME
    WARMUP_CANDLES = 5
    NEEDS = NEEDS
    PARAMETERS = StraddleParameters

    def __init__(self, parameters: StraddleParameters) -> None:
        super().__init__(parameters)
        self._day_ns = self._open_paise = self._locked_until_ns = 0

    def on_candle(self, candle: Candle, context: Context) -> Decision:
        if context.session_open_ns != self._day_ns:
            self._day_ns, self._open_paise, self._locked_until_ns = context.session_open_ns, candle.open_paise, 0
        parameters = self.parameters
        minute = (candle.ts_close_ns - context.session_open_ns) // MINUTE_NS
        moved = (candle.close_paise - self._open_paise) / 100
        phase = minute % parameters.every_minutes
        if context.position is not None or context.legs:
            if phase == parameters.exit_minutes:
                self._lock(candle)
                return Decision(Action.EXIT, REASONS[LEAVES])
            return hold(REASONS[IN_GROUP if context.position is None else IN_POSITION])
        enters, alone = phase == 0, parameters.alone and phase == _SINGLE_AFTER
        if not enters and not alone:
            return hold(REASONS[WAITS].format(moved, float(minute)))
        text = REASONS[ENTERED if enters else ALONE].format(moved)
        if candle.ts_close_ns < self._locked_until_ns:
            return hold(f"trade_locked: {text}")
        self._lock(candle)
        if alone and not enters:
            return Decision(Action.ENTER_LONG, text, candle.close_paise * 99 // 100, confidence=0.6)
        sold, turned = leg_sets_of(parameters)
        return Decision(Action.ENTER_LEGS, text, confidence=0.6, legs=sold if moved > 0 else turned)

    def _lock(self, candle: Candle) -> None:
        self._locked_until_ns = candle.ts_close_ns + _LOCK_MINUTES * MINUTE_NS


class StraddleLane(CompiledStrategy[StraddleParameters]):
    NAME = NAME
    WARMUP_CANDLES = Straddle.WARMUP_CANDLES
    NEEDS = NEEDS
    PARAMETERS = StraddleParameters
    REASONS = REASONS
    LOCK_SECONDS = _LOCK_MINUTES * 60

    def __init__(self, parameters: StraddleParameters, *, slots: int) -> None:
        super().__init__(parameters, slots=slots)
        self._days, self._opens = np.zeros(slots, np.int64), np.zeros(slots, np.int64)

    @property
    def leg_sets(self) -> tuple[tuple[RoleLeg, ...], ...]:
        return leg_sets_of(self.parameters)

    def reset(self, slot: int) -> None:
        self._days[slot] = self._opens[slot] = 0

    def on_candles(self, slots: Int64s, candles: Records, *, opens_ns: Int64s, closes_ns: Int64s) -> Records:
        first = np.empty(len(slots), np.int64)
        for row, slot in enumerate(slots.tolist()):
            if self._days[slot] != opens_ns[row]:
                self._days[slot], self._opens[slot] = opens_ns[row], candles["open_paise"][row]
            first[row] = self._opens[slot]
        parameters, close = self.parameters, candles["close_paise"]
        minute = (candles["ts_close_ns"] - opens_ns) // MINUTE_NS
        phase = minute % parameters.every_minutes
        enters, leaves = phase == 0, phase == parameters.exit_minutes
        alone = parameters.alone & (phase == _SINGLE_AFTER) & ~enters
        made = np.zeros(len(slots), OPINION)
        made["row"], made["confidence"] = np.arange(len(slots)), 0.6
        made["occasion_ns"] = candles["ts_close_ns"]
        made["numbers"][:, 0], made["numbers"][:, 1] = (close - first) / 100, minute
        made["flat"] = np.where(enters, ENTER_LEGS, np.where(alone, ENTER_LONG, 0))
        made["flat_reason"] = np.where(enters, ENTERED, np.where(alone, ALONE, WAITS))
        made["legs"] = np.where(enters, np.where(close > first, 1, 2), 0)
        made["stop_paise"] = close * 99 // 100
        for case, holds in (("long", IN_POSITION), ("short", IN_POSITION), ("group", IN_GROUP)):
            made[case] = np.where(leaves, EXIT, 0)
            made[f"{case}_reason"] = np.where(leaves, LEAVES, holds)
        return made
