"""`orb` for all instruments and sessions at once. Property: its decisions are those of `orb.Orb` without a put-call
ratio: where a feed has an option chain, `orb.Orb` itself is asked (`lane.sessions.found_here`)."""

import numpy as np

from tradebus.contracts.records import Records
from tradebus.indicators.moving import EmaBank
from tradebus.indicators.oscillators import AtrBank
from tradebus.indicators.session import VwapBank, typical_price
from tradebus.strategies.built_in import _orb_kernel as core
from tradebus.strategies.built_in.orb import Orb
from tradebus.strategies.built_in.orb_parameters import OrbParameters
from tradebus.strategies.built_in.orb_setups import MOMENTUM
from tradebus.strategies.opinions import OPINION, CompiledStrategy, Int64s

_MINUTE_NS = 60_000_000_000


class OrbLane(CompiledStrategy[OrbParameters]):
    NAME = Orb.NAME
    TIMEFRAME_SECONDS = Orb.TIMEFRAME_SECONDS
    WARMUP_CANDLES = Orb.WARMUP_CANDLES
    NEEDS = Orb.NEEDS
    PARAMETERS = OrbParameters
    REASONS = core.REASONS
    RANK_LOWEST = MOMENTUM

    def __init__(self, parameters: OrbParameters, *, slots: int) -> None:
        super().__init__(parameters, slots=slots)
        self._fast, self._slow = EmaBank(slots, parameters.ema_fast), EmaBank(slots, parameters.ema_slow)
        self._atr, self._vwap = AtrBank(slots, parameters.atr_length), VwapBank(slots)
        self._state = np.zeros((slots, core.STATE_WIDTH), np.int64)
        self._volumes = np.zeros((slots, parameters.average_candles), np.int64)
        self._ranges = np.zeros((slots, parameters.average_candles), np.int64)
        self._parameters = np.array(
            [
                parameters.range_minutes * _MINUTE_NS, parameters.range_candles_min,
                parameters.breakout_window_candles, parameters.volume_multiple, parameters.range_multiple,
                parameters.average_candles, parameters.squeeze_candles, parameters.squeeze_ratio,
                parameters.location_atr, parameters.inside_bar_mother_atr, parameters.momentum_range_atr,
                parameters.stop_floor_atr, parameters.reward_multiple, parameters.last_entry_minutes * _MINUTE_NS,
            ],
            np.float64,
        )  # fmt: skip

    @property
    def lock_seconds(self) -> int:
        return self.parameters.lock_minutes * 60

    def reset(self, slot: int) -> None:
        for bank in (self._fast, self._slow, self._atr, self._vwap):
            bank.reset(slot)
        for state in (self._state, self._volumes, self._ranges):
            state[slot] = 0

    def on_candles(self, slots: Int64s, candles: Records, *, opens_ns: Int64s, closes_ns: Int64s) -> Records:
        high, low, close = candles["high_paise"], candles["low_paise"], candles["close_paise"]
        # A candle from before the session has no weight in the session's VWAP.
        weight = np.where(candles["ts_open_ns"] >= opens_ns, candles["volume"], 0)
        indicators = np.empty((len(slots), 4))
        indicators[:, core.FAST] = self._fast.update(slots, close).values
        indicators[:, core.SLOW] = self._slow.update(slots, close).values
        indicators[:, core.ATR] = self._atr.update(slots, high=high, low=low, close=close).values
        indicators[:, core.VWAP] = self._vwap.update(
            slots, price=typical_price(high=high, low=low, close=close), volume=weight, session_open_ns=opens_ns
        ).values
        opinions = np.zeros(len(slots), OPINION)
        core.decide(
            slots, candles, opens_ns, closes_ns, indicators, self._parameters, self._state, self._volumes,
            self._ranges, opinions,
        )  # fmt: skip
        return opinions
