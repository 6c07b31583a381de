"""Dhan's quote and option-chain replies as QUOTE records and chains."""

import math
from collections.abc import Sequence
from datetime import date

import numpy as np
import structlog

from tradebus.brokers.dhan.fields import (
    Row,
    instant_ns_or_none,
    mapping_of,
    number_or_none,
    paise,
    paise_or_none,
    text_or_none,
    whole_or_none,
)
from tradebus.brokers.dhan.words import BROKER, INDEX
from tradebus.brokers.errors import Malformed
from tradebus.brokers.reference import ChainRow, ListedInstrument, OptionChain, OptionSide
from tradebus.contracts import records
from tradebus.contracts.records import DEPTH_LEVELS, QUOTE, Records

_log = structlog.get_logger()
QUOTES_PER_CALL = 1_000
_INT32_MAX = 2**31 - 1


def quotes_of(body: object, instruments: Sequence[ListedInstrument], *, first: int, received_ns: int) -> Records:
    """Records of the instruments that have a quote; `instrument` counts from `first`. Raises Malformed where the reply
    is none, or speaks of nothing but instruments that were not asked for; a field that is missing or odd leaves its bit
    unset."""
    by_segment = mapping_of("quotes", mapping_of("quotes", body).get("data"))
    quotes = np.zeros(len(instruments), QUOTE)
    kept = []
    for number, listed in enumerate(instruments):
        segment = by_segment.get(listed.broker_segment)
        row = segment.get(listed.token) if isinstance(segment, dict) else None
        if isinstance(row, dict) and row:
            _fill(quotes[number], row, is_index=listed.broker_segment == INDEX, received_ns=received_ns)
            quotes[number]["instrument"] = first + number
            kept.append(number)
    others = [f"{word} {token}" for word, rows in by_segment.items() if isinstance(rows, dict) for token in rows]
    if others and not kept:
        raise Malformed(BROKER, f"quotes: of {', '.join(others[:3])}, and none that was asked for")
    return quotes[kept]


def _fill(quote: np.void, row: Row, *, is_index: bool, received_ns: int) -> None:
    day = row.get("ohlc") if isinstance(row.get("ohlc"), dict) else {}
    assert isinstance(day, dict)
    traded_ns = instant_ns_or_none(row.get("last_trade_time"))
    quote["ts_received_ns"], quote["ts_event_ns"] = received_ns, traded_ns or received_ns
    if traded_ns:
        quote["ts_last_trade_ns"] = traded_ns
        quote["fields"] |= records.QUOTE_HAS_EXCHANGE_TIME | records.QUOTE_HAS_LAST_TRADE_TIME
    _prices(quote, {"price_paise": row.get("last_price")}, records.QUOTE_HAS_PRICE)
    _prices(quote, {"average_price_paise": row.get("average_price")}, records.QUOTE_HAS_AVERAGE_PRICE)
    _prices(quote, {"previous_close_paise": day.get("close")}, records.QUOTE_HAS_PREVIOUS_CLOSE)
    _prices(
        quote, {f"{name}_paise": day.get(name) for name in ("open", "high", "low")}, records.QUOTE_HAS_DAY_PRICES
    )  # fmt: skip
    if is_index:
        return
    _counts(quote, {"last_quantity": row.get("last_quantity")}, records.QUOTE_HAS_LAST_QUANTITY)
    _counts(quote, {"volume_cumulative": row.get("volume")}, records.QUOTE_HAS_VOLUME)
    _counts(quote, {"open_interest": row.get("oi")}, records.QUOTE_HAS_OPEN_INTEREST)
    _counts(
        quote,
        {"open_interest_high": row.get("oi_day_high"), "open_interest_low": row.get("oi_day_low")},
        records.QUOTE_HAS_OPEN_INTEREST_RANGE,
    )
    _counts(
        quote,
        {"total_buy_quantity": row.get("buy_quantity"), "total_sell_quantity": row.get("sell_quantity")},
        records.QUOTE_HAS_TOTAL_QUANTITIES,
    )
    _depth(quote, row.get("depth"))


def _prices(quote: np.void, values: dict[str, object], bit: int) -> None:
    """All of them or none; 0 is Dhan's word for "not yet"."""
    amounts = {name: paise_or_none(value) for name, value in values.items()}
    if all(amount is not None and amount > 0 for amount in amounts.values()):
        for name, amount in amounts.items():
            quote[name] = amount or 0
        quote["fields"] |= bit


def _counts(quote: np.void, values: dict[str, object], bit: int) -> None:
    counts = {name: whole_or_none(value) for name, value in values.items()}
    if all(count is not None and count >= 0 for count in counts.values()):
        for name, count in counts.items():
            quote[name] = min(count or 0, _INT32_MAX) if quote.dtype[name].itemsize == 4 else count or 0
        quote["fields"] |= bit


def _depth(quote: np.void, depth: object) -> None:
    """Both sides with all their levels readable, or nothing."""
    if not isinstance(depth, dict):
        return
    for side, name in (("buy", "bid"), ("sell", "ask")):
        levels = depth.get(side)
        if not isinstance(levels, list):
            return
        for number, level in enumerate(levels[:DEPTH_LEVELS]):
            if not isinstance(level, dict):
                return
            price, quantity = paise_or_none(level.get("price")), whole_or_none(level.get("quantity"))
            if price is None or quantity is None or price < 0 or quantity < 0:
                return
            quote[f"{name}_paise"][number] = price
            quote[f"{name}_quantity"][number] = min(quantity, _INT32_MAX)
            quote[f"{name}_orders"][number] = min(max(0, whole_or_none(level.get("orders")) or 0), _INT32_MAX)
    quote["fields"] |= records.QUOTE_HAS_DEPTH


def chain_of(body: object, underlying: ListedInstrument, expiry: date) -> OptionChain:
    """A side that is missing, null or empty is not listed; a strike that cannot be read, or comes again, is left out
    and said. Raises Malformed where all are, or the reply is none."""
    inner = mapping_of("option chain", mapping_of("option chain", body).get("data"))
    rows: dict[int, ChainRow] = {}
    odd: list[Malformed] = []
    for strike, sides in mapping_of("option chain", inner.get("oc") or {}).items():
        strike_paise = paise_or_none(strike)
        try:
            if strike_paise is None or strike_paise <= 0 or strike_paise in rows or not isinstance(sides, dict):
                raise Malformed(
                    BROKER, f"option chain: {strike[:20]!r} is no strike with its two sides, or comes again"
                )
            rows[strike_paise] = ChainRow(
                strike_paise, _side(sides.get("ce"), strike), _side(sides.get("pe"), strike)
            )  # fmt: skip
        except Malformed as error:
            odd.append(error)
    if odd:
        if not rows:
            raise odd[0]
        _log.error(
            "dhan: strikes of an option chain left out", chain=str(underlying.key), rows=len(odd), first=str(odd[0])
        )
    return OptionChain(
        underlying.key, expiry, paise("option chain", inner, "last_price"), tuple(rows[each] for each in sorted(rows))
    )


def _side(side: object, strike: str) -> OptionSide | None:
    if side is None or side == {}:
        return None
    row = mapping_of(f"option chain at {strike[:20]}", side)
    greeks = row.get("greeks") if isinstance(row.get("greeks"), dict) else {}
    assert isinstance(greeks, dict)
    percent = number_or_none(row.get("implied_volatility"))
    return OptionSide(
        token=text_or_none(row.get("security_id")) or "", price_paise=_amount(row, "last_price"),
        bid_paise=_amount(row, "top_bid_price"), ask_paise=_amount(row, "top_ask_price"),
        bid_quantity=_count(row, "top_bid_quantity"), ask_quantity=_count(row, "top_ask_quantity"),
        volume=_count(row, "volume"), open_interest=_count(row, "oi"),
        previous_open_interest=_count(row, "previous_oi"),
        implied_volatility=percent / 100 if percent is not None and percent > 0 and math.isfinite(percent) else None,
        **{name: number_or_none(greeks.get(name)) for name in ("delta", "gamma", "theta", "vega")},
    )  # fmt: skip


def _amount(row: Row, name: str) -> int:
    """0 where Dhan says nothing: a deep strike without a bid."""
    return max(0, paise_or_none(row.get(name)) or 0)


def _count(row: Row, name: str) -> int:
    return max(0, whole_or_none(row.get(name)) or 0)
