"""The HTTP API on the twins: answers, refusals, outages."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from testkit.feeds import MUHURAT, downstream, run_to_end, settings_for, write_bars
from testkit.waiting import WALL_TIMERS

from services.market_data.feeds.bus_sink import CANDLES, TICKS
from services.market_data.http.app import create_app
from services.market_data.http.tail import StreamTail
from tradebus.bus.memory.bus import MemoryBus
from tradebus.bus.port import Bus, Outgoing
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.records import CANDLE, TICK, TIMEFRAMES_SECONDS, decode
from tradebus.kernel.errors import Unavailable
from tradebus.kernel.time import datetime_to_ns, ist_to_ns
from tradebus.store.books import candles_book, chains_book, instruments_book
from tradebus.store.books.chains import StoredChain
from tradebus.store.memory_book import MemoryBook

FIRST_NS = ist_to_ns(MUHURAT, time(18, 15))
MINUTE_NS = 60 * 10**9


@pytest.fixture
async def fed(tmp_path: Path, bus: Bus, book: MemoryBook) -> None:
    """An hour of NIFTY bars, published and stored."""
    path = write_bars(tmp_path / "bars.parquet", (MUHURAT, time(18, 15), 60))
    settings = settings_for(feed="history", history=path, symbols="NIFTY", speed="max", paced=True, ticks_per_minute=6)
    async with downstream(bus):
        await run_to_end(settings, bus=bus, book=book)


@pytest.fixture
async def tail(bus: Bus) -> StreamTail:
    return StreamTail(bus, timers=WALL_TIMERS)


@pytest.fixture
async def client(book: MemoryBook, tail: StreamTail) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(book, tail, timers=WALL_TIMERS), raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://mds/v1") as http:
        yield http


async def register(book: MemoryBook, symbol: str, *, kind: str, market_class: str) -> None:
    row = Instrument(
        instrument_id=0, symbol=symbol, kind=kind, market_class=market_class, underlying=symbol, tick_size_paise=5
    )  # fmt: skip
    async with book.begin() as transaction:
        await instruments_book(book).register(transaction, [row])


async def get(client: httpx.AsyncClient, tail: StreamTail, path: str) -> Any:
    await tail.read(block_ms=1)
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.content, parse_float=str)


@pytest.mark.usefixtures("fed")
async def test_last_candles_are_the_newest_closed_ones(client: httpx.AsyncClient, tail: StreamTail, bus: Bus) -> None:
    found = await get(client, tail, "/candles/last?symbol=NIFTY&timeframe_seconds=60&limit=5")
    assert (found["symbol"], found["timeframe_seconds"]) == ("NIFTY", 60)
    starts = [candle["ts_epoch_seconds"] for candle in found["candles"]]
    assert starts == [(FIRST_NS + minute * MINUTE_NS) // 10**9 for minute in range(55, 60)]
    published = decode((await bus.tail(CANDLES, count=2))[0].body, CANDLE)
    last = published[published["timeframe_seconds"] == 60][0]
    assert found["candles"][-1]["close"] == f"{last['close_paise'] // 100}.{last['close_paise'] % 100:02d}"


@pytest.mark.usefixtures("fed")
async def test_an_entry_that_cannot_be_read_is_left_out_and_the_rest_goes_on(
    client: httpx.AsyncClient, tail: StreamTail, bus: Bus
) -> None:
    await get(client, tail, "/candles/last?symbol=NIFTY&timeframe_seconds=60&limit=5")
    await bus.publish([
        Outgoing(TICKS, "ticks", b"no record"), Outgoing(CANDLES, "candles", b"x", tail.event_ns + 2),
        Outgoing(CANDLES, "candles", b"", tail.event_ns + 1),
    ])  # fmt: skip
    before_ns = tail.event_ns
    await get(client, tail, "/candles/last?symbol=NIFTY&timeframe_seconds=60&limit=5")
    assert tail.event_ns == before_ns + 1


@pytest.mark.usefixtures("fed")
async def test_higher_timeframes_are_those_of_the_stream(client: httpx.AsyncClient, tail: StreamTail, bus: Bus) -> None:
    entries = [entry for entry in await bus.tail(CANDLES, count=1000) if entry.kind == "candles"]
    every = np.concatenate([decode(entry.body, CANDLE) for entry in entries])
    for timeframe in TIMEFRAMES_SECONDS:
        published = every[every["timeframe_seconds"] == timeframe]
        what = f"symbol=NIFTY&timeframe_seconds={timeframe}"
        found = await get(client, tail, f"/candles/last?{what}&limit=200")
        assert found == await get(client, tail, f"/candles?{what}&from={MUHURAT}&to={MUHURAT}")
        assert len(found["candles"]) == len(published) > 0
        for candle, record in zip(found["candles"], published, strict=True):
            assert candle["ts_epoch_seconds"] == record["ts_open_ns"] // 10**9
            for name in ("open", "high", "low", "close"):
                assert int(candle[name].replace(".", "")) == record[f"{name}_paise"]
            assert candle["volume"] == record["volume"]


@pytest.mark.usefixtures("fed")
async def test_limit_cuts_whole_candles_only(client: httpx.AsyncClient, tail: StreamTail) -> None:
    every = await get(client, tail, "/candles/last?symbol=NIFTY&timeframe_seconds=300&limit=100")
    for limit in (1, 2, 5, 11):
        found = await get(client, tail, f"/candles/last?symbol=NIFTY&timeframe_seconds=300&limit={limit}")
        assert found["candles"] == every["candles"][-limit:]


@pytest.mark.usefixtures("fed")
async def test_range_takes_what_starts_in_it(client: httpx.AsyncClient, tail: StreamTail) -> None:
    start, end = f"{MUHURAT}T18:20:00", f"{MUHURAT}T18:30:00"
    found = await get(client, tail, f"/candles?symbol=NIFTY&timeframe_seconds=300&from={start}&to={end}")
    starts = [candle["ts_epoch_seconds"] for candle in found["candles"]]
    assert starts == [(FIRST_NS + minutes * MINUTE_NS) // 10**9 for minutes in (5, 10)]
    every = await get(client, tail, "/candles/last?symbol=NIFTY&timeframe_seconds=300&limit=100")
    assert found["candles"] == every["candles"][1:3]


@pytest.mark.usefixtures("fed")
async def test_candle_heard_on_the_stream_is_served_before_it_is_stored(
    client: httpx.AsyncClient, tail: StreamTail, bus: Bus, book: MemoryBook
) -> None:
    before = await get(client, tail, "/candles/last?symbol=NIFTY&limit=2")
    newest = decode((await bus.tail(CANDLES, count=2))[0].body, CANDLE)
    nxt = newest[newest["timeframe_seconds"] == 60].copy()
    nxt["ts_open_ns"] += MINUTE_NS
    nxt["ts_close_ns"] += MINUTE_NS
    nxt["close_paise"] = nxt["high_paise"] = 2_000_005
    await bus.publish([Outgoing(CANDLES, "candles", nxt.tobytes(), watermark_ns=int(nxt["ts_close_ns"][0]))])
    after = await get(client, tail, "/candles/last?symbol=NIFTY&limit=2")
    assert after["candles"][0] == before["candles"][1]
    assert after["candles"][1]["close"] == "20000.05"
    await candles_book(book).upsert(nxt)
    assert await get(client, tail, "/candles/last?symbol=NIFTY&limit=2") == after


@pytest.mark.usefixtures("fed")
async def test_quote_is_the_newest_tick_and_after_a_restart_the_newest_candle(
    client: httpx.AsyncClient, tail: StreamTail, bus: Bus, book: MemoryBook
) -> None:
    by_symbol = await get(client, tail, "/quote?symbol=NIFTY")
    by_id = await get(client, tail, f"/quote?symbol=SEC_{by_symbol['instrument_id']}")
    assert by_id == by_symbol == await get(client, tail, "/quote?symbol=^NSEI")
    newest = decode((await bus.tail(TICKS, count=1))[0].body, TICK)[-1]
    assert by_symbol["price"] == f"{newest['price_paise'] // 100}.{newest['price_paise'] % 100:02d}"
    assert (by_symbol["source"], by_symbol["bid"]) == ("tick", None)
    deaf = StreamTail(MemoryBus(timers=WALL_TIMERS), timers=WALL_TIMERS)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(book, deaf, timers=WALL_TIMERS)), base_url="http://mds/v1"
    ) as http:
        found = await get(http, deaf, "/quote?symbol=NIFTY")
    assert (found["source"], found["price"]) == ("candle", by_symbol["price"])


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/candles/last?symbol=NIFTYY", 404, "did you mean 'NIFTY'"),
        ("/candles/last?symbol=SEC_999", 404, "unknown instrument 999"),
        ("/candles/last?symbol=SEC_12345678901234567890", 404, "unknown symbol"),
        ("/candles/last", 422, "symbol: Field required"),
        ("/candles/last?symbol=", 422, "symbol: String should have at least 1 character"),
        ("/candles/last?symbol=NIFTY&limit=0", 422, "limit: "),
        ("/candles/last?symbol=NIFTY&limit=1000000", 422, "limit: "),
        ("/candles/last?symbol=NIFTY&limit=five", 422, "limit: "),
        ("/candles/last?symbol=NIFTY&timeframe_seconds=61", 422, "61 is not one of 60, 180"),
        ("/candles/last?symbol=NIFTY&timeframe_seconds=-60", 422, "timeframe_seconds: "),
        ("/candles/last?symbol=NIFTY&timeframe_seconds=86400&limit=1500", 422, "ask for fewer"),
        ("/candles?symbol=NIFTY&from=2024-01-01", 422, "to: Field required"),
        ("/candles?symbol=NIFTY&from=yesterday&to=2024-01-01", 422, "from: 'yesterday' is no time"),
        ("/candles?symbol=NIFTY&from=2024-01-02&to=2023-01-01", 422, "to: 2023-01-01 is before from"),
        ("/candles?symbol=NIFTY&from=99999999999999&to=99999999999999", 422, "is no time between"),
        ("/quote?symbol=%00%ff'; drop table candles_1m", 404, "unknown symbol"),
        ("/option_chain?symbol=NIFTY&expiry=friday", 422, "expiry: 'friday' is not a date"),
        ("/option_chain?symbol=NOBODY", 404, "unknown symbol"),
        ("/instruments?limit=-1", 422, "limit: "),
        ("/nothing", 404, "Not Found"),
    ],
)
async def test_bad_question_is_answered_with_what_is_wrong(
    path: str, status: int, says: str, client: httpx.AsyncClient, tail: StreamTail, book: MemoryBook
) -> None:
    await register(book, "NIFTY", kind="INDEX", market_class="derivative")
    await tail.read(block_ms=1)
    answer = await client.get(path)
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text


async def test_nothing_known_yet_is_an_empty_answer(
    client: httpx.AsyncClient, tail: StreamTail, book: MemoryBook
) -> None:
    await register(book, "TCS", kind="EQUITY", market_class="equity_fno")
    assert (await get(client, tail, "/candles/last?symbol=TCS"))["candles"] == []
    assert (await get(client, tail, "/candles/last?symbol=TCS&timeframe_seconds=900"))["candles"] == []
    assert (await get(client, tail, "/candles?symbol=tcs&from=2024-01-01&to=2024-01-02"))["candles"] == []
    assert (await get(client, tail, "/quote?symbol=SEC_0"))["price"] is None
    chain = await get(client, tail, "/option_chain?symbol=TCS&expiry=2024-01-25")
    assert (chain["symbol"], chain["expiry"], chain["chain"]) == ("TCS", "2024-01-25", [])
    assert (await get(client, tail, "/health"))["feed"] is None


async def test_option_chain_is_the_nearest_or_the_named_expiry(
    client: httpx.AsyncClient, tail: StreamTail, book: MemoryBook
) -> None:
    await register(book, "NIFTY", kind="INDEX", market_class="derivative")
    seen_ns = datetime_to_ns(datetime(2024, 1, 20, 10, tzinfo=UTC))
    for expiry in (date(2024, 1, 18), date(2024, 1, 25), date(2024, 2, 29)):
        await chains_book(book).put(StoredChain("NIFTY", expiry, [{"strike": expiry.day}], seen_ns))
    nearest = await get(client, tail, "/option_chain?symbol=NIFTY")
    assert (nearest["expiry"], nearest["chain"]) == ("2024-01-25", [{"strike": 25}])
    assert nearest["updated_utc"] == "2024-01-20T10:00:00.000000Z"
    assert float(nearest["updated_epoch_seconds"]) * 10**9 == seen_ns
    named = await get(client, tail, "/option_chain?symbol=NIFTY&expiry=2024-01-18")
    assert named["chain"] == [{"strike": 18}]


@pytest.mark.usefixtures("fed")
async def test_instruments_are_found_by_symbol_and_alias(client: httpx.AsyncClient, tail: StreamTail) -> None:
    for query in ("", "nift", "^nsei", "NIFTY 50"):
        found = await get(client, tail, f"/instruments?query={query}")
        assert [item["symbol"] for item in found["instruments"]] == ["NIFTY"]
    assert (await get(client, tail, "/instruments?query=TCS"))["instruments"] == []


@pytest.mark.usefixtures("fed")
async def test_health_tells_how_far_the_feed_is(client: httpx.AsyncClient, tail: StreamTail) -> None:
    found = await get(client, tail, "/health")
    assert found["status"] == "ok"
    assert (found["feed"]["status"]["state"], found["feed"]["status"]["bars"]) == ("finished", 60)


@pytest.mark.usefixtures("fed")
async def test_a_lost_book_is_said_in_one_sentence(
    client: httpx.AsyncClient, tail: StreamTail, book: MemoryBook
) -> None:
    await get(client, tail, "/candles/last?symbol=NIFTY&limit=3")
    book.database.go_away()
    for path in ("/candles/last?symbol=NIFTY&limit=4", "/health", "/instruments", "/option_chain?symbol=NIFTY"):
        answer = await client.get(path)
        assert answer.status_code == 503
        assert answer.json()["detail"].startswith("the book does not answer")
    assert (await client.get("/candles/last?symbol=NIFTY&limit=3")).status_code == 200


@pytest.mark.usefixtures("fed")
async def test_lost_redis_is_said_in_one_sentence(client: httpx.AsyncClient, book: MemoryBook, bus: Bus) -> None:
    class Away:
        """A bus whose Redis has gone."""

        def __getattr__(self, name: str) -> Any:
            async def gone(*_: Any, **__: Any) -> None:
                raise Unavailable("Redis at 127.0.0.1:1 does not answer")

            return gone

    away: Any = Away()
    deaf = StreamTail(away, timers=WALL_TIMERS)
    stop = asyncio.Event()
    following = asyncio.create_task(deaf.run(stop))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(book, deaf, timers=WALL_TIMERS)), base_url="http://mds/v1"
    ) as http:
        for path in ("/quote?symbol=NIFTY", "/candles/last?symbol=NIFTY", "/health"):
            answer = await http.get(path)
            assert answer.status_code == 503
            assert answer.json()["detail"].startswith("Redis does not answer")
        ranged = await http.get(f"/candles?symbol=NIFTY&from={MUHURAT}&to={MUHURAT}")
        assert ranged.status_code == 200
    assert not following.done()
    stop.set()
    await following
