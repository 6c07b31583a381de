"""A full quote of Upstox's REST API as a QUOTE record. Rupees; `net_change` is against the previous close."""

from typing import Any

from tradebus.brokers.common.replies.rows import Row, Unreadable, paise, row_of, rows_of, whole
from tradebus.brokers.upstox.replies import moment_ns
from tradebus.contracts import records
from tradebus.contracts.records import DEPTH_LEVELS

_INT32_MAX = 2**31 - 1
_MS_MAX = 9_000_000_000_000
_COUNTS = (
    (("volume",), ("volume_cumulative",), records.QUOTE_HAS_VOLUME),
    (("oi",), ("open_interest",), records.QUOTE_HAS_OPEN_INTEREST),
    (("oi_day_high", "oi_day_low"), ("open_interest_high", "open_interest_low"), records.QUOTE_HAS_OPEN_INTEREST_RANGE),
    (
        ("total_buy_quantity", "total_sell_quantity"), ("total_buy_quantity", "total_sell_quantity"),
        records.QUOTE_HAS_TOTAL_QUANTITIES,
    ),
)  # fmt: skip


def write_quote(record: Any, quote: Row, *, received_ns: int) -> None:
    """Fills one zeroed QUOTE record. Fields the reply lacks stay 0 with their bit unset.

    Raises Unreadable for a field of another type, and for a negative number where none can be.
    """
    fields = 0
    price = _price(quote, "last_price")
    record["price_paise"] = price
    fields |= records.QUOTE_HAS_PRICE if price > 0 else 0
    if price > 0 and quote.get("net_change") is not None:
        close = price - paise(quote, "net_change")
        record["previous_close_paise"] = max(close, 0)
        fields |= records.QUOTE_HAS_PREVIOUS_CLOSE if close > 0 else 0
    average = _price(quote, "average_price")
    record["average_price_paise"] = average
    fields |= records.QUOTE_HAS_AVERAGE_PRICE if average > 0 else 0
    for names, targets, bit in _COUNTS:
        if all(quote.get(name) is not None for name in names):
            for name, target in zip(names, targets, strict=True):
                record[target] = _count(quote, name)
            fields |= bit
    fields |= _write_day(record, quote) | _write_depth(record, quote) | _write_times(record, quote, received_ns)
    record["fields"] = fields


def _write_day(record: Any, quote: Row) -> int:
    if quote.get("ohlc") is None:
        return 0
    day = row_of(quote["ohlc"], what="ohlc")
    prices = [_price(day, name) for name in ("open", "high", "low")]
    if not all(prices):
        return 0
    record["open_paise"], record["high_paise"], record["low_paise"] = prices
    return records.QUOTE_HAS_DAY_PRICES


def _write_depth(record: Any, quote: Row) -> int:
    if quote.get("depth") is None:
        return 0
    depth = row_of(quote["depth"], what="depth")
    for name, side in (("buy", "bid"), ("sell", "ask")):
        for place, level in enumerate(rows_of(depth.get(name), what=name)[:DEPTH_LEVELS]):
            record[f"{side}_paise"][place] = _price(level, "price")
            record[f"{side}_quantity"][place] = _count(level, "quantity", at_most=_INT32_MAX)
            if level.get("orders") is not None:
                record[f"{side}_orders"][place] = _count(level, "orders", at_most=_INT32_MAX)
    quoted = bool(record["bid_quantity"].any() or record["ask_quantity"].any())  # an index has empty levels
    return records.QUOTE_HAS_DEPTH if quoted else 0


def _write_times(record: Any, quote: Row, received_ns: int) -> int:
    fields, stamped_ns = 0, moment_ns(quote, "timestamp")
    record["ts_received_ns"] = received_ns
    traded = quote.get("last_trade_time")
    traded_ms = int(traded) if isinstance(traded, str) and traded.isascii() and traded.isdigit() else 0
    record["ts_event_ns"] = received_ns if stamped_ns is None else stamped_ns
    fields |= 0 if stamped_ns is None else records.QUOTE_HAS_EXCHANGE_TIME
    if 0 < traded_ms < _MS_MAX:
        record["ts_last_trade_ns"] = record["ts_event_ns"] = traded_ms * 1_000_000
        fields |= records.QUOTE_HAS_LAST_TRADE_TIME | records.QUOTE_HAS_EXCHANGE_TIME
    return fields


def _price(row: Row, name: str) -> int:
    """0 for null or nothing."""
    if row.get(name) is None:
        return 0
    value = paise(row, name)
    if value < 0:
        raise Unreadable(f"{name}: {value} paise")
    return value


def _count(row: Row, name: str, *, at_most: int = 2**53) -> int:
    value = whole(row, name)
    if not 0 <= value <= at_most:
        raise Unreadable(f"{name}: {value}")
    return value
