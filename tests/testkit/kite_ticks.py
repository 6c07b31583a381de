"""A tick as the official ticker decodes it, beside a QUOTE record of ours: do they say the same?"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from kiteconnect import KiteTicker

MODES = {1: "ltp", 2: "quote", 3: "full"}
_RUPEES = (("last_price", "price_paise"), ("average_traded_price", "average_price_paise"))
_COUNTS = (
    ("last_traded_quantity", "last_quantity"), ("volume_traded", "volume_cumulative"),
    ("total_buy_quantity", "total_buy_quantity"), ("total_sell_quantity", "total_sell_quantity"),
    ("oi", "open_interest"), ("oi_day_high", "open_interest_high"), ("oi_day_low", "open_interest_low"),
)  # fmt: skip
_DAY = (("open", "open_paise"), ("high", "high_paise"), ("low", "low_paise"), ("close", "previous_close_paise"))
_TIMES = (("exchange_timestamp", "ts_event_ns"), ("last_trade_time", "ts_last_trade_ns"))


def official_ticks(frame: bytes) -> list[dict[str, Any]]:
    """The frame through the official ticker's own parser, without its reactor."""
    ticks: list[dict[str, Any]] = KiteTicker("key", "token")._parse_binary(frame)
    return ticks


def same(tick: Mapping[str, Any], quote: np.void) -> bool:
    """Whether everything the tick says is what the record says. Instruments are not compared."""
    return not list(differences(tick, quote))


def differences(tick: Mapping[str, Any], quote: np.void) -> Iterable[str]:
    """What differs, in words."""
    pairs: list[tuple[str, object, object]] = []
    pairs += [(name, round(tick[name] * 100), int(quote[field])) for name, field in _RUPEES if name in tick]
    pairs += [(name, tick[name], int(quote[field])) for name, field in _COUNTS if name in tick]
    if "ohlc" in tick:
        pairs += [(name, round(tick["ohlc"][name] * 100), int(quote[field])) for name, field in _DAY]
    # The official client gives naive local times.
    pairs += [(name, int(tick[name].timestamp()), int(quote[field]) // 10**9) for name, field in _TIMES if name in tick]
    for side, field in (("buy", "bid"), ("sell", "ask")) if "depth" in tick else ():
        levels = tick["depth"][side]
        pairs.append(
            (f"{side} prices", [round(level["price"] * 100) for level in levels], quote[f"{field}_paise"].tolist())
        )
        pairs += [
            (f"{side} {word}", [level[word] for level in levels], quote[f"{field}_{word}"].tolist())
            for word in ("quantity", "orders")
        ]
    return [f"{name}: {theirs} is not {ours}" for name, theirs, ours in pairs if theirs != ours]
