"""A quote of Kite's REST API as a QUOTE record. Layout of the reply: `/quote` in BROKERS' mocks; rupees and IST."""

from typing import Any

from tradebus.brokers.common.replies.rows import Row, Unreadable, paise, row_of, rows_of, whole
from tradebus.brokers.kite.replies import moment_ns
from tradebus.contracts import records
from tradebus.contracts.records import DEPTH_LEVELS

_INT32_MAX = 2**31 - 1
_COUNTS = (
    ("last_quantity", "last_quantity", records.QUOTE_HAS_LAST_QUANTITY),
    ("volume", "volume_cumulative", records.QUOTE_HAS_VOLUME),
    ("oi", "open_interest", records.QUOTE_HAS_OPEN_INTEREST),
    ("oi_day_high", "open_interest_high", records.QUOTE_HAS_OPEN_INTEREST_RANGE),
    ("oi_day_low", "open_interest_low", records.QUOTE_HAS_OPEN_INTEREST_RANGE),
    ("buy_quantity", "total_buy_quantity", records.QUOTE_HAS_TOTAL_QUANTITIES),
    ("sell_quantity", "total_sell_quantity", records.QUOTE_HAS_TOTAL_QUANTITIES),
)


def write_quote(record: Any, quote: Row, *, received_ns: int) -> None:
    """Fills one zeroed QUOTE record. Fields the reply lacks stay 0 with their bit unset; Raises Unreadable for others
    than documented, and for a quote without a price."""
    fields = 0
    record["price_paise"] = _at_least_0(paise(quote, "last_price"), "last_price")
    if record["price_paise"] > 0:
        fields |= records.QUOTE_HAS_PRICE
    for name, field, bit in _COUNTS:
        if quote.get(name) is not None:
            count = _at_least_0(whole(quote, name), name)
            record[field] = min(count, _INT32_MAX) if field == "last_quantity" else count
            fields |= bit
    if quote.get("average_price") is not None:
        record["average_price_paise"] = paise(quote, "average_price")
        fields |= records.QUOTE_HAS_AVERAGE_PRICE
    fields |= _write_day(record, quote) | _write_depth(record, quote) | _write_times(record, quote, received_ns)
    record["fields"] = fields


def _write_day(record: Any, quote: Row) -> int:
    if quote.get("ohlc") is None:
        return 0
    day = row_of(quote["ohlc"], what="ohlc")
    for name, field in (("open", "open_paise"), ("high", "high_paise"), ("low", "low_paise")):
        record[field] = paise(day, name)
    record["previous_close_paise"] = paise(day, "close")
    return records.QUOTE_HAS_DAY_PRICES | records.QUOTE_HAS_PREVIOUS_CLOSE


def _write_depth(record: Any, quote: Row) -> int:
    if quote.get("depth") is None:
        return 0
    depth = row_of(quote["depth"], what="depth")
    for side, prefix in (("buy", "bid"), ("sell", "ask")):
        for level, row in enumerate(rows_of(depth.get(side), what=f"depth {side}")[:DEPTH_LEVELS]):
            record[f"{prefix}_paise"][level] = paise(row, "price")
            record[f"{prefix}_quantity"][level] = min(_at_least_0(whole(row, "quantity"), "quantity"), _INT32_MAX)
            record[f"{prefix}_orders"][level] = min(_at_least_0(whole(row, "orders"), "orders"), _INT32_MAX)
    return records.QUOTE_HAS_DEPTH


def _write_times(record: Any, quote: Row, received_ns: int) -> int:
    exchange_ns, trade_ns = moment_ns(quote, "timestamp"), moment_ns(quote, "last_trade_time")
    record["ts_event_ns"] = received_ns if exchange_ns is None else exchange_ns
    record["ts_received_ns"] = received_ns
    record["ts_last_trade_ns"] = trade_ns or 0
    return (records.QUOTE_HAS_EXCHANGE_TIME if exchange_ns else 0) | (
        records.QUOTE_HAS_LAST_TRADE_TIME if trade_ns else 0
    )


def _at_least_0(value: int, name: str) -> int:
    if value < 0:
        raise Unreadable(f"{name}: {value} is below 0")
    return value
