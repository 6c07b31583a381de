"""Upstox market frames for tests: made with the SDK's protobuf classes, and read with them as the oracle."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as pb2

from tradebus.contracts import records
from tradebus.contracts.records import QUOTE, Records

KEYS = {"NSE_FO|50978": 7, "NSE_EQ|INE009A01021": 3, "NSE_INDEX|Nifty 50": 1, "BSE_FO|1": 0, "NSE_FO|₹é": 12}


def response(**fields: Any) -> Any:
    """A FeedResponse message."""
    return pb2.FeedResponse(**fields)


def full_feed(rng: np.random.Generator, levels: int = 5) -> Any:
    """A full-mode feed of a derivative with depth, greeks and two bars, as the broker sends them in session."""
    price = round(float(rng.integers(10_000, 60_000)) * 0.05, 2)
    feed = pb2.Feed(requestMode=pb2.RequestMode.Value("full_d5" if levels <= 5 else "full_d30"))
    market = feed.fullFeed.marketFF
    market.ltpc.ltp, market.ltpc.ltt, market.ltpc.ltq = price, 1_795_146_299_000 + int(rng.integers(1000)), 65
    market.ltpc.cp = round(price - 1.25, 2)
    for level in range(levels):
        market.marketLevel.bidAskQuote.add(
            bidQ=65 * int(rng.integers(1, 50)), bidP=round(price - 0.05 * (level + 1), 2),
            askQ=65 * int(rng.integers(1, 50)), askP=round(price + 0.05 * level, 2),
        )  # fmt: skip
    greeks = market.optionGreeks
    greeks.delta, greeks.theta, greeks.gamma, greeks.vega, greeks.rho = 0.42, -12.5, 0.0003, 20.1, 3.2
    for interval in ("1d", "I1"):
        market.marketOHLC.ohlc.add(
            interval=interval, open=round(price - 2, 2), high=round(price + 3, 2), low=round(price - 4, 2),
            close=price, vol=1_300_000, ts=1_795_113_000_000,
        )  # fmt: skip
    market.atp, market.vtt, market.oi, market.iv = round(price - 0.3, 2), 1_300_000, 2_500_000.0, 0.123
    market.tbq, market.tsq = 650_000.0, 700_000.0
    return feed


def full_frame(feeds: int, seed: int = 1, levels: int = 5) -> tuple[bytes, dict[str, int]]:
    """A live_feed frame of so many full-mode feeds, and the instruments in it by key."""
    rng = np.random.default_rng(seed)
    message = pb2.FeedResponse(type=1, currentTs=1_795_146_300_123)
    keys = {f"NSE_FO|{50_000 + number}": number for number in range(feeds)}
    for key in keys:
        message.feeds[key].CopyFrom(full_feed(rng, levels))
    return message.SerializeToString(), keys


def official_quotes(frame: bytes, instruments: Mapping[str, int], *, received_ns: int) -> Records | None:
    """What the official classes say the frame holds, by instrument; None where they refuse it."""
    message = pb2.FeedResponse()
    try:
        message.ParseFromString(frame)
    except Exception:  # DecodeError; RecursionError … : whatever it is, refused
        return None
    known = sorted((instruments[key], key) for key in message.feeds if key in instruments)
    rows = np.zeros(len(known), QUOTE)
    for row, (instrument, key) in zip(rows, known, strict=True):
        row["instrument"] = instrument
        _fill(row, message.feeds[key], message.currentTs, received_ns)
    return rows


def _fill(row: Any, feed: Any, frame_ms: int, received_ns: int) -> None:
    union = feed.WhichOneof("FeedUnion")
    full = feed.fullFeed.WhichOneof("FullFeedUnion") if union == "fullFeed" else None
    body = {"marketFF": feed.fullFeed.marketFF, "indexFF": feed.fullFeed.indexFF}.get(full or "")
    if union == "firstLevelWithGreeks":
        body = feed.firstLevelWithGreeks
    trade = feed.ltpc if union == "ltpc" else (body.ltpc if body is not None else pb2.LTPC())
    bits = _fill_trade(row, trade, frame_ms, received_ns)
    if full is not None:
        bars = [bar for bar in body.marketOHLC.ohlc if bar.interval == "1d"]
        prices = [_paise(value) for bar in bars[-1:] for value in (bar.open, bar.high, bar.low)]
        if prices and all(prices):
            row["open_paise"], row["high_paise"], row["low_paise"] = prices
            bits |= records.QUOTE_HAS_DAY_PRICES
    levels = []
    if full == "marketFF":
        levels = list(body.marketLevel.bidAskQuote[:5])
        bits |= _fill_totals(row, body)
    if union == "firstLevelWithGreeks" and body.HasField("firstDepth"):
        levels = [body.firstDepth]
    if full == "marketFF" or union == "firstLevelWithGreeks":
        bits |= _fill_volume(row, body)
    row["fields"] = bits | _fill_levels(row, levels)


def _fill_trade(row: Any, trade: Any, frame_ms: int, received_ns: int) -> int:
    bits = 0
    row["ts_received_ns"] = row["ts_event_ns"] = received_ns
    row["price_paise"], row["previous_close_paise"] = _paise(trade.ltp), _paise(trade.cp)
    bits |= records.QUOTE_HAS_PREVIOUS_CLOSE if row["previous_close_paise"] else 0
    if row["price_paise"]:
        bits |= records.QUOTE_HAS_PRICE
        if 0 <= trade.ltq < 1 << 31:
            row["last_quantity"] = trade.ltq
            bits |= records.QUOTE_HAS_LAST_QUANTITY
    if 0 < frame_ms < 9e12:
        row["ts_event_ns"] = frame_ms * 1_000_000
        bits |= records.QUOTE_HAS_EXCHANGE_TIME
    if 0 < trade.ltt < 9e12:
        row["ts_event_ns"] = row["ts_last_trade_ns"] = trade.ltt * 1_000_000
        bits |= records.QUOTE_HAS_EXCHANGE_TIME | records.QUOTE_HAS_LAST_TRADE_TIME
    return bits


def _fill_totals(row: Any, body: Any) -> int:
    bits = 0
    row["average_price_paise"] = _paise(body.atp)
    bits |= records.QUOTE_HAS_AVERAGE_PRICE if row["average_price_paise"] else 0
    if 0 <= body.tbq < 1e15 and 0 <= body.tsq < 1e15:
        row["total_buy_quantity"], row["total_sell_quantity"] = round(body.tbq), round(body.tsq)
        bits |= records.QUOTE_HAS_TOTAL_QUANTITIES
    return bits


def _fill_volume(row: Any, body: Any) -> int:
    bits = 0
    if 0 <= body.vtt < 10**15:
        row["volume_cumulative"] = body.vtt
        bits |= records.QUOTE_HAS_VOLUME
    if 0.5 < body.oi < 1e15:
        row["open_interest"] = round(body.oi)
        bits |= records.QUOTE_HAS_OPEN_INTEREST
    return bits


def _fill_levels(row: Any, levels: list[Any]) -> int:
    prices = [price for level in levels for price in (level.bidP, level.askP)]
    quantities = [quantity for level in levels for quantity in (level.bidQ, level.askQ)]
    if not levels or not all(0 <= price < 1e13 for price in prices):
        return 0
    if not all(0 <= quantity < 1 << 31 for quantity in quantities):
        return 0
    for place, level in enumerate(levels):
        row["bid_quantity"][place], row["ask_quantity"][place] = level.bidQ, level.askQ
        row["bid_paise"][place], row["ask_paise"][place] = _paise(level.bidP), _paise(level.askP)
    return records.QUOTE_HAS_DEPTH


def _paise(rupees: float) -> int:
    return math.floor(rupees * 100 + 0.5) if 0 < rupees < 1e13 else 0
