"""A broker's live feed on the twins: what it registers, publishes and stores, and what it does when data
stops."""

import asyncio
from datetime import date, time

import numpy as np
import pytest
from testkit.fake_broker import (
    UNREACHABLE,
    FakeBroker,
    minute_candles,
    weeklies,
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

from services.market_data.feeds.bus_sink import CANDLES, QUOTES, TICKS
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.brokers.feed import FeedEvent, FeedEventKind, FeedMode
from tradebus.bus.port import Outgoing
from tradebus.contracts.records import CANDLE, QUOTE, TICK
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_to_ns
from tradebus.store.books import candles_book, instruments_book, listings_book


async def test_instruments_are_registered_under_the_brokers_names(tmp_path, bus, book) -> None:
    async with running(FakeBroker(), tmp_path, bus, book):
        master = await instruments_book(book).load()
        future, stock = master.find("NIFTY"), master.find("RELIANCE.NS")
        assert (future.symbol, future.kind, future.underlying) == ("NIFTY26NOVFUT", "FUTURE", "NIFTY")
        assert (future.tick_size_paise, future.instrument_key) == (10, "NFO:NIFTY:2026-11-30:FUT")
        assert (stock.symbol, stock.kind, stock.market_class) == ("RELIANCE", "EQUITY", "equity_fno")
        rows = await listings_book(book).listed("kite", listed_on=DAY)
        assert [(row.symbol, row.token, row.lot_size, row.freeze_quantity) for row in rows] == [
            ("NIFTY26NOVFUT", "501", 65, 1800), ("RELIANCE", "738561", 1, None),
        ]  # fmt: skip
        assert await listings_book(book).listed("kite", listed_on=date(2026, 11, 26)) == []


async def test_contracts_that_a_broker_gives_one_name_are_followed_each_as_its_own(tmp_path, bus, book) -> None:
    wanted = sorted(weeklies(), key=lambda one: one.key)[:3]
    keys = [str(one.key) for one in wanted]
    async with running(FakeBroker(master=weeklies()), tmp_path, bus, book, symbols=",".join(keys)) as live:
        master = await instruments_book(book).load()
        ids = [master.find(key).instrument_id for key in keys]
        assert len(set(ids)) == 3
        assert [master.by_id(number).expiry for number in ids] == [one.key.expiry for one in wanted]
        assert [master.by_id(number).lot_size for number in ids] == [65] * 3
        await eventually(lambda: live.broker.feeds and live.broker.feeds[-1].subscribed)
        followed = live.broker.feeds[-1].subscribed
        assert [followed[number].token for number in ids] == [one.token for one in wanted]
    with pytest.raises(InvalidInput, match="means 5 instruments"):
        async with running(FakeBroker(master=weeklies()), tmp_path, bus, book, symbols=wanted[0].symbol):
            pass


async def test_ticks_and_candles_go_out_and_bars_close_by_the_clock(tmp_path, bus, book) -> None:
    async with running(FakeBroker(), tmp_path, bus, book, close_grace_ms=20) as live:
        ids = {one.symbol: one.instrument_id for one in await instruments_book(book).load()}
        future = ids["NIFTY26NOVFUT"]
        await live.quote(future, [1, 2, 3], [2_600_000, 2_600_500, 2_599_000])

        async def minute():
            candles = await entries(bus, CANDLES, CANDLE)
            return [row for row in candles if row["timeframe_seconds"] == 60]

        async with asyncio.timeout(20):
            while not (closed := await minute()):
                await asyncio.sleep(0.001)
        assert closed[0]["instrument"] == future
        assert [int(closed[0][name]) for name in ("open_paise", "high_paise", "low_paise", "close_paise")] == [
            2_600_000, 2_600_500, 2_599_000, 2_599_000,
        ]  # fmt: skip
        ticks = await entries(bus, TICKS, TICK)
        assert ticks["price_paise"].tolist() == [2_600_000, 2_600_500, 2_599_000]
        assert ticks["bid_paise"].tolist() == [2_599_995, 2_600_495, 2_598_995]
    kept = await candles_book(book).read(instrument=future, from_ns=TEN, to_ns=TEN + 3600 * SECOND)
    assert kept["close_paise"].tolist() == [2_599_000]


async def test_watermarks_never_go_back_and_time_goes_on_without_ticks(tmp_path, bus, book) -> None:
    async with running(FakeBroker(), tmp_path, bus, book) as live:
        await live.quote(0, [5, 1, 7], [100, 105, 110])

        async def marks():
            return [entry.watermark_ns for entry in await bus.tail(TICKS, count=1000)]

        async with asyncio.timeout(20):
            while len(await marks()) < 4:
                await asyncio.sleep(0.001)
        found = await marks()
        assert found == sorted(found)
        assert any(not entry.body for entry in await bus.tail(TICKS, count=1000)), "a mark without ticks"


async def test_history_warms_strategies_up_and_the_day_goes_on_from_it(tmp_path, bus, book) -> None:
    broker = FakeBroker()
    today = minute_candles(ist_to_ns(DAY, time(9, 15)), [2_600_000 + number for number in range(60)])
    yesterday = minute_candles(ist_to_ns(date(2026, 11, 23), time(15)), [2_500_000] * 5)
    broker.candles["NIFTY26NOVFUT"] = np.concatenate((yesterday, today))
    async with running(broker, tmp_path, bus, book):
        await told(bus, "CANDLES_RESTORED")
        kept = await candles_book(book).read(instrument=0, from_ns=0, to_ns=TEN + 3600 * SECOND)
    assert kept["close_paise"].tolist()[:5] == [2_500_000] * 5
    assert kept["ts_close_ns"].max() <= TEN + 600 * SECOND
    assert len(kept) >= 5 + 45


async def test_silence_in_session_drops_the_connection_and_another_one_comes(tmp_path, bus, book) -> None:
    async with running(FakeBroker(), tmp_path, bus, book, feed_silent_seconds=0.2) as live:
        await eventually(lambda: len(live.broker.feeds) >= 2)
        await live.quote(0, [30], [2_600_000])
        await ticked(bus)


async def test_a_refused_login_is_read_again_and_the_feed_goes_on(tmp_path, bus, book) -> None:
    async with running(FakeBroker(), tmp_path, bus, book) as live:
        await eventually(lambda: live.broker.feeds and live.broker.feeds[-1].subscribed)
        Credentials(tmp_path).put("kite", Credential("kite", "key", access_token="renewed"))
        live.broker.feeds[-1].items.put_nowait(FeedEvent(FeedEventKind.REFUSED, "403"))
        live.broker.feeds[-1].items.put_nowait(None)
        await eventually(lambda: len(live.broker.feeds) == 2)
        assert live.broker.credentials[-1].access_token == "renewed"


async def test_streams_of_another_market_are_refused(tmp_path, bus, book) -> None:
    await bus.publish([Outgoing(TICKS, "ticks", b"", watermark_ns=TEN + 86_400 * SECOND, slice_start_ns=0)])
    with pytest.raises(InvalidInput, match=r"hold another market up to 2026-11-26 10:00 .* TRADEBUS_NAMESPACE"):
        async with running(FakeBroker(), tmp_path, bus, book):
            pass


async def test_an_unknown_symbol_or_login_is_one_clear_line(tmp_path, bus, book) -> None:
    with pytest.raises(InvalidInput, match="'NIFTTY' is not in the broker's instrument master"):
        async with running(FakeBroker(), tmp_path, bus, book, symbols="NIFTTY"):
            pass
    with pytest.raises(InvalidInput, match="credential 'nobody' is not stored here"):
        async with running(FakeBroker(), tmp_path, bus, book, credential="nobody"):
            pass


async def test_without_history_the_feed_runs_all_the_same(tmp_path, bus, book) -> None:
    broker = FakeBroker()
    async with running(broker, tmp_path, bus, book) as live:
        broker.error = UNREACHABLE
        await live.quote(0, [2], [2_600_000])
        await ticked(bus)


async def test_a_defect_in_the_feed_ends_the_service_instead_of_leaving_it_deaf(tmp_path, bus, book) -> None:
    broker = FakeBroker()

    def broken():
        raise ZeroDivisionError("a defect")

    broker.feed = broken
    with pytest.raises(ZeroDivisionError):
        async with running(broker, tmp_path, bus, book) as live:
            await asyncio.wait([live.task], timeout=20)


async def test_every_connection_is_opened_anew_once_another_login_is_stored(tmp_path, bus, book) -> None:
    async with running(FakeBroker(), tmp_path, bus, book, feed_connections=2) as live:
        await eventually(lambda: len(live.broker.feeds) == 2)
        assert [sorted(feed.subscribed) for feed in live.broker.feeds] in ([[0], [1]], [[1], [0]])
        await live.quote(0, [1], [2_600_000])
        await ticked(bus)
        Credentials(tmp_path).put("kite", Credential("kite", "key", access_token="of today"))
        await eventually(lambda: len(live.broker.feeds) == 4)
        assert [one.access_token for one in live.broker.credentials] == ["tok", "of today"]
        assert sorted(each for feed in live.broker.feeds[2:] for each in feed.subscribed) == [0, 1]


async def test_a_subscription_that_brings_nothing_is_made_again_beside_one_that_ticks(tmp_path, bus, book) -> None:
    symbols = "NIFTY,RELIANCE26NOVFUT"
    async with running(FakeBroker(), tmp_path, bus, book, feed_silent_seconds=0.5, symbols=symbols) as live:
        await eventually(lambda: live.broker.feeds and live.broker.feeds[-1].subscribed)
        (feed,) = live.broker.feeds
        silent = next(each for each, row in feed.subscribed.items() if row.symbol == "RELIANCE26NOVFUT")

        async def again() -> bool:
            return [silent] in feed.asked

        await quiet_until(bus, live, 1 - silent, again)
        assert live.broker.feeds == [feed]


async def test_quotes_go_out_in_full_beside_the_ticks_for_those_who_are_followed_so(tmp_path, bus, book) -> None:
    async with running(FakeBroker(), tmp_path, bus, book, full_symbols="NIFTY") as live:
        await live.quote(0, [1, 2], [2_600_000, 2_600_500])
        await live.quote(1, [2], [140_000])
        async with asyncio.timeout(20):
            while len(await entries(bus, TICKS, TICK)) < 3:
                await asyncio.sleep(0.001)
        quotes_out = await entries(bus, QUOTES, QUOTE)
        feed = live.broker.feeds[-1]
        marks = [(entry.slice_start_ns, entry.watermark_ns) for entry in await bus.tail(QUOTES, count=100)]
        same = [(entry.slice_start_ns, entry.watermark_ns) for entry in await bus.tail(TICKS, count=100)]
    assert feed.modes == {0: FeedMode.FULL, 1: FeedMode.QUOTE}
    assert quotes_out["instrument"].tolist() == [0, 0]
    assert quotes_out["bid_paise"][:, 0].tolist() == [2_599_995, 2_600_495]
    assert marks[: len(same)] == same[: len(marks)]


async def test_more_than_the_brokers_feed_carries_and_a_stranger_in_full_are_refused(tmp_path, bus, book) -> None:
    with pytest.raises(
        InvalidInput, match="kite feed: 2 instruments on 4 connections, but it allows 3,000 on each of 3"
    ):
        async with running(FakeBroker(), tmp_path, bus, book, feed_connections=4):
            pass
    with pytest.raises(InvalidInput, match="TRADEBUS_FULL_SYMBOLS: NSE:SMALLCO is not among TRADEBUS_SYMBOLS"):
        async with running(FakeBroker(), tmp_path, bus, book, full_symbols="SMALLCO"):
            pass
