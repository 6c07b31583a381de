"""`ema_20_50` for all instruments and sessions at once. Property: its decisions are those of `ema_20_50.Ema2050`."""

import math

import numpy as np

from tradebus.contracts.records import Records
from tradebus.indicators._series import Floats
from tradebus.indicators.moving import EmaBank
from tradebus.indicators.oscillators import AtrBank, RsiBank
from tradebus.indicators.session import VwapBank, typical_price
from tradebus.strategies.built_in import _ema_20_50_kernel as core
from tradebus.strategies.built_in.ema_20_50 import Ema2050, Ema2050Parameters
from tradebus.strategies.opinions import OPINION, CompiledStrategy, Int64s

_MINUTE_NS = 60_000_000_000
_ORDERS = ("ema_fast<ema_slow", "ema_fast=ema_slow", "ema_fast>ema_slow")
# By the numbers of the kernel.
_REASONS = ("indicators_not_ready", "early_session", "late_session", *(
    template.replace("ORDER", order)
    for template in (
        "in_position: ORDER", "opposite_cross: ORDER", "no_fresh_cross: ORDER",
        "no_trend: ORDER, slow EMA slope {1:.2f} ATR", "rsi_neutral: ORDER, RSI {0:.1f}",
        "rsi_stretched: ORDER, RSI {0:.1f}", "wrong_side_of_vwap: ORDER", "stop_below_zero: ORDER",
        "ema_cross: ORDER, RSI {0:.1f}",
    )
    for order in _ORDERS
))  # fmt: skip


class Ema2050Lane(CompiledStrategy[Ema2050Parameters]):
    NAME = Ema2050.NAME
    TIMEFRAME_SECONDS = Ema2050.TIMEFRAME_SECONDS
    WARMUP_CANDLES = Ema2050.WARMUP_CANDLES
    PARAMETERS = Ema2050Parameters
    REASONS = _REASONS

    def __init__(self, parameters: Ema2050Parameters, *, slots: int) -> None:
        super().__init__(parameters, slots=slots)
        self._fast, self._slow = EmaBank(slots, parameters.fast), EmaBank(slots, parameters.slow)
        self._rsi, self._atr = RsiBank(slots, parameters.rsi_length), AtrBank(slots, parameters.atr_length)
        self._vwap = VwapBank(slots)
        self._state = np.zeros((slots, core.STATE_WIDTH), np.int64)
        self._slow_seen = np.zeros((slots, parameters.slope_candles + 1))
        reward = parameters.reward_multiple
        self._parameters = np.array(
            [
                parameters.cross_window_candles, parameters.slope_candles, parameters.slope_min_atr,
                parameters.rsi_neutral, parameters.rsi_stretched, parameters.vwap_filter, parameters.stop_atr,
                math.nan if reward is None else reward, parameters.first_entry_minutes * _MINUTE_NS,
                parameters.last_entry_minutes * _MINUTE_NS,
            ],
            np.float64,
        )  # fmt: skip

    def reset(self, slot: int) -> None:
        for bank in (self._fast, self._slow, self._rsi, self._atr, self._vwap):
            bank.reset(slot)
        self._state[slot] = 0

    def on_candles(self, slots: Int64s, candles: Records, *, opens_ns: Int64s, closes_ns: Int64s) -> Records:
        high, low, close = candles["high_paise"], candles["low_paise"], candles["close_paise"]
        answers = np.zeros((len(slots), core.ANSWER_WIDTH), np.int64)
        figures = np.zeros((len(slots), core.FIGURE_WIDTH))
        given = np.stack((close, candles["ts_close_ns"], opens_ns, closes_ns), axis=1)
        figured = (
            self._fast.update(slots, close),
            self._slow.update(slots, close),
            self._rsi.update(slots, close),
            self._atr.update(slots, high=high, low=low, close=close),
            self._vwap.update(
                slots, price=typical_price(high=high, low=low, close=close), volume=candles["volume"],
                session_open_ns=opens_ns,
            ),
        )  # fmt: skip
        indicators = np.stack([one.values for one in figured], axis=1)
        core.decide(slots, given, indicators, self._parameters, self._state, self._slow_seen, answers, figures)
        return _opinions(answers, figures)


def _opinions(answers: Int64s, figures: Floats) -> Records:
    made = np.zeros(len(answers), OPINION)
    made["row"] = np.arange(len(answers))
    for name, column in (
        ("stop_paise", core.STOP), ("target_paise", core.TARGET), ("occasion_ns", core.OCCASION_OUT),
        ("flat", core.FLAT), ("long", core.LONG), ("short", core.SHORT), ("flat_reason", core.FLAT_REASON),
    ):  # fmt: skip
        made[name] = answers[:, column]
    made["confidence"] = figures[:, core.CONFIDENCE]
    made["numbers"][:, :2] = figures[:, [core.RSI, core.SLOPE]]
    order = answers[:, core.ORDER]
    ready = order >= 0
    made["spent_reason"] = np.where(ready, core.NO_FRESH_CROSS + order, core.NOT_READY)
    for name, exits in (("long_reason", core.LONG), ("short_reason", core.SHORT)):
        leaves = answers[:, exits] != 0
        reason = np.where(leaves, core.OPPOSITE, core.IN_POSITION) + order
        made[name] = np.where(ready, reason, core.NOT_READY)
    return made
