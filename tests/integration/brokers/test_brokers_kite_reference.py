"""Instruments, history, quotes and chains at Kite."""

import gzip
from datetime import date, time
from pathlib import Path

import pytest
from testkit.kite_server import TOKEN, KiteServer, refusal
from testkit.logged import logged
from testkit.scripted_server import CSV, HTML, Reply, success

from tradebus.brokers.account import AccountMargins
from tradebus.brokers.errors import Malformed, NoAnswer, Refused, Throttled, TokenExpired
from tradebus.brokers.kite import KiteAccount, KiteReference, parse_instruments
from tradebus.brokers.kite.history import spans
from tradebus.brokers.reference import ListedInstrument, PriceBand
from tradebus.contracts.instrument_key import InstrumentKey, Right, Segment
from tradebus.contracts.records import (
    QUOTE_HAS_DEPTH,
    QUOTE_HAS_EXCHANGE_TIME,
    QUOTE_HAS_PRICE,
    QUOTE_HAS_VOLUME,
)
from tradebus.kernel.clock import EventClock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import NANOSECONDS_PER_DAY, datetime_to_ns, ist_datetime, ist_to_ns

HEADER = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,"
    "segment,exchange"
)
DUMPS = {
    "NSE": """
256265,1001,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE
260105,1016,NIFTY BANK,NIFTY BANK,0,,0,0,0,EQ,INDICES,NSE
257801,1007,NIFTY FIN SERVICE,NIFTY FIN SERVICE,0,,0,0,0,EQ,INDICES,NSE
264969,1035,INDIA VIX,INDIA VIX,0,,0,0,0,EQ,INDICES,NSE
408065,1594,INFY,INFOSYS,0,,0,0.05,1,EQ,NSE,NSE
4267265,16669,BAJAJ-AUTO,BAJAJ AUTO,0,,0,0.05,1,EQ,NSE,NSE
""",
    "NFO": """
14866434,58072,NIFTY26DECFUT,NIFTY,0,2026-12-29,0,0.1,65,FUT,NFO-FUT,NFO
14866690,58073,NIFTY26DEC26000CE,NIFTY,0,2026-12-29,26000,0.05,65,CE,NFO-OPT,NFO
14866946,58074,NIFTY26DEC26000PE,NIFTY,0,2026-12-29,26000,0.05,65,PE,NFO-OPT,NFO
14867202,58075,NIFTY26DEC26050CE,NIFTY,0,2026-12-29,26050,0.05,65,CE,NFO-OPT,NFO
14867458,58076,NIFTY26NOV26000CE,NIFTY,0,2026-11-30,26000,0.05,65,CE,NFO-OPT,NFO
14867714,58077,BANKNIFTY26DEC60000CE,BANKNIFTY,0,2026-12-29,60000,0.05,30,CE,NFO-OPT,NFO
broken,58078,NIFTY26DEC26100CE,NIFTY,0,2026-12-29,26100,0.05,65,CE,NFO-OPT,NFO
14866690,58073,NIFTY26DEC26000CE,NIFTY,0,2026-12-29,26000,0.05,65,CE,NFO-OPT,NFO
""",
    "BSE": """
265,1,SENSEX,SENSEX,0,,0,0,0,EQ,INDICES,BSE
128083204,500325,RELIANCE,RELIANCE INDUSTRIES,0,,0,0.05,1,EQ,BSE,BSE
""",
    "BFO": """
213510405,834025,SENSEX26DEC85050PE,SENSEX,0,2026-12-31,85050.5,0.05,20,PE,BFO-OPT,BFO
412675,1612,USDINR26DECFUT,USDINR,0,2026-12-29,0,0.0025,1,FUT,CDS-FUT,CDS
""",
}
SHARED = Path(__file__).parents[3].parent / "shared"
NIFTY = InstrumentKey(Segment.INDEX, "NIFTY")
DECEMBER, NOVEMBER = date(2026, 12, 29), date(2026, 11, 30)
INFY = ListedInstrument(InstrumentKey(Segment.NSE, "INFY"), "408065", "NSE", "INFY", 1, 5)
NOW_NS = datetime_to_ns(ist_datetime(0).replace(year=2026, month=11, day=25, hour=10, minute=0))


@pytest.fixture
def kite():
    with KiteServer() as server:
        for exchange, rows in DUMPS.items():
            body = gzip.compress((HEADER + rows).encode())
            server.replies[f"GET /instruments/{exchange}"] = Reply(
                body, content_type=CSV, headers={"Content-Encoding": "gzip"}
            )
        yield server


def reference(kite) -> KiteReference:
    client = kite.client()
    return KiteReference(client, clock=EventClock(NOW_NS))


async def test_the_master_has_one_key_for_each_instrument(kite):
    listed = {str(row.key): row for row in await reference(kite).instruments()}
    assert set(listed) == {
        "INDEX:NIFTY", "INDEX:BANKNIFTY", "INDEX:FINNIFTY", "INDEX:INDIA VIX", "INDEX:SENSEX", "NSE:INFY",
        "NSE:BAJAJ-AUTO", "BSE:RELIANCE", "NFO:NIFTY:2026-12-29:FUT", "NFO:NIFTY:2026-12-29:26000:CE",
        "NFO:NIFTY:2026-12-29:26000:PE", "NFO:NIFTY:2026-12-29:26050:CE", "NFO:NIFTY:2026-11-30:26000:CE",
        "NFO:BANKNIFTY:2026-12-29:60000:CE", "BFO:SENSEX:2026-12-31:85050.50:PE",
    }  # fmt: skip
    future, index = listed["NFO:NIFTY:2026-12-29:FUT"], listed["INDEX:NIFTY"]
    assert (future.token, future.broker_segment, future.symbol) == ("14866434", "NFO", "NIFTY26DECFUT")
    assert (future.lot_size, future.tick_size_paise, future.freeze_quantity) == (65, 10, None)
    assert (index.token, index.broker_segment, index.symbol) == ("256265", "NSE", "NIFTY 50")


def test_rows_that_cannot_be_read_are_counted_and_foreign_segments_are_not():
    _, left_out = parse_instruments((HEADER + DUMPS["NFO"]).encode())
    assert left_out == 2
    listed, left_out = parse_instruments((HEADER + DUMPS["BFO"]).encode())
    assert (len(listed), left_out) == (1, 0)


def test_an_index_whose_name_has_a_colon_has_a_key_that_reads_as_itself():
    row = "1,1,NIFTY500 MULTICAP 50:25:25,NIFTY500 MULTICAP 50:25:25,0,,0,0,0,EQ,INDICES,NSE\n"
    share = "513,2,A:B,A B,0,,0,0.05,1,EQ,NSE,NSE\n"  # no share has one
    ((index,), left_out) = parse_instruments((HEADER + "\n" + row + share).encode())
    assert str(index.key) == "INDEX:NIFTY500 MULTICAP 50-25-25"
    assert InstrumentKey.parse(str(index.key)) == index.key
    assert (index.symbol, left_out) == ("NIFTY500 MULTICAP 50:25:25", 1)


def test_a_dump_cut_short_loses_its_last_row_only():
    body = (HEADER + DUMPS["NSE"]).rstrip().encode()
    whole, _ = parse_instruments(body)
    for cut in range(len(HEADER), len(body)):
        listed, _left_out = parse_instruments(body[:cut])
        assert listed == whole[: len(listed)] or cut == len(body) - 1
        assert len(listed) >= body[:cut].count(b"\n") - 1


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"a,b,c\n1,2,3", b"\x00" * 100, b'"' + b"x" * 200_000])
def test_what_is_no_dump_is_malformed(body):
    with pytest.raises(Malformed, match="instruments"):
        parse_instruments(body)


async def test_no_csv_is_malformed(kite):
    kite.replies["GET /instruments/NSE"] = success([])
    with pytest.raises(Malformed, match="no CSV"):
        await reference(kite).instruments()


@pytest.mark.shared_data
@pytest.mark.skipif(
    not (SHARED / "data/instruments/kite_NFO_BFO_instruments_2026-08.csv.gz").is_file(),
    reason="the real instrument dump is not beside this checkout",
)
def test_every_row_of_a_real_dump_is_read():
    body = gzip.decompress((SHARED / "data/instruments/kite_NFO_BFO_instruments_2026-08.csv.gz").read_bytes())
    listed, left_out = parse_instruments(body)
    assert len(listed) + left_out == body.count(b"\n") - 1
    assert left_out == 0
    by_key = {row.key: row for row in listed}
    future = by_key[InstrumentKey(Segment.NFO, "NIFTY", date(2026, 8, 25))]
    assert (future.lot_size, future.tick_size_paise) == (65, 10)


def candle(day: int, clock: str, close: float, *more) -> list:
    return [f"2026-11-{day:02}T{clock}+0530", close, close + 1.05, close - 1, close, 1632, *more]


async def test_history_is_asked_in_spans_and_comes_in_order(kite):
    path = "/instruments/historical/408065/minute"
    kite.replies[f"GET {path}"] = [
        success({"candles": [candle(2, "09:15:00", 100.1, 7), candle(2, "09:16:00", 101)]}),
        success({"candles": [candle(2, "09:16:00", 102), candle(1, "09:15:00", 99)]}),
    ]
    from_ns = datetime_to_ns(ist_datetime(0).replace(year=2026, month=11, day=1, hour=9, minute=15))
    candles = await reference(kite).history(
        INFY, timeframe_seconds=60, from_ns=from_ns, to_ns=from_ns + 61 * NANOSECONDS_PER_DAY
    )
    assert [asked.query["from"][0] for asked in kite.asked] == ["2026-11-01 09:15:00", "2026-12-31 09:15:00"]
    assert [asked.query["to"][0] for asked in kite.asked] == ["2026-12-31 09:14:59", "2027-01-01 09:14:59"]
    assert [asked.query["oi"] for asked in kite.asked] == [["1"], ["1"]]
    assert list(candles["close_paise"]) == [9_900, 10_010, 10_200]
    assert list(candles["open_interest"]) == [0, 7, 0]
    assert candles["ts_open_ns"][0] == from_ns
    assert list(candles["ts_close_ns"] - candles["ts_open_ns"]) == [60 * 10**9] * 3
    assert set(candles["timeframe_seconds"]) == {60}


async def test_history_outside_the_window_is_not_given(kite):
    kite.replies["GET /instruments/historical/408065/5minute"] = success({
        "candles": [candle(2, "09:15:00", 100), candle(2, "09:20:00", 100), candle(2, "09:25:00", 100)]
    })  # fmt: skip
    from_ns = datetime_to_ns(ist_datetime(0).replace(year=2026, month=11, day=2, hour=9, minute=20))
    candles = await reference(kite).history(INFY, timeframe_seconds=300, from_ns=from_ns, to_ns=from_ns + 300 * 10**9)
    assert list(candles["ts_open_ns"]) == [from_ns]


@pytest.mark.parametrize(("timeframe", "days"), [(60, 60), (300, 100), (900, 200), (3600, 400), (86_400, 2000)])
def test_no_call_spans_more_than_kite_allows(timeframe, days):
    from tradebus.brokers.kite.history import interval_of

    _, span_ns = interval_of(timeframe)
    calls = list(spans(from_ns=0, to_ns=5_000 * NANOSECONDS_PER_DAY, span_ns=span_ns))
    assert span_ns == days * NANOSECONDS_PER_DAY
    assert len(calls) == -(-5_000 // days)
    assert calls[0][0] == "1970-01-01 05:30:00"


async def test_a_timeframe_kite_has_not_is_named(kite):
    with pytest.raises(InvalidInput, match="timeframe_seconds"):
        await reference(kite).history(INFY, timeframe_seconds=7, from_ns=0, to_ns=1)


@pytest.mark.parametrize(
    "row",
    [
        [], ["2026-11-02T09:15:00+0530", 1, 2, 0.5, 1], ["x", 1, 2, 0.5, 1, 5], candle(2, "09:15:00", 0),
        ["2026-11-02T09:15:00+0530", 10, 9, 8, 10, 5], ["2026-11-02T09:15:00+0530", 10, 11, 8, 10, -5],
        ["2026-11-02T09:15:00+0530", "10", 11, 8, 10, 5], "text", None,
    ],
)  # fmt: skip
async def test_a_row_that_is_no_candle_is_left_out_and_said(kite, capsys, row):
    good = candle(2, "09:15:00", 10)
    kite.replies["GET /instruments/historical/408065/day"] = success({"candles": [row, good, row]})
    open_ns = ist_to_ns(date(2026, 11, 2), time(9, 15))
    asked = {"timeframe_seconds": 86_400, "from_ns": open_ns, "to_ns": open_ns + NANOSECONDS_PER_DAY}
    candles = await reference(kite).history(INFY, **asked)
    assert candles["close_paise"].tolist() == [1_000]
    said = logged(capsys)
    assert "rows=2" in said
    assert "candle 0" in said
    kite.replies["GET /instruments/historical/408065/day"] = success({"candles": [row]})
    with pytest.raises(Malformed, match=r"none of its 1 rows is a candle; candle 0"):
        await reference(kite).history(INFY, **asked)


def quote(price: float, **changes) -> dict:
    depth = {
        "buy": [{"price": price - 0.05, "quantity": 65, "orders": 2}] * 5,
        "sell": [{"price": price + 0.05, "quantity": 130, "orders": 3}] * 5,
    }
    fields = {
        "timestamp": "2026-11-25 10:00:00", "last_trade_time": None, "last_price": price,
        "last_quantity": 65, "volume": 1000, "oi": 500, "ohlc": {"open": 1, "high": 3, "low": 0.5, "close": 2},
        "depth": depth,
    }  # fmt: skip
    return fields | changes


async def test_quotes_are_records_of_those_that_have_one(kite):
    kite.replies["GET /quote"] = success({"NSE:INFY": quote(1412.95), "NSE:NIFTY 50": {"last_price": 26000.05}})
    index = ListedInstrument(NIFTY, "256265", "NSE", "NIFTY 50", 1, 5)
    missing = ListedInstrument(InstrumentKey(Segment.NSE, "TCS"), "1", "NSE", "TCS", 1, 5)
    records = await reference(kite).quotes([missing, INFY, index])
    assert kite.asked[0].query["i"] == ["NSE:TCS", "NSE:INFY", "NSE:NIFTY 50"]
    assert list(records["instrument"]) == [1, 2]
    first, second = records
    assert (first["price_paise"], first["bid_paise"][0], first["ask_paise"][4]) == (141_295, 141_290, 141_300)
    assert (first["bid_quantity"][0], first["ask_orders"][0], first["previous_close_paise"]) == (65, 3, 200)
    assert first["ts_event_ns"] == NOW_NS
    assert first["fields"] & (QUOTE_HAS_DEPTH | QUOTE_HAS_VOLUME | QUOTE_HAS_EXCHANGE_TIME)
    assert (second["fields"], second["ts_event_ns"]) == (QUOTE_HAS_PRICE, NOW_NS)


async def test_price_bands_are_those_of_the_instruments_asked_for(kite):
    band = {"lower_circuit_limit": 1271.7, "upper_circuit_limit": 1554.25}
    tcs, sbin, wipro = (
        ListedInstrument(InstrumentKey(Segment.NSE, name), token, "NSE", name, 1, 5)
        for name, token in (("TCS", "1"), ("SBIN", "2"), ("WIPRO", "3"))
    )
    kite.replies["GET /quote"] = success(
        {
            "NSE:INFY": quote(1412.95, **band), "NSE:TCS": quote(3000, instrument_token=99, **band),
            "NSE:SBIN": quote(800, lower_circuit_limit="x", upper_circuit_limit=5), "NSE:WIPRO": "no quote",
        }
    )  # fmt: skip
    found = await reference(kite).price_bands([tcs, INFY, sbin, wipro])
    assert found == {1: PriceBand(127_170, 155_425)}
    kite.replies["GET /quote"] = success({"NSE:INFY": quote(1412.95, lower_circuit_limit=0, upper_circuit_limit=0)})
    assert await reference(kite).price_bands([INFY]) == {}


async def test_five_hundred_quotes_a_call(kite):
    kite.replies["GET /quote"] = success({})
    assert len(await reference(kite).quotes([INFY] * 1_001)) == 0
    assert [len(asked.query["i"]) for asked in kite.asked] == [500, 500, 1]


@pytest.mark.parametrize("token", [408_066, "408066", True, [408_065]])
async def test_a_quote_of_another_instrument_is_refused_and_spoils_no_other(kite, capsys, token):
    tcs = ListedInstrument(InstrumentKey(Segment.NSE, "TCS"), "2953217", "NSE", "TCS", 1, 5)
    kite.replies["GET /quote"] = success(
        {"NSE:INFY": quote(1412.95, instrument_token=token), "NSE:TCS": quote(3000, instrument_token=2_953_217)}
    )
    assert (await reference(kite).quotes([INFY, tcs]))["instrument"].tolist() == [1]
    assert "another instrument" in logged(capsys)
    with pytest.raises(Malformed, match=r"NSE:INFY: instrument_token.*408065 was asked for"):
        await reference(kite).quotes([INFY])


async def test_a_quote_of_another_contract_is_no_side_of_a_chain(kite):
    kite.replies["GET /quote"] = success({
        "NSE:NIFTY 50": quote(26012.35, instrument_token=256_265), "NFO:NIFTY26DEC26000CE": quote(210.5),
        "NFO:NIFTY26DEC26000PE": quote(190.05, instrument_token=1),
    })  # fmt: skip
    source = reference(kite)
    index = next(row for row in await source.instruments() if row.key == NIFTY)
    at_money = (await source.option_chain(index, DECEMBER)).rows[0]
    assert (at_money.call.price_paise, at_money.put) == (21_050, None)
    kite.replies["GET /quote"] = success({"NSE:NIFTY 50": quote(26012.35, instrument_token=260_105)})
    with pytest.raises(Malformed, match=r"option chain: quote of INDEX:NIFTY: instrument_token"):
        await source.option_chain(index, DECEMBER)


async def test_a_quote_that_is_none_is_named(kite):
    kite.replies["GET /quote"] = success({"NSE:INFY": quote(1412.95, volume="many")})
    with pytest.raises(Malformed, match=r"NSE:INFY: volume"):
        await reference(kite).quotes([INFY])


async def test_a_chain_is_put_together_from_instruments_and_quotes(kite):
    kite.replies["GET /quote"] = success({
        "NSE:NIFTY 50": {"last_price": 26012.35}, "NFO:NIFTY26DEC26000CE": quote(210.5),
        "NFO:NIFTY26DEC26000PE": quote(190.05),
    })  # fmt: skip
    source = reference(kite)
    index = next(row for row in await source.instruments() if row.key == NIFTY)
    assert list(await source.expiries(index)) == [NOVEMBER, DECEMBER]
    chain = await source.option_chain(index, DECEMBER)
    assert (chain.underlying, chain.expiry, chain.underlying_price_paise) == (NIFTY, DECEMBER, 2_601_235)
    assert [row.strike_paise for row in chain.rows] == [2_600_000, 2_605_000]
    at_money, above = chain.rows
    assert (at_money.call.price_paise, at_money.call.bid_paise, at_money.call.ask_quantity) == (21_050, 21_045, 130)
    assert (at_money.put.price_paise, at_money.put.open_interest, at_money.put.delta) == (19_005, 500, None)
    assert (above.call.price_paise, above.call.token, above.put) == (0, "14867202", None)
    assert len(kite.calls("GET", "/instruments/NFO")) == 1  # the master is fetched once a day


async def test_a_chain_that_is_not_listed_is_refused(kite):
    source = reference(kite)
    index = next(row for row in await source.instruments() if row.key == NIFTY)
    with pytest.raises(Refused, match="2027-01-28"):
        await source.option_chain(index, date(2027, 1, 28))
    option = next(row for row in await source.instruments() if row.key.right is Right.CALL)
    with pytest.raises(InvalidInput, match="underlying"):
        await source.expiries(option)


async def test_reads_are_repeated_where_that_can_help(kite):
    account = KiteAccount(kite.client())
    good = success({"equity": {"net": 1.005, "utilised": {"debits": 0}}})
    for bad in (refusal(429, "NetworkException"), refusal(503, "NetworkException"), Reply(b"<html>", 502, HTML)):
        kite.asked.clear()
        kite.replies["GET /user/margins"] = [bad, bad, good]
        assert await account.margins() == AccountMargins(101, 0)
        assert len(kite.asked) == 3


@pytest.mark.parametrize(
    ("reply", "error", "times"),
    [
        (refusal(429, "NetworkException"), Throttled, 5),
        (refusal(500, "GeneralException"), NoAnswer, 5),
        (refusal(400, "InputException"), Refused, 1),
        (refusal(403, "PermissionException"), Refused, 1),
        (refusal(403, "TokenException", f"bad {TOKEN}"), TokenExpired, 1),
        (Reply(b"<html></html>", 200, HTML), Malformed, 1),
        (Reply(f"<html>{TOKEN} and api-secret-text</html>".encode(), 404, HTML), Malformed, 1),
        (success({"equity": None}), Malformed, 1),
        (success({"equity": {"net": "rich", "utilised": {"debits": 0}}}), Malformed, 1),
    ],
)
async def test_errors_say_what_to_do_and_hold_no_secret(kite, reply, error, times):
    kite.replies["GET /user/margins"] = reply
    with pytest.raises(error) as raised:
        await KiteAccount(kite.client()).margins()
    assert len(kite.asked) == times
    assert str(raised.value).startswith("kite: margins")
    assert TOKEN not in str(raised.value)
    assert "api-secret-text" not in str(raised.value)
