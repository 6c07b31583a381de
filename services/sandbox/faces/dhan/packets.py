"""Market-feed packets, little-endian, built for a whole batch in one step.

    QUOTE records [n] + FeedCodes ─► structured array [n], one packet per row ─► bytes, row i at i * size

Layouts: BROKERS 3.2. Prices are f32 rupees; the last trade's time is Dhan's own epoch, Indian wall time read as UTC.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from services.sandbox.faces.dhan.words import SEGMENT_CODE
from services.sandbox.ports import SandboxInstrument
from tradebus.contracts.records import DEPTH_LEVELS, Records
from tradebus.kernel.time import IST_OFFSET_SECONDS

_HEADER = [("code", "u1"), ("length", "<u2"), ("segment", "u1"), ("security", "<u4")]
_LEVEL = np.dtype(
    [
        ("bid_quantity", "<u4"), ("ask_quantity", "<u4"), ("bid_orders", "<u2"), ("ask_orders", "<u2"),
        ("bid", "<f4"), ("ask", "<f4"),
    ]
)  # fmt: skip
_TRADED = [("ltp", "<f4"), ("ltq", "<u2"), ("ltt", "<u4"), ("atp", "<f4"), ("volume", "<u4"), ("sell", "<u4"),
           ("buy", "<u4")]  # fmt: skip
_DAY = [("open", "<f4"), ("close", "<f4"), ("high", "<f4"), ("low", "<f4")]
TICKER = np.dtype([*_HEADER, ("ltp", "<f4"), ("ltt", "<u4")])
QUOTE_PACKET = np.dtype([*_HEADER, *_TRADED, *_DAY])
OPEN_INTEREST = np.dtype([*_HEADER, ("oi", "<u4")])
PREVIOUS_CLOSE = np.dtype([*_HEADER, ("close", "<f4"), ("oi", "<u4")])
STATUS = np.dtype(_HEADER)
FULL = np.dtype(
    [*_HEADER, *_TRADED, ("oi", "<u4"), ("oi_high", "<u4"), ("oi_low", "<u4"), *_DAY,
     ("depth", _LEVEL, (DEPTH_LEVELS,))]
)  # fmt: skip
DISCONNECT = np.dtype([*_HEADER, ("reason", "<u2")])
CODES = {TICKER: 2, QUOTE_PACKET: 4, OPEN_INTEREST: 5, PREVIOUS_CLOSE: 6, STATUS: 7, FULL: 8, DISCONNECT: 50}
_U16, _U32 = 0xFFFF, 0xFFFF_FFFF


class FeedCodes:
    """Segment codes and security ids by instrument index, arrays of shape [instruments]."""

    def __init__(self, instruments: Sequence[SandboxInstrument]) -> None:
        self.segments = np.array([SEGMENT_CODE[each.key.segment] for each in instruments], np.uint8)
        self.securities = np.array([each.exchange_token for each in instruments], np.uint32)
        self.derivative = np.array([each.key.is_derivative for each in instruments], bool)


class Encoder:
    """Packets of each kind from QUOTE records; every method returns an array of shape [len(quotes)]."""

    def __init__(self, directory: FeedCodes) -> None:
        self._directory = directory

    def ticker(self, quotes: Records) -> Records:
        """Code 2."""
        packets = self._headed(quotes, TICKER)
        packets["ltp"], packets["ltt"] = _rupees(quotes["price_paise"]), _ist_seconds(quotes["ts_last_trade_ns"])
        return packets

    def quote(self, quotes: Records) -> Records:
        """Code 4."""
        packets = self._headed(quotes, QUOTE_PACKET)
        _fill_traded(packets, quotes)
        return packets

    def full(self, quotes: Records) -> Records:
        """Code 8: with open interest and five levels of depth."""
        packets = self._headed(quotes, FULL)
        _fill_traded(packets, quotes)
        packets["oi"] = _u32(quotes["open_interest"])
        packets["oi_high"], packets["oi_low"] = _u32(quotes["open_interest_high"]), _u32(quotes["open_interest_low"])
        depth = packets["depth"]
        for side in ("bid", "ask"):
            depth[side] = _rupees(quotes[f"{side}_paise"])
            depth[f"{side}_quantity"] = _u32(quotes[f"{side}_quantity"])
            depth[f"{side}_orders"] = np.clip(quotes[f"{side}_orders"], 0, _U16)
        return packets

    def open_interest(self, quotes: Records) -> Records:
        """Code 5."""
        packets = self._headed(quotes, OPEN_INTEREST)
        packets["oi"] = _u32(quotes["open_interest"])
        return packets

    def previous_close(self, quotes: Records) -> Records:
        """Code 6. The open interest of the day before is not in a QUOTE record; the one of now stands in for it."""
        packets = self._headed(quotes, PREVIOUS_CLOSE)
        packets["close"], packets["oi"] = _rupees(quotes["previous_close_paise"]), _u32(quotes["open_interest"])
        return packets

    def _headed(self, quotes: Records, dtype: np.dtype[np.void]) -> Records:
        instruments = quotes["instrument"]
        packets = np.zeros(len(quotes), dtype)
        packets["code"], packets["length"] = CODES[dtype], dtype.itemsize
        packets["segment"] = self._directory.segments[instruments]
        packets["security"] = self._directory.securities[instruments]
        return packets


def market_status(segment: int) -> bytes:
    """Code 7: that a segment opened or closed; the packet does not say which."""
    return np.array([(CODES[STATUS], STATUS.itemsize, segment, 0)], STATUS).tobytes()


def disconnect(reason: int) -> bytes:
    """Code 50 with 805 (connections), 806 (no data plan), 807 (token expired), 808–810 (login)."""
    return np.array([(CODES[DISCONNECT], DISCONNECT.itemsize, 0, 0, reason)], DISCONNECT).tobytes()


def _fill_traded(packets: Records, quotes: Records) -> None:
    packets["ltp"], packets["atp"] = _rupees(quotes["price_paise"]), _rupees(quotes["average_price_paise"])
    packets["ltq"] = np.clip(quotes["last_quantity"], 0, _U16)
    packets["ltt"] = _ist_seconds(quotes["ts_last_trade_ns"])
    packets["volume"] = _u32(quotes["volume_cumulative"])
    packets["sell"], packets["buy"] = _u32(quotes["total_sell_quantity"]), _u32(quotes["total_buy_quantity"])
    packets["open"], packets["high"] = _rupees(quotes["open_paise"]), _rupees(quotes["high_paise"])
    packets["low"], packets["close"] = _rupees(quotes["low_paise"]), _rupees(quotes["previous_close_paise"])


def _rupees(paise: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return paise / 100.0


def _u32(values: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    clipped: npt.NDArray[np.integer] = np.clip(values, 0, _U32)
    return clipped


def _ist_seconds(ts_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.where(ts_ns > 0, ts_ns // 1_000_000_000 + IST_OFFSET_SECONDS, 0)
