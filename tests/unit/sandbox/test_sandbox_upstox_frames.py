"""Frames of the Upstox face: what the official classes read in them is what the quotes say, whatever the quotes say."""

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upstox_client.feeder.proto import MarketDataFeedV3_pb2

from services.sandbox.faces.upstox.feed_hub import FeedHub
from services.sandbox.faces.upstox.feed_wire import FeedWire, StreamMode, feed_frame, market_info_frame
from services.sandbox.faces.upstox.subscription import FeedSubscriber, TooManyKeys
from services.sandbox.ports import Greeks, SandboxInstrument
from services.sandbox.warm import KERNEL_MODULES
from tradebus.contracts.instrument_key import InstrumentKey
from tradebus.contracts.records import QUOTE, Records

NOW_NS = 1_795_581_000_123_000_000  # 25 Nov 2026, 10:00 in India
KEYS = ["INDEX:NIFTY", "NSE:INFY", "NFO:NIFTY:2026-12-29:FUT", "NFO:NIFTY:2026-12-29:26000:CE"]
UPSTOX_KEYS = ["NSE_INDEX|Nifty 50", "NSE_EQ|INE009A01021", "NSE_FO|1", "NSE_FO|2"]
INSTRUMENTS = [
    SandboxInstrument(
        number, InstrumentKey.parse(key), f"S{number}", f"S{number}", number, number, UPSTOX_KEYS[number], "",
        65, 5, 1800, "derivative",
    )
    for number, key in enumerate(KEYS)
]  # fmt: skip
COUNTS = st.integers(0, 2**53)
PRICES = st.integers(0, 10**11)
FIELDS = {
    "price_paise": PRICES, "previous_close_paise": PRICES, "average_price_paise": PRICES, "open_paise": PRICES,
    "high_paise": PRICES, "low_paise": PRICES, "volume_cumulative": COUNTS, "open_interest": COUNTS,
    "total_buy_quantity": COUNTS, "total_sell_quantity": COUNTS, "last_quantity": st.integers(0, 2**31 - 1),
    "ts_last_trade_ns": st.integers(0, 2**62), "ts_event_ns": st.integers(0, 2**62),
}  # fmt: skip


@dataclass
class StillExchange:
    """As much of an exchange as the feed asks for."""

    quotes: Records
    instruments: list[SandboxInstrument] = field(default_factory=lambda: INSTRUMENTS)
    now_ns: int = NOW_NS

    def greeks(self, instrument: int) -> Greeks | None:
        return Greeks(0.12, 0.42, 0.0003, -12.5, 20.1) if self.instruments[instrument].key.is_option else None

    def by_upstox_key(self, key: str) -> SandboxInstrument | None:
        return next((item for item in self.instruments if item.upstox_key == key), None)


@st.composite
def batches(draw: st.DrawFn) -> Records:
    """Quotes of some of the instruments, each once."""
    chosen = draw(st.lists(st.integers(0, len(KEYS) - 1), min_size=1, max_size=len(KEYS), unique=True))
    batch = np.zeros(len(chosen), QUOTE)
    batch["instrument"] = chosen
    for name, values in FIELDS.items():
        batch[name] = [draw(values) for _ in chosen]
    for side in ("bid", "ask"):
        batch[f"{side}_paise"] = [[draw(PRICES) for _ in range(5)] for _ in chosen]
        batch[f"{side}_quantity"] = [[draw(st.integers(0, 2**31 - 1)) for _ in range(5)] for _ in chosen]
    return batch


def exchange_of(batch: Records | None = None) -> StillExchange:
    quotes = np.zeros(len(KEYS), QUOTE)
    quotes["instrument"] = range(len(KEYS))
    if batch is not None:
        quotes[batch["instrument"]] = batch
    return StillExchange(quotes)


def parsed(frame: bytes) -> Any:
    return MarketDataFeedV3_pb2.FeedResponse.FromString(frame)


async def drained(subscription: FeedSubscriber) -> list[bytes]:
    """The frames that wait for a connection."""
    found = [await subscription.next_frame() for _ in range(len(subscription.frames))]
    return [frame for frame in found if frame is not None]


def ltpc_of(feed: Any, mode: StreamMode) -> Any:
    if mode is StreamMode.LTPC:
        return feed.ltpc
    if mode is StreamMode.OPTION_GREEKS:
        return feed.firstLevelWithGreeks.ltpc
    full = feed.fullFeed
    return full.indexFF.ltpc if full.HasField("indexFF") else full.marketFF.ltpc


@pytest.mark.parametrize("mode", list(StreamMode))
@given(batch=batches())
@settings(max_examples=60)
def test_a_frame_says_what_the_quotes_say(mode: StreamMode, batch: Records) -> None:
    wire = FeedWire(exchange_of())
    wire.follow(batch)
    frame = parsed(feed_frame(wire.encode(batch, mode).all, now_ms=NOW_NS // 1_000_000, live=True))
    assert frame.currentTs == NOW_NS // 1_000_000
    assert MarketDataFeedV3_pb2.Type.Name(frame.type) == "live_feed"
    assert set(frame.feeds) == {UPSTOX_KEYS[number] for number in batch["instrument"]}
    for quote in batch:
        feed = frame.feeds[UPSTOX_KEYS[quote["instrument"]]]
        ltpc = ltpc_of(feed, mode)
        assert feed.requestMode == mode.value
        assert (ltpc.ltp, ltpc.cp) == (quote["price_paise"] / 100, quote["previous_close_paise"] / 100)
        assert (ltpc.ltt, ltpc.ltq) == (quote["ts_last_trade_ns"] // 1_000_000, quote["last_quantity"])
        if mode is StreamMode.OPTION_GREEKS:
            part = feed.firstLevelWithGreeks
            assert (part.vtt, part.oi) == (quote["volume_cumulative"], quote["open_interest"])
        elif mode is not StreamMode.LTPC and feed.fullFeed.HasField("marketFF"):
            assert_market(feed.fullFeed.marketFF, quote, levels=5 if mode is StreamMode.FULL else 30)


def assert_market(part: Any, quote: np.void, *, levels: int) -> None:
    assert (part.vtt, part.oi) == (quote["volume_cumulative"], quote["open_interest"])
    assert (part.tbq, part.tsq) == (quote["total_buy_quantity"], quote["total_sell_quantity"])
    assert part.atp == quote["average_price_paise"] / 100
    depth = part.marketLevel.bidAskQuote
    assert len(depth) == levels
    for side, price, quantity in (("bid", "bidP", "bidQ"), ("ask", "askP", "askQ")):
        assert [getattr(level, price) for level in depth[:5]] == (quote[f"{side}_paise"] / 100).tolist()
        assert [getattr(level, quantity) for level in depth[:5]] == quote[f"{side}_quantity"].tolist()
    day = part.marketOHLC.ohlc[0]
    assert (day.interval, day.open, day.high, day.low) == (
        "1d", quote["open_paise"] / 100, quote["high_paise"] / 100, quote["low_paise"] / 100
    )  # fmt: skip
    is_option = KEYS[quote["instrument"]].endswith("CE")
    assert (part.iv, part.optionGreeks.delta) == ((0.12, 0.42) if is_option else (0.0, 0.0))


@given(batch=batches(), wanted=st.lists(st.sampled_from([None, *StreamMode]), min_size=len(KEYS), max_size=len(KEYS)))
async def test_a_connection_gets_what_it_wants_and_nothing_else(
    batch: Records, wanted: list[StreamMode | None]
) -> None:
    hub = FeedHub(exchange_of(batch))
    subscription, other = hub.join("a"), hub.join("b")
    for key, mode in zip(UPSTOX_KEYS, wanted, strict=True):
        if mode is not None:
            hub.subscribe(subscription, [key], mode)
    hub.subscribe(other, UPSTOX_KEYS, StreamMode.LTPC)
    for each in (subscription, other):
        await drained(each)
    hub.publish(batch)
    expected = {
        UPSTOX_KEYS[number]: wanted[number].value for number in batch["instrument"] if wanted[number] is not None
    }  # fmt: skip
    frames = [parsed(frame) for frame in await drained(subscription)]
    assert len(frames) == (1 if expected else 0)
    for frame in frames:
        assert {key: feed.requestMode for key, feed in frame.feeds.items()} == expected
    assert set(parsed((await drained(other))[-1]).feeds) == {UPSTOX_KEYS[number] for number in batch["instrument"]}
    hub.leave(subscription)
    hub.leave(other)


async def test_of_an_instrument_that_is_there_twice_the_newer_quote_is_sent() -> None:
    batch = np.zeros(3, QUOTE)
    batch["instrument"], batch["price_paise"] = [1, 2, 1], [100, 200, 300]
    hub = FeedHub(exchange_of())
    subscription = hub.join("a")
    hub.subscribe(subscription, UPSTOX_KEYS, StreamMode.LTPC)
    hub.publish(batch)
    assert parsed((await drained(subscription))[-1]).feeds[UPSTOX_KEYS[1]].ltpc.ltp == 3.0
    hub.leave(subscription)


def test_the_minute_under_way_is_built_from_its_quotes() -> None:
    minute_ns = 60_000_000_000
    start_ns = NOW_NS // minute_ns * minute_ns
    batch = np.zeros(5, QUOTE)
    batch["instrument"] = 2
    batch["ts_event_ns"] = [start_ns - 1, start_ns, start_ns + 1, start_ns + 2, start_ns + 3]
    batch["price_paise"], batch["volume_cumulative"] = [500, 600, 900, 400, 700], [10, 15, 25, 30, 45]
    wire = FeedWire(exchange_of())
    wire.follow(batch)
    frame = parsed(feed_frame(wire.encode(batch[-1:], StreamMode.FULL).all, now_ms=1, live=False))
    candle = frame.feeds[UPSTOX_KEYS[2]].fullFeed.marketFF.marketOHLC.ohlc[1]
    assert (candle.interval, candle.open, candle.high, candle.low, candle.close) == ("I1", 6.0, 9.0, 4.0, 7.0)
    assert (candle.vol, candle.ts) == (35, start_ns // 1_000_000)


def test_a_quote_of_an_instrument_that_is_not_listed_is_an_error() -> None:
    batch = np.zeros(1, QUOTE)
    batch["instrument"] = len(KEYS)
    with pytest.raises(ValueError, match="does not know"):
        FeedWire(exchange_of()).encode(batch, StreamMode.LTPC)


def test_the_first_frame_tells_of_every_segment() -> None:
    info = parsed(market_info_frame(NOW_NS))
    names = {
        segment: MarketDataFeedV3_pb2.MarketStatus.Name(value)
        for segment, value in info.marketInfo.segmentStatus.items()
    }
    assert names["NSE_FO"] == names["NSE_EQ"] == names["BSE_INDEX"] == "NORMAL_OPEN"
    night = parsed(market_info_frame(NOW_NS + 12 * 3_600_000_000_000))
    assert set(night.marketInfo.segmentStatus.values()) == {MarketDataFeedV3_pb2.NORMAL_CLOSE}


def test_a_limit_of_keys_changes_nothing_where_it_is_broken() -> None:
    subscription = FeedSubscriber("a", 100)
    subscription.set(np.arange(50), StreamMode.FULL_D30)
    with pytest.raises(TooManyKeys, match="51"):
        subscription.set(np.array([60]), StreamMode.FULL_D30)
    assert subscription.modes[60] == -1
    subscription.clear(np.arange(50))
    assert subscription.signature == b""


def test_every_kernel_module_of_the_sandbox_is_warmed() -> None:
    root = Path(__file__).parents[3]
    found = {
        ".".join(path.relative_to(root).with_suffix("").parts)
        for path in (root / "services" / "sandbox").rglob("*.py")
        if "@kernel(" in path.read_text()
    }
    assert found == set(KERNEL_MODULES)
    for name in KERNEL_MODULES:
        import_module(name)


async def test_a_connection_that_does_not_keep_up_loses_its_oldest_frames() -> None:
    subscription = FeedSubscriber("slow", 1)
    for number in range(40):
        subscription.push(bytes([number]) * 1_000_000)
    assert [frame[0] for frame in await drained(subscription)] == list(range(24, 40))
    subscription.push(b"x" * 20_000_000)
    assert len(await drained(subscription)) == 1
