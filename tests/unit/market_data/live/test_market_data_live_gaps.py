"""Gaps in a broker's live feed, on the twins: how they are found, and put right from history."""

import asyncio
from datetime import time

import numpy as np
from testkit.fake_broker import (
    MASTER,
    NOVEMBER,
    UNREACHABLE,
    FakeBroker,
    FakeReference,
    listing,
    minute_candles,
)
from testkit.live_feed import (
    DAY,
    SECOND,
    TEN,
    entries,
    eventually,
    quiet_until,
    running,
    ticked,
    told,
)
from testkit.waiting import WALL_TIMERS

from services.market_data.books import market_books
from services.market_data.feeds.bus_sink import CANDLES, TICKS
from services.market_data.gaps.ledger import GapLedger
from tradebus.brokers.feed import FeedEvent, FeedEventKind
from tradebus.bus.port import Outgoing
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.records import CANDLE, CANDLE_CORRECTED, TICK
from tradebus.contracts.streams import MD_GAPS
from tradebus.kernel.time import ist_to_ns
from tradebus.store.books import candles_book, instruments_book

MINUTE = 60 * SECOND


async def test_the_minutes_of_a_lost_connection_are_put_right_from_history(tmp_path, bus, book) -> None:
    broker = FakeBroker()
    async with running(broker, tmp_path, bus, book) as live:
        await live.quote(0, [1], [2_600_000])
        await ticked(bus)
        broker.candles["NIFTY26NOVFUT"] = minute_candles(TEN, [2_700_000] * 60)
        broker.feeds[-1].items.put_nowait(FeedEvent(FeedEventKind.DISCONNECTED, "gone"))
        broker.feeds[-1].items.put_nowait(FeedEvent(FeedEventKind.CONNECTED, "back"))
        async with asyncio.timeout(20):
            while True:
                second = (live.now_ns - TEN) / SECOND
                await live.quote(0, [second], [2_600_500])
                kept = await candles_book(book).read(instrument=0, from_ns=TEN, to_ns=TEN + 3600 * SECOND)
                if 2_700_000 in kept["close_paise"]:
                    break
                await asyncio.sleep(0.001)
    assert kept["close_paise"][0] == 2_700_000


async def test_the_first_tick_does_not_wait_for_history_and_what_comes_later_is_told_as_corrections(
    tmp_path, bus, book
) -> None:
    broker = FakeBroker()
    broker.history_answers.clear()
    broker.candles["NIFTY26NOVFUT"] = minute_candles(ist_to_ns(DAY, time(9, 15)), [2_600_000] * 60)
    async with running(broker, tmp_path, bus, book) as live:
        await live.quote(0, [1], [2_650_000])
        await ticked(bus)
        assert await bus.tail(MD_GAPS.name, count=10) == []
        broker.history_answers.set()
        (restored,) = await told(bus, "CANDLES_RESTORED")
        candles = await entries(bus, CANDLES, CANDLE)
    assert restored.symbols == ("NIFTY26NOVFUT", "RELIANCE")
    assert (restored.to_ns, restored.candles, restored.reason) == (TEN // MINUTE * MINUTE, 45, "warm-up")
    flagged = candles[candles["flags"] == CANDLE_CORRECTED]
    assert set(flagged["timeframe_seconds"].tolist()) >= {60, 180, 300, 900, 1800}
    assert (flagged["timeframe_seconds"] == 60).sum() == 45
    quarters = flagged[flagged["timeframe_seconds"] == 900]
    assert quarters["ts_open_ns"].tolist() == [ist_to_ns(DAY, time(9, minute)) for minute in (15, 30, 45)]
    assert quarters["volume"].tolist() == [1500] * 3


async def test_an_exchange_that_is_silent_beside_another_that_ticks_is_a_gap_of_its_own(tmp_path, bus, book) -> None:
    sensex = listing(InstrumentKey(Segment.BFO, "SENSEX", NOVEMBER), "SENSEX26NOVFUT", 601, lot=20)
    broker = FakeBroker(master=[*MASTER, sensex])
    names = "NIFTY,BFO:SENSEX:2026-11-30:FUT"
    async with running(broker, tmp_path, bus, book, symbols=names, feed_silent_seconds=0.5) as live:
        ids = {one.symbol: one.instrument_id for one in await instruments_book(book).load()}

        async def gap_told() -> bool:
            return any(entry.kind == "DATA_GAP" for entry in await bus.tail(MD_GAPS.name, count=100))

        await live.quote(ids["SENSEX26NOVFUT"], [0.5], [8_500_000])
        await quiet_until(bus, live, ids["NIFTY26NOVFUT"], gap_told)
        (gap,) = await told(bus, "DATA_GAP")
        assert (gap.exchange, gap.market_class, gap.symbols) == ("BFO", "derivative", ("SENSEX26NOVFUT",))
        assert gap.reason == "no data in session"
        assert TEN <= gap.from_ns <= live.now_ns
        await eventually(lambda: len(live.broker.feeds) >= 2)
        broker.candles["SENSEX26NOVFUT"] = minute_candles(TEN, [8_600_000] * 60)

        async def recovered() -> bool:
            await live.quote(ids["SENSEX26NOVFUT"], [(live.now_ns - TEN) / SECOND], [8_500_500])
            return any(entry.kind == "DATA_RECOVERED" for entry in await bus.tail(MD_GAPS.name, count=100))

        await quiet_until(bus, live, ids["NIFTY26NOVFUT"], recovered)
        (filled,) = await told(bus, "DATA_RECOVERED")
        kept = await candles_book(book).read(instrument=ids["SENSEX26NOVFUT"], from_ns=gap.from_ns, to_ns=filled.to_ns)
    assert (filled.gap_id, filled.instruments, filled.from_ns) == (gap.gap_id, gap.instruments, gap.from_ns)
    assert filled.to_ns > gap.from_ns
    assert set(kept["close_paise"].tolist()) == {8_600_000}


async def test_a_gap_that_cannot_be_filled_stays_open_for_the_next_life(tmp_path, bus, book) -> None:
    broker = FakeBroker()
    ledger = GapLedger(book, market_books(book, namespace="any").gaps, bus, timers=WALL_TIMERS)
    async with running(broker, tmp_path, bus, book) as live:
        await live.quote(0, [1], [2_600_000])
        await ticked(bus)
        broker.error = UNREACHABLE
        broker.feeds[-1].items.put_nowait(FeedEvent(FeedEventKind.DISCONNECTED, "gone"))
        broker.feeds[-1].items.put_nowait(FeedEvent(FeedEventKind.CONNECTED, "back"))

        async def tried() -> bool:
            return any(gap.attempts for gap in await ledger.unfilled())

        await quiet_until(bus, live, 0, tried)
    (gap,) = [one for one in await ledger.unfilled() if one.exchange == "NFO"]
    assert (gap.symbols, gap.announced) == (("NIFTY26NOVFUT",), False)
    assert "no answer in 10 s" in gap.problem
    broker.error = None
    broker.candles["NIFTY26NOVFUT"] = minute_candles(TEN, [2_700_000] * 60)
    broker.candles["RELIANCE"] = minute_candles(TEN, [140_000] * 60)
    async with running(broker, tmp_path, bus, book, begin_ns=TEN + 30 * MINUTE):
        async with asyncio.timeout(30):
            while any(one.gap_id == gap.gap_id for one in await ledger.unfilled()):
                await asyncio.sleep(0.001)
        kept = await candles_book(book).read(instrument=0, from_ns=TEN, to_ns=TEN + MINUTE)
    assert kept["close_paise"].tolist() == [2_700_000]
    (told_of, *_) = await told(bus, "CANDLES_RESTORED")
    assert told_of.broker == "kite"


async def test_the_time_nobody_followed_an_open_market_is_a_gap(tmp_path, bus, book) -> None:
    broker = FakeBroker()
    broker.candles["NIFTY26NOVFUT"] = minute_candles(TEN, [2_700_000] * 60)
    before = TEN - 6 * MINUTE
    tick = np.zeros(1, TICK)
    tick["ts_event_ns"], tick["price_paise"] = before, 2_600_000
    await bus.publish([Outgoing(TICKS, "ticks", tick.tobytes(), watermark_ns=before, slice_start_ns=before - SECOND)])
    async with running(broker, tmp_path, bus, book):
        gaps = await told(bus, "DATA_GAP", count=2)
        await told(bus, "DATA_RECOVERED", count=1)
    assert {gap.exchange for gap in gaps} == {"NSE", "NFO"}
    assert {gap.from_ns for gap in gaps} == {before // MINUTE * MINUTE}
    assert {gap.reason for gap in gaps} == {"market data was not followed"}


class BrokenOff(FakeReference):
    """Its first questions are given up as those of a client are that is closed while they wait."""

    questions = 0

    async def history(self, instrument, *, timeframe_seconds: int, from_ns: int, to_ns: int) -> np.ndarray:
        self.questions += 1
        if self.questions <= 2:
            raise asyncio.CancelledError
        return await super().history(instrument, timeframe_seconds=timeframe_seconds, from_ns=from_ns, to_ns=to_ns)


async def test_history_that_a_new_login_breaks_off_is_asked_for_again(tmp_path, bus, book) -> None:
    broker = FakeBroker()
    broker.reference = BrokenOff(broker)
    async with running(broker, tmp_path, bus, book):
        (restored, *_) = await told(bus, "CANDLES_RESTORED")
    assert restored.reason == "warm-up"
