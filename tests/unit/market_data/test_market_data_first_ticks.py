"""Before an instrument's first trade of the day no broker's packets make a tick: what they show is an older price."""

import struct
from collections.abc import Callable
from datetime import date, time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.contracts import contract
from testkit.fuzz_dhan import listed
from testkit.fuzz_kite import frame_of
from testkit.upstox_frames import pb2

from services.market_data.candles.live import LiveCandles
from services.market_data.feeds.live.ticks import ticks_at
from tradebus.brokers.dhan import DhanDecoder
from tradebus.brokers.kite import KiteDecoder
from tradebus.brokers.upstox import UpstoxDecoder
from tradebus.contracts.records import Records
from tradebus.kernel.time import IST_OFFSET_SECONDS, ist_to_ns

SECOND = 1_000_000_000
DAY = date(2026, 11, 25)
OPEN = ist_to_ns(DAY, time(9, 15))
AHEAD = 2 * SECOND
WEEKS_AGO = ist_to_ns(date(2026, 10, 20), time(15, 29, 58))
YESTERDAY = ist_to_ns(date(2026, 11, 24), time(15, 29, 59))
STALE = {"no trade ever": 0, "a trade weeks ago": WEEKS_AGO, "yesterday's last trade": YESTERDAY}

Quoted = Callable[[int, int, int, int], Records]  # price in paise, trade's and receipt's ns, day's volume
TOKEN, UPSTOX_KEY = 1594 * 256 + 1, "NSE_EQ|INE009A01021"


def kite_full(price: int, traded_ns: int, at_ns: int, volume: int) -> Records:
    head = struct.pack(">11I", TOKEN, price, 10, 129_650, volume, 5000, 6000, 0, 0, 0, 129_640)
    times = struct.pack(">5I", traded_ns // SECOND, 0, 0, 0, at_ns // SECOND)
    depth = struct.pack(">IIHH", 50, 129_600, 3, 0) * 5 + struct.pack(">IIHH", 50, 129_700, 3, 0) * 5
    return KiteDecoder({TOKEN: 0}).decode(frame_of([head + times + depth]), received_ns=at_ns).quotes


def kite_quote(price: int, traded_ns: int, at_ns: int, volume: int) -> Records:
    """A shorter packet, which tells no time at all."""
    del traded_ns
    body = struct.pack(">11I", TOKEN, price, 10, 129_650, volume, 5000, 6000, 0, 0, 0, 129_640)
    return KiteDecoder({TOKEN: 0}).decode(frame_of([body]), received_ns=at_ns).quotes


def dhan_seconds(traded_ns: int) -> int:
    """Indian wall-clock seconds, 1980 where there was no trade."""
    return traded_ns // SECOND + IST_OFFSET_SECONDS if traded_ns else 315_532_800


def dhan_full(price: int, traded_ns: int, at_ns: int, volume: int) -> Records:
    body = struct.pack("<BHBI", 8, 162, 1, 1594)
    body += struct.pack("<fHIfIII", price / 100, 10, dhan_seconds(traded_ns), 1296.5, volume, 5000, 6000)
    body += struct.pack("<IIIffff", 0, 0, 0, 0, 1296.4, 0, 0)
    body += struct.pack("<IIHHff", 50, 50, 3, 3, 1296.0, 1297.0) * 5
    return DhanDecoder({0: listed(1594, 1)}).decode(body, received_ns=at_ns).quotes


def dhan_ticker(price: int, traded_ns: int, at_ns: int, volume: int) -> Records:
    del volume
    body = struct.pack("<BHBIfI", 2, 16, 1, 1594, price / 100, dhan_seconds(traded_ns) if traded_ns else 0)
    return DhanDecoder({0: listed(1594, 1)}).decode(body, received_ns=at_ns).quotes


def upstox(price: int, traded_ns: int, at_ns: int, volume: int, *, full: bool) -> Records:
    frame = pb2.FeedResponse(type=1, currentTs=at_ns // 1_000_000)
    feed = frame.feeds[UPSTOX_KEY]
    trade = feed.fullFeed.marketFF.ltpc if full else feed.ltpc
    trade.ltp, trade.ltt, trade.ltq, trade.cp = price / 100, traded_ns // 1_000_000, 10, 1296.4
    if full:
        feed.fullFeed.marketFF.vtt = volume
        feed.fullFeed.marketFF.marketLevel.bidAskQuote.add(bidQ=50, bidP=1296.0, askQ=50, askP=1297.0)
    return UpstoxDecoder({UPSTOX_KEY: 0}).decode(frame.SerializeToString(), received_ns=at_ns).quotes


def upstox_full(price: int, traded_ns: int, at_ns: int, volume: int) -> Records:
    return upstox(price, traded_ns, at_ns, volume, full=True)


def upstox_price(price: int, traded_ns: int, at_ns: int, volume: int) -> Records:
    return upstox(price, traded_ns, at_ns, volume, full=False)


TIMED = [kite_full, dhan_full, dhan_ticker, upstox_full, upstox_price]


def first_candle(batches: list[Records]) -> Records:
    """Of 09:15, made of the batches as the live feed makes it."""
    candles = LiveCandles({0: contract("EQUITY", market_class="equity_fno")}, start_ns=OPEN - 900 * SECOND)
    for quotes in batches:
        now_ns = int(quotes["ts_received_ns"].max())
        candles.turn(ticks_at(quotes, now_ns=now_ns, ahead_ns=AHEAD), until_ns=now_ns)
    closed = candles.turn(ticks_at(batches[-1][:0], now_ns=OPEN, ahead_ns=AHEAD), until_ns=OPEN + 61 * SECOND)
    minutes: Records = closed.minutes
    return minutes


@pytest.mark.parametrize("quoted", TIMED, ids=lambda each: each.__name__)
@pytest.mark.parametrize("stale", STALE)
def test_the_first_candle_opens_at_the_days_first_trade(quoted: Quoted, stale: str) -> None:
    before = [quoted(104_760, STALE[stale], OPEN + at * SECOND, 0) for at in (2, 20)]
    for quotes in before:
        assert len(ticks_at(quotes, now_ns=int(quotes["ts_received_ns"][0]), ahead_ns=AHEAD)) == 0
    [candle] = first_candle([*before, quoted(129_700, OPEN + 41 * SECOND, OPEN + 41 * SECOND, 10)])
    prices = [int(candle[f"{name}_paise"]) for name in ("open", "high", "low", "close")]
    assert prices == [129_700] * 4


@pytest.mark.parametrize("quoted", TIMED, ids=lambda each: each.__name__)
def test_a_price_belongs_to_the_minute_of_its_trade_whenever_its_packet_comes(quoted: Quoted) -> None:
    """The book moves and its packet shows the last trade again: no bar of a minute without a trade comes of it."""
    quotes = quoted(129_700, OPEN + 41 * SECOND, OPEN + 75 * SECOND, 10)
    ticks = ticks_at(quotes, now_ns=OPEN + 75 * SECOND, ahead_ns=AHEAD)
    assert ticks["ts_event_ns"].tolist() == [OPEN + 41 * SECOND]


def test_a_packet_without_a_trades_time_counts_once_the_day_has_a_volume() -> None:
    now_ns = OPEN + 5 * SECOND
    assert len(ticks_at(kite_quote(104_760, 0, now_ns, 0), now_ns=now_ns, ahead_ns=AHEAD)) == 0
    ticks = ticks_at(kite_quote(129_700, 0, now_ns, 10), now_ns=now_ns, ahead_ns=AHEAD)
    assert (ticks["price_paise"].tolist(), ticks["ts_event_ns"].tolist()) == ([129_700], [now_ns])


@pytest.mark.parametrize(("stamped_ns", "counts"), [(OPEN + 5 * SECOND, 1), (YESTERDAY, 0)])
def test_an_index_is_as_of_the_exchanges_time(stamped_ns: int, counts: int) -> None:
    token = 1001 * 256 + 9
    body = struct.pack(">8I", token, 2_600_000, 1, 1, 1, 1, 0, stamped_ns // SECOND)
    quotes = KiteDecoder({token: 0}).decode(frame_of([body]), received_ns=OPEN + 5 * SECOND).quotes
    assert len(ticks_at(quotes, now_ns=OPEN + 5 * SECOND, ahead_ns=AHEAD)) == counts


@given(st.lists(st.tuples(st.integers(-3 * 86_400, 60), st.integers(1, 10**6)), max_size=20))
def test_no_tick_is_of_another_day_and_none_of_today_is_lost(rows: list[tuple[int, int]]) -> None:
    now_ns = OPEN + 3600 * SECOND
    given_ = [kite_full(price, now_ns + at * SECOND, now_ns, 10) for at, price in rows]
    quotes = np.concatenate(given_) if given_ else kite_full(1, now_ns, now_ns, 1)[:0]
    ticks = ticks_at(quotes, now_ns=now_ns, ahead_ns=AHEAD)
    midnight_ns = ist_to_ns(DAY, time(0))
    today = [(at, price) for at, price in rows if now_ns + at * SECOND >= midnight_ns]
    assert ticks["price_paise"].tolist() == [price for _, price in today]
    assert ticks["ts_event_ns"].tolist() == [now_ns + (at if at <= 2 else 0) * SECOND for at, _ in today]
