"""`ema_cross` for all instruments and sessions at once. Property: its decisions are those of `strategy.EmaCross`."""

import math

import numpy as np

from tradebus.contracts.records import Records
from tradebus.indicators.moving import EmaBank
from tradebus.strategies.built_in.ema_cross import _kernel as core
from tradebus.strategies.built_in.ema_cross.strategy import EmaCross, EmaCrossParameters
from tradebus.strategies.opinions import OPINION, CompiledStrategy, Int64s

_ORDERS = ("ema_fast<ema_slow", "ema_fast=ema_slow", "ema_fast>ema_slow")
# By the numbers of the kernel.
_REASONS = ("indicators_not_ready", *(
    f"{reason}: {order}"
    for reason in ("in_position", "opposite_cross", "no_fresh_cross", "stop_below_zero", "ema_cross")
    for order in _ORDERS
))  # fmt: skip
_CONFIDENCE = 0.5


class EmaCrossLane(CompiledStrategy[EmaCrossParameters]):
    NAME = EmaCross.NAME
    TIMEFRAME_SECONDS = EmaCross.TIMEFRAME_SECONDS
    WARMUP_CANDLES = EmaCross.WARMUP_CANDLES
    PARAMETERS = EmaCrossParameters
    REASONS = _REASONS

    def __init__(self, parameters: EmaCrossParameters, *, slots: int) -> None:
        super().__init__(parameters, slots=slots)
        self._fast, self._slow = EmaBank(slots, parameters.fast), EmaBank(slots, parameters.slow)
        self._state = np.zeros((slots, core.STATE_WIDTH), np.int64)
        self._reward = math.nan if parameters.reward_multiple is None else parameters.reward_multiple

    def reset(self, slot: int) -> None:
        self._fast.reset(slot)
        self._slow.reset(slot)
        self._state[slot] = 0

    def on_candles(self, slots: Int64s, candles: Records, *, opens_ns: Int64s, closes_ns: Int64s) -> Records:
        closes = np.ascontiguousarray(candles["close_paise"])
        answers = np.zeros((len(slots), core.ANSWER_WIDTH), np.int64)
        core.decide(
            slots, closes, np.ascontiguousarray(candles["ts_close_ns"]), self._fast.update(slots, closes).values,
            self._slow.update(slots, closes).values, self.parameters.cross_window_candles, self.parameters.stop_pct,
            self._reward, self._state, answers,
        )  # fmt: skip
        return _opinions(answers)


def _opinions(answers: Int64s) -> Records:
    made = np.zeros(len(answers), OPINION)
    made["row"] = np.arange(len(answers))
    for name, column in (
        ("stop_paise", core.STOP), ("target_paise", core.TARGET), ("occasion_ns", core.OCCASION_OUT),
        ("flat", core.FLAT), ("long", core.LONG), ("short", core.SHORT), ("flat_reason", core.FLAT_REASON),
    ):  # fmt: skip
        made[name] = answers[:, column]
    made["confidence"] = _CONFIDENCE
    order = answers[:, core.ORDER]
    ready = order >= 0
    made["spent_reason"] = np.where(ready, core.NO_FRESH_CROSS + order, core.NOT_READY)
    for name, exits in (("long_reason", core.LONG), ("short_reason", core.SHORT)):
        reason = np.where(answers[:, exits] != 0, core.OPPOSITE, core.IN_POSITION) + order
        made[name] = np.where(ready, reason, core.NOT_READY)
    return made
