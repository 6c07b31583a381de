"""Answers as JSON bytes, straight from records: rupees with two exact decimals, instants as UTC text and epoch seconds.

Invariants (property-tested): every answer is valid JSON; paise and nanoseconds read back from it are those put in.
"""

import json
from datetime import date
from typing import Any

import numpy as np

from tradebus.contracts.instruments import Instrument
from tradebus.contracts.records import Records
from tradebus.kernel.money import plain_rupees
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, utc_iso

_CANDLE = (
    '{"ts_utc":"%sZ","ts_epoch_seconds":%d,"open":%d.%02d,"high":%d.%02d,"low":%d.%02d,"close":%d.%02d,'
    '"volume":%d,"open_interest":%d}'
)


def candles_json(instrument: Instrument, timeframe_seconds: int, candles: Records) -> bytes:
    """The answer of both candle paths; `candles` ascending, stamped by their start."""
    seconds = candles["ts_open_ns"] // NANOSECONDS_PER_SECOND
    columns: list[Any] = [np.datetime_as_string(seconds.astype("datetime64[s]")).tolist(), seconds.tolist()]
    for name in ("open_paise", "high_paise", "low_paise", "close_paise"):
        whole, rest = np.divmod(candles[name], 100)
        columns += (whole.tolist(), rest.tolist())
    columns += (candles["volume"].tolist(), candles["open_interest"].tolist())
    rows = ",".join(_CANDLE % row for row in zip(*columns, strict=True))
    return f'{_head(instrument)},"timeframe_seconds":{timeframe_seconds},"candles":[{rows}]}}'.encode()


def quote_json(
    instrument: Instrument, *, ts_ns: int, price_paise: int, bid_paise: int, ask_paise: int, volume: int,
    open_interest: int, source: str,
) -> bytes:  # fmt: skip
    """The newest price. Bid and ask are null where the feed has none (0); `source` is "tick" or "candle"."""
    bid = plain_rupees(bid_paise) if bid_paise else "null"
    ask = plain_rupees(ask_paise) if ask_paise else "null"
    seconds, rest_ns = divmod(ts_ns, NANOSECONDS_PER_SECOND)
    return (
        f'{_head(instrument)},"price":{plain_rupees(price_paise)},"bid":{bid},"ask":{ask},"volume":{volume},'
        f'"open_interest":{open_interest},"ts_utc":"{utc_iso(ts_ns)}",'
        f'"ts_epoch_seconds":{seconds}.{rest_ns // 1000:06d},"source":"{source}"}}'
    ).encode()


def no_quote_json(instrument: Instrument) -> bytes:
    """An instrument of which nothing has been heard yet."""
    return (
        f'{_head(instrument)},"price":null,"bid":null,"ask":null,"volume":null,"open_interest":null,'
        '"ts_utc":null,"ts_epoch_seconds":null,"source":null}'
    ).encode()


def option_chain_json(symbol: str, *, expiry: date | None, strikes: Any, seen_ns: int | None) -> bytes:
    """A stored chain, or an empty one."""
    return json.dumps(
        {
            "symbol": symbol,
            "expiry": expiry.isoformat() if expiry else None,
            "chain": strikes,
            "updated_utc": None if seen_ns is None else utc_iso(seen_ns),
            "updated_epoch_seconds": None if seen_ns is None else seen_ns // 1000 / 1e6,
        },
        separators=(",", ":"),
    ).encode()


def _head(instrument: Instrument) -> str:
    return f'{{"symbol":{json.dumps(instrument.symbol)},"instrument_id":{instrument.instrument_id}'
